"""Channels of one thing: neighbours in a batch that share what is read, and say each its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Channels", "channel_factor"]

SHRINKAGE = 5.0  # samples of each pair of channels, at which half of their correlation is believed


class Channels(nn.Module):
    """What lies between rows of channels and the encoder that reads them together.

    Row ``i * count + c`` of a batch is channel ``c`` of thing ``i``. The encoder reads the features of
    all its channels side by side; what it says is told to each, seen with weights of its own.

    Parameters
    ----------
    count : int
        Channels of each thing.
    hidden_size : int
    """

    def __init__(self, count: int, hidden_size: int) -> None:
        super().__init__()
        self.count = count
        self.gain = nn.Parameter(torch.ones(count, hidden_size))

    def initialise(self) -> None:
        """Let every channel see the state as it is."""
        with torch.no_grad():
            self.gain.fill_(1.0)

    def together(self, own: Tensor, common: Tensor | None) -> Tensor:
        """Return what the encoder reads, shape (thing, position, count * own + common).

        Parameters
        ----------
        own : Tensor of shape (batch, position, own)
            Features of each channel.
        common : Tensor of shape (batch, position, common), optional
            Features that all channels of a thing have alike.
        """
        beside = own.unflatten(0, (-1, self.count)).transpose(1, 2).flatten(2)
        return beside if common is None else torch.cat([beside, common[:: self.count]], -1)

    def each(self, hidden: Tensor) -> Tensor:
        """Return the state (thing, position, hidden) as each channel sees it, (batch, position, hidden)."""
        return (hidden.unsqueeze(1) * self.gain.unsqueeze(1)).flatten(0, 1)

    def named(self, own: Tensor) -> Tensor:
        """Return features (batch, position, own) with the channel's number behind them, one-hot."""
        code = torch.eye(self.count, dtype=own.dtype, device=own.device)
        code = code.repeat(len(own) // self.count, 1).unsqueeze(1)
        return torch.cat([own, code.expand(-1, own.shape[1], -1)], -1)


def channel_factor(probability: Tensor) -> Tensor:
    """Return the Cholesky factor of the normal-score correlation between channels.

    Parameters
    ----------
    probability : Tensor of shape (thing, channel, horizon)
        Probability integral transforms of the truth; NaN where it is not known.

    Returns
    -------
    Tensor of shape (channel, channel), float64
        Correlations at the same step, pooled over steps, shrunk towards none: steps of one horizon
        count as one sample.
    """
    horizon = probability.shape[2]
    known = (~probability.isnan()).double()
    score = torch.special.ndtri(probability.double().nan_to_num(0.5).clamp(0.005, 0.995))
    score = score.transpose(0, 1).flatten(1)  # (channel, sample)
    mask = known.transpose(0, 1).flatten(1)
    both = mask @ mask.T
    spread = (score.square() @ mask.T).clamp_min(
        1e-12
    )  # of a channel, where the other is known, too
    correlation = (score @ score.T) / (spread * spread.T).sqrt()
    samples = both / horizon
    blend = samples / (samples + SHRINKAGE) * correlation
    blend.fill_diagonal_(1.0)
    eigenvalue, vector = torch.linalg.eigh((blend + blend.T) / 2)
    positive = vector @ torch.diag(eigenvalue.clamp_min(1e-4)) @ vector.T
    scale = positive.diagonal().rsqrt()
    factor: Tensor = torch.linalg.cholesky(scale[:, None] * positive * scale)
    return factor
