"""The public sets: source, licence, addresses, conversion and fingerprint of each."""

from __future__ import annotations

from . import convert
from .entries import PublicSet

__all__ = ["PUBLIC"]

_CLASSICS = "jbrownlee/Datasets/d20fcb6402ae"
_ETT = "zhouhaoyi/ETDataset/1d16c8f4f943"
_LSTNET = "laiguokun/multivariate-time-series-data/7f402f185cc2435b5e66aed13a3b560ed142e023"
_LTSF = "aspire-zero/long_term_forecast_data/e9ac8b3ea5521219ece2b5d1baa7c09d4b6fd24a"
_VEGA = "vega/vega-datasets/cad85578e232"
_SKFORECAST = "skforecast/skforecast-datasets/f8c3d7fe5ec4"
_TIMEXER = "thuml/TimeXer/760119093579"
_M4 = "Mcompetitions/M4-methods/6c1067e5a571"
_NAB = "numenta/NAB/ea702d75cc22"

_NONE = "none stated in the source repository"
_CC = "CC BY-ND 4.0"
_M4_LICENCE = "none stated; competition data for research use (cite Makridakis et al. 2020, IJF)"
_KNOWN_CAUSE = [
    f"realKnownCause/{name}"
    for name in (
        "ambient_temperature_system_failure",
        "cpu_utilization_asg_misconfiguration",
        "ec2_request_latency_system_failure",
        "machine_temperature_system_failure",
        "nyc_taxi",
        "rogue_agent_key_hold",
        "rogue_agent_key_updown",
    )
]


def _raw(repository: str, *paths: str) -> tuple[str, ...]:
    """Return the addresses of files at a commit of a GitHub repository."""
    return tuple(f"https://raw.githubusercontent.com/{repository}/{path}" for path in paths)


def _m4(
    period: str, freq: str, horizon: int, season: int, size: tuple[int, int], mark: str
) -> PublicSet:
    complete = not period.endswith("_partial")
    paths = (f"Dataset/Train/{period}-train.csv", f"Dataset/Test/{period}-test.csv")
    return PublicSet(
        f"m4_{period.lower()}",
        f"M4 competition, {period.replace('_partial', ' (a part of the series)').lower()}; "
        f"the last {horizon} steps are the test",
        "github.com/Mcompetitions/M4-methods",
        _M4_LICENCE,
        "various",
        freq,
        horizon,
        season,
        *size,
        "download" if complete else "cache",
        folder="m4",
        files=(f"{period}-train.parquet", f"{period}-test.parquet"),
        addresses=_raw(_M4, *paths) if complete else (),
        convert=convert.m4 if complete else None,
        fingerprint=mark,
    )


def _m3(
    period: str, freq: str, horizon: int, season: int, size: tuple[int, int], mark: str
) -> PublicSet:
    return PublicSet(
        f"m3_{period.lower()}",
        f"M3 competition, {period.lower()}; the last {horizon} steps are the test",
        "github.com/robjhyndman/Mcomp, data/M3.rda",
        "GPL-3 (R package Mcomp)",
        "various",
        freq,
        horizon,
        season,
        *size,
        "cache",
        folder="m3",
        files=(f"{period}-train.parquet", f"{period}-test.parquet"),
        addresses=(),
        convert=None,
        fingerprint=mark,
    )


PUBLIC = (
    PublicSet(
        "classics", "Airline passengers, sunspots, Melbourne minimum temperature, births, car sales",
        "github.com/jbrownlee/Datasets", _NONE, "per series", "MS and D", 12, 12, 5, 7087, "download",
        "classics", ("classics.parquet",),
        _raw(_CLASSICS, "airline-passengers.csv", "monthly-sunspots.csv", "daily-min-temperatures.csv",
             "daily-total-female-births.csv", "monthly-car-sales.csv"),
        convert.classics, "7145ea299856793c083657da1f184a10",
    ),
    PublicSet(
        "etth1", "Electricity transformer: oil temperature and six loads, hourly, 2016 to 2018",
        "github.com/zhouhaoyi/ETDataset", _CC, "degrees Celsius", "h", 24, 24, 1, 17420, "download",
        "etth1", ("ETTh1.parquet",), _raw(_ETT, "ETT-small/ETTh1.csv"),
        convert.ett("ETTh1"), "5518f28565bdc8f6729bffe471a17872",
    ),
    PublicSet(
        "ettm1", "Electricity transformer: oil temperature and six loads, every 15 minutes, 2016 to 2018",
        "github.com/zhouhaoyi/ETDataset", _CC, "degrees Celsius", "15min", 96, 96, 1, 69680, "download",
        "ettm1", ("ETTm1.parquet",), _raw(_ETT, "ETT-small/ETTm1.csv"),
        convert.ett("ETTm1"), "d4632fc54185e2abfea899dc5a78d0c7",
    ),
    PublicSet(
        "exchange_rate", "Eight currencies, daily, 1990 to 2016; the dates are a nominal calendar",
        "github.com/laiguokun/multivariate-time-series-data", _NONE, "US dollars per unit", "D",
        24, 5, 8, 60704, "download", "exchange_rate", ("exchange_rate.parquet",),
        _raw(_LSTNET, "exchange_rate/exchange_rate.txt.gz"),
        convert.exchange_rate, "ad8cd68c743fbfc82e1c9c2bce6c2ac3",
    ),
    PublicSet(
        "sp500_daily", "S&P 500 index: adjusted close and OHLCV, daily, 2000-01-03 to 2020-04-17",
        "github.com/vega/vega-datasets", "BSD-3-Clause", "index points", "B",
        21, 5, 1, 5105, "download", "sp500_daily", ("sp500_daily.parquet",),
        _raw(_VEGA, "data/sp500-2000.csv"),
        convert.sp500_daily, "41decd61a944e3573d62146e4b42e519",
    ),
    PublicSet(
        "air_quality", "Fine dust PM2.5, seven gases and wind, Valencia, hourly, 2019 to 2023, real gaps",
        "github.com/skforecast/skforecast-datasets", "BSD-3-Clause", "micrograms per cubic metre", "h",
        24, 24, 1, 43824, "download", "air_quality", ("air_quality.parquet",),
        _raw(_SKFORECAST, "data/air_quality_valencia.csv"),
        convert.air_quality, "01de9bce573c3e4e1ce6479837446367",
    ),
    PublicSet(
        "vic_elec", "Electricity demand of Victoria, temperature, holidays, half-hourly, 2012 to 2014, UTC",
        "github.com/skforecast/skforecast-datasets (R package tsibbledata)", "GPL-3; BSD-3-Clause copy",
        "MWh per half-hour", "30min", 48, 48, 1, 52608, "download", "vic_elec", ("vic_elec.parquet",),
        _raw(_SKFORECAST, "data/vic_electricity.csv"),
        convert.vic_elec, "ffdbeab252270ed27d8e0091bc9eb8bf",
    ),
    PublicSet(
        "epf", "Day-ahead power price NP and PJM with two forecasts known the day before, hourly, 2013 to 2018",
        "github.com/thuml/TimeXer (Lago et al. 2021)", _NONE, "EUR per MWh (NP), USD per MWh (PJM)", "h",
        24, 24, 2, 104832, "download", "epf", ("epf.parquet",),
        _raw(_TIMEXER, "dataset/EPF/NP.csv", "dataset/EPF/PJM.csv"),
        convert.epf, "27df5ec7795ec0f6169124aa02248649",
    ),
    PublicSet(
        "ili", "US influenza-like illness: total patients and six channels, weekly, 2002 to 2020",
        "github.com/aspire-zero/long_term_forecast_data (US CDC)", f"{_NONE}; US CDC data (public domain)",
        "patients", "W-TUE", 24, 52, 1, 966, "download", "ili", ("ili.parquet",),
        _raw(_LTSF, "illness.zip"), convert.ili, "70c86ab4ddecea610b458ca71339ff10",
    ),
    PublicSet(
        "nab", "Seven sensor and server metrics with labelled anomalies, every 5 minutes to 1 hour",
        "github.com/numenta/NAB", "MIT", "per series", "5min, 30min and h", 12, 288, 7, 69538, "download",
        "nab_known_cause", ("nab_known_cause.parquet",),
        _raw(_NAB, *(f"data/{name}.csv" for name in _KNOWN_CAUSE),
             "labels/combined_labels.json", "labels/combined_windows.json"),
        convert.nab(_KNOWN_CAUSE), "25cf107c3f6318e85b4a0f7c3ed1a2f2",
    ),
    _m4("Yearly", "YS", 6, 1, (23000, 858458), "7aa25304f6929958684a0e5df5b64ce7"),
    _m4("Weekly", "W", 13, 1, (359, 371579), "7853bcaea4ae7c7aef9c2c49e2e74c09"),
    _m4("Hourly", "h", 48, 24, (414, 373372), "77c4dd871a0bb37caf9d055caf1d0438"),
    _m4("Quarterly_partial", "QS", 8, 4, (15095, 1126489), "81aa880e6f0663530fc07c25ef73868d"),
    _m4("Monthly_partial", "MS", 18, 12, (277, 63940), "9e570b3277e935d974d436c35f57923f"),
    _m4("Daily_partial", "D", 14, 1, (633, 250463), "6a01fbbb37044fab110001621aa7fae6"),
    _m3("Yearly", "YS", 6, 1, (645, 18319), "fcae7540f00db2690797e84b9df8ad3b"),
    _m3("Quarterly", "QS", 8, 4, (756, 37004), "55ebaa2d97790b45c9aee547d7d222ac"),
    _m3("Monthly", "MS", 18, 12, (1428, 167562), "8d858c0d43737a495f4a402a470da52a"),
    _m3("Other", "step", 8, 1, (174, 13325), "6837646b417da7cbad3907371f7d75d4"),
    PublicSet(
        "hospital", "767 patient counts, monthly, 2000 to 2006; the last 12 are the test",
        "github.com/robjhyndman/expsmooth, data/hospital.rda", "GPL-3 (R package expsmooth)", "patients",
        "MS", 12, 12, 767, 64428, "cache", "hospital", ("hospital.parquet",), (), None,
        "4d3b4bab2b2c0286b229d1a7f3b2c0fb",
    ),
    PublicSet(
        "stocks_kdd17", "50 US stocks: adjusted close and OHLCV, daily, 2007 to 2016",
        "github.com/z331565360/State-Frequency-Memory-stock-prediction", f"{_NONE}; from Yahoo Finance",
        "US dollars", "B", 5, 5, 50, 125900, "cache", "stocks_kdd17", ("stocks_kdd17.parquet",), (), None,
        "832dab0ca8f0beb05a5d3e87ab2dfba7",
    ),
    PublicSet(
        "stallion", "Beverage sales of 350 agency and product pairs with covariates, monthly, 2013 to 2017",
        "github.com/sktime/pytorch-forecasting, examples/data/stallion.parquet", "MIT repository",
        "sales volume", "MS", 6, 12, 350, 21000, "cache", "stallion", ("stallion.parquet",), (), None,
        "4a5771ccb57ccfddbeaad779f387e759",
    ),
)  # fmt: skip
