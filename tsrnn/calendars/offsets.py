"""The step a caller states: ``freq=`` and ``calendar=`` read as a TimeAxis."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from tsrnn.calendars.axis import (
    FIRST_BUSINESS_DAY,
    LAST_BUSINESS_DAY,
    MONTH_END,
    PER_SECOND,
    TimeAxis,
)
from tsrnn.exceptions import DataError, MissingDependencyError, ParameterError

__all__ = ["axis_from_calendar", "axis_from_freq"]

_OLD_ALIASES = {
    "M": "ME",
    "Q": "QE",
    "Y": "YE",
    "A": "YE",
    "H": "h",
    "T": "min",
    "S": "s",
    "BM": "BME",
}
_WEEKDAYS = "1111100"


def axis_from_freq(bare: TimeAxis, freq: Any) -> TimeAxis:
    """Return the axis of the frequency a caller states, for times of the kind of ``bare``.

    Raises
    ------
    ParameterError
        ``freq`` is no frequency, or none for this kind of time.
    """
    if bare.kind == "integer":
        whole = isinstance(freq, (int, np.integer)) or (isinstance(freq, str) and freq.isdigit())
        if isinstance(freq, bool) or not whole or int(freq) < 1:
            raise ParameterError(
                f"The 'freq' parameter must be a positive integer for integer times. Got {freq!r}."
            )
        return replace(bare, freq=str(int(freq)), step=int(freq))
    offset = _offset(freq)
    if bare.kind == "period":
        own = getattr(pd.PeriodDtype(bare.freq), "freq")  # noqa: B009 - missing in the stubs
        if offset.rule_code != own.rule_code:
            raise ParameterError(
                f"The 'freq' parameter must agree with the periods' own frequency {bare.freq!r}. Got {freq!r}."
            )
        return replace(bare, step=int(offset.n))
    axis = _axis_from_offset(bare, offset)
    if axis is None:
        raise ParameterError(
            "The 'freq' parameter must be a multiple of seconds, minutes, hours, days, weeks, business days, "
            f"months, quarters or years, such as '30min', 'D', 'W-SUN', 'B', 'MS' or 'QE-DEC'. Got {freq!r}."
        )
    return axis


def _offset(freq: Any) -> Any:
    if isinstance(freq, str):
        base = freq.lstrip("0123456789").split("-")[0]
        if base in _OLD_ALIASES:
            raise ParameterError(
                f"The 'freq' parameter must be a pandas alias. Got {freq!r}, an old one: "
                f"write {freq.replace(base, _OLD_ALIASES[base], 1)!r}."
            )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pandas 2 on aliases it is about to rename
            offset = to_offset(freq)
    except (ValueError, TypeError) as error:
        raise ParameterError(
            f"The 'freq' parameter must be a pandas alias such as 'h', 'D', 'B', 'W-SUN' or 'MS'. Got {freq!r}."
        ) from error
    if offset is None or offset.n < 1:
        raise ParameterError(f"The 'freq' parameter must be a positive step. Got {freq!r}.")
    return offset


def _axis_from_offset(bare: TimeAxis, offset: Any) -> TimeAxis | None:
    offsets = pd.offsets
    n = int(offset.n)
    text = offset.freqstr
    if isinstance(offset, offsets.Day):
        return replace(bare, freq=text, grid="day", step=n)
    if isinstance(offset, offsets.Week):
        weekday: int | None = getattr(offset, "weekday")  # noqa: B009 - missing in the stubs
        # 1970-01-01 was a Thursday; every second week may start with either one
        anchor = None if weekday is None or n > 1 else (weekday - 3) % 7
        return replace(bare, freq=text, grid="day", step=7 * n, anchor=anchor)
    if isinstance(offset, offsets.Tick):
        step = pd.Timedelta(offset).value * PER_SECOND[bare.unit]
        if step % 10**9:
            raise ParameterError(
                f"The 'freq' parameter {text!r} is finer than the unit of the times ({bare.unit!r}). Convert them with .dt.as_unit('ns')."
            )
        return replace(bare, freq=text, step=step // 10**9)
    if type(offset) in {offsets.BusinessDay, offsets.CustomBusinessDay} and n == 1:
        weekmask, holidays = _business_days(offset)
        return replace(bare, freq=text, grid="session", weekmask=weekmask, holidays=holidays)
    rule = _month_rule(offset)
    if rule is None:
        return None
    months, month, day = rule
    step = months * n
    anchor = (month - 1) % step if month is not None and n == 1 and step > 1 else None
    return replace(bare, freq=text, grid="month", step=step, anchor=anchor, day=day)


def _month_rule(offset: Any) -> tuple[int, int | None, int] | None:
    """Return (months, anchor month, day of month) of a month, quarter or year offset."""
    name = type(offset).__name__
    lengths = {"Month": 1, "Quarter": 3, "Year": 12}
    ends = {"Begin": 1, "End": MONTH_END}
    for prefix in ("", "B", "Business"):
        for unit, months in lengths.items():
            for end, day in ends.items():
                if name == f"{prefix}{unit}{end}":
                    business = FIRST_BUSINESS_DAY if day == 1 else LAST_BUSINESS_DAY
                    month = getattr(offset, "startingMonth", getattr(offset, "month", None))
                    return months, month, business if prefix else day
    return None


def _business_days(offset: Any) -> tuple[str, tuple[str, ...]]:
    """Return week pattern and ISO holidays of a business day offset."""
    mask = np.busdaycalendar(weekmask=offset.weekmask or _WEEKDAYS).weekmask
    days = np.array(offset.holidays or (), dtype="M8[D]")
    return "".join("1" if day else "0" for day in mask), tuple(str(day) for day in np.unique(days))


def axis_from_calendar(bare: TimeAxis, calendar: Any, times: np.ndarray) -> TimeAxis:
    """Return the axis of the trading sessions a caller names.

    Parameters
    ----------
    bare : TimeAxis
        Kind, unit and time zone of the times.
    calendar : str, list of dates, pandas offset or holiday calendar
        Name of an exchange as in ``exchange_calendars`` ("XNYS"), dates without a session, a
        ``CustomBusinessDay``, or an ``AbstractHolidayCalendar``.
    times : ndarray of int64, shape (rows,)
        The observed times; rules are written out as dates from the first of them to 15 years after
        the last, so that a saved model needs no calendar package.

    Raises
    ------
    ParameterError
        ``calendar`` is none of these.
    DataError
        The times are no dates.
    MissingDependencyError
        An exchange is named and ``exchange_calendars`` is not installed.
    """
    if bare.kind != "datetime":
        raise DataError(
            f"The 'calendar' parameter needs a time column of datetimes. Got {bare.kind} times. "
            "Convert the column with pd.to_datetime, or leave 'calendar' out."
        )
    days = bare.wall(times) // bare.ticks_per_day
    first = pd.Timestamp(np.datetime64(int(days.min()), "D"))
    last = pd.Timestamp(np.datetime64(int(days.max()), "D")) + pd.DateOffset(years=15)
    weekmask, exchange = _WEEKDAYS, None
    if isinstance(calendar, str):
        exchange = calendar
        weekmask, holidays = _exchange_days(calendar, first, last)
    elif type(calendar) in {pd.offsets.BusinessDay, pd.offsets.CustomBusinessDay}:
        weekmask, holidays = _business_days(calendar)
    elif hasattr(calendar, "holidays") and callable(calendar.holidays):
        holidays = tuple(str(day.date()) for day in calendar.holidays(first, last))
    else:
        holidays = _dates(calendar)
    freq = "B" if weekmask == _WEEKDAYS and not holidays else "C"
    return replace(
        bare, freq=freq, grid="session", weekmask=weekmask, holidays=holidays, exchange=exchange
    )


def _dates(holidays: Any) -> tuple[str, ...]:
    try:
        days = pd.DatetimeIndex(list(holidays)).dropna()
    except (TypeError, ValueError) as error:
        raise ParameterError(
            "The 'calendar' parameter must be the name of an exchange ('XNYS'), dates without a session, "
            f"a pandas CustomBusinessDay or a pandas holiday calendar. Got {calendar_text(holidays)}."
        ) from error
    return tuple(sorted({str(day.date()) for day in days}))


def calendar_text(value: Any) -> str:
    """Return a short text of any value."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _exchange_days(
    name: str, first: pd.Timestamp, last: pd.Timestamp
) -> tuple[str, tuple[str, ...]]:
    """Return the week days with sessions, and the other such days, of an exchange from first to last."""
    try:
        import exchange_calendars
    except ImportError as error:
        raise MissingDependencyError(
            f"calendar={name!r} needs the package exchange_calendars. "
            'Install it with: pip install "tsrnn[calendars]"'
        ) from error
    known = exchange_calendars.get_calendar_names()
    if name not in known:
        raise ParameterError(
            f"The 'calendar' parameter must be an exchange of exchange_calendars such as 'XNYS' or 'XLON'. Got {name!r}."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the package
        sessions = _sessions_between(exchange_calendars, name, first, last)
    days = sessions.to_numpy().astype("M8[D]")
    mask = np.bincount((days.astype(np.int64) + 3) % 7, minlength=7) > 0
    every = np.arange(days[0], days[-1] + 1)
    free = every[np.is_busday(every, weekmask=mask) & ~np.isin(every, days)]
    return "".join("1" if day else "0" for day in mask), tuple(str(day) for day in free)


def _sessions_between(package: Any, name: str, first: pd.Timestamp, last: pd.Timestamp) -> Any:
    """Return the sessions of an exchange, as far as the package knows them."""
    try:
        known = type(package.get_calendar(name))
        low, high = known.bound_min(), known.bound_max()
        start = first if low is None else max(first, low)
        end = last if high is None else min(last, high)
        return package.get_calendar(name, start=start, end=end).sessions
    except ValueError as error:
        raise DataError(
            f"calendar={name!r} must have sessions from {first.date()} on. exchange_calendars can't make them: "
            f"{calendar_text(error)}. Give the days without a session instead."
        ) from error
