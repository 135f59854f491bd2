"""A fitted RNNForecaster as plain values and arrays, and back: no pickle, no import named by data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from tsrnn.calendars import TimeAxis
from tsrnn.calendars.features import dated_ahead
from tsrnn.exceptions import ModelFileError, ParameterError
from tsrnn.frames.formats import FrameFormat
from tsrnn.frames.joint import channel_ids
from tsrnn.inference import Forecasting, Reading
from tsrnn.learning.planning import DataPlan
from tsrnn.learning.skill import Skill
from tsrnn.memory import Memory, places_of
from tsrnn.nn.cells import CELLS, Cell
from tsrnn.nn.cold import ColdNetwork, ColdPlan
from tsrnn.nn.covariates import Covariates
from tsrnn.nn.ensemble import NetworkEnsemble
from tsrnn.nn.networks import ForecastNetwork
from tsrnn.nn.plan import NetworkPlan
from tsrnn.panel import thing_ids
from tsrnn.saving.jsontext import encode
from tsrnn.trace import Trace

if TYPE_CHECKING:
    from tsrnn.forecaster import RNNForecaster

__all__ = ["from_stored", "to_stored"]

ESTIMATOR = "RNNForecaster"


def to_stored(forecaster: RNNForecaster) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what :func:`tsrnn.saving.write_folder` stores: plain values, and arrays.

    Stored are parameters, weights, state and the newest rows; never the training frame. A parameter
    that is an object (a pandas offset as ``calendar``, callbacks in ``trainer_params``) is left out:
    the time axis it led to is stored. Of a cell of the user's own its name is stored.
    """
    memory, skill = forecaster.memory_, forecaster.skill_
    ids = thing_ids(memory.ids, memory.channels)
    kinds = {type(each): each for each in ids.astype(object)}
    odd = next((each for each in kinds.values() if not _is_plain(each)), None)
    if odd is not None:
        raise ParameterError(
            f"Ids of series must be text or numbers to be saved. Got {odd!r} in column {forecaster.format_.id_name!r}. "
            "Make them text before fit, with .astype(str)."
        )
    config = {
        "estimator": ESTIMATOR,
        "params": {
            name: tuple(value.tolist()) if isinstance(value, np.ndarray) else value
            for name, value in forecaster.get_params(deep=False).items()
            if isinstance(value, np.ndarray) or _is_plain(value)
        },
        "format": forecaster.format_.to_dict(),
        "axis": forecaster.axis_.to_dict(),
        "plan": forecaster.plan_.to_dict(),
        "network": forecaster.network_.plan.to_dict(),
        "members": len(forecaster.network_.members),
        "forecasting": asdict(forecaster.forecasting_),
        "horizon": forecaster.horizon_,
        "season": forecaster.season_,
        "seed": forecaster.seed_,
        "best_step": forecaster.best_step_,
        "history": forecaster.history_.to_dict("list"),
        "skill": None if skill is None else skill.to_dict(),
        "cold": None if forecaster.cold_ is None else forecaster.cold_.plan.to_dict(),
        "ids": {"dtype": str(ids.dtype), "values": ids.astype(object).tolist()},
        "dtype": str(memory.dtype),
        "fingerprint": memory.network,
    }
    arrays = {
        f"network.{name}": tensor.detach().numpy()
        for name, tensor in forecaster.network_.state_dict().items()
    }
    if forecaster.cold_ is not None:
        cold = forecaster.cold_.state_dict()
        arrays |= {f"cold.{name}": tensor.detach().numpy() for name, tensor in cold.items()}
    return config, arrays | _stored_memory(memory)


def _stored_memory(memory: Memory) -> dict[str, np.ndarray]:
    arrays = {"times": memory.times} | _stored_trace("now", memory.now)
    if memory.heard is not memory.now:
        arrays |= _stored_trace("heard", memory.heard)
    reading = memory.reading
    if reading.rows is not memory.now.rows:
        arrays["reading.rows"] = reading.rows.numpy()
        arrays |= {f"reading.state.{i}": part.numpy() for i, part in enumerate(reading.state)}
        if reading.covariates is not None:
            arrays["reading.past"] = reading.covariates.past.numpy()
    if memory.static is not None:
        arrays |= {"static": memory.static, "ahead": memory.ahead}
    if memory.silence is not None:
        arrays["silence"] = memory.silence.numpy()
    return arrays


def _stored_trace(name: str, trace: Trace) -> dict[str, np.ndarray]:
    arrays = {"known": trace.known, "rows": trace.rows.numpy(), "before": trace.before.numpy()}
    if trace.past is not None:
        arrays["past"] = trace.past.numpy()
    for i, parts in enumerate(zip(*trace.states, strict=True)):
        arrays[f"state.{i}"] = torch.stack(parts).numpy()
    return {f"{name}.{key}": array for key, array in arrays.items()}


def _memory(
    config: dict[str, Any], arrays: dict[str, np.ndarray], forecaster: RNNForecaster
) -> Memory:
    axis, channels = forecaster.axis_, forecaster.network_.plan.channels
    calendar = forecaster.plan_.calendar
    now = _trace("now", arrays)
    heard = _trace("heard", arrays) if "heard.known" in arrays else now
    static = arrays.get("static")
    ahead = arrays.get("ahead", np.empty((len(now.known), 0, 0)))
    rows, state, past = now.rows, now.states[0], now.past
    if "reading.rows" in arrays:
        rows, state = torch.tensor(arrays["reading.rows"]), _parts("reading.state.", arrays)
        past = torch.tensor(arrays["reading.past"]) if "reading.past" in arrays else None
    covariates = None
    if static is not None and past is not None:
        known = dated_ahead(axis, arrays["times"][:, -1], ahead, calendar)
        covariates = Covariates(past, torch.tensor(known), torch.tensor(static))
    ids = pd.Index(config["ids"]["values"], dtype=config["ids"]["dtype"])
    return Memory(
        channel_ids(ids, forecaster.format_) if channels > 1 else ids,
        places_of(ids),
        axis,
        np.dtype(config["dtype"]),
        arrays["times"],
        now,
        heard,
        torch.tensor(arrays["silence"]) if "silence" in arrays else None,
        ahead,
        static,
        Reading(rows, state, covariates),
        config["fingerprint"],
        channels,
        calendar,
    )


def _trace(name: str, arrays: dict[str, np.ndarray]) -> Trace:
    past = f"{name}.past"
    states = [part.unbind(0) for part in _parts(f"{name}.state.", arrays)]
    return Trace(
        arrays[f"{name}.known"],
        torch.tensor(arrays[f"{name}.rows"]),
        torch.tensor(arrays[f"{name}.before"]),
        torch.tensor(arrays[past]) if past in arrays else None,
        tuple(zip(*states, strict=True)),
    )


def _parts(start: str, arrays: dict[str, np.ndarray]) -> tuple[torch.Tensor, ...]:
    """Return the parts of a state in order."""
    count = sum(name.startswith(start) for name in arrays)
    return tuple(torch.tensor(arrays[f"{start}{i}"]) for i in range(count))


def from_stored(
    cls: type[RNNForecaster],
    config: dict[str, Any],
    arrays: dict[str, np.ndarray],
    custom_cells: Mapping[str, type[Cell]] | None = None,
) -> RNNForecaster:
    """Return the forecaster of :func:`to_stored`, bit for bit.

    Raises
    ------
    ModelFileError
        The stored values are no RNNForecaster, or its cell is one of the user's own and not given.
    """
    if config.get("estimator") != ESTIMATOR:
        raise ModelFileError(
            f"The folder must hold a saved {ESTIMATOR}. Got {config.get('estimator')!r}."
        )
    plan = NetworkPlan.from_dict(config["network"])
    own = _own_cell(plan.encoder.cell, custom_cells or {})
    forecaster = cls(**{**config["params"], **own})
    forecaster.format_ = FrameFormat.from_dict(config["format"])
    forecaster.axis_ = TimeAxis.from_dict(config["axis"])
    forecaster.plan_ = DataPlan.from_dict(config["plan"])
    forecaster.horizon_, forecaster.season_ = config["horizon"], config["season"]
    forecaster.seed_, forecaster.best_step_ = config["seed"], config["best_step"]
    forecaster.forecasting_ = Forecasting(**config["forecasting"])
    forecaster.history_ = pd.DataFrame(config["history"])
    forecaster.skill_ = None if config["skill"] is None else Skill.from_dict(config["skill"])
    with torch.device("meta"):
        network = NetworkEnsemble(
            [ForecastNetwork(plan, custom_cells) for _ in range(config["members"])]
        )
        cold = None if config.get("cold") is None else ColdNetwork(ColdPlan(**config["cold"]))
    _fill(network, _weights(arrays, "network."))
    if cold is not None:
        _fill(cold, _weights(arrays, "cold."))
    forecaster.network_, forecaster.cold_ = network, cold
    forecaster.memory_ = _memory(config, arrays, forecaster)
    forecaster.is_fitted_ = True
    return forecaster


def _own_cell(name: str, custom_cells: Mapping[str, type[Cell]]) -> dict[str, Any]:
    """Return the user's class of that name as the parameter ``cell``; nothing for a cell of the library."""
    if name in CELLS:
        return {}
    if name not in custom_cells:
        raise ModelFileError(
            f"The model's cell {name!r} is none of tsrnn's own, so its class must be given. "
            f"Got custom_cells={dict(custom_cells)!r}. Load it with "
            f"custom_cells={{{name!r}: {name}}}, where {name} is the class it was fitted with."
        )
    return {"cell": custom_cells[name]}


def _fill(network: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    try:
        network.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        raise ModelFileError(
            f"The weights must be those of a network of this tsrnn. {error}. Load the model with the version "
            "that saved it, or fit it anew."
        ) from error


def _weights(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): torch.tensor(array)
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _is_plain(value: Any) -> bool:
    try:
        encode(value, "parameter")
    except ParameterError:
        return False
    return True
