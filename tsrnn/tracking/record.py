"""What a fit says about itself: parameters, tags, held-out metrics and the fingerprint of its data."""

from __future__ import annotations

import hashlib
import math
import platform
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

import tsrnn
from tsrnn.frames import covariate_values

if TYPE_CHECKING:
    from tsrnn.base import Forecaster
    from tsrnn.panel import Panel

__all__ = [
    "Point",
    "data_tags",
    "environment",
    "fingerprint",
    "fit_params",
    "head_frame",
    "held_out",
    "learned_params",
    "metric_name",
    "past_frame",
    "verdict",
]

_PACKAGES = ("numpy", "pandas", "scikit-learn", "torch", "pytorch-lightning", "mlflow")
_STEPS_BY_NAME = 60
"""Horizons up to here get one metric per step as well as the curve over all steps."""


class Point(NamedTuple):
    """One value of one metric."""

    key: str
    value: float
    step: int = 0


def metric_name(name: object) -> str:
    """Return ``name`` in the letters that MLflow accepts: letters, digits and ``_ - . / space :``."""
    return re.sub(r"[^\w\-./ :]", "_", str(name), flags=re.ASCII).strip("/. ")[:250] or "_"


def fit_params(forecaster: Forecaster) -> dict[str, str]:
    """Return the constructor's parameters, and what ``fit`` resolved from the frame."""
    params = {metric_name(name): _text(value) for name, value in forecaster.get_params().items()}
    for name in ("horizon_", "season_"):
        if hasattr(forecaster, name):
            params[name] = _text(getattr(forecaster, name))
    params["estimator"] = type(forecaster).__name__
    return params


def learned_params(forecaster: Forecaster) -> dict[str, str]:
    """Return the plan that a fit chose from the data, one parameter ``plan/<name>`` per decision."""
    plan = getattr(forecaster, "plan_", None)
    plan = plan.to_dict() if plan is not None and hasattr(plan, "to_dict") else plan
    if not isinstance(plan, Mapping):
        return {}
    return {f"plan/{metric_name(name)}": _text(value) for name, value in plan.items()}


def data_tags(panel: Panel) -> dict[str, str]:
    """Return version, frequency, size, span and fingerprint of the training data."""
    axis = panel.axis
    tags = {
        "tsrnn.version": tsrnn.__version__,
        "tsrnn.task": "fit",
        "tsrnn.freq": _text(getattr(axis, "freq", None) or axis),
        "tsrnn.n_series": str(len(panel)),
        "tsrnn.n_rows": str(len(panel.values)),
        "tsrnn.data": fingerprint(panel),
    }
    if len(panel.times):
        tags["tsrnn.start"] = str(axis.label(panel.times.min()))
        tags["tsrnn.end"] = str(axis.label(panel.times.max()))
    return tags


def environment() -> dict[str, str]:
    """Return Python, machine and the versions of what forecasts depend on, as tags."""
    found = {
        "tsrnn.env.python": platform.python_version(),
        "tsrnn.env.machine": f"{platform.system()} {platform.machine()}",
    }
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[f"tsrnn.env.{package}"] = version(package)
    return found


def fingerprint(panel: Panel) -> str:
    """Return 32 hexadecimal digits that change with any value, time or id (BLAKE2b, 128 bits).

    Values count as float64, so that float32 and float64 frames of equal numbers agree.
    """
    digest = hashlib.blake2b(digest_size=16)
    for rows in _chunks(len(panel.values), 1 << 20):
        values = panel.values[rows].astype(np.float64)
        values[np.isnan(values)] = np.nan  # one bit pattern for every NaN,
        values += 0.0  # and one for both zeros
        digest.update(values.data)
        digest.update(np.ascontiguousarray(panel.times[rows]).data)
    digest.update(np.ascontiguousarray(panel.indptr, dtype=np.int64).data)
    digest.update("\x00".join(map(str, panel.ids)).encode())
    return digest.hexdigest()


def held_out(forecaster: Forecaster) -> list[Point]:
    """Return the scores on held-out steps, the model's beside those of the reference forecasts.

    ``test/mase`` is the model's, ``naive/mase`` that of the naive forecast; ``test/mase_h01`` is the
    first step ahead alone, and ``test/mase_by_step`` draws all steps as a curve. Numbers that are
    not finite are left out, since a store can't keep them.
    """
    skill = getattr(forecaster, "skill_", None)
    if skill is None:
        return []
    points = []
    scores = getattr(skill, "scores", None)
    if isinstance(scores, pd.DataFrame):
        for method, row in scores.iterrows():
            points += [Point(f"{_prefix(method)}/{name}", value) for name, value in row.items()]
    by_horizon = getattr(skill, "by_horizon", None)
    if isinstance(by_horizon, pd.DataFrame):
        for method, column in by_horizon.items():
            points += _curve(_prefix(method), column)
    if hasattr(skill, "beats_naive"):
        points.append(Point("test/beats_naive", float(bool(skill.beats_naive))))
    return [
        Point(metric_name(key), float(value), int(step))
        for key, value, step in points
        if isinstance(value, (int, float, np.number)) and math.isfinite(value)
    ]


def verdict(forecaster: Forecaster) -> str | None:
    """Return the sentence that says whether the model is better than naive."""
    text = getattr(getattr(forecaster, "skill_", None), "verdict", None)
    return None if text is None else str(text)


def head_frame(panel: Panel, rows: int = 1000) -> pd.DataFrame:
    """Return the first ``rows`` rows of the training data as columns id, time and value."""
    rows = min(rows, len(panel.values))
    series = np.searchsorted(panel.indptr, np.arange(rows), side="right") - 1
    time = panel.axis.to_index(panel.times[:rows])
    plain = isinstance(time, pd.DatetimeIndex) and time.tz is None
    return pd.DataFrame(
        {
            "id": panel.labels[series].astype(str),
            "time": time if plain else time.astype(str),
            "value": panel.values[:rows].astype(np.float64),
        }
    )


def past_frame(forecaster: Forecaster, *, steps: int = 30) -> Any:
    """Return the newest ``steps`` rows of the first series in the kind of frame that was fitted.

    With future covariates the rows to forecast follow, as an example alike to the newest.
    """
    whole = forecaster._history_tail()  # noqa: SLF001
    few = whole.select(np.arange(whole.channels)).tail(steps)
    form = forecaster.format_
    values = few.values.reshape(few.channels, -1)
    few = few.things()
    targets = form.targets or (form.target_name,)
    columns = {**dict(zip(targets, values, strict=True)), **covariate_values(few, form)}
    times = few.times
    if form.covariates.future:
        later = few.axis.future(few.last_times, forecaster.horizon_)[0]
        times = np.concatenate([times, later])
        newest = {name: values[-1:] for name, values in columns.items()}
        newest |= dict.fromkeys(targets, np.array([np.nan]))
        columns = {
            name: np.concatenate([values, newest[name].repeat(len(later))])
            for name, values in columns.items()
        }
    rows = {name: values[None, :] for name, values in columns.items()}
    return form.write_rows(few.ids, times[None, :], few.axis, rows)


def _curve(prefix: str, by_step: pd.Series) -> Iterator[Point]:
    digits = max(2, len(str(len(by_step))))
    for step, value in zip(by_step.index.tolist(), by_step.tolist(), strict=True):
        yield Point(f"{prefix}/mase_by_step", value, step)
        if step <= _STEPS_BY_NAME:
            yield Point(f"{prefix}/mase_h{step:0{digits}d}", value)


def _prefix(method: object) -> str:
    return "test" if method == "model" else metric_name(method)


def _chunks(total: int, size: int) -> Iterator[slice]:
    for start in range(0, total, size):
        yield slice(start, start + size)


def _text(value: object) -> str:
    name = getattr(value, "__name__", None) if isinstance(value, type) else None
    text = name or str(getattr(value, "freqstr", value))
    return text if len(text) <= 500 else text[:497] + "..."
