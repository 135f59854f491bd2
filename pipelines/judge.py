"""The gate of a date: is a fit due, does the challenger win, which model forecasts."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from sklearn.base import clone

from tsrnn.exceptions import DataError, ParameterError

from . import monitor
from .contest import Verdict, backtest_with_twin, decide, knows_later, score_twin
from .joint import each_series, flat_forecast, flat_rows
from .ledger import Ledger, dates, order
from .load import as_time

if TYPE_CHECKING:
    from tsrnn.tracking.registry import Version

    from .spec import PipelineSpec
    from .steps import DataSummary

__all__ = ["judge", "look_back", "without_challenger"]

AS_OF, END, MAE = "tsrnn.as_of", "tsrnn.end", "tsrnn.mae"


def look_back(
    spec: PipelineSpec,
    ledger: Ledger,
    frame: pd.DataFrame,
    data: DataSummary,
    champion: Version | None,
) -> dict[str, Any]:
    """Return the findings of monitoring, and whether a fit is due because of them or by the spec."""
    before = [day for day in dates(spec.folder) if order(day.as_of) < order(ledger.as_of)]
    earlier = [said for day in before[-spec.monitor.dates :] if (said := _said(day)) is not None]
    rows, columns = flat_rows(frame, data), each_series(data)
    earlier = [replace(said, forecast=flat_forecast(said.forecast, data)) for said in earlier]
    found = monitor.compare(earlier, rows, columns, spec.monitor)
    moved, reasons = {}, list(found.reasons)
    if champion is not None and END in champion.tags and not is_late(champion, ledger):
        since = as_time(champion.tags[END], frame[data.time_col], END)
        moved, words = monitor.drift(rows, columns, since=since)
        reasons += words
        age = frame.loc[frame[data.time_col] > since, data.time_col].nunique()
        if spec.fit.every is not None and age >= spec.fit.every:
            reasons.append(f"the champion is {age} steps old")
    whole = monitor.Findings(**{**asdict(found), "drift": moved, "reasons": reasons})
    due = spec.fit.when == "always" or champion is None or bool(reasons)
    due = due or is_late(champion, ledger)
    return {**asdict(whole), "words": whole.words, "due": due}


def is_late(champion: Version | None, ledger: Ledger) -> bool:
    """Return whether the champion knows rows after the date of ``ledger``."""
    return champion is not None and order(champion.tags.get(AS_OF, "")) > order(ledger.as_of)


def without_challenger(champion: Version) -> Verdict:
    """Return the verdict of a date on which no fit is due."""
    known = champion.tags.get(MAE)
    words = f"No fit is due; {_name(champion)} reads the newest rows."
    return Verdict("kept", words, "champion", None if known is None else float(known))


def judge(
    spec: PipelineSpec,
    ledger: Ledger,
    frame: pd.DataFrame,
    scores: pd.DataFrame,
    twin: Any,
    *,
    twin_scores: dict[str, float],
    champion: Version | None,
    files: Path | None,
) -> Verdict:
    """Return the verdict on a challenger that was backtested.

    Parameters
    ----------
    spec : PipelineSpec
        Its gate and backtest.
    ledger : Ledger
        Of the date.
    frame : pandas.DataFrame
        The rows.
    scores : pandas.DataFrame
        Challenger and baselines in the backtest.
    twin, twin_scores
        The challenger's twin and its scores on the folds.
    champion, files
        The champion and the folder of its files, where there is one.
    """
    first = decide(spec.gate, scores, challenger=twin_scores, champion=None)
    if champion is None or files is None:
        return first
    if is_late(champion, ledger):
        if first.outcome == "refused":
            return first
        words = f"{_name(champion)} is of a later date and stays; the model of this date forecasts."
        return replace(first, outcome="kept", words=words)
    try:
        rival = _score_champion(spec, frame, files, like=twin)
    except (DataError, ParameterError) as error:
        words = f"{_name(champion)} can't forecast the folds: {error} {first.words}"
        return replace(first, words=words)
    return decide(spec.gate, scores, challenger=twin_scores, champion=rival, name=_name(champion))


def _score_champion(
    spec: PipelineSpec, frame: pd.DataFrame, files: Path, *, like: Any
) -> dict[str, float]:
    """Return the scores of the champion's twin on the folds, or of its recipe where that knows too much."""
    from tsrnn.forecaster import load

    level = spec.forecast.level
    kept = files / "twin"
    if kept.is_dir():
        twin = load(kept)
        result = score_twin(twin, frame, spec.backtest, level=level, like=like)
        if not knows_later(twin, result):
            return result.scores.loc["model"].to_dict()
    recipe = clone(load(files / "forecaster")).set_params(horizon=like.horizon_)
    return (
        backtest_with_twin(recipe, frame, spec.backtest, level=level)[2]
        .scores.loc["model"]
        .to_dict()
    )


def _said(day: Ledger) -> monitor.Said | None:
    file = day.folder / "forecast.parquet"
    if not file.is_file():
        return None
    return monitor.Said(day.as_of, pd.read_parquet(file), (day.read("done") or {}).get("mae"))


def _name(champion: Version) -> str:
    return f"champion v{champion.version} (as of {champion.tags.get(AS_OF, 'unknown')})"
