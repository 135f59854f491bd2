"""What a step in time is: regular ticks, calendar days, months, trading sessions, and the stamps that follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, Literal, cast

import numpy as np
import pandas as pd

from tsrnn.exceptions import DataError

__all__ = ["TimeAxis"]

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
FIRST_BUSINESS_DAY, LAST_BUSINESS_DAY, MONTH_END = 0, 32, 31
_MONTHS = {"M": 1, "Q": 3, "Y": 12}
_SECONDS = {"D": 86400, "h": 3600, "min": 60, "s": 1}


@dataclass(frozen=True)
class TimeAxis:
    """What a step is, and how to count, name and continue the stamps of a series.

    Times are int64: since 1970 in ``unit`` and UTC (datetime), pandas' period ordinals (period),
    or the caller's own numbers (integer). Sub-daily steps are absolute, so that a day of a clock
    change has 23 or 25 hourly steps; days and longer steps follow the wall clock of ``tz``.

    Parameters
    ----------
    kind : {"datetime", "period", "integer"}
        What the caller's time column holds.
    freq : str
        pandas alias ("D", "h", "30min", "MS", "W-SUN", "QS-OCT", "YE-DEC", "B"), or the integer step.
    unit : str, default "us"
        Unit of datetimes: "s", "ms", "us" or "ns".
    tz : str, optional
        Name of the time zone, or a fixed offset such as "UTC+02:00".
    grid : {"tick", "day", "month", "session"}, default "tick"
        What is counted: units of the time itself, days, months, or trading sessions.
    step : int, default 1
        How many of these lie between two neighbours.
    anchor : int, optional
        Position of every stamp modulo ``step`` (week day, quarter month); None: any.
    day : int, default 1
        Day of the month (31: the last, 0 and 32: first and last business day); month grids.
    weekmask : str, optional
        Days with sessions, Monday first: "1111100".
    holidays : tuple of str
        ISO dates without a session.
    exchange : str, optional
        Name of the exchange the holidays came from.
    observed : bool, default False
        The observed sessions are the steps, since no calendar is known: nothing is ever missing.
    stated : bool, default False
        The caller stated the frequency: a series that only takes longer steps has gaps.
    dtype : str, default "int64"
        Integer type of the caller's time column.

    Notes
    -----
    Defaults by frequency, in steps. A season is what repeats; a second one is offered, not used.

    ================================  ===================  =======
    step                              seasons              horizon
    ================================  ===================  =======
    year                              1                    6
    quarter                           4                    8
    month                             12                   12
    week                              52                   13
    day                               7                    14
    business day, session             1                    10
    6, 8, 12 hours                    one day, one week    one week
    hour                              24, 168              24
    30, 15, 10, 5 minutes             one day, one week    one day, at most 96
    1 to 4 minutes                    one hour, one day    one hour
    1 to 59 seconds                   one minute or hour   60
    shorter                           1                    60
    integer                           1                    10
    ================================  ===================  =======
    """

    kind: Literal["datetime", "period", "integer"]
    freq: str
    unit: str = "us"
    tz: str | None = None
    grid: Literal["tick", "day", "month", "session"] = "tick"
    step: int = 1
    anchor: int | None = None
    day: int = 1
    weekmask: str | None = None
    holidays: tuple[str, ...] = field(default=(), repr=False)
    exchange: str | None = None
    observed: bool = False
    stated: bool = field(default=False, compare=False)
    dtype: str = "int64"

    # ---- defaults ------------------------------------------------------------------------

    @property
    def season(self) -> int:
        """Steps of the default season; 1: none."""
        return self.seasons[0]

    @property
    def seasons(self) -> tuple[int, ...]:
        """Steps of all useful seasons, longest last."""
        months, seconds = self._length()
        if months:
            return (12 // months if 12 % months == 0 else 1,)
        if seconds >= 7 * 86400:
            return (max(round(52 * 7 * 86400 / seconds), 1),)
        if seconds >= 86400:
            return (round(7 * 86400 / seconds) if 7 * 86400 % seconds == 0 else 1,)
        if seconds >= 300:
            divides = 86400 % seconds == 0
            return (round(86400 / seconds), round(7 * 86400 / seconds)) if divides else (1,)
        if seconds >= 60:
            return (round(3600 / seconds), round(86400 / seconds)) if 3600 % seconds == 0 else (1,)
        if seconds >= 1:
            span = 60 if seconds <= 10 else 3600
            return (round(span / seconds),) if span % seconds == 0 else (1,)
        return (1,)

    @property
    def horizon(self) -> int:
        """Steps to forecast when the caller does not say."""
        months, seconds = self._length()
        if months:
            return 6 if months >= 12 else 8 if months >= 3 else 12
        if seconds >= 7 * 86400:
            return 13
        if seconds >= 86400:
            return 14
        if seconds >= 6 * 3600:
            return round(7 * 86400 / seconds)
        if seconds >= 300:
            return min(max(round(86400 / seconds), 1), 96)
        return 60 if seconds > 0 else 10

    def _length(self) -> tuple[int, float]:
        """Return (months, seconds) of a step; both 0 where no season is known."""
        if self.grid == "session" or self.kind == "integer":
            return 0, 0.0
        if self.kind == "datetime":
            if self.grid == "month":
                return self.step, 0.0
            return 0, self.step * 86400.0 if self.grid == "day" else self.step / PER_SECOND[
                self.unit
            ]
        offset = cast(Any, pd.PeriodDtype(self.freq)).freq
        name = offset.rule_code.split("-")[0].rstrip("ES")
        if name in _MONTHS:
            return _MONTHS[name] * self.step, 0.0
        return 0, float({**_SECONDS, "W": 7 * 86400}.get(name, 0) * self.step)

    # ---- counting ------------------------------------------------------------------------

    @property
    def even_step(self) -> int | None:
        """Units of time between neighbours, where it is the same everywhere on the axis."""
        if self.grid == "tick":
            return self.step
        if self.grid == "day" and self.tz is None:
            return self.step * self.ticks_per_day
        return None

    def position(self, times: np.ndarray) -> np.ndarray:
        """Return int64 positions of ``times``; neighbours on the axis differ by ``step``."""
        if self.grid == "tick":
            return times
        days = self.wall(times) // self.ticks_per_day
        if self.grid == "day":
            return days
        if self.grid == "month":
            return days.astype("M8[D]").astype("M8[M]").astype(np.int64)
        return np.busday_count(
            np.datetime64(0, "D"), days.astype("M8[D]"), busdaycal=self._sessions
        )

    def fits(self, times: np.ndarray) -> np.ndarray:
        """Return whether each time can be a stamp of this axis, bool of the same shape."""
        if self.grid == "tick":
            position = times
            inside = np.ones(times.shape, dtype=bool)
        else:
            position = self.position(times)
            inside = self._is_anchor_day(self.wall(times) // self.ticks_per_day)
        return inside if self.anchor is None else inside & (position % self.step == self.anchor)

    def stamp(self, position: np.ndarray, like: np.ndarray) -> np.ndarray:
        """Return the times at ``position`` (int64), at the time of day of ``like`` (broadcast)."""
        if self.grid == "tick":
            return position
        if self.grid == "day":
            days = position
        elif self.grid == "month":
            days = self._month_days(position)
        else:
            first = np.datetime64(0, "D")
            days = np.busday_offset(
                first, position, roll="forward", busdaycal=self._sessions
            ).astype(np.int64)
        of_day = self.wall(like) % self.ticks_per_day
        low, high = (
            np.iinfo(np.int64).min // self.ticks_per_day,
            np.iinfo(np.int64).max // self.ticks_per_day,
        )
        if days.size and not low < days.min() <= days.max() < high:
            raise self._overflow()
        return self._absolute(days * self.ticks_per_day + of_day)

    def future(self, last: np.ndarray, steps: int) -> np.ndarray:
        """Return the ``steps`` stamps after each last stamp.

        Parameters
        ----------
        last : ndarray of int64, shape (series,)
            Newest time of each series.
        steps : int
            Stamps to return.

        Returns
        -------
        ndarray of int64, shape (series, steps)

        Raises
        ------
        DataError
            The stamps leave the range of the time unit.

        Examples
        --------
        >>> axis = TimeAxis("datetime", "MS", unit="s", grid="month")
        >>> axis.to_index(axis.future(np.array([0]), 2)[0])
        DatetimeIndex(['1970-02-01', '1970-03-01'], dtype='datetime64[s]', freq=None)
        """
        last = np.asarray(last, dtype=np.int64)
        ahead = np.arange(1, steps + 1, dtype=np.int64) * self.step
        if self.grid == "tick":
            if last.size and int(last.max()) + self.step * steps > np.iinfo(np.int64).max:
                raise self._overflow()
            return last[:, None] + ahead
        position = self.position(last)
        if self.grid == "session":
            # a special session outside the week pattern counts as the regular one before it
            position -= ~self._is_anchor_day(self.wall(last) // self.ticks_per_day)
        return self.stamp(position[:, None] + ahead, last[:, None])

    def wall(self, times: np.ndarray) -> np.ndarray:
        """Return wall-clock time in ``tz``, in the same unit."""
        if self.tz is None or self.kind != "datetime":
            return times
        index = pd.DatetimeIndex(times.ravel().view(f"M8[{self.unit}]"), tz="UTC").tz_convert(
            self.tz
        )
        return index.tz_localize(None).asi8.reshape(times.shape)

    def _absolute(self, wall: np.ndarray) -> np.ndarray:
        if self.tz is None:
            return wall
        index = pd.DatetimeIndex(wall.ravel().view(f"M8[{self.unit}]"))
        # a wall time that a clock change skips moves on; one that it repeats is the first
        index = index.tz_localize(
            self.tz, nonexistent="shift_forward", ambiguous=np.ones(wall.size, dtype=bool)
        )
        return index.as_unit(cast(Any, self.unit)).asi8.reshape(wall.shape)

    @property
    def ticks_per_day(self) -> int:
        """Units of time in a day."""
        return 86400 * PER_SECOND[self.unit]

    def _is_anchor_day(self, days: np.ndarray) -> np.ndarray:
        if self.grid == "month":
            month = days.astype("M8[D]").astype("M8[M]").astype(np.int64)
            return self._month_days(month) == days
        if self.grid == "session":
            return np.is_busday(days.astype("M8[D]"), busdaycal=self._sessions)
        return np.ones(days.shape, dtype=bool)

    def _month_days(self, month: np.ndarray) -> np.ndarray:
        first = month.astype("M8[M]").astype("M8[D]")
        after = (month + 1).astype("M8[M]").astype("M8[D]")
        if self.day == FIRST_BUSINESS_DAY:
            return np.busday_offset(first, 0, roll="forward").astype(np.int64)
        if self.day == LAST_BUSINESS_DAY:
            return np.busday_offset(after, -1, roll="forward").astype(np.int64)
        length = (after - first).astype(np.int64)
        return first.astype(np.int64) + np.minimum(self.day, length) - 1

    @property
    def _sessions(self) -> np.busdaycalendar:
        return _session_calendar(self.weekmask or "1111100", self.holidays)

    def _overflow(self) -> DataError:
        remedy = ""
        if self.kind == "datetime":
            remedy = f" for datetime64[{self.unit}]. Convert the time column with .dt.as_unit('s')"
        return DataError(f"The stamps after the last one are out of range{remedy}.")

    # ---- words and files -----------------------------------------------------------------

    def to_index(self, times: np.ndarray) -> pd.Index:
        """Return ``times`` (int64, one dimension) as the caller's kind of index."""
        times = np.ascontiguousarray(times, dtype=np.int64)
        if self.kind == "integer":
            info = np.iinfo(self.dtype)
            inside = times.size == 0 or (times.min() >= info.min and times.max() <= info.max)
            return pd.Index(times.astype(self.dtype) if inside else times)
        if self.kind == "period":
            return cast(pd.Index, cast(Any, pd.PeriodIndex).from_ordinals(times, freq=self.freq))
        index = pd.DatetimeIndex(times.view(f"M8[{self.unit}]"))
        return index if self.tz is None else index.tz_localize("UTC").tz_convert(self.tz)

    def label(self, time: int | np.integer[Any]) -> str:
        """Return one time as text, for messages."""
        value = self.to_index(np.array([time], dtype=np.int64))[0]
        if self.kind != "datetime":
            return str(value)
        return str(value.date()) if value == value.normalize() and not self.tz else str(value)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold; :meth:`from_dict` reads it back."""
        return {**asdict(self), "holidays": list(self.holidays)}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> TimeAxis:
        """Return the axis that :meth:`to_dict` wrote."""
        return cls(**{**saved, "holidays": tuple(saved["holidays"])})


@lru_cache(maxsize=16)
def _session_calendar(weekmask: str, holidays: tuple[str, ...]) -> np.busdaycalendar:
    return np.busdaycalendar(weekmask=weekmask, holidays=np.array(holidays, dtype="M8[D]"))
