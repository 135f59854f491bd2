"""Source files as they are published, made tidy: unique_id, ds, y, then covariates.

Every function takes the bytes of the source files and returns one frame per cache file. What comes out
is checked by the caller against the fingerprint of the catalogue, so a changed source is never used.
"""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

__all__ = [
    "air_quality",
    "classics",
    "epf",
    "ett",
    "exchange_rate",
    "ili",
    "m4",
    "nab",
    "sp500_daily",
    "vic_elec",
]

_CURRENCIES = [
    "Australia",
    "British",
    "Canada",
    "Switzerland",
    "China",
    "Japan",
    "New_Zealand",
    "Singapore",
]
_POLLUTANTS = {"pm2.5": "y", "veloc.": "wind_speed", "direc.": "wind_direction_deg"}
_ILI = ["ds", "wili_pct", "uwili_pct", "age_0_4", "age_5_24", "ili_total", "providers", "y"]


def _csv(content: bytes, **options: Any) -> pd.DataFrame:
    table: pd.DataFrame = pd.read_csv(io.BytesIO(content), **options)
    return table


def _tidy(frame: pd.DataFrame, unique_id: str | None = None) -> pd.DataFrame:
    """Put unique_id, ds and y first, with the types every set has."""
    frame = frame.copy()
    if unique_id is not None:
        frame["unique_id"] = unique_id
    frame["unique_id"] = frame["unique_id"].astype("str")
    if not pd.api.types.is_integer_dtype(frame["ds"]):
        frame["ds"] = pd.to_datetime(frame["ds"]).astype("datetime64[us]")
    frame["y"] = frame["y"].astype("float64")
    first = ["unique_id", "ds", "y"]
    return frame[first + [name for name in frame.columns if name not in first]]


def classics(contents: list[bytes]) -> list[pd.DataFrame]:
    """Two columns each, time and value, one file per series."""
    names = ["AirPassengers", "MonthlySunspots", "MelbourneMinTemp", "FemaleBirths", "CarSales"]
    parts = [
        _tidy(_csv(content, names=["ds", "y"], skiprows=1), name)
        for name, content in zip(names, contents, strict=True)
    ]
    return [pd.concat(parts, ignore_index=True)]


def ett(unique_id: str) -> Callable[[list[bytes]], list[pd.DataFrame]]:
    """Columns date, six loads, OT (oil temperature: the target)."""

    def convert(contents: list[bytes]) -> list[pd.DataFrame]:
        return [_tidy(_csv(contents[0]).rename(columns={"date": "ds", "OT": "y"}), unique_id)]

    return convert


def exchange_rate(contents: list[bytes]) -> list[pd.DataFrame]:
    """Eight columns without header or dates; the dates are the nominal calendar of the LTSF copies."""
    table = _csv(gzip.decompress(contents[0]), header=None, names=_CURRENCIES)
    days = pd.date_range("1990-01-01", periods=len(table), freq="D")
    parts = [_tidy(pd.DataFrame({"ds": days, "y": table[name]}), name) for name in _CURRENCIES]
    return [pd.concat(parts, ignore_index=True)]


def sp500_daily(contents: list[bytes]) -> list[pd.DataFrame]:
    """Columns date, open, high, low, close, adjclose (the target), volume."""
    table = _csv(contents[0])
    table.columns = [name.lower().replace(" ", "").replace("_", "") for name in table.columns]
    table = table.rename(columns={"date": "ds", "adjclose": "y"})
    return [_tidy(table[["ds", "y", "open", "high", "low", "close", "volume"]], "SP500")]


def air_quality(contents: list[bytes]) -> list[pd.DataFrame]:
    """Columns datetime, pollutants, wind; pm2.5 is the target."""
    return [_tidy(_csv(contents[0]).rename(columns={"datetime": "ds", **_POLLUTANTS}), "Valencia")]


def vic_elec(contents: list[bytes]) -> list[pd.DataFrame]:
    """Columns Time (UTC), Demand, Temperature, Date, Holiday; local time of Melbourne is added."""
    table = _csv(contents[0])
    utc = pd.DatetimeIndex(pd.to_datetime(table["Time"], utc=True))
    local = utc.tz_convert("Australia/Melbourne")
    frame = pd.DataFrame(
        {
            "ds": utc.tz_localize(None),
            "y": table["Demand"],
            "temperature": table["Temperature"],
            "holiday": table["Holiday"].astype("int8"),
            "local_hour": (local.hour + local.minute / 60).astype("float32"),
            "local_weekday": local.day_of_week.astype("int8"),
        }
    )
    return [_tidy(frame, "VIC")]


def epf(contents: list[bytes]) -> list[pd.DataFrame]:
    """Four columns each: time, two day-ahead forecasts, price (the target)."""
    parts = [
        _tidy(_csv(content, names=["ds", "exog_1", "exog_2", "y"], skiprows=1), name)
        for name, content in zip(["NP", "PJM"], contents, strict=True)
    ]
    return [pd.concat(parts, ignore_index=True)]


def ili(contents: list[bytes]) -> list[pd.DataFrame]:
    """One CSV in a zip: date, six channels, OT (total patients: the target)."""
    with zipfile.ZipFile(io.BytesIO(contents[0])) as archive:
        (member,) = [
            name for name in archive.namelist() if name.endswith(".csv") and "__MACOSX" not in name
        ]
        return [_tidy(_csv(archive.read(member), names=_ILI, skiprows=1), "ILI")]


def m4(contents: list[bytes]) -> list[pd.DataFrame]:
    """Train and test, one row per series: its id, then its values; shorter rows end in empty cells."""
    train, test = (_csv(content, index_col=0) for content in contents)
    known = train.notna().sum(axis=1).loc[test.index]  # steps of each series before its test
    return [_steps(train, np.zeros(len(train), dtype=int)), _steps(test, known.to_numpy())]


def _steps(table: pd.DataFrame, before: np.ndarray) -> pd.DataFrame:
    values = table.to_numpy(dtype="float64")
    series, column = np.nonzero(np.isfinite(values))
    frame = pd.DataFrame(
        {
            "unique_id": table.index.to_numpy()[series],
            "ds": (before[series] + column + 1).astype("int32"),
            "y": values[series, column],
        }
    )
    return _tidy(frame)


def nab(names: list[str]) -> Callable[[list[bytes]], list[pd.DataFrame]]:
    """One timestamp, value file per series, then the labelled points and the scoring windows."""

    def convert(contents: list[bytes]) -> list[pd.DataFrame]:
        points, windows = (json.loads(content) for content in contents[-2:])
        parts = []
        for name, content in zip(names, contents[:-2], strict=True):
            frame = _tidy(_csv(content, names=["ds", "y"], skiprows=1), name)
            frame = frame.sort_values("ds", kind="stable").drop_duplicates("ds", ignore_index=True)
            labelled = pd.to_datetime(pd.Series(points[f"{name}.csv"]))
            inside = np.zeros(len(frame), dtype=bool)
            for first, last in windows[f"{name}.csv"]:
                inside |= frame["ds"].between(pd.Timestamp(first), pd.Timestamp(last)).to_numpy()
            frame["anomaly"] = frame["ds"].isin(labelled).astype("int8")
            frame["anomaly_window"] = inside.astype("int8")
            parts.append(frame)
        return [pd.concat(parts, ignore_index=True)]

    return convert
