"""A forecaster's parameters and the plan of its data as the plans of its parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tsrnn.inference import Forecasting
from tsrnn.learning.planning import choose_bounds, plan_covariates
from tsrnn.learning.training_plan import TrainingPlan
from tsrnn.nn.cells import Cell
from tsrnn.nn.plan import EncoderPlan, NetworkPlan

if TYPE_CHECKING:
    from tsrnn.forecaster import RNNForecaster
    from tsrnn.panel import Panel

__all__ = ["custom_cells", "plan_forecasting", "plan_network", "plan_training"]

PATHS = 200  # sample paths behind quantiles that have no closed form


def plan_network(forecaster: RNNForecaster, panel: Panel) -> NetworkPlan:
    """Return what the network is."""
    plan = forecaster.plan_
    return NetworkPlan(
        horizon=1 if forecaster.decoder == "shift" else plan.horizon,
        patch=plan.patch,
        seasons=plan.seasons,
        window=plan.window,
        anchor=plan.anchor,
        log=plan.log,
        encoder=EncoderPlan(
            cell=forecaster.cell if isinstance(forecaster.cell, str) else forecaster.cell.__name__,
            hidden_size=int(forecaster.hidden_size),
            num_layers=int(forecaster.num_layers),
            dropout=float(forecaster.dropout),
            skip=forecaster.skip,
            dilations=tuple(int(d) for d in forecaster.dilations or ()),
            recurrent_dropout=float(forecaster.recurrent_dropout),
            initial_state=forecaster.initial_state,
            bidirectional=bool(forecaster.bidirectional),
            convolution=None if forecaster.convolution is None else int(forecaster.convolution),
            precision=forecaster.precision,
        ),
        decoder=forecaster.decoder,
        context=plan.context,
        output=forecaster.output,
        quantiles=tuple(float(level) for level in forecaster.quantiles),
        covariates=plan_covariates(
            panel, forecaster.format_.covariates, one_hot=forecaster.categorical == "one_hot"
        ),
        loss_at=_loss_at(forecaster),
        teacher_forcing="never"
        if forecaster.teacher_forcing == "auto"
        else forecaster.teacher_forcing,
        channels=panel.channels,
    )


def custom_cells(forecaster: RNNForecaster) -> Mapping[str, type[Cell]]:
    """Return the cell of the user's own by its name in the plan; nothing where there is none."""
    cell = forecaster.cell
    return {} if isinstance(cell, str) else {cell.__name__: cell}


def _loss_at(forecaster: RNNForecaster) -> str:
    if forecaster.loss_at == "auto":
        return "last" if forecaster.bidirectional else "every"
    return forecaster.loss_at


def plan_training(forecaster: RNNForecaster) -> TrainingPlan:
    """Return how to train."""
    steps = forecaster.plan_.steps
    return TrainingPlan(
        max_steps=steps,
        max_time=forecaster.max_time,
        check_every=max(1, min(40, steps // 8)),
        patience=forecaster.patience,
        batch_size=forecaster.plan_.batch,
        learning_rate=forecaster.learning_rate,
        optimizer=forecaster.optimizer,
        gradient_clip=forecaster.gradient_clip,
        gradient_clip_value=forecaster.gradient_clip_value,
        average=0.98,
        warm_up=True,
        seed=forecaster.seed_,
        device=forecaster.device,
        verbose=forecaster.verbose,
        trainer_params=dict(forecaster.trainer_params or {}),
        truncated_bptt=forecaster.truncated_bptt,
    )


def plan_forecasting(forecaster: RNNForecaster, panel: Panel) -> Forecasting:
    """Return how to forecast."""
    bounds = forecaster.bounds
    if isinstance(bounds, str):  # "auto"
        bounds = choose_bounds(panel)
    low, high = bounds or (None, None)
    return Forecasting(PATHS, forecaster.seed_, (low, high))
