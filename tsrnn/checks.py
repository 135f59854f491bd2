"""Checks of RNNForecaster's parameters, alone and against the data it meets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from tsrnn.calendars.features import FEATURES
from tsrnn.exceptions import DataError, DataWarning, ParameterError, shown, warn
from tsrnn.learning.cold import FEWEST_SERIES
from tsrnn.learning.training_plan import OPTIMIZERS
from tsrnn.memory import Memory
from tsrnn.nn.cells import CELLS, KERNEL_CELLS, fault_of_cell
from tsrnn.nn.decoders import DECODERS, TEACHER_FORCING
from tsrnn.nn.initial_state import INITIAL_STATES
from tsrnn.nn.kernels.products import PRECISIONS, cpu_has_bfloat16
from tsrnn.nn.outputs import OUTPUTS
from tsrnn.nn.skips import SKIPS
from tsrnn.parameters import check_flag, check_integer, check_option, check_real

if TYPE_CHECKING:
    from tsrnn.forecaster import RNNForecaster
    from tsrnn.learning.planning import DataPlan
    from tsrnn.nn.plan import NetworkPlan
    from tsrnn.panel import Panel

__all__ = [
    "check_calendar",
    "check_causal",
    "check_forecaster_parameters",
    "check_history",
    "check_newcomers",
    "check_probabilities",
    "check_seed",
    "check_state",
    "check_values",
    "drawn_levels",
]

REPRESENTATIONS = ("auto", "level", "difference", "log", "log_return")
LOSS_AT = ("auto", "every", "last")


def check_forecaster_parameters(forecaster: RNNForecaster) -> None:
    """Raise ParameterError for the first parameter that can't be used."""
    f = forecaster
    for name in (
        "horizon",
        "context_length",
        "patch",
        "val_size",
        "season",
        "patience",
        "truncated_bptt",
    ):
        check_integer(name, getattr(f, name), low=1, optional=True)
    for name in ("hidden_size", "num_layers", "max_steps", "n_members", "batch_size"):
        check_integer(name, getattr(f, name), low=1)
    check_integer("verbose", f.verbose, low=0)
    check_flag("warm_start", f.warm_start)
    check_seed(f.random_state)
    check_option("output", f.output, OUTPUTS)
    check_option("representation", f.representation, REPRESENTATIONS)
    _check_cell(f.cell)
    check_option("decoder", f.decoder, DECODERS)
    check_option("teacher_forcing", f.teacher_forcing, ("auto", *TEACHER_FORCING))
    check_option("optimizer", f.optimizer, OPTIMIZERS)
    check_option("device", f.device, ("cpu", "cuda"))
    if f.device == "cuda" and not torch.cuda.is_available():
        raise ParameterError(
            "device='cuda' needs a GPU that torch can use, and finds none. Use device='cpu'."
        )
    _check_precision(f)
    check_option("missing", f.missing, ("mask",))
    for name in ("dropout", "recurrent_dropout"):
        check_real(name, getattr(f, name), low=0, high=1, closed="left")
    check_real("learning_rate", f.learning_rate, low=0, closed="neither")
    for name in ("max_time", "gradient_clip", "gradient_clip_value"):
        check_real(name, getattr(f, name), low=0, closed="neither", optional=True)
    _check_quantiles(f.quantiles)
    _check_bounds(f.bounds)
    _check_covariates(f)
    _check_stack(f)
    check_option("categorical", f.categorical, ("embedding", "one_hot"))
    _check_calendar_features(f.calendar_features)
    if not (f.trainer_params is None or isinstance(f.trainer_params, Mapping)):
        raise ParameterError(
            f"The 'trainer_params' parameter must be a dict for pytorch_lightning.Trainer. Got {f.trainer_params!r}."
        )
    if f.decoder == "shift" and f.patch not in {None, 1}:
        raise ParameterError(
            f"decoder='shift' reads one row a step, so patch must be 1 or None. Got patch={f.patch!r}. "
            "Use decoder='direct' to read several rows a step."
        )
    if f.decoder == "shift" and f.output == "point":
        raise ParameterError(
            "decoder='shift' rolls on by its own samples, which output='point' can't draw. "
            "Use output='quantiles', or decoder='direct'."
        )
    _check_teacher_forcing(f)
    if f.output == "negative_binomial" and f.representation not in {"auto", "level"}:
        raise ParameterError(
            f"output='negative_binomial' works on raw counts: representation must be 'auto' or 'level'. "
            f"Got {f.representation!r}."
        )


def _check_stack(f: RNNForecaster) -> None:
    check_option("skip", f.skip, SKIPS)
    check_option("initial_state", f.initial_state, INITIAL_STATES)
    check_option("loss_at", f.loss_at, LOSS_AT)
    check_flag("bidirectional", f.bidirectional)
    check_integer("convolution", f.convolution, low=2, optional=True)
    _check_dilations(f.dilations, f.num_layers)
    if f.skip != "none" and f.num_layers == 1 and (f.convolution is None or f.bidirectional):
        raise ParameterError(
            f"skip={f.skip!r} goes around layers that read as many values as they say, and the only layer reads "
            "features. Use num_layers of 2 or more, or skip='none'."
        )
    if f.initial_state == "static" and not f.static_covariates:
        raise ParameterError(
            "initial_state='static' is made of the static covariates, and there are none. Name them in "
            "static_covariates, or use initial_state='learned'."
        )
    if f.bidirectional and f.decoder == "shift":
        raise ParameterError(
            "bidirectional=True reads a window as a whole, and decoder='shift' goes on from the state one step at "
            "a time: what it learned to say would have been read from its future. Use decoder='direct'."
        )
    if f.bidirectional and f.truncated_bptt is not None:
        raise ParameterError(
            f"truncated_bptt={f.truncated_bptt!r} carries a state from chunk to chunk, and bidirectional=True reads "
            "each window anew. Leave one of them out."
        )
    if f.bidirectional and f.loss_at == "every":
        raise ParameterError(
            "bidirectional=True has read the whole window at its every step, so that loss_at='every' would teach "
            "it what it has read. Use loss_at='last', or leave it on 'auto'."
        )


def _check_precision(f: RNNForecaster) -> None:
    check_option("precision", f.precision, tuple(PRECISIONS))
    if f.precision == "float32":
        return
    if f.cell not in KERNEL_CELLS:
        raise ParameterError(
            f"precision={f.precision!r} is for cells whose products are written out: 'gru' and 'lstm'. "
            f"Got cell={f.cell!r}. Use one of these, or precision='float32'."
        )
    if f.device != "cpu":
        raise ParameterError(
            f"precision={f.precision!r} is for training on the CPU. Got device={f.device!r}. Use device='cpu', or "
            "precision='float32'."
        )
    if not cpu_has_bfloat16():
        raise ParameterError(
            f"precision={f.precision!r} needs a CPU with instructions for it (AMX, AVX512_BF16 or ARM's BF16), and "
            "this one has none: training would be slower. Use precision='float32'."
        )


def _check_dilations(dilations: Sequence[int] | None, num_layers: int) -> None:
    if dilations is None:
        return
    if isinstance(dilations, str) or not isinstance(dilations, Sequence) or not len(dilations):
        raise ParameterError(
            f"The 'dilations' parameter must hold one integer a layer, as (1, 2, 4), or be None. Got {dilations!r}."
        )
    for dilation in dilations:
        check_integer("dilations", dilation, low=1)
    if len(dilations) != num_layers:
        raise ParameterError(
            f"The 'dilations' parameter must hold one integer a layer. Got {tuple(dilations)!r} with "
            f"num_layers={num_layers}. Use num_layers={len(dilations)}."
        )


def _check_teacher_forcing(forecaster: RNNForecaster) -> None:
    f = forecaster
    if f.decoder in {"direct", "shift"} and f.teacher_forcing != "auto":
        raise ParameterError(
            f"decoder={f.decoder!r} is never fed values of its own, so that teacher_forcing={f.teacher_forcing!r} "
            "would change nothing. Use decoder='recurrent' or 'attention', or leave teacher_forcing on 'auto'."
        )
    if f.teacher_forcing == "always" and f.output == "point":
        raise ParameterError(
            "teacher_forcing='always' learns each step given the true one before it, and forecasts by its own "
            "samples, which output='point' can't draw. Use output='quantiles', or teacher_forcing='never'."
        )


def check_seed(random_state: object) -> None:
    """Raise ParameterError for what is no seed of torch."""
    seed = check_integer("random_state", random_state, low=0, optional=True)
    if seed is not None and seed >= 2**63:
        raise ParameterError(
            f"The 'random_state' parameter must be smaller than 2**63. Got {random_state!r}."
        )


def _check_cell(cell: object) -> None:
    if not isinstance(cell, type):
        check_option("cell", cell, CELLS)
    elif fault := fault_of_cell(cell):
        raise ParameterError(fault)


def _check_quantiles(quantiles: Sequence[float]) -> None:
    try:
        levels = [float(level) for level in quantiles]
    except (TypeError, ValueError):
        levels = []
    good = len(levels) >= 3 and all(0 < level < 1 for level in levels) and 0.5 in levels
    good = good and levels == sorted(set(levels)) and levels[0] < 0.5 < levels[-1]
    if not good:
        raise ParameterError(
            "The 'quantiles' parameter must hold at least three ascending probabilities between 0 and 1, "
            f"0.5 among them. Got {quantiles!r}."
        )


def _check_bounds(bounds: object) -> None:
    if bounds is None or (isinstance(bounds, str) and bounds == "auto"):
        return
    if not (isinstance(bounds, (tuple, list)) and len(bounds) == 2):
        raise ParameterError(
            "The 'bounds' parameter must be \"auto\", None or (low, high), either may be None. "
            f"Got {bounds!r}."
        )
    low, high = (check_real("bounds", limit, optional=True) for limit in bounds)
    if low is not None and high is not None and not low < high:
        raise ParameterError(f"The 'bounds' parameter must have low < high. Got {bounds!r}.")


def _check_covariates(forecaster: RNNForecaster) -> None:
    named: dict[object, str] = {}
    for parameter in ("past_covariates", "future_covariates", "static_covariates"):
        names = getattr(forecaster, parameter)
        if names is None:
            continue
        if not isinstance(names, (list, tuple)):
            raise ParameterError(
                f"The {parameter!r} parameter must be a list of column names, or None. Got {names!r}."
            )
        for name in names:
            if name in named:
                raise ParameterError(
                    f"A column can be named once in the covariates. Got {name!r} in {named[name]} and {parameter}."
                )
            named[name] = parameter


def _check_calendar_features(features: object) -> None:
    if features is None or features is False or (isinstance(features, str) and features == "auto"):
        return
    if isinstance(features, (list, tuple)):
        wrong = [name for name in features if name not in FEATURES]
        if not wrong and len(set(features)) == len(features):
            return
    raise ParameterError(
        f"The 'calendar_features' parameter must be False, 'auto', or a list of different ones of {FEATURES}. "
        f"Got {features!r}."
    )


def check_calendar(panel: Panel, features: object) -> None:
    """Refuse features of the calendar for times that have none."""
    if isinstance(features, (list, tuple)) and features and panel.axis.kind == "integer":
        raise DataError(
            f"calendar_features={features!r} needs datetimes or periods. Got integer times. Convert them with "
            "pd.to_datetime, or leave it out."
        )


def check_values(panel: Panel, *, representation: str, output: str) -> None:
    """Raise DataError where values don't fit an explicit representation or output."""
    if representation in {"log", "log_return"}:
        _refuse(
            panel,
            panel.values <= 0,
            f"representation={representation!r} needs positive values",
            "Use representation='level' or 'difference', or leave it on 'auto'",
        )
    if output == "negative_binomial":
        _refuse(
            panel,
            (panel.values < 0) | (panel.values != np.round(panel.values)) & ~np.isnan(panel.values),
            "output='negative_binomial' needs counts (0, 1, 2, ...)",
            "Use output='quantiles'",
        )


def _refuse(panel: Panel, bad: np.ndarray, need: str, way_out: str) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        series = int(np.searchsorted(panel.indptr, rows[0], side="right")) - 1
        raise DataError(
            f"{need}. Got {shown(panel.values[rows[0]])} in series {shown(panel.ids[series])} at "
            f"{panel.axis.label(panel.times[rows[0]])} (the first of {len(rows)}). {way_out}."
        )


def check_history(panel: Panel, plan: DataPlan) -> None:
    """Refuse histories the representation can't read; warn of ones shorter than a season needs."""
    check_values(panel, representation=plan.representation, output="any")
    need = plan.seasons[0] + 1
    short = np.flatnonzero(panel.lengths < need)
    if len(short):
        first = short[0]
        warn(
            f"Series {shown(panel.ids[first])} has {panel.lengths[first]} rows (the first of {len(short)} short "
            f"series); with fewer than {need} its forecast leans on the last value.",
            DataWarning,
        )


def check_newcomers(forecaster: RNNForecaster, horizon: int) -> None:
    """Refuse series without a history where nothing was learned that could forecast them."""
    panel = forecaster.memory_.panel
    if panel.channels > 1:
        raise DataError(
            "Series without a history are forecast for one target. Got several in target_col. Fit each by itself, or "
            "give df with a history."
        )
    if forecaster.cold_ is None:
        raise DataError(
            f"Forecasting series without a history is learned from at least {FEWEST_SERIES} series. Got {len(panel)} "
            "at fit. Give df with a history of the new series, or fit on more."
        )
    if horizon > forecaster.horizon_:
        raise DataError(
            f"Series without a history are forecast up to the fitted horizon of {forecaster.horizon_} steps. Got "
            f"horizon={horizon}. Fit with a longer horizon."
        )


def check_probabilities(network: NetworkPlan, probabilities: tuple[float, ...], what: str) -> None:
    """Refuse quantiles that the output does not have or was not trained for."""
    if not probabilities:
        return
    if network.output == "point":
        raise ParameterError(
            f"{what} need a predictive distribution, and output='point' has none. "
            "Fit with output='quantiles'."
        )
    if network.output == "quantiles":
        low, high = network.quantiles[0], network.quantiles[-1]
        outside = [p for p in probabilities if not low - 1e-9 <= p <= high + 1e-9]
        if outside:
            raise ParameterError(
                f"{what} must lie within the trained quantiles {low:g} to {high:g} (level at most "
                f"{100 * min(1 - 2 * low, 2 * high - 1):g}). Got probability {outside[0]:g}. Fit with wider quantiles."
            )


def check_causal(network: NetworkPlan, what: str) -> None:
    """Refuse to read on from a state that depends on rows after it."""
    if not network.is_causal:
        raise ParameterError(
            f"{what} reads on from the state at the newest row, and this network's depends on rows after it. "
            "Fit with bidirectional=False."
        )


def check_state(state: object, own: Memory) -> None:
    """Refuse what is no state of the network that made ``own``."""
    if not isinstance(state, Memory):
        raise ParameterError(
            f"set_state takes what get_state returned. Got {type(state).__name__}."
        )
    if state.network != own.network or not state.ids.equals(own.ids):
        raise ParameterError(
            "set_state takes a state of the same fit. Got that of another network, or of other series. "
            "Fit, load or copy the forecaster that it was taken from."
        )


def drawn_levels(plan: NetworkPlan) -> list[float]:
    """Return the central intervals that a picture shows: 80 and 95 %, or the widest that was trained."""
    if plan.output != "quantiles":
        return [80.0, 95.0]
    widest = 100 * min(1 - 2 * plan.quantiles[0], 2 * plan.quantiles[-1] - 1)
    trained = [level for level in (80.0, 95.0) if level <= widest + 1e-6]
    return trained or [round(widest, 8)]
