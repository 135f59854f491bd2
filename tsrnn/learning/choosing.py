"""What validation chooses: where training starts, and how much of what was learned is kept."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tsrnn.inference import Reading
from tsrnn.learning.validation import Validation
from tsrnn.nn.networks import ForecastNetwork

__all__ = ["Start", "choose_shares", "choose_start", "responds_to_covariates"]

SHARES = (1.0, 0.75, 0.5, 0.25)  # of what was learned, beside the mixture of references


class Start(NamedTuple):
    """Where training starts: a network, a glance at validation, and the losses there of what is not learned."""

    network: ForecastNetwork
    glance: Reading | None = None
    losses: np.ndarray | None = None

    def score(self) -> float:
        """Return the score on validation of what is not learned; lower is better."""
        return math.inf if self.losses is None else Validation.score(self.losses)


def choose_start(candidates: Sequence[ForecastNetwork], validation: Validation) -> Start:
    """Return the candidate whose references forecast best, or the last value alone where that is as good."""
    glance = validation.glance(candidates[0])  # what differs is behind the state

    def judged(network: ForecastNetwork) -> Start:
        return Start(network, glance, _unlearned(network, validation, glance))

    best = min(map(judged, candidates), key=Start.score)
    if not validation.can_compare:
        return best
    stays = copy.deepcopy(best.network)
    stays.head.stay()
    alone = judged(stays)
    assert alone.losses is not None
    assert best.losses is not None
    return best if validation.is_worth(alone.losses, best.losses) else alone


def choose_shares(network: ForecastNetwork, validation: Validation, before: np.ndarray) -> Tensor:
    """Return the shares of learned locations and spreads to keep; 0 where their gain may be luck.

    What was learned is mixed with the mixture of references that follows track records, whose losses are
    ``before``, by the share that forecasts best, and beside it learned locations by the share that
    forecasts medians best; of both, 1 - 1 / evidence² is kept, where evidence is the improvement on
    validation in standard errors (James and Stein 1961, positive part): none of it up to one standard
    error, all of it far beyond.
    """
    share, after = _best_share(network, validation)
    evidence = validation.evidence(before, after)
    if evidence <= 1:
        return torch.zeros(2)
    of_locations = _share_of_locations(network, validation, share)
    return torch.tensor([of_locations, share]) * (1 - evidence**-2)


def responds_to_covariates(network: ForecastNetwork) -> bool:
    """Whether a regression on covariates moves what is not learned."""
    response = network.linear_response
    return response is not None and bool(response.weight.any())


def _unlearned(network: ForecastNetwork, validation: Validation, reading: Reading) -> np.ndarray:
    """Return the losses of what a network says where nothing is learned."""
    network.head.share.fill_(0.0)
    losses = validation.losses(network, reading)
    network.head.share.fill_(1.0)
    return losses


def _best_share(network: ForecastNetwork, validation: Validation) -> tuple[float, np.ndarray]:
    """Return which share of what was learned forecasts best, and its losses.

    A regression on covariates that is of no more use beside what was learned of them is dropped.
    """
    reading = validation.reading(network)

    def tried() -> tuple[float, np.ndarray]:
        losses = {}
        for share in SHARES:
            network.head.share.fill_(share)
            losses[share] = validation.losses(network, reading)
        best = min(SHARES, key=lambda share: float(np.nanmean(losses[share])))
        return best, losses[best]

    best = tried()
    if network.linear_response is None or not responds_to_covariates(network):
        return best
    regression = network.linear_response.weight.clone()
    network.linear_response.weight.zero_()
    without = tried()
    if float(np.nanmean(without[1])) <= float(np.nanmean(best[1])):
        return without
    network.linear_response.weight.copy_(regression)
    return best


def _share_of_locations(network: ForecastNetwork, validation: Validation, share: float) -> float:
    """Return the share of learned locations that forecasts medians best, beside this share of spreads."""
    if not network.output.has_quantiles:
        return share
    reading, losses = validation.reading(network), {}
    network.head.share.fill_(share)
    for of_locations in (*SHARES, 0.0):
        network.head.share[0] = of_locations
        losses[of_locations] = float(np.nanmean(validation.losses(network, reading, medians=True)))
    return min(losses, key=losses.__getitem__)
