"""Runs side by side, if they were judged by the same rows."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from tsrnn.exceptions import ParameterError
from tsrnn.tracking.words import runs as list_runs

__all__ = ["compare", "place_of"]

_FACTS = {
    "data": ("tags.tsrnn.backtest_data", "tags.tsrnn.data"),
    "cutoffs": ("tags.tsrnn.backtest_cutoffs", "tags.tsrnn.end"),
    "horizon": ("tags.tsrnn.backtest_horizon", "params.horizon_"),
}
"""What must be equal: where a backtest says it, and where a fit does."""
_SCORES = ("mase", "mae", "rmse", "smape", "crps", "pinball")
_COSTS = ("cpu_seconds",)
_NOT_SHOWN = ("params.plan/", "params.gate/")


def compare(
    experiment: str | None = None,
    runs: Sequence[str] | None = None,
    *,
    anyway: bool = False,
    tracking_uri: str | None = None,
) -> pd.DataFrame:
    """Return runs side by side, the best first; refuse those that other rows have judged.

    Parameters
    ----------
    experiment : str, optional
        Only its runs; all experiments when not given.
    runs : sequence of str, optional
        Names of runs, or the beginnings of their ids; all finished runs that have scores and are not
        nested in another when not given.
    anyway : bool, default False
        Compare runs of different data, cutoffs or horizons, too.
    tracking_uri : str, optional
        The store; see :func:`tsrnn.tracking.resolve_uri` for what happens without it.

    Returns
    -------
    pandas.DataFrame
        One row per run, by name: ``run_id``, the scores of its backtest (of a fit: on held-out
        steps), those of the naive forecast beside them, CPU seconds where they were measured, and the
        parameters that differ.

    Raises
    ------
    ParameterError
        A run is not there or has no scores, or the runs can't be compared: the message says which
        differ in what.
    """
    table = list_runs(experiment, tracking_uri=tracking_uri)
    table = _chosen(table, runs)
    judged = pd.DataFrame({fact: _first_of(table, names) for fact, names in _FACTS.items()})
    if not anyway:
        _refuse_unlike(table, judged)
    scores = _scores(table)
    shown = pd.concat([table["run_id"], scores, _differing(table)], axis=1)
    if anyway and len(judged.drop_duplicates()) > 1:
        shown = pd.concat([shown, judged.loc[:, judged.nunique(dropna=False) > 1]], axis=1)
    shown.index = pd.Index(table["run_name"], name="run")
    return shown.sort_values(scores.columns[0], kind="stable")


def _chosen(table: pd.DataFrame, wanted: Sequence[str] | None) -> pd.DataFrame:
    if wanted is None:
        scored = _prefixes(table)
        nested = _column(table, "tags.mlflow.parentRunId").notna()
        chosen = table[scored.notna() & ~nested & (table["status"] == "FINISHED")]
    else:
        places = [place_of(table, name) for name in wanted]
        chosen = table.loc[places]
        for name, prefix in zip(wanted, _prefixes(chosen), strict=True):
            if prefix is None or prefix != prefix:
                raise ParameterError(
                    f"The run {name!r} has no scores. Log a backtest into it with run.log_backtest(result)."
                )
    if chosen.empty:
        raise ParameterError(
            "There are no finished runs with scores to compare. Fit one inside tsrnn.track()."
        )
    return chosen.reset_index(drop=True)


def place_of(table: pd.DataFrame, name: str) -> int:
    """Return the row of ``table`` that is the run ``name``: its name, or the beginning of its id."""
    found = table.index[
        (table["run_name"] == name) | (table["run_id"].str.startswith(name) & (len(name) >= 6))
    ]
    if len(found) != 1:
        say = "There is no run" if not len(found) else f"There are {len(found)} runs"
        raise ParameterError(f"{say} {name!r}. Give the beginning of its id (at least 6 digits).")
    return int(found[0])


def _prefixes(table: pd.DataFrame) -> pd.Series:
    """Return by run where its scores stand: "backtest/model", "test", or None."""
    found = pd.Series([None] * len(table), index=table.index, dtype=object)
    for prefix in ("test", "backtest/model"):
        found[_column(table, f"metrics.{prefix}/mae").notna()] = prefix
    return found


def _scores(table: pd.DataFrame) -> pd.DataFrame:
    prefixes, columns = _prefixes(table), {}
    for score in _SCORES:
        columns[score] = _picked(table, prefixes, score)
    coverages = sorted(
        {c.rpartition("/")[2] for c in map(str, table) if "/coverage_" in c and "_by" not in c}
    )
    for score in coverages:
        columns[score] = _picked(table, prefixes, score)
    naive = prefixes.replace({"backtest/model": "backtest/naive", "test": "naive"})
    for score in ("mase", "mae"):
        columns[f"naive {score}"] = _picked(table, naive, score)
    for cost in _COSTS:
        columns[cost] = _column(table, f"metrics.{cost}").astype(float)
    return pd.DataFrame(columns).dropna(axis=1, how="all")


def _picked(table: pd.DataFrame, prefixes: pd.Series, score: str) -> pd.Series:
    values = [
        table[key].loc[place] if (key := f"metrics.{prefix}/{score}") in table else float("nan")
        for place, prefix in zip(prefixes.index.tolist(), prefixes.tolist(), strict=True)
    ]
    return pd.Series(values, index=table.index, dtype=float)


def _differing(table: pd.DataFrame) -> pd.DataFrame:
    params = [
        c for c in map(str, table) if c.startswith("params.") and not c.startswith(_NOT_SHOWN)
    ]
    kept = [c for c in params if len(table) > 1 and table[c].nunique(dropna=False) > 1]
    return table[kept].rename(columns=lambda c: c.removeprefix("params."))


def _refuse_unlike(table: pd.DataFrame, judged: pd.DataFrame) -> None:
    for fact in judged:
        values = judged[fact].fillna("not known")
        if values.nunique() > 1:
            first, other = table.index[0], values.index[values != values.iloc[0]][0]
            raise ParameterError(
                f"Runs are compared on the same data, cutoffs and horizon. Got another {fact}: "
                f"{values[first]} in {_named(table, first)}, {values[other]} in {_named(table, other)} "
                f"(the first of {(values != values.iloc[0]).sum()}). Name runs that are alike, or ask for "
                "anyway=True (--anyway)."
            )


def _named(table: pd.DataFrame, place: int) -> str:
    row = table.loc[place]
    return f"{row['run_name']!r} ({row['run_id'][:8]})"


def _first_of(table: pd.DataFrame, names: Sequence[str]) -> pd.Series:
    found = _column(table, names[0])
    for name in names[1:]:
        found = found.where(found.notna(), _column(table, name))
    return found


def _column(table: pd.DataFrame, name: str) -> pd.Series:
    if name in table:
        return table[name]
    return pd.Series([None] * len(table), index=table.index, dtype=object)
