"""``skill_``: how a fitted model stands against the naive forecasts on rows that chose nothing."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tsrnn.exceptions import SkillWarning, shown, warn
from tsrnn.metrics import coverage, mae, rmse, smape
from tsrnn.metrics.pairing import average
from tsrnn.metrics.significance import NAIVE_METHODS, best_naive, diebold_mariano, verdict
from tsrnn.panel import Panel
from tsrnn.references import panel_outlook, panel_scale
from tsrnn.windows import Origins, gather_rows

__all__ = ["Skill", "judge", "warn_without_skill"]


@dataclass(frozen=True)
class Skill:
    """The standing of a model against naive, seasonal naive and drift on the newest origin.

    Parameters
    ----------
    scores : pandas.DataFrame
        By method: mae, rmse, smape, mase and, for the model, coverage_80.
    by_horizon : pandas.DataFrame
        Mean absolute scaled error by step ahead (rows, from 1) and method (columns).
    verdict : str
        One sentence.
    beats_naive : bool
    p_value : float
        Diebold-Mariano test against the best naive forecast; NaN where there are too few series.
    n_steps : int
        Forecast steps that were compared.
    by_target : pandas.DataFrame, optional
        Mean absolute scaled error by target (rows) and method (columns), where there are several.
    """

    scores: pd.DataFrame
    by_horizon: pd.DataFrame
    verdict: str
    beats_naive: bool
    p_value: float
    n_steps: int
    by_target: pd.DataFrame | None = None

    def __str__(self) -> str:
        return f"{self.verdict}\n{self.scores.round(4).to_string()}"

    def to_dict(self) -> dict[str, Any]:
        """Return the skill as plain values."""
        return {
            "scores": self.scores.to_dict("split"),
            "by_horizon": self.by_horizon.to_dict("split"),
            "verdict": self.verdict,
            "beats_naive": self.beats_naive,
            "p_value": self.p_value,
            "n_steps": self.n_steps,
            "by_target": None if self.by_target is None else self.by_target.to_dict("split"),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Skill:
        """Undo :meth:`to_dict`."""
        frames = {name: pd.DataFrame(**values[name]) for name in ("scores", "by_horizon")}
        frames["by_horizon"].index.name = "step"
        if values.get("by_target") is not None:
            frames["by_target"] = pd.DataFrame(**values["by_target"])
            frames["by_target"].index.name = "target"
        return cls(**{**values, **frames})


def judge(
    panel: Panel, origins: Origins, point: np.ndarray, quantiles: np.ndarray, *, season: int
) -> Skill | None:
    """Compare forecasts with the truth after each origin, beside the naive forecasts.

    Parameters
    ----------
    panel : Panel
    origins : Origins
        At most one a series; the rows behind them chose nothing.
    point : ndarray of shape (origin, horizon)
    quantiles : ndarray of shape (origin, horizon, 2) or (origin, horizon, 0)
        The 80 % interval.
    season : int

    Returns
    -------
    Skill or None
        None where no true value is known.
    """
    said = np.isfinite(point).all(1)  # a series without any value before its origin has no forecast
    origins, point, quantiles = origins[said], point[said], quantiles[said]
    horizon = point.shape[1]
    stop = panel.lengths[origins.series]
    truth = gather_rows(panel.values, panel.indptr, origins.series, origins.known, stop, horizon)
    known = np.isfinite(truth) & np.isfinite(point)
    if not known.any():
        return None
    truth = np.where(known, truth, np.nan)
    past = panel.select(origins.series)
    past = past.take_rows(np.zeros_like(origins.known), origins.known)
    forecasts = {"model": point}
    for method in NAIVE_METHODS:
        forecasts[method] = panel_outlook(method, past, horizon, season).point
    scale = panel_scale(past, season)
    scale = np.where(scale > 0, scale, 1.0)[:, None]
    scaled = {name: np.abs(truth - forecast) / scale for name, forecast in forecasts.items()}
    scores = pd.DataFrame(
        {
            name: {
                "mae": mae(truth, forecast, skipna=True),
                "rmse": rmse(truth, forecast, skipna=True),
                "smape": smape(truth, forecast, skipna=True),
                "mase": float(np.nanmean(scaled[name])),
            }
            for name, forecast in forecasts.items()
        }
    ).T
    if quantiles.shape[2]:
        share = coverage(truth, quantiles[..., 0], quantiles[..., 1], skipna=True)
        scores.loc["model", "coverage_80"] = share
    metric = "mae" if len(origins) == 1 else "mase"
    best = best_naive(scores, metric)
    _, p_value = diebold_mariano(scaled["model"], scaled[best], 1)
    n_steps = int(known.sum())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a step ahead that no series knows
        by_horizon = pd.DataFrame({name: np.nanmean(e, axis=0) for name, e in scaled.items()})
    by_horizon.index = pd.RangeIndex(1, horizon + 1, name="step")
    by_target = None
    if panel.channels > 1:
        target = past.ids.get_level_values(-1).rename("target")
        by_target = pd.DataFrame({name: average(e, 1) for name, e in scaled.items()}, index=target)
        by_target = by_target.groupby("target", sort=False).mean()
    return Skill(
        scores,
        by_horizon,
        verdict(scores, p_value=p_value, n_steps=n_steps, metric=metric),
        bool(scores[metric]["model"] < scores[metric][best]),
        float(p_value),
        n_steps,
        by_target,
    )


def warn_without_skill(skill: Skill | None, panel: Panel) -> None:
    """Warn where the model does not beat the naive forecasts."""
    if skill is not None and not skill.beats_naive:
        where = f"{len(panel)} series" if len(panel) > 1 else f"series {shown(panel.ids[0])}"
        warn(
            f"{skill.verdict} ({where}; see skill_ of the forecaster, and backtest() for more origins.)",
            SkillWarning,
        )
