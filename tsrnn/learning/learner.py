"""What fit does with a panel: start from the references, choose, calibrate, judge, train on all rows."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tsrnn.inference import Forecasting, read_origins
from tsrnn.learning.calibration import Correction, allow_for_few, calibrate, correct
from tsrnn.learning.choosing import Start, choose_shares, choose_start, responds_to_covariates
from tsrnn.learning.planning import DataPlan, Split, split_panel
from tsrnn.learning.skill import Skill, judge
from tsrnn.learning.start import standardise, start_from_covariates, start_from_reference
from tsrnn.learning.training_plan import TrainingPlan
from tsrnn.learning.validation import Validation
from tsrnn.nn.cells import Cell
from tsrnn.nn.ensemble import NetworkEnsemble
from tsrnn.nn.networks import ForecastNetwork
from tsrnn.nn.plan import NetworkPlan
from tsrnn.panel import Panel
from tsrnn.parallel import crew
from tsrnn.windows import Origins, WindowSampler

__all__ = ["Learned", "Learner"]

VALIDATION_PATHS = 48
UNJUDGED = 0.25  # of what was learned, where no rows are left to tell whether it is of use

Notify = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class Learned:
    """What a fit leaves behind.

    Parameters
    ----------
    network : NetworkEnsemble
    best_step : int
        Step of the weights kept; 0: the mixture of references was not improved beyond doubt.
    history : pandas.DataFrame
        Training curve: step, train_loss, val_score, learning_rate, gradient_norm.
    skill : Skill or None
        None where there were too few rows to judge.
    """

    network: NetworkEnsemble
    best_step: int
    history: pd.DataFrame
    skill: Skill | None


@dataclass(frozen=True)
class Learner:
    """Learns a network from a panel.

    Parameters
    ----------
    data : DataPlan
    network : NetworkPlan
    training : TrainingPlan
    forecasting : Forecasting
    val_size : int, optional
    n_members : int
        Networks that are trained on all rows, each with its own seed, and averaged.
    custom_cells : mapping of str to type
        Cells of the user's own, by the names that the network's plan knows them by.
    """

    data: DataPlan
    network: NetworkPlan
    training: TrainingPlan
    forecasting: Forecasting
    val_size: int | None
    n_members: int
    custom_cells: Mapping[str, type[Cell]] = field(default_factory=dict)

    def __call__(self, panel: Panel, notify: Notify) -> Learned:
        """Learn; ``notify(step, metrics)`` is called after each stretch of training."""
        self._check_same(panel)
        clock = _Clock(self.training.max_time)
        split = split_panel(panel, horizon=self.data.horizon, val_size=self.val_size)
        sampler = self._sampler(panel, split.train)
        validation = self._validation(panel, split)
        start = self._start(sampler, validation)
        best_step, share, history = self._choose(start, sampler, validation, clock.share(2), notify)
        network = start.network
        allow_for_few(network, split.train)
        if panel.channels > 1:  # their correlation is read off all origins: no rolling on
            validation = self._validation(panel, split, every=1)
        correction = calibrate(network, validation) if validation else None
        skill = self._judge(network, panel, split.test)
        members = self._members(panel, best_step, share, correction, clock, like=network)
        ensemble = NetworkEnsemble(members)
        crew().follow(ensemble.state_dict())
        return Learned(ensemble, best_step, pd.DataFrame(history), skill)

    def _check_same(self, panel: Panel) -> None:
        """Raise DataError where processes that share the fit were given other rows or parameters."""
        plans = repr((self.data, self.network, self.training, self.val_size, self.n_members))
        rows = (panel.values, panel.indptr, panel.times)
        crew().check_same("rows and parameters", plans, *rows)

    def go_on(self, panel: Panel, before: Learned, *, until: int) -> Learned:
        """Train the networks of an earlier fit on, on all rows, for a quarter as long as was best then.

        Spreads and the share of what was learned stay what that fit chose: the rows that would choose
        anew were learned from. They are judged as they were, where the rows that judge all came after
        ``until``, the last time they know.
        """
        from tsrnn.learning.training import fit_network  # loads lightning

        self._check_same(panel)
        clock = _Clock(self.training.max_time)
        test = split_panel(panel, horizon=self.data.horizon, val_size=self.val_size).test
        unseen = panel.times[panel.indptr[test.series] + test.known] > until
        members = [copy.deepcopy(network) for network in before.network.networks]
        skill = self._judge(members[0], panel, test) if unseen.all() else None
        sampler = self._sampler(panel, panel.lengths)
        for number, network in enumerate(members):
            share, spread = network.head.share.clone(), copy.deepcopy(network.output.state_dict())
            network.head.share.fill_(1.0)
            plan = replace(
                self.training,
                max_steps=max(before.best_step // 4, 1),
                max_time=clock.share(len(members) - number),
                seed=self.training.seed + number,
            )
            fit_network(network, sampler, plan, validate=None, notify=_ignore)
            network.head.share.copy_(share)
            network.output.load_state_dict(spread)
        ensemble = NetworkEnsemble(members)
        crew().follow(ensemble.state_dict())
        return replace(before, network=ensemble, skill=skill)

    def _start(self, sampler: WindowSampler, validation: Validation) -> Start:
        """Return a network to train.

        What is not learned responds to covariates, and is the last value alone, where that forecasts better.
        """
        seed = self.training.seed
        candidates = [self._fresh(sampler, seed)]
        if not validation:
            return Start(candidates[0])
        if candidates[0].linear_response is not None:
            candidates.append(self._fresh(sampler, seed, responds=True))
        return choose_start(candidates, validation)

    def _fresh(
        self, sampler: WindowSampler, seed: int, *, responds: bool = False
    ) -> ForecastNetwork:
        """Return a network that says the mixture of references fitted to the sampler's windows.

        With ``responds``, what is not learned is moved by a regression on covariates known in advance.
        """
        generator = torch.Generator().manual_seed(seed)
        network = ForecastNetwork.build(self.network, generator, self.custom_cells)
        standardise(network, sampler)
        start_from_reference(network, sampler, np.random.default_rng(seed))
        if responds:
            start_from_covariates(network, sampler, np.random.default_rng(seed))
        return network

    def _sampler(self, panel: Panel, stop: np.ndarray) -> WindowSampler:
        if panel.weights is not None:  # their unit is no matter, and fits float32
            panel = replace(panel, weights=panel.weights / (panel.weights.max() or 1.0))
        return WindowSampler(
            panel,
            stop,
            look_back=self.network.look_back,
            context=self.data.context,
            horizon=self.network.horizon,
            patch=self.network.patch,
            at_end=self.network.loss_at == "last",
        )

    def _validation(self, panel: Panel, split: Split, every: int | None = None) -> Validation:
        if every is None:  # rolling on takes time
            every = 8 if self.network.conditional and len(split.validation) > 64 else 1
        return Validation(
            panel,
            split.validation.thinned(every, panel.channels),
            split.choose,
            horizon=self.data.horizon,
            context=self.data.context,
            season=self.data.seasons[0],
            probabilities=self.network.quantiles,
            forecasting=replace(self.forecasting, n_paths=VALIDATION_PATHS),
        )

    def _choose(
        self,
        start: Start,
        sampler: WindowSampler,
        validation: Validation,
        max_time: float | None,
        notify: Notify,
    ) -> tuple[int, Tensor, list[dict[str, float]]]:
        """Train to the best step, and keep the shares of what was learned that can't be luck."""
        from tsrnn.learning.training import fit_network  # loads lightning

        network, glance, before = start
        network.head.share.fill_(0.0)
        unlearned = copy.deepcopy(network.state_dict())
        network.head.share.fill_(1.0)
        first = None if before is None else validation.score(validation.losses(network, glance))
        plan = replace(self.training, max_time=max_time)
        if before is None:  # nothing to choose by: a short training, a little of the last weights
            plan = replace(plan, max_steps=max(plan.max_steps // 4, 1))
        result = fit_network(
            network,
            sampler,
            plan,
            validate=validation if validation else None,
            notify=notify,
            first_score=first,
        )
        if before is None:
            return result.best_step, torch.full((2,), UNJUDGED), result.history
        shares = choose_shares(network, validation, before)
        if not shares.any() or not result.best_step:
            network.load_state_dict(unlearned)
            return 0, torch.zeros(2), result.history
        network.head.share.copy_(shares)
        return result.best_step, shares, result.history

    def _judge(self, network: ForecastNetwork, panel: Panel, test: Origins) -> Skill | None:
        """Forecast the newest rows, which chose nothing, and compare with the naive forecasts."""
        if not len(test):
            return None
        with torch.inference_mode():
            reading = read_origins(network, panel, test, context=self.data.context)
            levels = (0.1, 0.9) if network.output.has_quantiles else ()
            point, quantiles = self.forecasting(network, reading, self.data.horizon, levels)
        return judge(panel, test, point, quantiles, season=self.data.seasons[0])

    def _members(
        self,
        panel: Panel,
        best_step: int,
        share: Tensor,
        correction: Correction | None,
        clock: _Clock,
        *,
        like: ForecastNetwork,
    ) -> list[ForecastNetwork]:
        """Train the members on all rows, those that chose and judged too, for as long as was best."""
        from tsrnn.learning.training import fit_network  # loads lightning

        sampler = self._sampler(panel, panel.lengths)
        members, responds = [], responds_to_covariates(like)
        for member in range(
            self.n_members if best_step else 1
        ):  # mixtures alone differ by hardly anything
            seed = self.training.seed + member
            network = self._fresh(sampler, seed, responds=responds)
            if like.head.stays:
                network.head.stay()
            if best_step:
                limit = clock.share(self.n_members - member)
                plan = replace(self.training, max_steps=best_step, max_time=limit, seed=seed)
                fit_network(network, sampler, plan, validate=None, notify=_ignore)
            network.head.share.copy_(share)
            allow_for_few(network, panel.lengths)
            if correction is not None:
                correct(network, correction)
            members.append(network)
        return members


class _Clock:
    """Seconds of training that are left: half of them choose, the members share the rest."""

    def __init__(self, seconds: float | None) -> None:
        self.end = None if seconds is None else time.monotonic() + seconds

    def share(self, parts: int) -> float | None:
        """Return one of so many equal parts of what is left."""
        return None if self.end is None else max(self.end - time.monotonic(), 0.0) / parts


def _ignore(step: int, metrics: dict[str, float]) -> None:
    """Listen to nothing."""
