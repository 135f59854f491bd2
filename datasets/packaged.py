"""Real prices and sensors that come inside the packages arch and statsmodels."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pandas as pd

from .entries import Entry

__all__ = ["PACKAGED", "read_packaged"]

_PRICES = "none stated for the data (arch itself: NCSA)"
_PUBLIC = "public domain"
PACKAGED = (
    Entry("sp500", "S&P 500 index, daily adjusted close, 1999-01-04 to 2018-12-31",
          "arch.data.sp500", _PRICES, "index points", "B", 21, 5, 1, 5031, "arch"),
    Entry("nasdaq", "NASDAQ Composite index, daily adjusted close, 1999-01-04 to 2018-12-31",
          "arch.data.nasdaq", _PRICES, "index points", "B", 21, 5, 1, 5031, "arch"),
    Entry("wti", "West Texas Intermediate crude oil, Cushing, daily, 1986-01-02 to 2019-01-03",
          "arch.data.wti (FRED DCOILWTICO)", _PRICES, "US dollars per barrel", "B", 21, 5, 1, 8321, "arch"),
    Entry("vix", "CBOE volatility index VIX, daily close, 2014-01-03 to 2019-01-03",
          "arch.data.vix (FRED VIXCLS)", _PRICES, "percent per year", "B", 21, 5, 1, 1259, "arch"),
    Entry("us_markets", "S&P 500, NASDAQ, crude oil and VIX on their common sessions, 2014-01-03 to 2018-12-28",
          "arch.data", _PRICES, "as in the single sets", "B", 21, 5, 4, 5012, "arch"),
    Entry("co2", "Atmospheric CO2 at Mauna Loa, weekly, 1958-03-29 to 2001-12-29; 59 weeks missing",
          "statsmodels.datasets.co2 (Keeling & Whorf 2004)", _PUBLIC, "parts per million",
          "W-SAT", 52, 52, 1, 2284, "statsmodels"),
    Entry("elnino", "Sea surface temperature, region Nino 1+2, monthly, 1950 to 2010",
          "statsmodels.datasets.elnino (NOAA ERSST.V3B)", _PUBLIC, "degrees Celsius",
          "MS", 12, 12, 1, 732, "statsmodels"),
    Entry("sunspots", "Sunspot number, yearly, 1700 to 2008",
          "statsmodels.datasets.sunspots (NOAA)", _PUBLIC, "sunspot number",
          "YS", 11, 11, 1, 309, "statsmodels"),
)  # fmt: skip

_COLUMNS = {
    "sp500": ("SP500", "Adj Close"),
    "nasdaq": ("NASDAQ", "Adj Close"),
    "wti": ("WTI", "DCOILWTICO"),
    "vix": ("VIX", "vix"),
}


def read_packaged(name: str) -> pd.DataFrame:
    """Return a packaged set as a long frame unique_id, ds, y.

    Prices have one row per session: days on which the source holds no price are not sessions and
    are left out. Missing weeks of ``co2`` are NaN.
    """
    if name == "us_markets":
        return _common_sessions([read_packaged(single) for single in _COLUMNS])
    if name in _COLUMNS:
        unique_id, column = _COLUMNS[name]
        prices = _import("arch", f"arch.data.{name}").load()[column].dropna()
        return _long(unique_id, prices.index, prices)
    table = _import("statsmodels", f"statsmodels.datasets.{name}").load_pandas().data
    if name == "co2":
        return _long("MaunaLoa", table.index, table["co2"])
    if name == "sunspots":
        return _long("Sunspots", _dates(table["YEAR"], 1), table["SUNACTIVITY"])
    years = table["YEAR"].repeat(12)
    values = table.drop(columns="YEAR").to_numpy().ravel()  # one column per month, JAN to DEC
    return _long("Nino12", _dates(years, np.tile(np.arange(1, 13), len(table))), values)


def _common_sessions(frames: list[pd.DataFrame]) -> pd.DataFrame:
    panel = pd.concat(frames, ignore_index=True)
    sessions = panel.groupby("ds")["unique_id"].transform("size")
    return panel[sessions == len(frames)].reset_index(drop=True)


def _dates(years: pd.Series, months: Any) -> pd.DatetimeIndex:
    parts = pd.DataFrame({"year": years.to_numpy().astype(int), "month": months, "day": 1})
    return pd.DatetimeIndex(pd.to_datetime(parts))


def _long(unique_id: str, times: Any, values: Any) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "unique_id": pd.Series([unique_id] * len(values), dtype="str"),
            "ds": pd.DatetimeIndex(times).as_unit("us").to_numpy(),
            "y": pd.Series(values).to_numpy(dtype="float64", copy=True),
        }
    )


def _import(package: str, module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"This data set comes with {package}, which is not installed. "
            "Install it with: pip install 'tsrnn[datasets]'"
        ) from error
