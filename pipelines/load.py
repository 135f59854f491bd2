"""The rows of a run: from a data set, files or a database, cut to what was known at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tsrnn.exceptions import DataError, SpecError

from .sql import read_rows
from .strict import hint

if TYPE_CHECKING:
    from .sections import DataSpec

__all__ = ["as_time", "load"]


def load(data: DataSpec, *, as_of: str | None = None) -> pd.DataFrame:
    """Return the rows of ``data``, as they were known at ``as_of``.

    Parameters
    ----------
    data : DataSpec
        Loader, files or query, and what to keep of it.
    as_of : str, optional
        Last time to keep; all when not given.

    Returns
    -------
    pandas.DataFrame
        Long frame: time, target and, for several series, id; other columns as they come.

    Raises
    ------
    SpecError
        There is no such loader, or it takes other arguments.
    DataError
        A file or the database can't be read, or no rows are left.
    """
    if data.loader is not None:
        frame = _read_loader(data)
    elif data.query is not None:
        frame = _with_times(read_rows(data, as_of=as_of), data)
    else:
        frame = _read_files(data)
    if data.series is not None:
        frame = _keep_series(frame, data)
    if data.start is not None or as_of is not None:
        frame = _keep_times(frame, data, start=data.start, stop=as_of)
    if frame.empty:
        raise DataError("No rows are left. Widen data.start, data.series or --as-of.")
    return frame.reset_index(drop=True)


def _read_loader(data: DataSpec) -> pd.DataFrame:
    from tsrnn import datasets

    sets = datasets.catalogue().set_index("name")["comes_from"]
    if data.loader not in sets.index:
        raise SpecError(
            f"There is no data set {data.loader!r}.{hint(str(data.loader), list(sets.index))} "
            "tsrnn.datasets.catalogue() lists them all."
        )
    try:
        if sets[data.loader] == "generator":
            return getattr(datasets, data.loader)(**data.arguments)
        return datasets.load(data.loader, **data.arguments)
    except TypeError as error:
        raise SpecError(f"data.arguments of {data.loader!r}: {error}.") from error
    except ValueError as error:
        raise DataError(f"data.loader {data.loader!r}: {error}") from error


def _read_files(data: DataSpec) -> pd.DataFrame:
    paths = list(dict.fromkeys(path for text in data.paths for path in _matching(text)))
    frames = [_read_file(path, data) for path in paths]
    for path, frame in zip(paths, frames, strict=True):
        if set(frame.columns) != set(frames[0].columns):
            raise DataError(
                f"All files of data.path must have the same columns. Got {list(frames[0].columns)} in "
                f"{str(paths[0])!r} and {list(frame.columns)} in {str(path)!r}."
            )
    return _with_times(pd.concat(frames, ignore_index=True), data)


def _matching(pattern: str) -> list[Path]:
    """Return the files of ``pattern`` by name; a plain path is itself, there or not."""
    if not any(letter in pattern for letter in "*?["):
        return [Path(pattern)]
    start = Path(pattern).anchor
    found = sorted(Path(start or ".").glob(str(Path(pattern).relative_to(start))))
    if not found:
        raise DataError(f"No file matches data.path {pattern!r} in {str(Path.cwd())!r}.")
    return found


def _read_file(path: Path, data: DataSpec) -> pd.DataFrame:
    try:
        if path.suffix.lower() == ".parquet":
            frame = pd.read_parquet(path)
            return frame if isinstance(frame.index, pd.RangeIndex) else frame.reset_index()
        # "007" stays "007", and a country called "NA" is one: with a mark before it, pandas sees no gap
        ids = {data.id_col: "={}".format} if data.id_col else None
        frame = pd.read_csv(path, converters=ids)
    except OSError as error:
        raise DataError(
            f"Can't read data.path {str(path)!r}: {error.strerror or error}."
        ) from error
    except Exception as error:  # pandas and pyarrow raise many kinds for a damaged file
        raise DataError(f"data.path {str(path)!r} is no readable table: {error}") from error
    header = str(frame.columns[0]) if len(frame.columns) == 1 else ""
    if any(mark in header for mark in ";\t|"):
        raise DataError(
            f"data.path {str(path)!r} must have commas between its columns, and decimal points. Got the header {header!r}. "
            "Save it so, or as parquet: pd.read_csv(path, sep=';', decimal=',').to_parquet(...)."
        )
    if data.id_col in frame.columns:
        names = frame[data.id_col].str[1:]
        frame[data.id_col] = names.mask(names == "")
    return frame


def _with_times(frame: pd.DataFrame, data: DataSpec) -> pd.DataFrame:
    """Return ``frame`` with the time column read as dates (ISO 8601) where it is text."""
    column = data.time_col
    if column is None:
        texts = [name for name in frame.columns if pd.api.types.is_string_dtype(frame[name])]
        column = next((c for c in texts if str(c).lower() in _TIME_NAMES), None)
    if (
        column is None
        or column not in frame.columns
        or not pd.api.types.is_string_dtype(frame[column])
    ):
        return frame
    try:
        return frame.assign(**{column: pd.to_datetime(frame[column], format="ISO8601")})
    except ValueError as error:
        raise DataError(
            f"The time column {column!r} of {data.path or data.query!r} must hold ISO dates such as 2024-12-31 or "
            f"2024-12-31T18:30. {error}"
        ) from error


_TIME_NAMES = {"ds", "time", "timestamp", "date", "datetime"}


def _keep_series(frame: pd.DataFrame, data: DataSpec) -> pd.DataFrame:
    column = data.id_col or ("unique_id" if "unique_id" in frame.columns else None)
    if column is None or column not in frame.columns:
        raise SpecError("data.series needs data.id_col: the column that names the series.")
    present = list(pd.unique(frame[column]))
    for name in data.series or []:
        if name not in present:
            raise DataError(
                f"Series {name!r} of data.series is not in the data."
                f"{hint(str(name), [str(p) for p in present])} Got {len(present)} series, first {present[:5]}."
            )
    return frame[frame[column].isin(data.series)]


def _keep_times(
    frame: pd.DataFrame, data: DataSpec, *, start: str | int | None, stop: str | int | None
) -> pd.DataFrame:
    column = data.time_col or _only_time(frame)
    if column not in frame.columns:
        raise DataError(f"There is no time column {column!r}. Got columns {list(frame.columns)}.")
    times = frame[column]
    for word, bound in (("data.start", start), ("--as-of", stop)):
        if bound is None:
            continue
        limit = as_time(bound, times, word)
        frame = frame[times >= limit] if bound is start else frame[times <= limit]
        times = frame[column]
    return frame


def _only_time(frame: pd.DataFrame) -> str:
    kinds = ("datetime64", "datetimetz")
    found = [c for c in frame.columns if isinstance(frame[c].dtype, pd.PeriodDtype)]
    found += list(frame.select_dtypes(include=kinds).columns)
    if len(found) != 1:
        raise SpecError(f"--as-of and data.start need data.time_col. Candidates: {found}.")
    return str(found[0])


def as_time(value: str | int, times: pd.Series, word: str) -> Any:
    """Return ``value`` as a time comparable with ``times``; a plain --as-of means the whole day."""
    try:
        if pd.api.types.is_numeric_dtype(times):
            return int(value)
        if isinstance(times.dtype, pd.PeriodDtype):
            return pd.Period(str(value), freq=times.dtype.freq)
        limit = pd.Timestamp(str(value))
        zone = getattr(times.dt, "tz", None)
        if zone is not None:
            limit = limit.tz_localize(zone) if limit.tzinfo is None else limit.tz_convert(zone)
    except (ValueError, TypeError) as error:
        raise SpecError(
            f"{word} must be a time such as {times.iloc[0] if len(times) else '2024-12-31'}. Got {value!r}."
        ) from error
    whole_day = word == "--as-of" and len(str(value)) == len("2024-12-31")
    return limit + pd.Timedelta(days=1) - pd.Timedelta(1, "us") if whole_day else limit
