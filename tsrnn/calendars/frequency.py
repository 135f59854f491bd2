"""Which step a set of stamps follows: inferred from the gaps, and checked against every stamp."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pandas as pd

from tsrnn.calendars.axis import (
    FIRST_BUSINESS_DAY,
    LAST_BUSINESS_DAY,
    MONTH_END,
    PER_SECOND,
    TimeAxis,
)

__all__ = ["first_misfit", "infer_axis", "is_complete"]

_SAMPLE = 200_000  # rows that propose a step, checked against all
_BLOCK = 1_000_000  # rows checked at a time
_WEEKS_TO_TELL = 8
_SPECIAL = 0.02  # share of sessions outside the week pattern, at most
_DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_TICKS = {"h": 3600 * 10**9, "min": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3}
_MONTH_RULES = {1: "MS", MONTH_END: "ME", FIRST_BUSINESS_DAY: "BMS", LAST_BUSINESS_DAY: "BME"}


def infer_axis(
    bare: TimeAxis, times: np.ndarray, indptr: np.ndarray, *, even: int | None = None
) -> TimeAxis | None:
    """Return the axis on which ``times`` lie, or None where they lie on none.

    The most frequent gap proposes the step; the calendar candidates (sessions, weeks, months,
    days, ticks) are then tried from the most to the least specific against every stamp.

    Parameters
    ----------
    bare : TimeAxis
        Kind, unit and time zone of the times.
    times : ndarray of int64, shape (rows,)
        Times, increasing within each series.
    indptr : ndarray of int64, shape (series + 1,)
        Offsets of the series.
    even : int, optional
        The difference of neighbouring times within every series, where it is known to be one.
    """
    head = min(len(times), _SAMPLE)
    axis = _infer(bare, times[:head], np.append(indptr[indptr < head], head))
    if head == len(times) or (
        axis is not None and first_misfit(axis, times, indptr, even=even) is None
    ):
        return axis
    return _infer(bare, times, indptr)


def _infer(bare: TimeAxis, times: np.ndarray, indptr: np.ndarray) -> TimeAxis | None:
    if bare.kind == "period":
        bare = replace(bare, step=int(cast(Any, pd.PeriodDtype(bare.freq)).freq.n))
    gaps = within(np.diff(times), indptr)
    if gaps.size == 0:
        if bare.kind == "datetime":
            return None
        return replace(bare, freq="1") if bare.kind == "integer" else bare
    for axis in _candidates(bare, times, indptr, gaps):
        if first_misfit(axis, times, indptr) is None:
            return axis
    return None


def within(differences: np.ndarray, indptr: np.ndarray) -> np.ndarray:
    """Return the differences of neighbouring rows (rows - 1,) that stay inside a series."""
    borders = indptr[1:-1]
    borders = borders[(borders > 0) & (borders <= differences.size)]
    return np.delete(differences, borders - 1) if borders.size else differences


def first_misfit(
    axis: TimeAxis, times: np.ndarray, indptr: np.ndarray, *, even: int | None = None
) -> int | None:
    """Return the first row whose stamp is not on ``axis`` or not whole steps after the one before."""
    if even is not None and even == axis.even_step:  # the first row of a series tells of the others
        off = ~axis.fits(times[indptr[:-1]])
        return int(indptr[int(off.argmax())]) if off.any() else None
    off_week = None
    if axis.observed:
        off_week = np.concatenate([~axis.fits(times[rows]) for rows in _blocks(len(times))])
        # a few sessions outside the week pattern are special ones; many are another frequency
        if off_week.sum() > 1 and off_week.mean() > _SPECIAL:
            return int(off_week.argmax())
    for rows, borders in _blocks_with_borders(indptr):
        part = times[rows]
        misfit = np.zeros(part.size, dtype=bool) if axis.observed else ~axis.fits(part)
        if not axis.observed:
            gaps = np.diff(axis.position(part))
            gaps[borders] = axis.step
            misfit[1:] |= (gaps % axis.step != 0) | (gaps <= 0)
        if axis.grid != "tick":
            of_day = np.diff(_time_of_day(axis, part))
            of_day[borders] = 0
            misfit[1:] |= of_day != 0
        if misfit.any():
            return rows.start + int(misfit.argmax())
    return None


def _time_of_day(axis: TimeAxis, times: np.ndarray) -> np.ndarray:
    """Return wall-clock time since midnight; a stamp that a clock change moved counts as the usual one."""
    of_day = axis.wall(times) % axis.ticks_per_day
    if axis.tz is not None and (of_day != of_day[0]).any():
        usual = int(of_day.argmin())
        moved = axis.stamp(axis.position(times), times[usual]) == times
        of_day[moved] = of_day[usual]
    return of_day


def is_complete(
    axis: TimeAxis, times: np.ndarray, indptr: np.ndarray, *, even: int | None = None
) -> bool:
    """Return whether each row is exactly one step after the one before in its series."""
    if even is not None and even == axis.even_step:
        return True
    for rows, borders in _blocks_with_borders(indptr):
        gaps = np.diff(axis.position(times[rows]))
        gaps[borders] = axis.step
        if (gaps != axis.step).any():
            return False
    return True


def _blocks(rows: int) -> Iterator[slice]:
    """Cut rows into stretches that overlap by one row: what is computed on the way stays small."""
    for start in range(0, rows, _BLOCK):
        yield slice(max(start - 1, 0), min(start + _BLOCK, rows))


def _blocks_with_borders(indptr: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Return such stretches, and in each the differences that go from one series to the next."""
    for rows in _blocks(int(indptr[-1])):
        low, high = np.searchsorted(indptr, (rows.start + 1, rows.stop))
        yield rows, indptr[low:high] - rows.start - 1


def most_frequent(gaps: np.ndarray) -> int:
    """Return the most frequent value, the smallest of equals."""
    if (gaps == gaps[0]).all():
        return int(gaps[0])
    values, counts = np.unique(gaps, return_counts=True)
    return int(values[counts.argmax()])


def _candidates(
    bare: TimeAxis, times: np.ndarray, indptr: np.ndarray, gaps: np.ndarray
) -> Iterator[TimeAxis]:
    gap = most_frequent(gaps)
    if bare.kind != "datetime":
        yield from _tick_candidates(bare, gaps, gap)
        return
    if gap >= 23 * 3600 * PER_SECOND[bare.unit]:
        days = bare.wall(times) // bare.ticks_per_day
        day_gaps = within(np.diff(days), indptr)
        if (day_gaps > 0).all():
            yield from _calendar_candidates(bare, days, indptr, day_gaps)
    yield from _tick_candidates(bare, gaps, gap)


def _tick_candidates(bare: TimeAxis, gaps: np.ndarray, gap: int) -> Iterator[TimeAxis]:
    common = int(np.gcd.reduce(gaps))
    yield _tick_axis(bare, gap)
    # the greatest common step only where it is itself a usual gap: one stray stamp proves no step
    if common != gap and np.count_nonzero(gaps == common) * 4 >= gaps.size:
        yield _tick_axis(bare, common)


def _tick_axis(bare: TimeAxis, step: int) -> TimeAxis:
    if bare.kind == "integer":
        return replace(bare, freq=str(step), step=step)
    if bare.kind == "period":
        return replace(bare, step=step)
    return replace(bare, freq=tick_name(step, bare.unit), step=step)


def tick_name(step: int, unit: str) -> str:
    """Return the pandas alias of ``step`` units of time.

    >>> tick_name(1800, "s")
    '30min'
    """
    nanoseconds = step * (PER_SECOND["ns"] // PER_SECOND[unit])
    for name, size in _TICKS.items():
        if nanoseconds % size == 0:
            return name if nanoseconds == size else f"{nanoseconds // size}{name}"
    return f"{nanoseconds}ns"


def usual_name(step: int, unit: str) -> str:
    """Return the alias a user would write for about ``step`` units of time, for messages."""
    days, rest = divmod(step, 86400 * PER_SECOND[unit])
    if rest or not days:
        return tick_name(step, unit)
    named = {
        7: "W",
        28: "MS",
        29: "MS",
        30: "MS",
        31: "MS",
        90: "QS",
        91: "QS",
        92: "QS",
        365: "YS",
        366: "YS",
    }
    return named.get(days, "D" if days == 1 else f"{days}D")


def _calendar_candidates(
    bare: TimeAxis, days: np.ndarray, indptr: np.ndarray, day_gaps: np.ndarray
) -> Iterator[TimeAxis]:
    gap = most_frequent(day_gaps)
    if gap >= 28:
        yield from _month_candidates(bare, days, indptr)
    if gap == 1:
        weekmask = _week_pattern(days, indptr)
        if weekmask is not None:
            yield _session_axis(bare, weekmask, days, indptr)
    if gap % 7 == 0:
        weekday = int(days[0] % gap)
        yield _day_axis(bare, gap, weekday)
    yield _day_axis(bare, gap, None)


def _day_axis(bare: TimeAxis, step: int, anchor: int | None) -> TimeAxis:
    name = "D"
    count = step
    if anchor is not None:
        name, count = f"W-{_DAYS[(anchor + 3) % 7]}", step // 7
    return replace(
        bare, freq=name if count == 1 else f"{count}{name}", grid="day", step=step, anchor=anchor
    )


def _month_candidates(bare: TimeAxis, days: np.ndarray, indptr: np.ndarray) -> Iterator[TimeAxis]:
    dates = days.astype("M8[D]")
    months = dates.astype("M8[M]").astype(np.int64)
    day = int((dates - dates.astype("M8[M]")).astype(np.int64).max()) + 1
    gaps = within(np.diff(months), indptr)
    if (gaps <= 0).any():
        return
    step = most_frequent(gaps)
    anchor = int(months[0] % step)
    for rule in dict.fromkeys((1, day, MONTH_END, FIRST_BUSINESS_DAY, LAST_BUSINESS_DAY)):
        if rule > 27 and rule != LAST_BUSINESS_DAY:
            # 28, 29 and 30 are the month's last day where all stamps are; else the day itself, cut to the month
            yield _month_axis(bare, step, anchor, MONTH_END)
        yield _month_axis(bare, step, anchor, rule)


def _month_axis(bare: TimeAxis, step: int, anchor: int | None, day: int) -> TimeAxis:
    rule = _MONTH_RULES.get(day, "MS")
    month = 0 if anchor is None else anchor % 12
    name, count = rule, step
    if step % 12 == 0:
        name, count = f"{rule.replace('M', 'Y')}-{_MONTHS[month]}", step // 12
    elif step % 3 == 0 and anchor is not None:
        # the last of the four months names a quarter, as pandas.infer_freq has it
        name, count = f"{rule.replace('M', 'Q')}-{_MONTHS[9 + month % 3]}", step // 3
    text = name if count == 1 else f"{count}{name}"
    return replace(
        bare, freq=text, grid="month", step=step, anchor=anchor if step > 1 else None, day=day
    )


def _week_pattern(days: np.ndarray, indptr: np.ndarray) -> str | None:
    """Return the week days with sessions ("1111100"), or None where every day of the week has rows."""
    seen = np.bincount((days + 3) % 7, minlength=7)
    one = seen.max() >= _WEEKS_TO_TELL  # a single row of a day is then no habit
    usual = seen > max(_SPECIAL * seen.max(), float(one))
    free = np.flatnonzero(~usual)
    weeks = float((days[indptr[1:] - 1] - days[indptr[:-1]]).sum()) / 7
    if free.size == 0 or free.size > 3:
        return None
    crossed = within(np.diff(days), indptr)
    weekend = free.tolist() == [5, 6]
    enough = (crossed > 2).any() if weekend else _is_run(free) and weeks >= 4
    return "".join("1" if day else "0" for day in usual) if enough else None


def _is_run(free: np.ndarray) -> bool:
    return any(
        set(free.tolist()) == {(start + k) % 7 for k in range(free.size)} for start in range(7)
    )


def _session_axis(bare: TimeAxis, weekmask: str, days: np.ndarray, indptr: np.ndarray) -> TimeAxis:
    first, last = days[indptr[:-1]].astype("M8[D]"), days[indptr[1:] - 1].astype("M8[D]")
    expected = np.busday_count(first, last + 1, weekmask=weekmask).sum()
    freq = "B" if weekmask == "1111100" else "C"
    # a fifth of the sessions missing is more than any exchange's holidays: then these are gaps
    observed = bool(days.size >= 0.8 * expected)
    return replace(bare, freq=freq, grid="session", weekmask=weekmask, observed=observed)
