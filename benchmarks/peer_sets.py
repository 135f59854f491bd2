"""The sets on which libraries meet, what a library may see of them, and what its forecasts are worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from frames import long_frame

from tsrnn.metrics import naive_scale

SEASONAL_NAIVE = "seasonal naive"


@dataclass(frozen=True)
class Case:
    """A set, and how it is judged: on the last ``windows`` horizons of each series.

    Parameters
    ----------
    source : str
        Name in :func:`tsrnn.datasets.catalogue`.
    horizon, season : int
        The season is that of the seasonal naive forecast, which MASE divides by; no library is told.
    freq : str
        Step as a pandas offset, for libraries that ask for it; times may be integers.
    windows : int
    ids : str, optional
        The one series that is the set.
    first : int, optional
        So many series from the first on.
    """

    source: str
    horizon: int
    season: int
    freq: str
    windows: int = 1
    ids: str | None = None
    first: int | None = None

    def frame(self) -> pd.DataFrame:
        """Return unique_id, ds, y of every row."""
        return long_frame(self.source, ids=self.ids, first=self.first)


SETS = {
    "air passengers": Case("classics", 12, 12, "MS", windows=5, ids="AirPassengers"),
    "sp500_daily": Case("sp500_daily", 5, 1, "B", windows=5),
    "hospital": Case("hospital", 12, 12, "MS"),
    "m3 quarterly": Case("m3_quarterly", 8, 4, "QS"),
    "m3 monthly": Case("m3_monthly", 18, 12, "MS"),
    "m4 yearly, first 1000": Case("m4_yearly", 6, 1, "YS", first=1000),
    "m4 weekly": Case("m4_weekly", 13, 1, "W"),
    "exchange_rate": Case("exchange_rate", 30, 1, "D", windows=5),
    "etth1": Case("etth1", 24, 24, "h", windows=5),
    "vic_elec": Case("vic_elec", 48, 48, "30min", windows=5),
    "m4 hourly": Case("m4_hourly", 48, 24, "h"),
}


def rows_to_go(frame: pd.DataFrame) -> np.ndarray:
    """Return for each row how many of its series follow."""
    return frame.groupby("unique_id", sort=False).cumcount(ascending=False).to_numpy()


def history(frame: pd.DataFrame, case: Case) -> pd.DataFrame:
    """Return what a library may see: every row but the last horizon."""
    return frame[rows_to_go(frame) >= case.horizon].reset_index(drop=True)


def seasonal_naive(frame: pd.DataFrame, case: Case) -> pd.DataFrame:
    """Return the value one season before, as a runner would: unique_id, window, step, forecast."""
    to_go = rows_to_go(frame)
    steps = np.arange(case.horizon)
    said = []
    for window in range(case.windows):
        ahead = (case.windows - window) * case.horizon
        known = frame[(to_go >= ahead) & (to_go < ahead + case.season)]
        for name, y in known.groupby("unique_id", sort=False)["y"]:
            values = y.to_numpy()[steps % case.season]
            said.append(
                pd.DataFrame(
                    {"unique_id": name, "window": window, "step": steps + 1, "forecast": values}
                )
            )
    return pd.concat(said, ignore_index=True)


def score(frame: pd.DataFrame, forecast: pd.DataFrame, case: Case) -> dict[str, float | None]:
    """Compare forecasts with what came true.

    Parameters
    ----------
    frame : pandas.DataFrame
        Every row of the set.
    forecast : pandas.DataFrame
        unique_id, window, step, forecast, and lo and hi where there are bounds.
    case : Case

    Returns
    -------
    dict
        mase (divided by the in-sample seasonal naive error before the first window, mean over series
        that do not repeat themselves exactly), smape in percent, coverage of lo to hi or None.

    Raises
    ------
    ValueError
        A forecast is missing or not finite.
    """
    to_go = rows_to_go(frame)
    judged = case.windows * case.horizon
    names = frame["unique_id"].unique()
    truth = frame.loc[to_go < judged, "y"].to_numpy().reshape(len(names), judged)
    past = frame[to_go >= judged].groupby("unique_id", sort=False)["y"]
    scale = np.array([float(naive_scale(y.to_numpy(), case.season)) for _, y in past])
    scale = np.where(scale > 0, scale, np.nan)

    rows = pd.MultiIndex.from_product([names, range(case.windows), range(1, case.horizon + 1)])
    said = forecast.set_index(["unique_id", "window", "step"]).reindex(rows)
    values = said["forecast"].to_numpy().reshape(truth.shape)
    missing = np.argwhere(~np.isfinite(values))
    if len(missing):
        first = missing[0]
        raise ValueError(
            f"Every step of every series must have a forecast. {len(missing)} have none, the "
            f"first {names[first[0]]!r}, step {first[1] + 1} of {judged}."
        )
    error = np.abs(values - truth)
    size = np.abs(values) + np.abs(truth)
    inside = None
    if "lo" in said:
        low, high = (said[side].to_numpy().reshape(truth.shape) for side in ("lo", "hi"))
        inside = float(((truth >= low) & (truth <= high)).mean())
    return {
        "mase": float(np.nanmean(error / scale[:, None])),
        "smape": float(
            200 * np.divide(error, size, out=np.zeros_like(error), where=size > 0).mean()
        ),
        "coverage": inside,
    }
