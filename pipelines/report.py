"""What a person reads at the end of a run: data, backtest, forecast, where it all is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from pathlib import Path

    from .spec import PipelineSpec
    from .steps import DataSummary

__all__ = [
    "Story",
    "aligned",
    "backtest_table",
    "decimals",
    "describe_data",
    "describe_run",
    "describe_scores",
    "forecast_table",
    "nobody",
    "number",
]

MEASURES = {"mase": "MASE", "mae": "MAE", "rmse": "RMSE", "smape": "sMAPE", "crps": "CRPS"}
MAX_SERIES = 8
MAX_RUNS = 4


def describe_data(name: str, data: DataSummary) -> str:
    """Return one line: how many series and rows, from when to when, what is forecast."""
    series = "1 series" if data.n_series == 1 else f"{data.n_series:,} series"
    missing = f" ({data.n_missing:,} missing)" if data.n_missing else ""
    return (
        f"{name}: {series}, {data.n_rows:,} rows{missing}, {data.start} to {data.end}, "
        f"step {data.freq}, horizon {data.horizon}"
    )


def describe_scores(scores: pd.DataFrame) -> str:
    """Return the MASE of model and baselines in one line, best first."""
    column = next(name for name in MEASURES if name in scores)
    ordered = scores[column].sort_values()
    return f"{MEASURES[column]} " + ", ".join(
        f"{name} {value:.3f}" for name, value in ordered.items()
    )


@dataclass(frozen=True)
class Story:
    """What a report tells of a run.

    Parameters
    ----------
    spec : PipelineSpec
        What was run.
    as_of : str
        For which date.
    data : DataSummary
        What the gate found.
    history : pandas.DataFrame
        The rows.
    scores : pandas.DataFrame or None
        Model and baselines in the backtest, where there was one.
    verdict : str or None
        The finding of the backtest as a sentence.
    notes : dict of str to str
        Further sentences by their first word: monitor, gate, model.
    forecast : pandas.DataFrame or None
        Id, time, ``forecast`` and the columns of the levels; None where the gate refused.
    files : dict of str to Path
        What was written.
    runs : pandas.DataFrame
        The finished runs of the experiment, newest first, this one on top; empty where MLflow could
        not be reached.
    page : str or None
        Address of the comparison while ``tsrnn ui`` runs, or on the MLflow server.
    seconds : float
        Wall-clock time of the run.
    """

    spec: PipelineSpec
    as_of: str
    data: DataSummary
    history: pd.DataFrame
    scores: pd.DataFrame | None
    verdict: str | None
    notes: dict[str, str]
    forecast: pd.DataFrame | None
    files: dict[str, Path]
    runs: pd.DataFrame
    page: str | None
    seconds: float


def describe_run(story: Story) -> str:
    """Return the whole report as text."""
    spec, data = story.spec, story.data
    parts = [f"{describe_data(spec.name, data)}, as of {story.as_of}"]
    if story.scores is not None:
        parts += [
            f"Backtest: {_windows(spec, data)}\n\n{backtest_table(story.scores)}",
            str(story.verdict),
        ]
    parts.append("\n".join(f"{word:<9}{text}" for word, text in story.notes.items() if text))
    if story.forecast is not None:
        parts.append(f"Forecast\n\n{forecast_table(story)}")
    parts.append(_places(story))
    return "\n" + "\n\n".join(part for part in parts if part) + "\n"


def _windows(spec: PipelineSpec, data: DataSummary) -> str:
    count, refit = spec.backtest.n_windows, spec.backtest.refit
    windows = "1 window" if count == 1 else f"{count} windows"
    fitted = (
        "fitted once"
        if refit is False
        else "refitted at each"
        if refit is True
        else f"refitted at every {refit}."
    )
    return f"{windows} of {data.horizon} steps, {fitted}"


def backtest_table(scores: pd.DataFrame) -> str:
    """Return the scores as text: one row per method, best MASE first, the model marked.

    MASE, MAE, RMSE, sMAPE, CRPS as far as the backtest has them, then the share of values inside
    each interval.
    """
    shown = [name for name in MEASURES if name in scores]
    inside = [name for name in scores.columns if str(name).startswith("coverage")]
    ordered = scores.sort_values(shown[0])
    rows = [["", *(MEASURES[name] for name in shown), *(_coverage_title(name) for name in inside)]]
    digits = {name: decimals(scores[name]) for name in shown}
    for method, row in ordered.iterrows():
        mark = "▸ " if method == "model" else "  "
        numbers = [number(row[name], digits[name]) for name in shown]
        shares = ["" if pd.isna(row[name]) else f"{row[name]:.1%}" for name in inside]
        rows.append([f"{mark}{str(method).replace('_', ' ')}", *numbers, *shares])
    return aligned(rows)


def forecast_table(story: Story) -> str:
    """Return the forecast as text: per series the last value, some steps, and the last interval."""
    data, forecast = story.data, story.forecast
    assert forecast is not None
    steps = sorted({1, (data.horizon + 1) // 2, data.horizon})
    level = _first_level(forecast)
    interval = [f"{level} % at +{data.horizon}"] if level else []
    rows = [["", "last", *(f"+{step}" for step in steps), *interval]]
    names = [None] if data.id_col is None else list(pd.unique(forecast[data.id_col]))
    for name in names[:MAX_SERIES]:
        past, ahead = _of(story.history, data.id_col, name), _of(forecast, data.id_col, name)
        seen = past.sort_values(data.time_col)[data.target_col].dropna()
        last = float(seen.iloc[-1]) if len(seen) else math.nan
        shown = [last, *(float(ahead["forecast"].iloc[step - 1]) for step in steps)]
        digits = decimals(shown)
        band = []
        if level:
            low, high = (float(ahead[f"forecast-{side}-{level}"].iloc[-1]) for side in ("lo", "hi"))
            band = [f"{number(low, digits)} to {number(high, digits)}"]
        label = data.target_col if name is None else str(name)
        rows.append([f"  {label}", *(number(value, digits) for value in shown), *band])
    more = f"\n  and {len(names) - MAX_SERIES:,} more series" if len(names) > MAX_SERIES else ""
    return aligned(rows) + more


def _places(story: Story) -> str:
    """Say where files and runs are, and how this run compares with those before it."""
    lines = [f"Files    {story.spec.folder}/  ({', '.join(p.name for p in story.files.values())})"]
    runs = story.runs
    if runs.empty:
        lines.append("MLflow   not reached; the files are complete")
    else:
        count = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
        lines.append(
            f"MLflow   experiment {story.spec.experiment_name!r}, {count} of this pipeline"
        )
        metric = "metrics.backtest/model/mase"
        for i, run in runs.head(MAX_RUNS).iterrows():
            same = run.get("tags.tsrnn.data") == runs.loc[0].get("tags.tsrnn.data")
            words = "this run" if i == 0 else "same data" if same else "other data"
            when = pd.Timestamp(run["start_time"]).strftime("%Y-%m-%d %H:%M UTC")
            lines.append(
                f"         {run['run_id'][:8]}  {when}  MASE {run.get(metric, math.nan):.4f}  {words}"
            )
    if story.page is not None:
        lines.append("Compare  tsrnn ui   (or: make ui), then open")
        lines.append(f"         {story.page}")
    lines.append(f"Done in {story.seconds:.0f} s")
    return "\n".join(lines)


# ---- numbers as text -----------------------------------------------------------------------------


def _first_level(forecast: pd.DataFrame) -> str | None:
    prefix = "forecast-lo-"
    levels = [str(c).removeprefix(prefix) for c in forecast.columns if str(c).startswith(prefix)]
    return levels[0] if levels else None


def _of(frame: pd.DataFrame, id_col: str | None, name: Any) -> pd.DataFrame:
    return frame if id_col is None else frame[frame[id_col] == name]


def _coverage_title(column: object) -> str:
    digits = "".join(c for c in str(column) if c.isdigit() or c == ".")
    return f"in {digits} %" if digits else "coverage"


def decimals(values: Sequence[float] | pd.Series) -> int:
    """Return the decimals that show five digits of the largest value."""
    finite = [abs(float(v)) for v in values if math.isfinite(float(v))]
    largest = max(finite, default=0.0)
    return 4 if largest == 0 else min(max(4 - math.floor(math.log10(largest)), 0), 12)


def number(value: float, digits: int) -> str:
    """Return ``value`` with so many decimals; a dash where there is none."""
    return f"{value:,.{digits}f}" if math.isfinite(value) else "-"


def aligned(rows: list[list[str]]) -> str:
    """Return ``rows`` with the first column to the left and the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        first, *others = row
        cells = [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([f"{first:<{widths[0]}}", *cells]).rstrip())
    return "\n".join(lines)


def nobody(message: str) -> None:
    """Listen to no announcement."""
