"""Forecasts that have come true: how wrong they were, how much fell inside, whether the data moved.

The findings ask for a new fit where the error is far above that of the backtest, where an interval
holds too few or too many values to be chance, or where the steps of the series are of another kind
than those that were learned from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tsrnn.metrics.significance import coverage_interval

if TYPE_CHECKING:
    from .sections import MonitorSpec
    from .steps import DataSummary

__all__ = ["Findings", "Said", "compare", "drift"]

MIN_POINTS = 30
MIN_STEPS = 20
CHANCE = 0.001


@dataclass(frozen=True)
class Said:
    """An earlier forecast and what was expected of it.

    Parameters
    ----------
    as_of : str
        Its date.
    forecast : pandas.DataFrame
        As it was written.
    expected : float or None
        Mean absolute error of that model in its backtest.
    """

    as_of: str
    forecast: pd.DataFrame
    expected: float | None


@dataclass(frozen=True)
class Findings:
    """What monitoring found.

    Parameters
    ----------
    n_points, n_dates : int
        Forecast steps that have come true, and dates they were forecast at.
    mae, expected : float or None
        Their mean absolute error, and that of the backtests of those models.
    coverage : dict of str to float
        Share of values inside each interval, by level in percent.
    drift : dict of str to float
        Largest Kolmogorov-Smirnov distance (0 to 1) between the steps of a series since the champion
        was fitted and those before, and the probability of one as large by chance.
    reasons : list of str
        Why a new fit is due; empty where none is.
    """

    n_points: int = 0
    n_dates: int = 0
    mae: float | None = None
    expected: float | None = None
    coverage: dict[str, float] = field(default_factory=dict)
    drift: dict[str, float] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)

    @property
    def words(self) -> str:
        """The findings as a sentence."""
        if not self.n_points:
            found = "no earlier forecast has come true yet"
        else:
            beside = "" if self.expected is None else f", {self.expected:.4g} in the backtests"
            inside = "".join(
                f", {share:.1%} inside {level} %" for level, share in self.coverage.items()
            )
            found = f"{self.n_points:,} steps came true: MAE {self.mae:.4g}{beside}{inside}"
        return found + ("; a new fit is due: " + "; ".join(self.reasons) if self.reasons else "")


def compare(
    earlier: list[Said], frame: pd.DataFrame, data: DataSummary, spec: MonitorSpec
) -> Findings:
    """Return how earlier forecasts stand beside the rows that there are now.

    Parameters
    ----------
    earlier : list of Said
        Forecasts of earlier dates.
    frame : pandas.DataFrame
        The rows of today.
    data : DataSummary
        Names of its columns.
    spec : MonitorSpec
        What is tolerated.
    """
    keys = [data.time_col] if data.id_col is None else [data.id_col, data.time_col]
    known = frame[[*keys, data.target_col]].rename(columns={data.target_col: "_actual"})
    known = known[known["_actual"].notna()]
    pairs = []
    for said in earlier:
        both = said.forecast.merge(known, on=keys, how="inner")
        pairs.append(both.assign(_as_of=said.as_of, _expected=said.expected))
    pairs = [both for both in pairs if len(both)]
    if not pairs:
        return Findings()
    both = pd.concat(pairs, ignore_index=True)
    actual = both["_actual"].to_numpy(dtype=float)
    mae = float(np.abs(actual - both["forecast"].to_numpy(dtype=float)).mean())
    expected = _mean(both["_expected"])
    # the steps of one date and series miss together: each such group counts as one value
    origins = both.groupby(["_as_of", *keys[:-1]], observed=True).ngroups
    coverage, outside = _coverage(both, actual, groups=origins)
    reasons = []
    if expected and len(both) >= MIN_POINTS and mae > (1 + spec.tolerance / 100) * expected:
        reasons.append(
            f"the error is {100 * (mae / expected - 1):.0f} % above that of the backtests"
        )
    return Findings(
        n_points=len(both),
        n_dates=len(pairs),
        mae=mae,
        expected=expected,
        coverage=coverage,
        reasons=reasons + (outside if len(both) >= MIN_POINTS else []),
    )


def drift(
    frame: pd.DataFrame, data: DataSummary, *, since: Any
) -> tuple[dict[str, float], list[str]]:
    """Return the distance between the steps after ``since`` and those before, and what it asks for.

    Steps are the changes from one value to the next, since levels of prices and of many sensors
    wander without anything being new. The probability counts how many series were looked at.
    """
    from scipy.stats import ks_2samp

    names = [None] if data.id_col is None else list(pd.unique(frame[data.id_col]))
    worst: tuple[float, float, Any] | None = None
    for name in names:
        rows = frame if name is None else frame[frame[data.id_col] == name]
        rows = rows.sort_values(data.time_col)
        change = pd.Series(rows[data.target_col].to_numpy(dtype=float, na_value=np.nan)).diff()
        new = (rows[data.time_col] > since).to_numpy()
        before, after = change[~new].dropna(), change[new].dropna()
        if min(len(before), len(after)) < MIN_STEPS:
            continue
        test = ks_2samp(before, after)
        chance = min(1.0, float(test.pvalue) * len(names))
        if worst is None or chance < worst[1]:
            worst = (float(test.statistic), chance, name)
    if worst is None:
        return {}, []
    distance, chance, name = worst
    whose = "" if name is None else f" of {name!r}"
    moved = f"the steps{whose} have changed since the champion was fitted (distance {distance:.2f})"
    return {"distance": distance, "chance": chance}, [moved] if chance < CHANCE else []


def _coverage(
    both: pd.DataFrame, actual: np.ndarray, *, groups: int
) -> tuple[dict[str, float], list[str]]:
    shares, reasons = {}, []
    prefix = "forecast-lo-"
    for column in (c for c in map(str, both.columns) if c.startswith(prefix)):
        level = column.removeprefix(prefix)
        inside = (both[column] <= actual) & (actual <= both[f"forecast-hi-{level}"])
        shares[level] = float(inside.mean())
        low, high = coverage_interval(shares[level], groups, confidence=1 - CHANCE)
        if not low <= float(level) / 100 <= high:
            reasons.append(f"the {level} % interval holds {shares[level]:.1%} of the values")
    return shares, reasons


def _mean(values: pd.Series) -> float | None:
    known = pd.to_numeric(values, errors="coerce").dropna()
    return float(known.mean()) if len(known) else None
