"""Sets with one judged window at the end of every series, scored as the M4 competition does.

The last ``horizon`` rows of each series judge; the model is fitted to the rows before them and
forecasts once. sMAPE (0 to 200), MASE and MSIS (95 %) are means over series of the means over steps, with
the competition's season in the scale; OWA compares averages with those of Naive2, computed here on
the same series. ACD and wQL (nine deciles) pool all series and steps; sql is the quantile loss (nine
deciles, times two) in units of the scale. The point forecast is the median.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from trial import Clock, Outcome, Trial, quiet

from tsrnn import BaselineForecaster, datasets, metrics
from tsrnn.base import Forecaster

__all__ = ["COMPETITIONS", "Competition", "official_scores"]

BASELINES = ("naive", "seasonal_naive", "naive2")
DECILES = tuple(round(0.1 * k, 1) for k in range(1, 10))
LEVELS = (80, 95)


@dataclass(frozen=True)
class Competition:
    """A set with one window a series.

    Parameters
    ----------
    source : str
        Name in :func:`tsrnn.datasets.catalogue`.
    horizon, season : int
        Of the protocol. The model is told the horizon and finds seasons itself; the naive forecasts
        are told both.
    """

    source: str
    horizon: int
    season: int

    def run(self, trial: Trial) -> Outcome:
        """Fit, forecast and score one seed."""
        past, window = self.split(trial)
        model = trial.model(horizon=self.horizon)
        clock = Clock()
        with quiet():
            with clock("fit"):
                model.fit(past)
            with clock("predict"):
                said = _predict(model)
            methods = {
                name: _predict(
                    BaselineForecaster(name, horizon=self.horizon, season=self.season).fit(past)
                )
                for name in BASELINES
            }
        ids = window["unique_id"].unique()
        truth = _matrix(window, "y", self.horizon)
        scale = np.array(
            [
                float(metrics.naive_scale(past_of["y"].to_numpy(), self.season))
                for _, past_of in past.groupby("unique_id", sort=False)
            ]
        )
        tables = {
            name: official_scores(
                truth, _matrices(forecast.set_index("unique_id").loc[ids], self.horizon), scale
            )
            for name, forecast in {"tsrnn": said, **methods}.items()
        }
        scores: dict[str, dict[str, float]] = {}
        for name, (overall, _) in tables.items():
            overall["owa"] = metrics.owa(
                smape=overall["smape"], mase=overall["mase"],
                naive2_smape=tables["naive2"][0]["smape"], naive2_mase=tables["naive2"][0]["mase"],
            )  # fmt: skip
            for measure, value in overall.items():
                scores.setdefault(measure, {})[name] = value
        sizes = {"series": len(ids), "windows": len(ids), "horizon": self.horizon}
        per_series = tables["tsrnn"][1]
        per_series.insert(0, "unique_id", ids)
        return Outcome(scores, sizes, clock, model, per_series)

    def split(self, trial: Trial) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the rows that are known and those that judge."""
        frame = datasets.load(self.source)[["unique_id", "ds", "y"]]
        if trial.first is not None:
            frame = frame[frame["unique_id"].isin(frame["unique_id"].unique()[: trial.first])]
        to_go = frame.groupby("unique_id", sort=False).cumcount(ascending=False).to_numpy()
        if trial.split == "validation":
            frame, to_go = frame[to_go >= self.horizon], to_go[to_go >= self.horizon] - self.horizon
        judged = to_go < self.horizon
        return frame[~judged].reset_index(drop=True), frame[judged].reset_index(drop=True)


COMPETITIONS = {
    "m4_hourly": Competition("m4_hourly", 48, 24),
    "m4_weekly": Competition("m4_weekly", 13, 1),
    "m4_yearly": Competition("m4_yearly", 6, 1),
    "m4_quarterly_partial": Competition("m4_quarterly_partial", 8, 4),
    "m4_monthly_partial": Competition("m4_monthly_partial", 18, 12),
    "m4_daily_partial": Competition("m4_daily_partial", 14, 1),
    "m3_yearly": Competition("m3_yearly", 6, 1),
    "m3_quarterly": Competition("m3_quarterly", 8, 4),
    "m3_monthly": Competition("m3_monthly", 18, 12),
    "m3_other": Competition("m3_other", 8, 1),
    "hospital": Competition("hospital", 12, 12),
    "exchange_rate": Competition("exchange_rate", 30, 5),
}


def official_scores(
    truth: np.ndarray, said: dict[str, np.ndarray], scale: np.ndarray
) -> tuple[dict[str, float], pd.DataFrame]:
    """Return the scores of all series together and of each.

    Parameters
    ----------
    truth : ndarray of shape (series, horizon)
    said : dict of str to ndarray of shape (series, horizon)
        "forecast", and where the output has quantiles "forecast-lo-80", "forecast-q10" and so on.
    scale : ndarray of shape (series,)
        In-sample seasonal naive error; a series where it is 0 counts for no scaled score.
    """
    point, scaled = said["forecast"], {"axis": -1, "skipna": True, "scale": scale}
    each = {
        "smape": metrics.smape(truth, point, axis=-1),
        "mase": metrics.mase(truth, point, **scaled),
        "mae": metrics.mae(truth, point, axis=-1),
    }
    pooled: dict[str, float] = {}
    if len(said) > 1:
        low, high = said["forecast-lo-95"], said["forecast-hi-95"]
        deciles = np.stack([said[f"forecast-q{100 * p:g}"] for p in DECILES], axis=-1)
        each["msis"] = metrics.msis(truth, low, high, **scaled)
        loss = 2 * metrics.pinball(truth, deciles, DECILES, axis=-1)
        each["sql"] = loss / np.where(scale > 0, scale, np.nan)
        for level in LEVELS:
            bounds = (said[f"forecast-{side}-{level}"] for side in ("lo", "hi"))
            each[f"in_{level}"] = metrics.coverage(truth, *bounds, axis=-1)
        pooled = {
            "acd": metrics.acd(truth, low, high),
            "wql": metrics.wql(truth, deciles, DECILES),
        }
    per_series = pd.DataFrame(each)
    means = {str(name): float(value) for name, value in per_series.mean().items()}
    return {**means, **pooled}, per_series


def _predict(model: Forecaster) -> pd.DataFrame:
    """Return the forecast with deciles and intervals, where the output has them."""
    if model.get_params().get("output") == "point":
        return model.predict()
    return model.predict(level=LEVELS, quantiles=DECILES)


def _matrices(forecast: pd.DataFrame, horizon: int) -> dict[str, np.ndarray]:
    return {
        name: _matrix(forecast, name, horizon)
        for name in forecast.columns
        if name.startswith("forecast")
    }


def _matrix(frame: pd.DataFrame, column: str, horizon: int) -> np.ndarray:
    """Return a column of equally long series, shape (series, horizon)."""
    return frame[column].to_numpy(dtype=np.float64).reshape(-1, horizon)
