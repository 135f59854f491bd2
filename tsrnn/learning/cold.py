"""Learn to forecast series that have no history, from the first rows of those that have one."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
import torch
from torch import Tensor

from tsrnn.learning.calibration import conformal_widening, integral_transform
from tsrnn.nn.cold import ColdNetwork, ColdPlan
from tsrnn.nn.covariates import CovariateInputs
from tsrnn.nn.ensemble import NetworkEnsemble
from tsrnn.nn.paths import copula_factor
from tsrnn.panel import Panel
from tsrnn.parallel import crew
from tsrnn.windows import gather_rows

__all__ = ["FEWEST_SERIES", "learn_cold"]

FEWEST_SERIES = 20
HELD_OUT = 0.25  # share of the series that choose the step and calibrate
STEPS, CHECK_EVERY, PATIENCE = 400, 10, 8
BATCH = 128
LEARNING_RATE = 1e-2
FORGOTTEN = 0.1  # share of the attributes that are hidden in training, each alone and all at once
DIFFERENT = 10.0  # ratio of large to small levels from which logarithms are natural


@dataclass(frozen=True)
class _Starts:
    """The first rows of series: values (series, horizon), static (series, column), ahead (series, horizon, column)."""

    values: Tensor
    static: Tensor
    ahead: Tensor

    def __len__(self) -> int:
        return len(self.values)

    def take(self, which: np.ndarray) -> _Starts:
        index = torch.from_numpy(which)
        return _Starts(self.values[index], self.static[index], self.ahead[index])


def learn_cold(
    panel: Panel,
    network: NetworkEnsemble,
    *,
    horizon: int,
    quantiles: tuple[float, ...],
    seed: int,
    deadline: float | None = None,
) -> ColdNetwork | None:
    """Return a network for series without a history; None where there is nothing to learn it from.

    Some series are held out whole: they choose how long to train, calibrate the spread and say how the
    steps of a path hang together. Then it is trained on all series for as long.

    Parameters
    ----------
    panel : Panel
    network : NetworkEnsemble
        Trained on the panel; the categories' embeddings begin as its are.
    horizon : int
        Steps that it will say.
    quantiles : tuple of float
    seed : int
    deadline : float, optional
        Time of ``time.monotonic()`` after which no further step is taken.
    """
    plan = network.plan.covariates
    if plan is None or not plan.static or panel.channels > 1:
        return None
    starts = _starts(panel, horizon)
    if len(starts) < FEWEST_SERIES:
        return None
    cold = ColdPlan(
        plan.static,
        plan.future,
        horizon,
        min(32, network.plan.encoder.hidden_size),
        quantiles,
        log=_works_on_logarithms(starts.values, wanted=network.plan.log),
        one_hot=plan.one_hot,
    )
    embedded = cast(CovariateInputs, network.members[0].covariates)
    order = np.random.default_rng(seed).permutation(len(starts))
    held = max(5, round(HELD_OUT * len(starts)))
    rest, apart = starts.take(order[held:]), starts.take(order[:held])

    chosen = _fresh(cold, rest, embedded, seed)
    steps = _train(chosen, rest, STEPS, seed, deadline, apart)
    widening, factor = _calibration(chosen, apart)
    final = _fresh(cold, starts, embedded, seed)
    _train(final, starts, steps, seed, deadline)
    with torch.no_grad():
        final.output.widen(widening)
        final.path_factor.copy_(factor)
    return final


def _starts(panel: Panel, horizon: int) -> _Starts:
    """Return the rows of each series from its first value on."""
    observed = ~np.isnan(panel.values)
    row = np.where(observed, np.arange(len(observed)), len(observed))
    first = np.minimum.reduceat(row, panel.indptr[:-1]) - panel.indptr[:-1]
    series = np.flatnonzero(first < panel.lengths)
    first, stop = first[series], panel.lengths[series]
    beside = panel.covariates
    if beside is None:
        raise ValueError("a cold start needs a panel with covariates")
    values, ahead = (
        gather_rows(each, panel.indptr, series, first, stop, horizon)
        for each in (panel.values, beside.future)
    )
    return _Starts(*map(torch.from_numpy, (values, beside.static[series], ahead)))


def _works_on_logarithms(values: Tensor, *, wanted: bool) -> bool:
    """Return whether all values are positive, and their levels differ by orders of magnitude."""
    if not float(values.nan_to_num(1.0).min()) > 0:
        return False
    level = values.nanmean(1)
    low, high = torch.quantile(level, torch.tensor([0.1, 0.9], dtype=level.dtype))
    return wanted or float(high / low) > DIFFERENT


@torch.no_grad()
def _fresh(plan: ColdPlan, starts: _Starts, embedded: CovariateInputs, seed: int) -> ColdNetwork:
    """Return a network that says the pooled distribution of the starts."""
    network = ColdNetwork.build(plan, torch.Generator().manual_seed(seed))
    for own, theirs in ((network.static, embedded.static), (network.future, embedded.future)):
        own.load_state_dict(theirs.state_dict())
    represented = starts.values.log() if plan.log else starts.values
    known = represented[~represented.isnan()]
    network.level.copy_(known.median())
    spread = (known - network.level).abs().mean()
    network.scale.copy_(spread if spread > 0 else torch.ones_like(spread))
    residual = network.relative(starts.values)
    seen = ~residual.isnan()
    count = seen.sum(0)
    size = residual.nan_to_num(0.0).abs().sum(0)
    unit = (size + 10 * size.sum() / count.sum()) / (count + 10)  # few rows lean on all
    network.unit.copy_(unit.clamp_min(1e-3))
    network.output.calibrate((residual / network.unit)[seen])
    return network


def _loss(network: ColdNetwork, starts: _Starts, static: Tensor) -> Tensor:
    target = network.relative(starts.values)
    known = ~target.isnan()
    head = network(static, starts.ahead)
    loss = network.output.loss(head, target.nan_to_num(0.0))
    return (loss * known).sum() / known.sum().clamp_min(1)


def _train(
    network: ColdNetwork,
    starts: _Starts,
    steps: int,
    seed: int,
    deadline: float | None,
    apart: _Starts | None = None,
) -> int:
    """Train in place, to the best weights on the series kept ``apart``; return how many steps that took."""
    rng = np.random.default_rng(seed)
    parameters = list(network.parameters())
    optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE, foreach=False)
    best = None if apart is None else _Best(network, apart)
    for step in range(1, steps + 1):
        if deadline is not None and crew().any(time.monotonic() > deadline):
            break
        some = starts
        if len(starts) > BATCH:
            some = starts.take(rng.choice(len(starts), BATCH, replace=False))
        hidden = rng.random(some.static.shape) < FORGOTTEN
        hidden |= rng.random((len(some), 1)) < FORGOTTEN
        static = some.static.masked_fill(torch.from_numpy(hidden), torch.nan)
        with torch.enable_grad():
            loss = _loss(network, some, static)
            optimizer.zero_grad()
            loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=False)
        optimizer.step()
        if best is not None and step % CHECK_EVERY == 0 and best.is_enough(network, step):
            break
    if best is None:
        return steps
    network.load_state_dict(best.weights)
    return best.step


class _Best:
    """The best weights so far on series that are not trained on."""

    def __init__(self, network: ColdNetwork, apart: _Starts) -> None:
        self.apart = apart
        self.step, self.score = 0, self._score(network)
        self.weights = copy.deepcopy(network.state_dict())
        self.waited = 0

    @torch.no_grad()
    def _score(self, network: ColdNetwork) -> float:
        return float(_loss(network, self.apart, self.apart.static))

    def is_enough(self, network: ColdNetwork, step: int) -> bool:
        """Remember the weights if they are better; return whether it is time to stop."""
        score = self._score(network)
        if score < self.score:
            self.step, self.score, self.waited = step, score, 0
            self.weights = copy.deepcopy(network.state_dict())
        else:
            self.waited += 1
        return self.waited >= PATIENCE


@torch.no_grad()
def _calibration(network: ColdNetwork, apart: _Starts) -> tuple[Tensor, Tensor]:
    """Return what the series apart ask for: a factor on spreads, and that of the copula of paths.

    The first is on each quantile's distance from the median. The series are few, so that it is one for
    all: what the outer quantiles ask for on average.
    """
    head = network(apart.static, apart.ahead)
    error = network.relative(apart.values) - head.location
    trained = network.output.trained(head)
    widening = conformal_widening(network.output, error, trained, head.location)
    away = (network.output.levels - 0.5).abs()
    outer = away >= away.max().clamp_max(0.25)
    common = widening[outer].mean() ** ((len(apart) - 1) / (len(apart) + 3))
    widening = common.expand_as(widening)
    network.output.widen(widening)
    probability = integral_transform(partial(network.quantiles, head), apart.values)
    return widening, copula_factor(probability)
