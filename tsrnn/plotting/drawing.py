"""Parts of a figure: colours, axes, fans, and the columns they are drawn from (see :mod:`tsrnn.plotting`)."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgb
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from tsrnn.exceptions import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, FAINT, PAPER = "#2b2b2b", "#8a8a8a", "#ffffff"
BLUE, VERMILION = "#0072B2", "#D55E00"
BASELINES = ["#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8a8a8a"]
HEADING: dict[str, Any] = {"size": 13, "weight": "bold"}
DASHES: list[Any] = ["-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)), (0, (8, 3)), (0, (3, 1))]


class NotebookFigure(Figure):
    """A figure that a notebook shows without pyplot."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=120)
        return buffer.getvalue()


def levels_of(frame: pd.DataFrame) -> list[str]:
    """Return the levels in ``frame``, widest first: "95", "80" where it has ``forecast-lo-95`` and so on."""
    found = [re.fullmatch(r"forecast-lo-(.+)", str(column)) for column in frame.columns]
    named = [match[1] for match in found if match and f"forecast-hi-{match[1]}" in frame.columns]
    return sorted(named, key=float, reverse=True)


def require(frame: pd.DataFrame, name: str, columns: Sequence[str | None]) -> None:
    """Raise DataError if one of ``columns`` is not in ``frame`` (None: not asked for)."""
    for column in columns:
        if column is not None and column not in frame.columns:
            raise DataError(
                f"{name} needs a column {column!r}. Got columns {[str(c) for c in frame.columns]}."
            )


def draw_fan(axes: Axes, rows: pd.DataFrame, time_col: str) -> None:
    """Draw the forecast line of ``rows`` and one band per level, darker the narrower."""
    x = stamps_of(rows[time_col])
    levels = levels_of(rows)
    for level, strength in zip(levels, np.linspace(0.18, 0.4, max(len(levels), 1)), strict=False):
        _band(axes, x, rows, level, color=tuple(1 - strength * (1 - np.array(to_rgb(BLUE)))))
    axes.plot(x, floats(rows["forecast"]), color=BLUE, lw=1.8, label="forecast")


def draw_fold(axes: Axes, rows: pd.DataFrame, time_col: str) -> None:
    """Draw the forecast made at one cutoff with its narrowest band, see-through as folds may overlap."""
    x = stamps_of(rows[time_col])
    for level in levels_of(rows)[-1:]:
        _band(axes, x, rows, level, color=BLUE, alpha=0.2)
    marker = "o" if len(rows) == 1 else None
    axes.plot(
        x, floats(rows["forecast"]), color=BLUE, lw=1.8, marker=marker, ms=4, label="forecast"
    )


def _band(axes: Axes, x: np.ndarray, rows: pd.DataFrame, level: str, **look: Any) -> None:
    low, high = floats(rows[f"forecast-lo-{level}"]), floats(rows[f"forecast-hi-{level}"])
    axes.fill_between(x, low, high, lw=0, label=f"{level} % interval", **look)


def joined(past: pd.DataFrame, ahead: pd.DataFrame, time_col: str, target_col: str) -> pd.DataFrame:
    """Return ``ahead`` with the newest observation in front, so that the fan opens where the line ends."""
    if past.empty or pd.isna(past[target_col].iloc[-1]):
        return ahead
    spread = [
        "forecast",
        *(f"forecast-{side}-{level}" for level in levels_of(ahead) for side in ("lo", "hi")),
    ]
    start = (
        past[[time_col]].tail(1).assign(**dict.fromkeys(spread, float(past[target_col].iloc[-1])))
    )
    return pd.concat([start, ahead[[time_col, *spread]].astype(dict.fromkeys(spread, float))])


def autocorrelation(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return lags 1..L and the sample autocorrelations, L = 10 log10(n) (Box & Jenkins' rule)."""
    lags = np.arange(1, max(2, min(values.size - 1, int(10 * np.log10(values.size)))) + 1)
    lags = lags[lags < values.size]
    centred = values - values.mean()
    power = centred @ centred or 1.0
    return lags, np.array([centred[lag:] @ centred[:-lag] / power for lag in lags])


def backtest_keys(frame: pd.DataFrame) -> tuple[str | None, str]:
    """Return the id column (None: one series) and the time column of a backtest's forecasts."""
    known = {"cutoff", "actual", "step", "window", "horizon", "series"}
    others = [c for c in frame.columns if c not in known and not str(c).startswith("forecast")]
    if not others:
        raise DataError(f"result.forecasts needs a time column. Got columns {list(frame.columns)}.")
    kin = [c for c in others if frame[c].dtype == frame["cutoff"].dtype]
    time_col = kin[-1] if kin else others[-1]
    rest = [c for c in others if c != time_col]
    return (rest[0] if rest else None), time_col


def choose_ids(
    frame: pd.DataFrame, id_col: str | None, ids: Sequence[Any] | None, most: int
) -> list[Any]:
    """Return the series to draw: ``ids``, or the first ``most`` of ``frame`` (None: it is one series)."""
    if id_col is None:
        return [None]
    present = pd.unique(frame[id_col])
    if ids is None:
        return list(present[:most])
    for name in ids:
        if name not in set(present):
            raise DataError(
                f"Series {name!r} has no forecast. Got forecasts of {list(present[:10])}."
            )
    return list(ids)


def rows_of(frame: pd.DataFrame, id_col: str | None, name: Any) -> pd.DataFrame:
    """Return the rows of one series."""
    return frame if id_col is None else frame[frame[id_col] == name]


def floats(values: pd.Series) -> np.ndarray:
    """Return float64 values of shape (rows,), NaN where one is missing."""
    return values.to_numpy(dtype=float, na_value=np.nan)


def stamps_of(times: pd.Series) -> np.ndarray:
    """Return what matplotlib draws: wall-clock datetime64 for dates and periods, numbers as they are."""
    if isinstance(times.dtype, pd.PeriodDtype):
        times = times.dt.to_timestamp()
    elif isinstance(times.dtype, pd.DatetimeTZDtype):
        times = times.dt.tz_localize(None)
    return times.to_numpy()


def date_axis(axes: Axes, times: pd.Series) -> None:
    """Label the x axis with short dates where ``times`` are dates."""
    if np.issubdtype(stamps_of(times).dtype, np.datetime64):
        locator = AutoDateLocator(minticks=4, maxticks=9)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def new_figure(width: float, height: float, title: str = "") -> Figure:
    """Return an empty figure of that size in inches, with its heading."""
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06)
    figure = NotebookFigure(figsize=(width, height), layout=layout, facecolor=PAPER)
    if title:
        figure.suptitle(title, x=0.012, ha="left", color=INK, **HEADING)
    return figure


def stack(rows: int) -> tuple[Figure, list[Axes]]:
    """Return a figure and its ``rows`` panels, one under the other."""
    figure = new_figure(9.0, 1.2 + 2.5 * rows)
    return figure, list(figure.subplots(rows, 1, squeeze=False)[:, 0])


def dress(axes: Axes, *, title: str = "", x: str = "", y: str = "") -> None:
    """Give ``axes`` its words and the quiet look of all panels."""
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.set_xlabel(x, fontsize=9, color=INK)
    axes.set_ylabel(y, fontsize=9, color=INK)
    axes.tick_params(labelsize=8.5, colors=INK, length=3, width=0.6)
    axes.grid(visible=True, axis="y", color="#e6e6e6", lw=0.7)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in {"left", "bottom"})
        spine.set(color=FAINT, linewidth=0.6)


def head(figure: Figure, axes: Axes, title: str, *, first: str) -> None:
    """Write the heading with one legend of distinct entries under it, above the panels and off the data."""
    entries = {
        label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    order = sorted(entries, key=lambda label: label != first)
    legend = figure.legend(
        [entries[label] for label in order],
        order,
        title=title,
        title_fontproperties=HEADING,
        loc="outside upper left",
        alignment="left",
        ncols=6,
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        borderpad=0,
    )
    legend.get_title().set_color(INK)
