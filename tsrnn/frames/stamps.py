"""Reading a time column or index exactly: datetimes, periods, integers, dates, ISO text."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd

from tsrnn.calendars import TimeAxis
from tsrnn.calendars.axis import PER_SECOND
from tsrnn.exceptions import DataError

__all__ = ["Stamps", "in_unit_of", "is_time_like", "read_stamps", "write_times"]

# Text is read in one of these forms, the same in every row, or refused.
_TEXT_FORMS = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m",
)


@dataclass(frozen=True)
class Stamps:
    """A time column as int64, with what is needed to write such a column again.

    Parameters
    ----------
    times : ndarray of int64, shape (rows,)
        Time of each row (see :class:`~tsrnn.calendars.TimeAxis`).
    bare : TimeAxis
        Kind, unit and time zone; the frequency is not known yet.
    written : str
        How the caller writes times: "native", "date" (objects), a pandas dtype, or a strftime form.
    """

    times: np.ndarray
    bare: TimeAxis
    written: str = "native"


def is_time_like(dtype: Any) -> bool:
    """Return whether a column of this dtype can only be time: datetimes, periods, Arrow dates."""
    if isinstance(dtype, pd.PeriodDtype):
        return True
    return pd.api.types.is_datetime64_any_dtype(dtype) or str(dtype).startswith(
        ("timestamp[", "date32", "date64")
    )


def read_stamps(column: pd.Series, name: str) -> Stamps:
    """Return the times of ``column``; ``name`` is what messages call it ("column 'ds'").

    Raises
    ------
    DataError
        A time is missing, mixed in kind, or would not be read exactly.
    """
    missing = np.asarray(column.array.isna())
    if missing.any():
        row = int(missing.argmax())
        raise DataError(
            f"Every row needs a time in {name}. Got {int(missing.sum())} rows without one, the first at "
            f"position {row}. Drop them with df.dropna(subset=[...]), or correct their times."
        )
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return read_stamps(pd.Series(column.to_numpy()), name)
    if isinstance(dtype, pd.PeriodDtype):
        return _read_periods(column, name)
    if pd.api.types.is_bool_dtype(dtype):
        raise _refused(
            column, name, "convert it with pd.to_datetime, or name another column with time_col"
        )
    if pd.api.types.is_integer_dtype(dtype):
        return _read_integers(column, name)
    if is_time_like(dtype):
        native = isinstance(dtype, (np.dtype, pd.DatetimeTZDtype))
        if str(dtype).startswith("date"):
            return (
                _read_datetimes(pd.DatetimeIndex(column.to_numpy()), name, written=str(dtype))
                if not native
                else (_read_datetimes(pd.DatetimeIndex(column), name))
            )
        return _read_datetimes(
            pd.DatetimeIndex(column.array), name, written="native" if native else str(dtype)
        )
    if pd.api.types.is_float_dtype(dtype):
        raise _refused(
            column,
            name,
            "convert it with .astype('int64') if it counts steps, or with pd.to_datetime",
        )
    if pd.api.types.is_object_dtype(dtype) or pd.api.types.is_string_dtype(dtype):
        return _read_objects(column, name)
    raise _refused(column, name, "convert it with pd.to_datetime")


def _read_objects(column: pd.Series, name: str) -> Stamps:
    kind = pd.api.types.infer_dtype(column, skipna=False)
    if kind == "string":
        return _read_text(column, name)
    if kind == "date":
        days = np.array(column.to_numpy(), dtype="M8[D]").astype("M8[s]")
        return _read_datetimes(pd.DatetimeIndex(days), name, written="date")
    if kind == "period":
        try:
            return _read_periods(pd.Series(pd.PeriodIndex(column)), name)
        except ValueError as error:
            raise _refused(column, name, "give all periods the same frequency") from error
    if kind == "integer":
        return _read_integers(column, name)
    values = column.tolist()
    if kind in {"datetime", "datetime64"}:
        zones = {str(getattr(value, "tzinfo", None)) for value in values}
        if len(zones) > 1:
            raise DataError(
                f"All times in {name} must have one time zone. Got {sorted(zones)}. "
                "Convert them with pd.to_datetime(df[...], utc=True).dt.tz_convert(...)."
            )
        return _read_datetimes(pd.DatetimeIndex(column), name)
    kinds = sorted({type(value).__name__ for value in values})
    raise DataError(
        f"All times in {name} must be of one kind. Got objects of type {', '.join(kinds)}. Convert them with pd.to_datetime."
    )


def _read_text(column: pd.Series, name: str) -> Stamps:
    first = str(column.iloc[0])
    for form in _TEXT_FORMS:
        if pd.isna(pd.to_datetime(first, format=form, errors="coerce", exact=True)):
            continue
        parsed = pd.to_datetime(column.astype(object), format=form, errors="coerce", exact=True)
        # 2020-1-5 would be read but written back as 2020-01-05: only text that comes back is taken
        same = (parsed.dt.strftime(form).astype(object) == column.astype(object)).to_numpy()
        if same.all():
            return _read_datetimes(pd.DatetimeIndex(parsed), name, written=form)
        row = int((~same).argmax())
        raise DataError(
            f"Text in {name} must have one form in every row. Got {first!r} and, at position {row}, "
            f"{column.iloc[row]!r}. Convert it with pd.to_datetime and a format=."
        )
    zoned = re.search(r"\d(Z|[+-]\d\d:?\d\d)$", first)
    remedy = "pd.to_datetime(..., utc=True)" if zoned else "pd.to_datetime and a format="
    raise DataError(
        f"Times in {name} must be datetimes, periods or integers, or ISO text without a zone such as '2024-01-31'. "
        f"Got text such as {first!r}. Convert it with {remedy}."
    )


def _read_datetimes(index: pd.DatetimeIndex, name: str, written: str = "native") -> Stamps:
    zone = None if index.tz is None else _zone_name(index.tz, name)
    bare = TimeAxis("datetime", "", unit=index.unit, tz=zone)
    return Stamps(index.asi8, bare, written)


def _zone_name(zone: Any, name: str) -> str:
    text = str(getattr(zone, "key", None) or getattr(zone, "zone", None) or zone)
    try:
        pd.DatetimeTZDtype("us", text)
    except (TypeError, ValueError, KeyError) as error:
        raise DataError(
            f"The time zone of {name} must have a name. Got {zone!r}. Convert it with .dt.tz_convert('Europe/Paris'), say."
        ) from error
    return text


def _read_periods(column: pd.Series, name: str) -> Stamps:
    index = pd.PeriodIndex(column)
    freq = index.freqstr
    if freq.lstrip("0123456789") in {"B", "C"}:
        raise _refused(
            column,
            name,
            "convert it with .dt.to_timestamp(), business periods are deprecated in pandas",
        )
    return Stamps(index.asi8, TimeAxis("period", freq))


def _read_integers(column: pd.Series, name: str) -> Stamps:
    dtype = column.dtype
    if dtype == np.uint64 and len(column) and int(column.max()) > np.iinfo(np.int64).max:
        raise _refused(column, name, "subtract a constant, int64 can't hold it")
    times = column.to_numpy(dtype=np.int64)
    _refuse_written_dates(times, name)
    plain = isinstance(dtype, np.dtype) and dtype.kind in "iu"
    written = "native" if plain or pd.api.types.is_object_dtype(dtype) else str(dtype)
    return Stamps(times, TimeAxis("integer", "", dtype=str(dtype) if plain else "int64"), written)


def _refuse_written_dates(times: np.ndarray, name: str) -> None:
    """Raise DataError for dates written as numbers, 20240131 or 202401: counting them, 20240132 would follow."""
    days, months = _are_days(times), _are_months(times)
    if not days and not months:
        return
    form = "%Y%m%d" if days else "%Y%m"
    raise DataError(
        f"Times in {name} must be datetimes, periods or integers that count steps. Got {int(times[0])}, which reads as a "
        f"{'day' if days else 'month'}. Convert them with pd.to_datetime(df[...].astype(str), format={form!r}); "
        "where they do count steps, subtract the smallest."
    )


def _are_days(times: np.ndarray) -> bool:
    month, day = times // 100 % 100, times % 100
    return _are_of_our_time(times // 10_000, month) and bool(((day >= 1) & (day <= 31)).all())


def _are_months(times: np.ndarray) -> bool:
    """Return whether all are months of several years: counting by ones would pass a thirteenth month."""
    year = times // 100
    return _are_of_our_time(year, times % 100) and int(year.min()) < int(year.max())


def _are_of_our_time(year: np.ndarray, month: np.ndarray) -> bool:
    within = (year >= 1900) & (year <= 2100) & (month >= 1) & (month <= 12)
    return len(year) > 1 and bool(within.all())


def _refused(column: pd.Series, name: str, remedy: str) -> DataError:
    return DataError(
        f"Times in {name} must be datetimes, periods or integers. Got dtype {column.dtype} "
        f"(first value {column.iloc[0]}). To use it, {remedy}."
    )


def write_times(axis: TimeAxis, times: np.ndarray, written: str) -> Any:
    """Return ``times`` (int64, one dimension) as an index, or in the caller's own form."""
    index = axis.to_index(times)
    if written == "native":
        return index
    if written == "date":
        dates: list[dt.date] = [stamp.date() for stamp in cast(pd.DatetimeIndex, index)]
        return np.array(dates, dtype=object)
    if "%" in written:
        return pd.Index(cast(pd.DatetimeIndex, index).strftime(written))
    return index.astype(cast(Any, written))


def in_unit_of(axis: TimeAxis, stamps: Stamps, name: str) -> Stamps:
    """Return new times in the unit of the fitted ones, exactly."""
    bare, times = stamps.bare, stamps.times
    periods = axis.kind == "period" and bare.freq != axis.freq
    if bare.kind != axis.kind or (bare.tz is None) != (axis.tz is None) or periods:
        raise DataError(
            f"Times in {name} must be like the fitted ones, {_kind_text(axis)}. Got {_kind_text(bare)}. "
            "Convert them with pd.to_datetime, .dt.tz_localize or .dt.to_timestamp."
        )
    if bare.kind == "datetime" and bare.unit != axis.unit:
        old, new = PER_SECOND[bare.unit], PER_SECOND[axis.unit]
        if new >= old:
            limit = np.iinfo(np.int64).max // (new // old)
            if np.abs(times).max() > limit:
                raise DataError(
                    f"Times in {name} must lie within the range of datetime64[{axis.unit}]. "
                    f"Got {bare.label(times[np.abs(times).argmax()])}. Correct it, or fit on times in a coarser unit."
                )
            times = times * (new // old)
        else:
            if (times % (old // new)).any():
                raise DataError(
                    f"Times in {name} must be whole {axis.unit}, as those fitted. "
                    f"Got {bare.label(times[(times % (old // new)).argmax()])}. Round them with .dt.round({axis.unit!r})."
                )
            times = times // (old // new)
    return Stamps(times, axis, stamps.written)


def _kind_text(axis: TimeAxis) -> str:
    if axis.kind == "datetime":
        return f"datetimes in the zone {axis.tz}" if axis.tz else "datetimes without a time zone"
    return f"periods of frequency {axis.freq!r}" if axis.kind == "period" else "integers"
