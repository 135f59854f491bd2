"""Which step a set of stamps follows: inferred from the gaps, and checked against every stamp."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from tsrnn.calendars import FIRST_BUSINESS_DAY, LAST_BUSINESS_DAY, MONTH_END, PER_SECOND, TimeAxis

__all__ = ["first_misfit", "infer_axis"]

_DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTH_RULES = {1: "MS", MONTH_END: "ME", FIRST_BUSINESS_DAY: "BMS", LAST_BUSINESS_DAY: "BME"}


def infer_axis(bare: TimeAxis, times: np.ndarray, indptr: np.ndarray) -> TimeAxis | None:
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
    """
    if bare.kind == "period":
        step = int(getattr(pd.PeriodDtype(bare.freq), "freq").n)  # noqa: B009 - missing in the stubs
        bare = replace(bare, step=step)
    gaps = within(np.diff(times), indptr)
    if gaps.size == 0:
        return (
            replace(bare, freq="1")
            if bare.kind == "integer"
            else bare
            if bare.kind == "period"
            else None
        )
    for axis in _candidates(bare, times, indptr, gaps):
        if first_misfit(axis, times, indptr) is None:
            return axis
    return None


def within(differences: np.ndarray, indptr: np.ndarray) -> np.ndarray:
    """Return the differences of neighbouring rows (rows - 1,) that stay inside a series."""
    borders = indptr[1:-1]
    borders = borders[(borders > 0) & (borders <= differences.size)]
    return np.delete(differences, borders - 1) if borders.size else differences


def first_misfit(axis: TimeAxis, times: np.ndarray, indptr: np.ndarray) -> int | None:
    """Return the first row whose stamp is not on ``axis`` or not whole steps after the one before."""
    misfit = ~axis.fits(times) if axis.grid != "tick" or axis.anchor is not None else None
    if not axis.observed:
        gaps = np.diff(axis.position(times))
        bad = (gaps % axis.step != 0) | (gaps <= 0)
        bad[_borders(indptr)] = False
        misfit = np.zeros(times.size, dtype=bool) if misfit is None else misfit
        misfit[1:] |= bad
    elif misfit is not None:
        # special sessions outside the week pattern have been seen to be rare
        misfit[:] = False
    if axis.grid != "tick" and misfit is not None:
        of_day = np.diff(axis.wall(times) % axis.ticks_per_day) != 0
        of_day[_borders(indptr)] = False
        misfit[1:] |= of_day
    return None if misfit is None or not misfit.any() else int(misfit.argmax())


def _borders(indptr: np.ndarray) -> np.ndarray:
    return indptr[1:-1][(indptr[1:-1] > 0) & (indptr[1:-1] < indptr[-1])] - 1


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
    for name, seconds in (("h", 3600), ("min", 60), ("s", 1)):
        if step % (seconds * PER_SECOND[unit]) == 0:
            count = step // (seconds * PER_SECOND[unit])
            return name if count == 1 else f"{count}{name}"
    name, step = next(
        (
            (n, step // (PER_SECOND[unit] // PER_SECOND[n]))
            for n in ("ms", "us")
            if PER_SECOND[n] < PER_SECOND[unit] and step % (PER_SECOND[unit] // PER_SECOND[n]) == 0
        ),
        (unit, step),
    )
    return f"{step}{name}"


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
    usual = seen > 0.02 * seen.max()
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
