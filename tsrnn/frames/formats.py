"""The caller's kind of frame, remembered at fit and written again with forecasts."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, cast

import numpy as np
import pandas as pd

from tsrnn.calendars import TimeAxis
from tsrnn.exceptions import DataError
from tsrnn.frames.covariates import CovariateColumns
from tsrnn.frames.joint import target_column
from tsrnn.frames.stamps import write_times
from tsrnn.panel import thing_ids

__all__ = ["FrameFormat"]


@dataclass(frozen=True)
class FrameFormat:
    """Kind, names and types of a caller's frame.

    Parameters
    ----------
    kind : {"long", "indexed", "wide", "series"}
        Rows of (series, time), a (series, time) index, one column per series, or one Series.
    backend : {"pandas", "polars", "pyarrow"}, default "pandas"
        Library of the frame.
    has_ids : bool, default True
        The frame names its series.
    id_name, time_name, target_name : str, optional
        Names of columns, index levels or the Series.
    targets : tuple of str
        Names of the targets where they were asked for as a list; ``target_name`` is None then.
    id_dtype : str, default "object"
        Type of the series' names.
    written : str, default "native"
        How times are written: "native", "date", a pandas dtype, or a strftime form.
    time_in_index : bool, default False
        The times of a long frame are its index.
    time_first : bool, default False
        Time is the first level of a (series, time) index.
    covariates : CovariateColumns
        Columns beside the target, and what they hold.
    """

    kind: Literal["long", "indexed", "wide", "series"]
    backend: Literal["pandas", "polars", "pyarrow"] = "pandas"
    has_ids: bool = True
    id_name: Any = None
    time_name: Any = None
    target_name: Any = None
    id_dtype: str = "object"
    written: str = "native"
    time_in_index: bool = False
    time_first: bool = False
    covariates: CovariateColumns = field(default_factory=CovariateColumns)
    targets: tuple[Any, ...] = ()

    @property
    def single(self) -> bool:
        """Whether the frame holds one series without a name."""
        return not self.has_ids

    def write(
        self, ids: pd.Index, times: np.ndarray, axis: TimeAxis, columns: Mapping[str, np.ndarray]
    ) -> Any:
        """Return forecasts as the caller's kind of frame.

        Parameters
        ----------
        ids : pandas.Index of shape (series,)
            Names of the series.
        times : ndarray of int64, shape (series, steps)
            Stamps of the forecasts.
        axis : TimeAxis
            What the stamps mean.
        columns : dict of str to ndarray of shape (series, steps)
            Forecasts by column name, in order. With ``targets``, the series are channels, and each
            channel has columns of its own (:func:`~tsrnn.frames.joint.target_column`).

        Returns
        -------
        frame
            long: series, time and ``columns``, one row per series and step; (series, time) index:
            the same index; wide: one column per series, or (series, column) where there are several
            ``columns``; Series: a Series, or a frame where there are several ``columns``.
        """
        if self.targets:
            count = len(self.targets)
            ids, times, columns = thing_ids(ids, count), times[::count], self.by_target(columns)
        return self.write_rows(ids, times, axis, columns)

    def by_target(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return columns (series, ...) of all channels as one a target and column, (thing, ...)."""
        return {
            target_column(name, target): values[c :: len(self.targets)]
            for c, target in enumerate(self.targets)
            for name, values in columns.items()
        }

    def names_by_target(self, names: Iterable[str]) -> set[str]:
        """Return the names under which columns of forecasts are written."""
        if not self.targets:
            return set(names)
        return {target_column(name, target) for name in names for target in self.targets}

    def write_rows(
        self, ids: pd.Index, times: np.ndarray, axis: TimeAxis, columns: Mapping[Any, np.ndarray]
    ) -> Any:
        """Return columns as the caller's kind of frame, under the names given; see :meth:`write`."""
        if self.kind == "wide":
            return self._write_wide(ids, times, axis, columns)
        flat = {name: np.ascontiguousarray(values).ravel() for name, values in columns.items()}
        if self.backend == "polars":
            return self._write_polars(ids, times, axis, flat)
        if self.backend == "pyarrow":
            return self._write_arrow(ids, times, axis, flat)
        time = write_times(axis, times.ravel(), self.written)
        if self.kind == "series":
            index = pd.Index(time, name=self.time_name)
            if list(flat) == ["forecast"]:
                return pd.Series(flat["forecast"], index=index, name=self.target_name)
            return pd.DataFrame(flat, index=index)
        names = self._ids(ids)
        if self.kind == "indexed":
            codes = np.repeat(np.arange(len(ids)), times.shape[1])
            levels = [(names.take(codes), self.id_name), (time, self.time_name)]
            levels = levels[::-1] if self.time_first else levels
            index = pd.MultiIndex.from_arrays(
                [level for level, _ in levels], names=[n for _, n in levels]
            )
            return pd.DataFrame(flat, index=index)
        frame: dict[Any, Any] = {}
        if self.has_ids:
            frame[self.id_name] = names.repeat(times.shape[1])
        if self.time_in_index:
            return pd.DataFrame({**frame, **flat}, index=pd.Index(time, name=self.time_name))
        return pd.DataFrame({**frame, self.time_name: time, **flat})

    def _ids(self, ids: pd.Index) -> pd.Index:
        if str(ids.dtype) == self.id_dtype or self.id_dtype == "object":
            return ids
        try:
            return ids.astype(cast(Any, self.id_dtype))
        except (TypeError, ValueError):
            # ids of another kind than those fitted keep their own
            return ids

    def _write_wide(
        self, ids: pd.Index, times: np.ndarray, axis: TimeAxis, columns: Mapping[str, np.ndarray]
    ) -> pd.DataFrame:
        stamps, inverse = np.unique(times, return_inverse=True)
        # series that end at different times meet on the union of their stamps
        position = inverse.reshape(times.shape)
        table = np.full((len(stamps), len(ids), len(columns)), np.nan)
        rows = np.arange(len(ids))[:, None]
        for k, values in enumerate(columns.values()):
            table[position, rows, k] = values
        index = pd.Index(write_times(axis, stamps, self.written), name=self.time_name)
        names = self._ids(ids).rename(self.id_name)
        if list(columns) == ["forecast"]:
            return pd.DataFrame(table[:, :, 0], index=index, columns=names)
        pairs = pd.MultiIndex.from_product([names, list(columns)], names=[self.id_name, None])
        return pd.DataFrame(table.reshape(len(stamps), -1), index=index, columns=pairs)

    def _write_polars(
        self, ids: pd.Index, times: np.ndarray, axis: TimeAxis, flat: dict[str, np.ndarray]
    ) -> Any:
        import polars as pl

        frame: dict[Any, Any] = {}
        if self.has_ids:
            names = pl.Series(self.id_name, ids.tolist())
            if ids.dtype.kind in "iu":
                names = pl.Series(self.id_name, ids.to_numpy())
            if self.id_dtype.startswith("Enum"):
                categories = ast.literal_eval(self.id_dtype.split("=", 1)[1][:-1])
                # new ids outside the enumeration stay text
                names = names.cast(pl.Enum(categories)) if set(ids) <= set(categories) else names
            elif self.id_dtype.startswith("Categorical"):
                names = names.cast(pl.Categorical)
            frame[self.id_name] = names.gather(np.repeat(np.arange(len(ids)), times.shape[1]))
        if axis.kind == "datetime" and self.written in {"native", "date"}:
            stamps = times.ravel().view(f"M8[{axis.unit}]")
            # polars has no datetimes in seconds
            time = pl.Series(
                self.time_name, stamps.astype("M8[ms]") if axis.unit == "s" else stamps
            )
            if axis.tz is not None:
                time = time.dt.replace_time_zone("UTC").dt.convert_time_zone(axis.tz)
            frame[self.time_name] = time.cast(pl.Date) if self.written == "date" else time
        else:
            index = pd.Index(write_times(axis, times.ravel(), self.written))
            numeric = index.dtype.kind in "iu"
            frame[self.time_name] = pl.Series(index.to_numpy() if numeric else index.tolist())
        return pl.DataFrame({**frame, **flat})

    def _write_arrow(
        self, ids: pd.Index, times: np.ndarray, axis: TimeAxis, flat: dict[str, np.ndarray]
    ) -> Any:
        import pyarrow as pa

        frame: dict[Any, Any] = {}
        if self.has_ids:
            encoded = self.id_dtype.startswith("dictionary")
            kind = None if encoded else pa.type_for_alias(self.id_dtype)
            names = pa.array(ids.tolist(), type=kind)
            names = names.take(pa.array(np.repeat(np.arange(len(ids)), times.shape[1])))
            frame[self.id_name] = names.dictionary_encode() if encoded else names
        if axis.kind == "datetime" and self.written in {"native", "date"}:
            kind = pa.timestamp(axis.unit, tz=axis.tz)
            time = pa.array(times.ravel()).cast(kind)
            frame[self.time_name] = time.cast(pa.date32()) if self.written == "date" else time
        else:
            frame[self.time_name] = pa.array(
                pd.Index(write_times(axis, times.ravel(), self.written)).to_numpy()
            )
        return pa.table({**frame, **{name: pa.array(values) for name, values in flat.items()}})

    def check_names(self, written: set[str]) -> None:
        """Raise DataError if the columns of series and time have names that are written for others."""
        for name in (self.id_name, self.time_name):
            if name in written:
                raise DataError(
                    f"The columns of series and time must not be called like one that is written beside "
                    f"them. Got {name!r}. Rename it with df.rename."
                )

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold; :meth:`from_dict` reads it back."""
        saved = asdict(self)
        for name in ("id_name", "time_name", "target_name"):
            saved[name] = _plain(saved[name])
        saved["targets"] = tuple(_plain(target) for target in self.targets)
        return saved

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> FrameFormat:
        """Return the format that :meth:`to_dict` wrote."""
        columns = CovariateColumns.from_dict(saved.get("covariates", {}))
        return cls(**{**saved, "covariates": columns})


def _plain(name: Any) -> Any:
    return name.item() if isinstance(name, np.generic) else name
