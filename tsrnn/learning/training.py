"""Training: one Lightning module for every network, and the only importer of pytorch_lightning."""

from __future__ import annotations

import copy
import inspect
import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch import Tensor

from tsrnn.exceptions import ParameterError, TrainingError
from tsrnn.lanes import walk_lanes
from tsrnn.learning.loss import training_loss, truncated_loss
from tsrnn.learning.quiet import interruptible, quiet_lightning
from tsrnn.learning.training_plan import TrainingPlan
from tsrnn.nn.covariates import Covariates
from tsrnn.nn.decoders import Teacher
from tsrnn.nn.encoder import State
from tsrnn.nn.networks import ForecastNetwork
from tsrnn.parallel import crew
from tsrnn.windows import WindowSampler

__all__ = ["TrainingResult", "fit_network", "make_optimizer"]

WEIGHT_DECAY = 1e-3
TARGETS = 256  # of a window, about: a long horizon is forecast from some of its steps, drawn anew
TARGETS_STEPWISE = 96  # the same where a decoder runs over the horizon: a step costs two or three
SMALL = 250_000  # units (windows x recurrent steps x hidden): below, Lightning's own cost is felt
TOGETHER = 8  # optimiser steps that it is then given at once

Validate = Callable[[ForecastNetwork], float]
Notify = Callable[[int, dict[str, float]], None]
_Batch = tuple[Tensor, Tensor, Covariates | None, Tensor]


@dataclass(frozen=True)
class TrainingResult:
    """What training left behind.

    Parameters
    ----------
    best_step : int
        Step of the weights that were kept; 0 are the weights that training began with.
    best_score : float
        Their validation score.
    history : list of dict
        One entry a validation: step, train_loss, val_score, learning_rate, gradient_norm.
    """

    best_step: int
    best_score: float
    history: list[dict[str, float]]


def fit_network(
    network: ForecastNetwork,
    sampler: WindowSampler,
    plan: TrainingPlan,
    *,
    validate: Validate | None,
    notify: Notify,
    first_score: float | None = None,
) -> TrainingResult:
    """Train a network in place and leave it with the best weights on validation.

    Parameters
    ----------
    network : ForecastNetwork
    sampler : WindowSampler
    plan : TrainingPlan
    validate : callable, optional
        Returns the score of a network that forecasts freely, lower is better. Without it training
        runs to the end and the last (averaged) weights are kept.
    notify : callable
        Called as ``notify(step, metrics)`` after each validation.
    first_score : float, optional
        What ``validate`` says of the network as it is, where that is known already.

    Raises
    ------
    TrainingError
        The loss or the gradient is not finite.
    KeyboardInterrupt
        As the user caused it; Lightning alone would turn it into SystemExit.
    """
    module = _TrainingModule(network, plan, validate, notify, first_score)
    batches = _Batches(sampler, plan, together=_together(network, sampler, plan))
    epochs = max(1, math.ceil(plan.max_steps / plan.check_every))
    with quiet_lightning(), interruptible():
        settings = {
            "accelerator": plan.device,
            "devices": 1,
            "logger": False,
            "enable_checkpointing": False,
            "enable_model_summary": plan.verbose > 1,
            "enable_progress_bar": plan.verbose > 0,
            "max_epochs": epochs,
            "num_sanity_val_steps": 0,
            **plan.trainer_params,
        }
        _check_settings(settings)
        module.train()
        try:
            pl.Trainer(**settings).fit(module, batches)
        except MisconfigurationException as error:
            raise ParameterError(
                f"The 'trainer_params' parameter must hold what Lightning can train with. Got "
                f"{dict(plan.trainer_params)!r}: {error}"
            ) from error
    network.cpu().eval()
    network.load_state_dict(module.best_weights)
    return TrainingResult(module.best_step, module.best_score, module.history)


def _together(network: ForecastNetwork, sampler: WindowSampler, plan: TrainingPlan) -> int:
    """Return how many batches Lightning is given as one."""
    rows = sampler.context if plan.truncated_bptt is None else plan.truncated_bptt * sampler.patch
    units = plan.batch_size * rows // sampler.patch * network.plan.encoder.hidden_size
    return TOGETHER if units <= SMALL else 1


def _check_settings(settings: dict[str, Any]) -> None:
    known = set(inspect.signature(pl.Trainer).parameters)
    unknown = sorted(str(name) for name in settings if name not in known)
    if unknown:
        raise ParameterError(
            f"The 'trainer_params' parameter must hold arguments of pytorch_lightning.Trainer. "
            f"Got {unknown[0]!r}."
        )


class _Batches:
    """Endless batches of windows in stretches of ``check_every``; each stretch is one Lightning epoch.

    With ``truncated_bptt`` they are chunks of lanes, with a flag for each that begins anew. Lightning is
    given so many ``together`` as one of its batches; each of them is an optimiser step of its own.
    """

    def __init__(self, sampler: WindowSampler, plan: TrainingPlan, *, together: int) -> None:
        self.together = together
        self.sampler = sampler
        self.plan = plan
        self.crew = crew()
        self.crew.check_batch(sampler.things(plan.batch_size))
        self.rng = np.random.default_rng(plan.seed)
        self.lanes: Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]] | None = None
        if plan.truncated_bptt is not None:
            chunk = plan.truncated_bptt * sampler.patch
            self.sampler = sampler.with_context(chunk)
            self.lanes = walk_lanes(
                sampler.stop,
                lanes=sampler.things(plan.batch_size),
                chunk=chunk,
                patch=sampler.patch,
                rng=self.rng,
                channels=sampler.panel.channels,
            )

    def __len__(self) -> int:
        return math.ceil(self.plan.check_every / self.together)

    def __iter__(self) -> Iterator[list[_Batch]]:
        batches = self._each()
        return iter(lambda: list(itertools.islice(batches, self.together)), [])

    def _each(self) -> Iterator[_Batch]:
        for _ in range(self.plan.check_every):
            fresh = np.empty(0, dtype=bool)
            if self.lanes is None:
                places = self.sampler.places(self.plan.batch_size, self.rng)
            else:
                *at, fresh = next(self.lanes)
                places = (at[0], at[1])
            mine = self.crew.part(len(places[0]), channels=self.sampler.panel.channels)
            places, fresh = (places[0][mine], places[1][mine]), fresh[mine]
            values, weights = self.sampler.gather(*places)
            empty = np.empty(0) if weights is None else weights
            beside = self.sampler.covariates(*places)
            covariates = None if beside is None else Covariates(*map(torch.from_numpy, beside))
            yield (
                torch.from_numpy(values),
                torch.from_numpy(empty),
                covariates,
                torch.from_numpy(fresh),
            )


class _TrainingModule(pl.LightningModule):
    """Steps, schedule, clipping, weight averaging, validation and early stopping."""

    def __init__(
        self,
        network: ForecastNetwork,
        plan: TrainingPlan,
        validate: Validate | None,
        notify: Notify,
        first_score: float | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network = network
        self.plan = plan
        self.validate = validate
        self.notify = notify
        self.first_score = first_score
        self.averaged = copy.deepcopy(network).requires_grad_(requires_grad=False)
        self.trained: list[Tensor] = [
            *network.parameters()
        ]  # walking through the modules takes time
        self.means: list[Tensor] = [*self.averaged.parameters()]
        self.crew = crew()
        own = plan.seed + self.crew.rank  # noise of this process's windows
        self.dropout_generator = torch.Generator().manual_seed(own)
        self.step_generator = torch.Generator().manual_seed(plan.seed)
        self.teacher_generator = torch.Generator().manual_seed(own)
        self.deadline = None if plan.max_time is None else time.monotonic() + plan.max_time
        self.carried: State | None = None  # of the lanes, from one chunk to the next
        self.step = 0
        self.stretch: list[
            tuple[float, float]
        ] = []  # loss, gradient norm since the last validation
        self.history: list[dict[str, float]] = []
        self.best_step = 0
        self.best_score = math.inf
        self.best_weights: dict[str, Tensor] = {}
        self.waited = 0

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimiser of the plan."""
        return make_optimizer(self.network, self.plan)

    def on_fit_start(self) -> None:
        """Score the weights that training begins with: they are a candidate, too."""
        self._score(self.averaged, known=self.first_score)

    def training_step(self, batches: list[_Batch], batch_index: int) -> None:
        """Take an optimiser step on each of some batches of windows."""
        del batch_index
        for batch in batches:
            if self.step >= self.plan.max_steps:
                self.trainer.should_stop = True
                return
            self._take_step(batch)
            if self.deadline is not None and self.crew.any(time.monotonic() > self.deadline):
                self.trainer.should_stop = True
                return

    def _take_step(self, batch: _Batch) -> None:
        values, weights, covariates, fresh = batch
        optimizer = self.optimizers(use_pl_optimizer=False)
        for group in optimizer.param_groups:
            group["lr"] = self.plan.learning_rate * self.plan.rate(self.step)
        network, importance = self.network, weights if weights.numel() else None
        dropped, steps, teacher = self.dropout_generator, self._steps(values), self._teacher()
        if self.plan.truncated_bptt is None:
            loss = training_loss(network, values, importance, dropped, steps, covariates, teacher)
        else:
            loss, self.carried = truncated_loss(
                network,
                values,
                importance,
                self.carried,
                fresh,
                dropped,
                steps,
                covariates,
                teacher,
            )
        optimizer.zero_grad()
        loss.backward()
        loss = self.crew.add_up(loss, self.trained)
        norm = self._clip()
        if not (math.isfinite(loss.item()) and math.isfinite(norm)):
            raise TrainingError(
                f"The loss or its gradient is not finite at step {self.step}: loss {loss.item()}, gradient "
                f"norm {norm}. Lower learning_rate (now {self.plan.learning_rate:g}) or gradient_clip "
                f"(now {self.plan.gradient_clip}), or look for extreme values in the data."
            )
        optimizer.step()
        self.step += 1
        self.stretch.append((loss.item(), norm))
        self._average()

    def _teacher(self) -> Teacher:
        done = self.step / self.plan.max_steps
        return Teacher(self.network.plan.teacher_forcing, done, self.teacher_generator)

    def _steps(self, values: Tensor) -> Tensor | None:
        """Choose the recurrent steps to forecast from: all, so many that targets are not too many, or the last."""
        plan = self.network.plan
        count = (values.shape[1] - plan.horizon - plan.look_back) // plan.patch
        if plan.loss_at == "last":
            return torch.tensor([count - 1], device=values.device)
        most = max(2, (TARGETS_STEPWISE if plan.stepwise else TARGETS) // plan.horizon)
        if count <= most:
            return None
        drawn = torch.randperm(count, generator=self.step_generator)[:most]
        return drawn.sort().values.to(values.device)

    def on_train_epoch_end(self) -> None:
        """Validate, remember the best weights, and stop when nothing gets better."""
        if not self.stretch:
            return
        score = self._score(self.averaged)
        loss, norm = np.mean(self.stretch, axis=0)
        self.stretch.clear()
        metrics = {
            "train_loss": float(loss),
            "val_score": score,
            "learning_rate": self.plan.learning_rate * self.plan.rate(self.step),
            "gradient_norm": float(norm),
        }
        self.history.append({"step": self.step, **metrics})
        self.notify(self.step, metrics)
        if self.plan.patience is not None and self.waited >= self.plan.patience:
            self.trainer.should_stop = True

    def _score(self, network: ForecastNetwork, known: float | None = None) -> float:
        if self.device.type != "cpu":  # forecasts are computed on the CPU
            network = copy.deepcopy(network).cpu()
        score = math.nan if known is None else known
        if known is None and self.validate is not None:
            score = self.validate(network)
        if self.validate is None or score < self.best_score:
            self.best_score, self.best_step, self.waited = score, self.step, 0
            self.best_weights = {
                k: v.detach().cpu().clone() for k, v in network.state_dict().items()
            }
        else:
            self.waited += 1
        return score

    def _clip(self) -> float:
        """Clip the gradient by norm and by value; return its norm before."""
        limit = math.inf if self.plan.gradient_clip is None else self.plan.gradient_clip
        norm = torch.nn.utils.clip_grad_norm_(self.trained, limit)
        if self.plan.gradient_clip_value is not None:
            torch.nn.utils.clip_grad_value_(self.trained, self.plan.gradient_clip_value)
        return float(norm)

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.plan.average, self.step / (self.step + 9))
        torch._foreach_lerp_(self.means, self.trained, 1 - decay)  # the public form goes one by one


def make_optimizer(network: ForecastNetwork, plan: TrainingPlan) -> torch.optim.Optimizer:
    """Return the optimiser called ``plan.optimizer`` over the network's parameters."""
    parameters, lr = list(network.parameters()), plan.learning_rate
    if plan.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr, weight_decay=WEIGHT_DECAY, fused=True)
    if plan.optimizer == "adam":
        return torch.optim.Adam(parameters, lr, fused=True)
    if plan.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, lr)
    if plan.optimizer == "adagrad":
        return torch.optim.Adagrad(parameters, lr)
    return torch.optim.SGD(parameters, lr, momentum=0.9)
