"""The step shared by all series of a frame: found, stated or known from fit, and each stamp checked against it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tsrnn.calendars.axis import TimeAxis
from tsrnn.calendars.frequency import (
    first_misfit,
    infer_axis,
    is_complete,
    usual_name,
    within,
)
from tsrnn.calendars.offsets import axis_from_calendar, axis_from_freq
from tsrnn.exceptions import DataError, FrequencyError, ParameterError, shown
from tsrnn.frames.layout import Layout

__all__ = ["check_axis", "settle_axis"]

_USUAL_SHARE = 0.8  # of the weekdays have a session, on any exchange


def settle_axis(
    bare: TimeAxis, layout: Layout, name: str, *, freq: Any, calendar: Any, notes: list[str]
) -> TimeAxis:
    """Return the axis of the rows; sentences for the user are added to ``notes``.

    Raises
    ------
    FrequencyError
        The times fit no frequency, or not the stated one, or series have different ones.
    """
    if calendar is not None:
        axis = replace(axis_from_calendar(bare, calendar, layout.times), stated=True)
        _check_sessions(axis, layout, name)
        return axis
    if freq is not None:
        axis = replace(axis_from_freq(bare, freq), stated=True)
        if axis.grid == "session" and not axis.holidays:
            axis = replace(axis, observed=_share_of_sessions(axis, layout) >= _USUAL_SHARE)
        _check_stated(axis, layout, name, bare)
    else:
        found = infer_axis(bare, layout.times, layout.indptr, even=layout.even)
        if found is None:
            raise _no_frequency(bare, layout, name)
        axis = found
        if not is_complete(axis, layout.times, layout.indptr, even=layout.even):
            _check_same_step(axis, layout, name)
    if axis.observed:
        _note_holidays(axis, layout, notes)
    return axis


def check_axis(axis: TimeAxis, layout: Layout, name: str) -> None:
    """Raise FrequencyError unless every row lies on the fitted ``axis``."""
    if axis.grid == "session" and not axis.observed:
        _check_sessions(axis, layout, name)
        return
    row = first_misfit(axis, layout.times, layout.indptr, even=layout.even)
    if row is not None:
        raise _misfit(axis, layout, name, row)
    if not axis.stated and not is_complete(axis, layout.times, layout.indptr, even=layout.even):
        _check_same_step(axis, layout, name, fitted=True)


def _check_sessions(axis: TimeAxis, layout: Layout, name: str) -> None:
    """Raise FrequencyError unless every row lies on a session of the calendar."""
    off = ~axis.fits(layout.times)
    if off.any():
        calendar = f"calendar {axis.exchange!r}" if axis.exchange else "calendar"
        raise FrequencyError(
            f"Times in {name} must be sessions of the {calendar}. Got {layout.where(int(off.argmax()), axis)}, which is none "
            f"({int(off.sum())} such rows). Drop them, or correct calendar=."
        )
    row = first_misfit(axis, layout.times, layout.indptr, even=layout.even)
    if row is not None:
        raise FrequencyError(
            f"A calendar needs one row per session in {name}. Got {layout.where(row, axis)}{_after(axis, layout, row)}. "
            "Bring the rows to days with tsrnn.regularize(df, freq='D'), or leave out calendar=."
        )


def _check_stated(axis: TimeAxis, layout: Layout, name: str, bare: TimeAxis) -> None:
    row = first_misfit(axis, layout.times, layout.indptr, even=layout.even)
    if row is None:
        return
    found = infer_axis(bare, layout.times, layout.indptr, even=layout.even)
    hint = f" They follow {found.freq!r}." if found is not None and found.freq else ""
    if found is not None and found.freq == axis.freq:
        hint = (
            " They are as far apart, and start elsewhere: without freq= they are taken as they are."
        )
    raise FrequencyError(
        f"Times in {name} must follow freq={axis.freq!r}. Got {layout.where(row, axis)}{_after(axis, layout, row)}.{hint} "
        f"Correct freq= or leave it out, or put the rows on a grid with tsrnn.regularize(df, freq={axis.freq!r})."
    )


def _own_axis(axis: TimeAxis, layout: Layout, i: int) -> TimeAxis | None:
    """Return the axis of series ``i`` alone."""
    times = layout.times[layout.indptr[i] : layout.indptr[i + 1]]
    kind = axis if axis.kind == "period" else replace(axis, freq="")
    bare = TimeAxis(kind.kind, kind.freq, unit=kind.unit, tz=kind.tz, dtype=kind.dtype)
    return None if len(times) < 3 else infer_axis(bare, times, np.array([0, len(times)]))


def _check_same_step(axis: TimeAxis, layout: Layout, name: str, *, fitted: bool = False) -> None:
    """Raise FrequencyError if a series never takes the common step, and follows a longer one of its own."""
    position = axis.position(layout.times)
    gaps = np.diff(position, prepend=position[0])
    gaps[layout.indptr[:-1]] = np.iinfo(np.int64).max
    if axis.grid == "session" and axis.observed:
        gaps[gaps < axis.step] = axis.step
    smallest = np.minimum.reduceat(gaps, layout.indptr[:-1])
    several = np.diff(layout.indptr) >= 3
    for i in np.flatnonzero((smallest > axis.step) & several):
        own = _own_axis(axis, layout, int(i))
        if own is not None and (own.grid, own.step) != (axis.grid, axis.step):
            raise _mixed(layout, name, int(i), own, axis, fitted=fitted)
    if axis.grid == "day" and axis.step == 1 and (fitted or len(layout.ids) > 1):
        _check_weekends(axis, layout, name, position, fitted=fitted)


def _check_weekends(
    axis: TimeAxis, layout: Layout, name: str, days: np.ndarray, *, fitted: bool
) -> None:
    """Raise FrequencyError if some series have weekends and another, long enough to tell, has none."""
    weekend = (days + 3) % 7 >= 5
    weekends = np.add.reduceat(weekend, layout.indptr[:-1])
    for i in np.flatnonzero((weekends == 0) & (np.diff(layout.indptr) >= 10)):
        own = _own_axis(axis, layout, int(i))
        if own is not None and own.grid == "session":
            raise _mixed(layout, name, int(i), own, axis, fitted=fitted)


def _mixed(
    layout: Layout, name: str, i: int, own: TimeAxis, axis: TimeAxis, *, fitted: bool
) -> FrequencyError:
    if fitted:
        of = f" for series {shown(layout.ids[i])}" if layout.named else ""
        return FrequencyError(
            f"Times in {name} must follow the fitted frequency {axis.freq!r}. Got {own.freq!r}{of}. "
            f"Bring the rows to {axis.freq!r}, or fit on rows of their own frequency."
        )
    others = (j for j in range(len(layout.ids)) if j != i)
    other = next(
        (j for j in others if (found := _own_axis(axis, layout, j)) and found.freq == axis.freq),
        None,
    )
    rest = f"series {shown(layout.ids[other])}" if other is not None else "the others"
    return _two_steps(
        f"{own.freq!r} for series {shown(layout.ids[i])} and {axis.freq!r} for {rest} in {name}"
    )


def _two_steps(got: str) -> FrequencyError:
    return FrequencyError(
        f"All series must have one frequency. Got {got}. Fit each frequency by itself, or bring them together "
        "with tsrnn.regularize(df, freq)."
    )


def _share_of_sessions(axis: TimeAxis, layout: Layout) -> float:
    position = axis.position(layout.times)
    expected = (position[layout.indptr[1:] - 1] - position[layout.indptr[:-1]] + 1).sum()
    return float(len(layout.times) / max(int(expected), 1))


def _note_holidays(axis: TimeAxis, layout: Layout, notes: list[str]) -> None:
    special = ~axis.fits(layout.times)
    if special.any():
        notes.append(
            f"{int(special.sum())} rows lie outside the week of the others, the first {layout.where(int(special.argmax()), axis)}; "
            "they are read as sessions of their own. Drop them where they are none."
        )
    skipped = np.diff(axis.position(layout.times))
    skipped[layout.indptr[1:-1] - 1] = 1
    missing = np.maximum(skipped - 1, 0)
    if missing.any():
        row = int((missing > 0).argmax()) + 1
        notes.append(
            f"{int(missing.sum())} weekdays have no row, the first before {layout.where(row, axis)}; they are read as days "
            "without a session. Future stamps follow the weekday pattern; calendar= takes an exchange name, holidays or a pandas offset."
        )


def _after(axis: TimeAxis, layout: Layout, row: int) -> str:
    before = row - 1
    same = row > 0 and layout.series_of(before) == layout.series_of(row)
    return f" after {axis.label(layout.times[before])}" if same else ""


def _misfit(axis: TimeAxis, layout: Layout, name: str, row: int) -> FrequencyError:
    own = _own_axis(axis, layout, layout.series_of(row))
    got = f" They follow {own.freq!r}." if own is not None else ""
    return FrequencyError(
        f"Times in {name} must follow the fitted frequency {axis.freq!r}. Got {layout.where(row, axis)}"
        f"{_after(axis, layout, row)}.{got} Put the rows on the grid with tsrnn.regularize(df, freq={axis.freq!r})."
    )


def _no_frequency(bare: TimeAxis, layout: Layout, name: str) -> DataError:
    gaps = within(np.diff(layout.times), layout.indptr)
    if gaps.size == 0:
        return FrequencyError(
            f"At least one series must have two rows to tell the frequency. Got {len(layout.times)} rows in "
            f"{len(layout.ids)} series. Give freq=, or more rows."
        )
    own = _own_axes(bare, layout)
    for i, axis in own[1:]:
        first, usual_axis = own[0]
        if axis.freq != usual_axis.freq:
            return _two_steps(
                f"{usual_axis.freq!r} for series {shown(layout.ids[first])} and {axis.freq!r} for series {shown(layout.ids[i])} in {name}"
            )
    if own:
        first, step = own[0]
        usual, why, likely = step.freq, f"that of series {shown(layout.ids[first])}", [step.freq]
    else:
        values, counts = np.unique(gaps, return_counts=True)
        found = [int(gap) for gap in values[np.argsort(-counts, kind="stable")[:3]]]
        dated = bare.kind == "datetime"
        likely = [usual_name(gap, bare.unit) if dated else str(gap) for gap in found]
        usual, why = likely[0], f"{100 * counts.max() // gaps.size} % of the gaps"
        step = replace(bare, freq=str(found[0]), step=found[0])
    row = first_misfit(step, layout.times, layout.indptr, even=layout.even)
    row = 1 if row is None else row
    likely = list(dict.fromkeys(likely))
    remedy = "Give freq=, or put" if any(_fits(freq, bare, layout) for freq in likely) else "Put"
    return FrequencyError(
        f"Times in {name} must follow one frequency. Got {layout.where(row, bare)}{_after(bare, layout, row)}, while the usual step is "
        f"{usual!r} ({why}; candidates: {likely}). {remedy} the rows on a grid with tsrnn.regularize(df, freq={usual!r})."
    )


def _fits(freq: Any, bare: TimeAxis, layout: Layout) -> bool:
    """Return whether the rows could be of this frequency, some of them missing."""
    try:
        axis = axis_from_freq(bare, int(freq) if bare.kind == "integer" else freq)
    except (DataError, ParameterError):
        return False
    return first_misfit(axis, layout.times, layout.indptr, even=layout.even) is None


def _own_axes(bare: TimeAxis, layout: Layout) -> list[tuple[int, TimeAxis]]:
    """Return which of the first few hundred series have a frequency of their own, and its axis."""
    every = ((i, _own_axis(bare, layout, i)) for i in range(min(len(layout.ids), 300)))
    return [(i, axis) for i, axis in every if axis is not None]
