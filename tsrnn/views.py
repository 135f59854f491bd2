"""A panel, its forecast and its sample paths as long frames, and as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tsrnn.base import Forecast, Forecaster
from tsrnn.exceptions import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tsrnn.panel import Panel

__all__ = ["draw_forecast", "paths_frame"]


def paths_frame(forecaster: Forecaster, panel: Panel, paths: np.ndarray) -> pd.DataFrame:
    """Return sample paths as a long frame: id, ``path``, time, ``value`` (or a column for each target).

    Parameters
    ----------
    forecaster : Forecaster
        Fitted; names and axis are its.
    panel : Panel
        The histories that the paths go on from.
    paths : ndarray of shape (series, path, horizon)
    """
    form = forecaster.format_
    values = {"value": paths}
    if form.targets:
        values = {str(name): paths[c :: panel.channels] for c, name in enumerate(form.targets)}
        panel = panel.things()
    series, (count, horizon) = len(panel), paths.shape[1:]
    times = forecaster.axis_.future(panel.last_times, horizon)
    stamps = np.broadcast_to(times[:, None, :], (series, count, horizon))
    form.check_names({"path", *values} | ({"unique_id"} if form.id_name is None else set()))
    if "path" in values:
        raise DataError(
            "A target must not be called like the column of path numbers. Got 'path'. Rename it with df.rename."
        )
    written: dict[Any, Any] = {
        form.id_name or "unique_id": panel.ids[np.arange(series).repeat(count * horizon)],
        "path": np.tile(np.arange(count).repeat(horizon), series),
        form.time_name or "ds": forecaster.axis_.to_index(stamps.ravel()),
        **{name: each.ravel() for name, each in values.items()},
    }
    if form.targets and form.single:
        del written["unique_id"]
    return pd.DataFrame(written)


def draw_forecast(
    forecaster: Forecaster,
    panel: Panel,
    forecast: Forecast,
    columns: dict[str, float],
    **how: Any,
) -> Figure:
    """Draw the history of a panel and the fan of its forecast.

    Parameters
    ----------
    forecaster : Forecaster
    panel : Panel
    forecast : Forecast
        Its quantiles are at the sorted probabilities of ``columns``.
    columns : dict of str to float
        Interval columns and their probabilities (:func:`tsrnn.intervals.interval_columns`).
    **how
        Passed on to :func:`tsrnn.plotting.plot_forecast`.
    """
    from tsrnn.plotting import plot_forecast  # loads matplotlib

    axis, form = forecaster.axis_, forecaster.format_
    ids = panel.labels
    target = "y" if form.target_name is None else str(form.target_name)
    target = "y" if target in {"unique_id", "ds", "forecast"} else target
    past = _stamped(ids, panel.lengths, axis.to_index(panel.times))
    past[target] = panel.values
    horizon = forecast.point.shape[1]
    times = axis.future(panel.last_times, horizon)
    ahead = _stamped(ids, np.full(len(panel), horizon), axis.to_index(times.ravel()))
    ahead["forecast"] = forecast.point.ravel()
    probabilities = sorted(columns.values())
    for name, probability in columns.items():
        ahead[name] = forecast.quantiles[:, :, probabilities.index(probability)].ravel()
    id_col = None if form.single and panel.channels == 1 else "unique_id"
    return plot_forecast(past, ahead, id_col=id_col, target_col=target, **how)


def _stamped(ids: pd.Index, lengths: np.ndarray, stamps: pd.Index) -> pd.DataFrame:
    return pd.DataFrame({"unique_id": ids[np.arange(len(ids)).repeat(lengths)], "ds": stamps})
