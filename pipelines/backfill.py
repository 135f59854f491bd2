"""A span of dates, run one after the other, oldest first, as a schedule would have."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd

from tsrnn.exceptions import DataError

from . import steps
from .load import as_time, load
from .report import aligned, nobody
from .run import WAIT, PipelineResult, run_pipeline

if TYPE_CHECKING:
    from .spec import PipelineSpec

__all__ = ["as_of_dates", "backfill", "describe"]


def as_of_dates(spec: PipelineSpec, *, first: str, last: str) -> list[str]:
    """Return the dates from ``first`` to ``last`` on which the data have rows.

    Several rows of a day are one date. Integer times are dates each.

    Raises
    ------
    DataError
        There are none.
    """
    data = spec.data
    frame = load(data, as_of=last)
    summary = steps.check(steps.make_forecaster(spec), frame)
    times = frame[summary.time_col]
    times = times[times >= as_time(first, times, "--from")]
    if isinstance(times.dtype, pd.PeriodDtype):
        times = times.dt.start_time
    labels = (
        times.map(str) if pd.api.types.is_numeric_dtype(times) else times.dt.strftime("%Y-%m-%d")
    )
    found = list(dict.fromkeys(labels[times.sort_values().index]))
    if not found:
        raise DataError(
            f"backfill needs dates with rows between --from {first} and --to {last}. Got none; the data go "
            f"from {summary.start} to {summary.end}."
        )
    return found


def backfill(
    spec: PipelineSpec,
    *,
    first: str,
    last: str,
    wait: float = WAIT,
    again: bool = False,
    announce: Callable[[str], None] | None = None,
) -> list[PipelineResult]:
    """Run ``spec`` as of each date from ``first`` to ``last``, and return what each run found.

    An error ends it; the next call goes on there.
    """
    say = announce or nobody
    results = []
    for as_of in as_of_dates(spec, first=first, last=last):
        say(f"\n{as_of}")
        results.append(run_pipeline(spec, as_of=as_of, wait=wait, again=again, announce=announce))
        say(f"          {results[-1].words}")
    return results


def describe(results: list[PipelineResult]) -> str:
    """Return one line per date: outcome, the score of its challenger, whether it was run now."""
    rows = [["as of", "outcome", "MASE", ""]]
    for result in results:
        scores = result.scores
        mase = math.nan if scores is None else float(scores.loc["model", "mase"])
        shown = f"{mase:.4f}" if math.isfinite(mase) else "-"
        rows.append([result.as_of, result.outcome, shown, "" if result.is_new else "was finished"])
    return aligned(rows)
