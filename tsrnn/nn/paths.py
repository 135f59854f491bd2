"""Sample paths: joint futures drawn from what the network says, and horizons beyond it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tsrnn.nn.covariates import Covariates
from tsrnn.nn.encoder import State
from tsrnn.nn.ensemble import Network
from tsrnn.nn.inputs import newest_rows

__all__ = ["block_paths", "copula_factor", "coupled", "shift_paths", "stratified_uniforms"]

EDGE = 1e-6


def stratified_uniforms(
    paths: int, steps: int, generator: torch.Generator, *, channels: int = 1
) -> Tensor:
    """Return uniforms of shape (channels, paths, steps), one in each of ``paths`` equal strata.

    Stratified over paths (a Latin hypercube; McKay, Beckman and Conover 1979), so that quantiles over
    paths carry little noise; independent over steps and channels. Drawn step by step: fewer steps are
    the first of more.
    """
    drawn = torch.rand(steps, channels, 2, paths, generator=generator, dtype=torch.float64)
    order, jitter = drawn[:, :, 0].argsort(2), drawn[:, :, 1]
    return ((order + jitter) / paths).clamp(EDGE, 1 - EDGE).permute(1, 2, 0)


def shift_paths(
    network: Network,
    values: Tensor,
    state: State,
    noise: Tensor,
    covariates: Covariates | None = None,
) -> Tensor:
    """Roll a one-step network on by its own samples (ancestral sampling).

    Parameters
    ----------
    network : Network
        With ``plan.horizon == 1`` and ``plan.patch == 1``.
    values : Tensor of shape (batch, step), float64
        The newest rows, at least ``plan.look_back + 1``.
    state : tuple of Tensor
        State after the newest row.
    noise : Tensor of shape (channel, path, horizon)
        Uniforms, common to all things.
    covariates : Covariates, optional
        Of the same rows, and of the horizon after them.

    Returns
    -------
    Tensor of shape (batch, path, horizon), float64
    """
    channels, paths, horizon = noise.shape
    fan = _Fan(channels, paths)
    if covariates is not None:
        covariates = Covariates(*map(fan.out, covariates.newest(network.plan.look_back + 1)))
    rows = fan.out(values[:, -(network.plan.look_back + 1) :])
    state = tuple(fan.out(part, 1) for part in state)
    uniforms = fan.rows(_across(network, noise), len(values))  # (batch * path, horizon)
    drawn = []
    head = network.say(rows, state, covariates)
    for step in range(horizon):
        sample = network.quantiles(head, uniforms[:, step, None, None])[:, 0, 0]
        drawn.append(sample)
        rows = torch.cat([rows[:, 1:], sample[:, None]], 1)
        if step + 1 < horizon:
            covariates = None if covariates is None else covariates.after(1)
            head, state = network.advance(rows, state, covariates)
    return fan.back(torch.stack(drawn, 1))


def block_paths(
    network: Network,
    values: Tensor,
    state: State,
    noise: Tensor,
    covariates: Covariates | None = None,
) -> Tensor:
    """Draw paths of a network that says a whole horizon, block after block.

    Within a block of ``plan.horizon`` steps a Gaussian copula joins the margins (fitted on validation
    residuals), or each step is drawn given the path so far (``plan.conditional``); each further block is
    forecast from its own path, read again for ``plan.context`` rows.

    Parameters
    ----------
    network : Network
    values : Tensor of shape (batch, step), float64
        The newest rows, at least ``plan.look_back + plan.patch``.
    state : tuple of Tensor
        State after the newest row.
    noise : Tensor of shape (channel, path, horizon)
        Uniforms, common to all things.
    covariates : Covariates, optional
        Of the same rows, and of the horizon after them.

    Returns
    -------
    Tensor of shape (batch, path, horizon), float64
    """
    plan = network.plan
    channels, paths, horizon = noise.shape
    fan = _Fan(channels, paths)

    def of_block(start: int) -> Tensor:
        block = noise[..., start : start + plan.horizon]
        return _across(network, block) if plan.conditional else _coupled(network, block)

    draw = _ancestral if plan.conditional else _joined
    first = of_block(0)
    uniforms = first if channels == 1 else first.repeat(len(values) // channels, 1, 1)
    widths = network.widths(values, covariates)  # paths tell nothing of the network's errors
    drawn = draw(network, values, state, uniforms, covariates, widths)
    while drawn.shape[2] < horizon:
        start = drawn.shape[2]
        rows = torch.cat([fan.out(values), fan.flat(drawn)], 1)
        rows = newest_rows(rows, plan.look_back + plan.context)
        known = None
        if covariates is not None:
            known = Covariates(*map(fan.out, covariates.after(start).newest(rows.shape[1])))
        state = network.read(rows, covariates=known)
        uniforms = fan.rows(of_block(start), len(values)).unsqueeze(1)  # one path each
        sample = draw(network, rows, state, uniforms, known, fan.out(widths))
        drawn = torch.cat([drawn, fan.back(sample.squeeze(1))], 2)
    return drawn[:, :, :horizon]


def _joined(
    network: Network,
    values: Tensor,
    state: State,
    uniforms: Tensor,
    covariates: Covariates | None,
    widths: Tensor,
) -> Tensor:
    """Return a block (batch, path, plan.horizon) from uniforms (batch or 1, path, plan.horizon)."""
    head = network.say(values, state, covariates, widths)
    by_step = uniforms.transpose(1, 2).expand(len(values), -1, -1)  # (batch, horizon, path)
    return network.quantiles(head, by_step).transpose(1, 2)


def _ancestral(
    network: Network,
    values: Tensor,
    state: State,
    uniforms: Tensor,
    covariates: Covariates | None,
    widths: Tensor,
) -> Tensor:
    """Return a block (batch, path, step), each step drawn given the path so far (ancestral sampling)."""
    del widths  # such a network does not look back
    steps = network.unroll(values, state, covariates, paths=uniforms.shape[1])
    said = next(steps)
    drawn: list[Tensor] = []
    for step in range(uniforms.shape[2]):
        if step:
            said = steps.send(drawn[-1])
        level = uniforms[:, :, step, None, None]  # (batch or 1, path, 1, 1)
        drawn.append(network.quantiles(said, level, step=step)[..., 0, 0])
    return torch.stack(drawn, 2)


def copula_factor(probability: Tensor) -> Tensor:
    """Return the Cholesky factor of the normal-score correlation of joint probabilities.

    Parameters
    ----------
    probability : Tensor of shape (sample, horizon)
        Probability integral transforms of the truth; NaN where it is not known.

    Returns
    -------
    Tensor of shape (horizon, horizon), float64
        Correlations are shrunk towards what a random walk with independent steps has,
        ``sqrt(min(i, j) / max(i, j))``, the more the fewer samples there are.
    """
    horizon = probability.shape[1]
    step = torch.arange(1, horizon + 1, dtype=torch.float64)
    walk = (torch.minimum(step[:, None], step) / torch.maximum(step[:, None], step)).sqrt()
    known = ~probability.isnan()
    score = torch.special.ndtri(probability.double().nan_to_num(0.5).clamp(0.005, 0.995))
    mask = known.double()
    both = mask.T @ mask
    spread = (mask.T @ score.square()).clamp_min(1e-12)
    correlation = (score.T @ score) / (spread * spread.T).sqrt()
    share = both / (both + 5.0 * horizon)
    blend = share * correlation + (1 - share) * walk
    eigenvalue, vector = torch.linalg.eigh((blend + blend.T) / 2)
    positive = vector @ torch.diag(eigenvalue.clamp_min(1e-4)) @ vector.T
    scale = positive.diagonal().rsqrt()
    return torch.linalg.cholesky(scale[:, None] * positive * scale)


def _coupled(network: Network, noise: Tensor) -> Tensor:
    """Return uniforms (channel, path, plan.horizon) joined by the network's copula."""
    missing = network.plan.horizon - noise.shape[2]
    if missing:
        half = torch.full((*noise.shape[:2], missing), 0.5, dtype=noise.dtype)
        noise = torch.cat([noise, half], 2)
    return coupled(_across(network, noise), network.path_factor)


def coupled(noise: Tensor, factor: Tensor) -> Tensor:
    """Return uniforms (..., step) joined by the copula with this Cholesky factor, from independent ones."""
    normal = torch.special.ndtri(noise) @ factor.T
    return torch.special.ndtr(normal).clamp(EDGE, 1 - EDGE)


def _across(network: Network, noise: Tensor) -> Tensor:
    """Return uniforms (channel, path, step) correlated over channels as the network's copula says."""
    if len(noise) == 1:
        return noise
    normal = torch.einsum("dc,cps->dps", network.channel_factor, torch.special.ndtri(noise))
    return torch.special.ndtr(normal).clamp(EDGE, 1 - EDGE)


class _Fan(NamedTuple):
    """Rows of things and channels, (thing * channel), as rows of paths, (thing * path * channel)."""

    channels: int
    paths: int

    def out(self, rows: Tensor, dim: int = 0) -> Tensor:
        """Return each thing's rows once for every path."""
        things = rows.unflatten(dim, (-1, self.channels)).unsqueeze(dim + 1)
        shape = [-1] * things.dim()
        shape[dim + 1] = self.paths
        return things.expand(shape).flatten(dim, dim + 2)

    def flat(self, drawn: Tensor) -> Tensor:
        """Return paths (thing * channel, path, step) as rows."""
        return drawn.unflatten(0, (-1, self.channels)).transpose(1, 2).flatten(0, 2)

    def back(self, rows: Tensor) -> Tensor:
        """Undo :meth:`flat`."""
        return rows.unflatten(0, (-1, self.paths, self.channels)).transpose(1, 2).flatten(0, 1)

    def rows(self, noise: Tensor, batch: int) -> Tensor:
        """Return noise (channel, path, step), common to all things, as rows."""
        return noise.transpose(0, 1).flatten(0, 1).repeat(batch // self.channels, 1)
