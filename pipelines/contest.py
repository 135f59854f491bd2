"""Challenger against champion, on the same folds and with nothing known that came later.

A model that is in use was trained on the newest rows there were, and those are the rows of today's
folds: scored as it is, it would know the answers. Each model therefore has a **twin**: the same
recipe fitted to the rows before the oldest cutoff of its own backtest. The twin of a champion that
is a week old ends a week before that of the challenger, so that the contest measures what replacing
the one by the other is worth, its age included.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from tsrnn.backtesting import BacktestResult
from tsrnn.backtesting import backtest as roll
from tsrnn.base import Forecast
from tsrnn.exceptions import SkillWarning
from tsrnn.panel import Panel

from .wrapped import Wrapped

if TYPE_CHECKING:
    from .sections import BacktestSpec, GateSpec

__all__ = ["Verdict", "backtest_with_twin", "decide", "knows_later", "score_twin"]


class _Frozen(Wrapped):
    """A forecaster that is fitted once, by the first ``fit`` where it is not fitted yet, and then kept."""

    def set_params(self, **params: Any) -> _Frozen:
        for name, value in params.items():
            setattr(self, name, value)
        if not self.model.__sklearn_is_fitted__():
            self.model.set_params(**params)
        return self

    def _fit_panel(self, panel: Panel, notify: Callable[..., None]) -> None:
        del notify
        if not self.model.__sklearn_is_fitted__():
            self.model = self.model._fit_read(panel, self.format_)  # noqa: SLF001
        self.newest_ = panel

    def _forecast_panel(
        self, panel: Panel | None, horizon: int, probabilities: tuple[float, ...], ahead: Any = None
    ) -> Forecast:
        known = self.newest_ if panel is None else panel
        return self.model._say(known, horizon, probabilities, ahead)  # noqa: SLF001

    def _history_tail(self) -> Panel:
        return self.newest_


def backtest_with_twin(
    forecaster: Any, frame: pd.DataFrame, spec: BacktestSpec, *, level: list[int | float]
) -> tuple[BacktestResult, Any, BacktestResult]:
    """Return the backtest of ``spec``, the twin, and the backtest of the twin on the same folds.

    Parameters
    ----------
    forecaster : RNNForecaster
        Not fitted; it is not changed.
    frame : pandas.DataFrame
        All rows.
    spec : BacktestSpec
        Cutoffs, and how often the model is fitted. The twin is fitted once, so that with
        ``refit: false`` both backtests are one.
    level : list of float
        Intervals in percent.
    """
    holder = _Frozen(clone(forecaster))
    result = _roll(holder, frame, spec, refit=False, level=level)
    twin = holder.model
    if spec.refit is False:
        return result, twin, result
    return _roll(forecaster, frame, spec, refit=spec.refit, level=level), twin, result


def score_twin(
    twin: Any,
    frame: pd.DataFrame,
    spec: BacktestSpec,
    *,
    level: list[int | float],
    like: Any,
) -> BacktestResult:
    """Return how a fitted forecaster does at the cutoffs of ``spec``, as it is.

    ``like`` is the fitted rival, whose horizon and season make the folds.
    """
    frozen = _Frozen(twin)
    frozen.horizon, frozen.season = like.horizon_, like.season_
    return _roll(frozen, frame, spec, refit=False, level=level)


def knows_later(twin: Any, result: BacktestResult) -> bool:
    """Return whether ``twin`` was fitted to rows after the oldest cutoff of a series."""
    tail = twin._history_tail().things()  # noqa: SLF001
    seen = pd.Series(twin.axis_.to_index(tail.last_times), index=tail.ids.astype(str))
    folds = result.forecasts
    if folds.columns[0] == "cutoff":
        return bool(seen.max() > folds["cutoff"].min())
    oldest = folds.groupby(folds[folds.columns[0]].astype(str), observed=True)["cutoff"].min()
    both = seen.index.intersection(oldest.index)
    return bool((seen[both] > oldest[both]).any())


def _roll(
    forecaster: Any, frame: pd.DataFrame, spec: BacktestSpec, *, refit: bool | int, level: Any
) -> BacktestResult:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkillWarning)  # a backtest has its own verdict
        return roll(
            forecaster, frame, n_windows=spec.n_windows, step=spec.step, refit=refit, level=level
        )


@dataclass(frozen=True)
class Verdict:
    """What the gate says.

    Parameters
    ----------
    outcome : {"promoted", "kept", "refused"}
        The challenger becomes champion; it does not; nothing may forecast.
    words : str
        Why, as a sentence.
    forecaster : {"own", "champion", "none"}
        Which model forecasts: the one trained on this date's rows, the champion, or none.
    mae : float or None
        Its mean absolute error on the folds.
    champion : float or None
        Score of the champion on the folds, where there was a contest.
    """

    outcome: str
    words: str
    forecaster: str
    mae: float | None = None
    champion: float | None = None


def decide(
    gate: GateSpec,
    scores: pd.DataFrame,
    *,
    challenger: Mapping[str, float],
    champion: Mapping[str, float] | None,
    name: str = "the champion",
) -> Verdict:
    """Judge a challenger.

    Parameters
    ----------
    gate : GateSpec
        Measure, margin, and what must be beaten in any case.
    scores : pandas.DataFrame
        Of the challenger's own backtest, beside the baselines.
    challenger, champion : mapping of str to float
        Scores of their twins, on the same folds; None where there is no champion.
    name : str
        The champion in words.
    """
    metric, own = gate.metric, scores.loc["model"].astype(float)
    score, mae = own[metric], float(own["mae"])
    if gate.beat is not None and not score < (bar := float(scores.loc[gate.beat, metric])):
        words = f"does not beat {gate.beat}: {metric} {score:.4g} against {bar:.4g}"
        if champion is None:
            return Verdict("refused", f"The challenger {words}, and there is no champion.", "none")
        return _kept(f"The challenger {words}; {name} stays.", champion, metric)
    if champion is None:
        return Verdict("promoted", f"There was no champion; {metric} {score:.4g}.", "own", mae)
    fresh, rival = challenger[metric], champion[metric]
    gain = 100 * (1 - fresh / rival) if rival > 0 else 0.0
    compared = f"{metric} {fresh:.4g} against {rival:.4g} of {name} on the same folds"
    if not np.isfinite(rival) or gain > gate.margin:
        words = f"The challenger is {gain:.2f} % better: {compared}."
        return Verdict("promoted", words, "own", mae, rival)
    than = f"only {gain:.2f} % better" if gain > 0 else "not better"
    return _kept(f"The challenger is {than}: {compared}, which stays.", champion, metric)


def _kept(words: str, champion: Mapping[str, float], metric: str) -> Verdict:
    return Verdict("kept", words, "champion", champion.get("mae"), champion[metric])
