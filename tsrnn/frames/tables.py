"""Columns of pandas, polars and Arrow tables by name, without importing a library the caller does not use."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import pandas as pd

from tsrnn.exceptions import DataError
from tsrnn.frames.numeric import is_number_like
from tsrnn.frames.stamps import is_time_like

__all__ = ["Kind", "Table", "open_table"]

Kind = Literal["number", "integer", "time", "text", "other"]


@dataclass(frozen=True)
class Table:
    """A caller's table: which columns there are, of which kind, and each as a pandas Series.

    Parameters
    ----------
    backend : {"pandas", "polars", "pyarrow"}
        Library of the table.
    frame : object
        The caller's table itself; it is never changed.
    kinds : dict
        Column name -> "number", "integer", "time", "text" or "other", in the caller's order.
    """

    backend: Literal["pandas", "polars", "pyarrow"]
    frame: Any
    kinds: dict[Any, Kind]

    def column(self, name: Any) -> pd.Series:
        """Return a column as a pandas Series (a view where the library allows one)."""
        if self.backend == "pandas":
            return self.frame[name]
        if self.backend == "pyarrow":
            return self.frame.column(name).to_pandas()
        return _from_polars(self.frame.get_column(name))

    def dtype(self, name: Any) -> str:
        """Return the caller's type of a column, as text."""
        if self.backend == "pandas":
            return str(self.frame[name].dtype)
        if self.backend == "pyarrow":
            return str(self.frame.schema.field(name).type)
        return str(self.frame.schema[name])


def open_table(df: Any) -> Table:
    """Return the table of a frame.

    Raises
    ------
    DataError
        It is no frame, or its columns have no unique, plain names.
    """
    library = type(df).__module__.split(".")[0]
    if isinstance(df, pd.DataFrame):
        _check_names(df)
        kinds = {name: _pandas_kind(df, name, dtype) for name, dtype in df.dtypes.items()}
        return Table("pandas", df, kinds)
    if library == "polars":
        if type(df).__name__ == "LazyFrame":
            raise DataError(
                "df must be a frame with rows. Got a polars LazyFrame. Call .collect() first."
            )
        if type(df).__name__ == "DataFrame":
            return Table(
                "polars", df, {name: _polars_kind(dtype) for name, dtype in df.schema.items()}
            )
    if library == "pyarrow" and type(df).__name__ in {"Table", "RecordBatch"}:
        names = df.schema.names
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise DataError(
                f"Columns must have different names. Got {repeated} more than once. Rename or drop them."
            )
        return Table(
            "pyarrow", df, {field.name: _arrow_kind(str(field.type)) for field in df.schema}
        )
    raise DataError(
        "df must be a pandas DataFrame or Series, a polars DataFrame or a pyarrow Table. "
        f"Got {type(df).__module__}.{type(df).__name__}. Give values a time axis with pd.Series(values, index=times)."
    )


def _check_names(df: pd.DataFrame) -> None:
    if isinstance(df.columns, pd.MultiIndex):
        first = df.columns[0] if len(df.columns) else ()
        raise DataError(
            f"Columns must have one level of names. Got {df.columns.nlevels} levels, such as {first!r}. "
            "Pick one variable with df['Close'], say (a wide frame, one column per series), or make it long with df.stack()."
        )
    if not df.columns.is_unique:
        repeated = df.columns[df.columns.duplicated()].unique().tolist()
        raise DataError(
            f"Columns must have different names. Got {repeated} more than once. "
            "Keep the first ones with df.loc[:, ~df.columns.duplicated()], or rename them."
        )


def _pandas_kind(df: pd.DataFrame, name: Any, dtype: Any) -> Kind:
    if isinstance(dtype, pd.CategoricalDtype):
        return "text"
    kind = _kind_of_type(dtype)
    if kind is not None:
        return kind
    column = df[name]
    # objects: judged by the first that is there
    position = column.first_valid_index() if column.index.is_unique else None
    value = (
        column.loc[position]
        if position is not None
        else next((v for v in column if not pd.isna(v)), None)
    )
    return _object_kind(value)


@lru_cache(maxsize=64)
def _kind_of_type(dtype: Any) -> Kind | None:
    """Return the kind of a column of this type; None for objects, which may be of any."""
    if is_time_like(dtype):
        return "time"
    if is_number_like(dtype):
        return "integer" if pd.api.types.is_integer_dtype(dtype) else "number"
    if pd.api.types.is_object_dtype(dtype):
        return None
    return "text" if pd.api.types.is_string_dtype(dtype) else "other"


def _object_kind(value: Any) -> Kind:
    if isinstance(value, str):
        return "text"
    if type(value).__name__ in {"date", "datetime", "Timestamp", "Period"}:
        return "time"
    if isinstance(value, bool):
        return "other"
    if isinstance(value, int):
        return "integer"
    return "number" if type(value).__name__ in {"Decimal", "float"} else "other"


def _polars_kind(dtype: Any) -> Kind:
    if dtype.is_integer():
        return "integer"
    if dtype.is_numeric():
        return "number"
    name = str(dtype)
    if name == "Date" or name.startswith("Datetime"):
        return "time"
    return "text" if name.startswith(("String", "Categorical", "Enum")) else "other"


def _arrow_kind(name: str) -> Kind:
    if name.startswith(("int", "uint")):
        return "integer"
    if name.startswith(("float", "double", "halffloat", "decimal")):
        return "number"
    if name.startswith(("timestamp", "date32", "date64")):
        return "time"
    return (
        "text"
        if name.startswith(("string", "large_string", "dictionary<values=string"))
        else "other"
    )


def _from_polars(column: Any) -> pd.Series:
    name = str(column.dtype)
    if name.startswith("Decimal"):
        return pd.Series(column.to_list(), dtype=object)
    if name.startswith(("Categorical", "Enum")):
        return pd.Series(column.to_list(), dtype=object)
    if name.startswith("String"):
        return pd.Series(column.to_numpy(), dtype=object)
    if name == "Date":
        return pd.Series(column.to_list(), dtype=object)
    if name.startswith("Datetime"):
        zone = column.dtype.time_zone
        utc = (
            column
            if zone is None
            else column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        )
        values = pd.Series(utc.to_numpy())
        return values if zone is None else values.dt.tz_localize("UTC").dt.tz_convert(zone)
    if column.null_count() and column.dtype.is_integer():
        return pd.Series(column.to_list(), dtype=object)
    values = column.to_numpy()
    return pd.Series(values if values.dtype != np.dtype(object) else column.to_list(), copy=False)
