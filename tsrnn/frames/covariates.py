"""Covariate columns: what they hold is settled at fit, read exactly, and checked like the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from tsrnn.calendars import TimeAxis
from tsrnn.exceptions import DataError
from tsrnn.frames.layout import Layout
from tsrnn.frames.numeric import read_numbers
from tsrnn.frames.stamps import is_time_like

__all__ = [
    "CovariateColumn",
    "CovariateColumns",
    "check_numbers",
    "no_value",
    "read_column",
    "settle_column",
]

CODES = 50  # whole numbers written as text that may be categories, at most
LARGEST = 1e150  # beyond it, squares leave float64


@dataclass(frozen=True)
class CovariateColumn:
    """A column beside the target: numbers, or one of these categories."""

    name: Any
    categories: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class CovariateColumns:
    """The columns beside the target, known in advance, up to now, or constant for each series."""

    future: tuple[CovariateColumn, ...] = ()
    past: tuple[CovariateColumn, ...] = ()
    static: tuple[CovariateColumn, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.future or self.past or self.static)

    @classmethod
    def named(
        cls, future: Sequence[Any] | None, past: Sequence[Any] | None, static: Sequence[Any] | None
    ) -> CovariateColumns:
        """Return columns of which only the names are known."""
        return cls(*(tuple(map(CovariateColumn, names or ())) for names in (future, past, static)))

    def to_dict(self) -> dict[str, Any]:
        """Return the columns as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> CovariateColumns:
        """Undo :meth:`to_dict`."""
        return cls(
            **{
                kind: tuple(CovariateColumn(**each) for each in some)
                for kind, some in saved.items()
            }
        )


def settle_column(name: Any, column: pd.Series, parameter: str) -> CovariateColumn:
    """Return what a column holds: numbers (booleans, too), or categories (text, categorical).

    Raises
    ------
    DataError
        It holds times, or no value at all.
    """
    if is_time_like(column.dtype) or pd.api.types.is_timedelta64_dtype(column.dtype):
        raise DataError(
            f"Column {name!r} ({parameter}) must hold numbers, booleans or categories. Got dtype {column.dtype}. "
            "Take parts of it, such as .dt.dayofweek, or .dt.total_seconds() of durations."
        )
    if not column.notna().any():
        raise no_value(name, parameter)
    if not _holds_categories(column):
        return CovariateColumn(name)
    found = _plain(column.dropna())
    kinds = {type(value) for value in found}
    if not kinds <= {str, int, float, bool}:
        odd = next(value for value in found if type(value) not in {str, int, float, bool})
        raise DataError(
            f"Categories in column {name!r} ({parameter}) must be text or numbers. Got {odd!r} of type "
            f"{type(odd).__name__}. Convert them with .astype(str)."
        )
    if len(kinds) > 1 and str in kinds:
        raise DataError(
            f"Categories in column {name!r} ({parameter}) must be of one type. Got "
            f"{sorted(kind.__name__ for kind in kinds)}. Convert them with .astype(str)."
        )
    shown = sorted(set(found))
    if kinds == {str} and not isinstance(column.dtype, pd.CategoricalDtype):
        _refuse_written_numbers(shown, name, parameter)
    return CovariateColumn(name, tuple(shown))


def _refuse_written_numbers(shown: list[str], name: Any, parameter: str) -> None:
    """Raise DataError for measured values written as text; a few whole numbers may be the codes of things."""
    numbers = pd.to_numeric(pd.Series(shown), errors="coerce").to_numpy(dtype=np.float64)
    if np.isnan(numbers).any() or (len(shown) <= CODES and (numbers == np.round(numbers)).all()):
        return
    raise DataError(
        f"Column {name!r} ({parameter}) must hold numbers as numbers. Got text such as {shown[0]!r}. Convert it with "
        "pd.to_numeric, or with .astype('category') where these are categories."
    )


def no_value(name: Any, parameter: str) -> DataError:
    """Return the error for a column from which nothing can be learned."""
    return DataError(
        f"Column {name!r} ({parameter}) must hold values beside those of the target, to learn from. Got none. "
        "Fill it, or leave it out."
    )


def read_column(column: CovariateColumn, values: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return a column as float64, categories as codes from 1 (0: unknown), and where those are unknown."""
    if column.categories is None:
        numbers = read_numbers(values, f"Column {column.name!r}").astype(np.float64)
        return numbers, np.zeros(len(numbers), dtype=bool)
    missing = values.isna().to_numpy()
    plain = pd.Series(_plain(values), dtype=object)
    codes = {category: float(code) for code, category in enumerate(column.categories, 1)}
    found = plain.map(codes).to_numpy(dtype=np.float64)
    unknown = np.isnan(found) & ~missing
    return np.where(unknown, 0.0, found), unknown


def check_numbers(values: np.ndarray, name: Any, layout: Layout, axis: TimeAxis) -> None:
    """Raise DataError for numbers that can't be computed with."""
    bad = np.abs(values) > LARGEST  # NaN is not
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"Column {name!r} must hold numbers to compute with. Got {int(bad.sum())} values infinite or beyond "
            f"{LARGEST:g}, the first {float(values[row])!r} for {layout.where(row, axis)}. Correct them, or make "
            "them missing with df.replace([np.inf, -np.inf], np.nan)."
        )


def _holds_categories(column: pd.Series) -> bool:
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return True
    if pd.api.types.is_object_dtype(dtype):
        return isinstance(column.loc[column.notna()].iloc[0], str)
    return pd.api.types.is_string_dtype(dtype)


def _plain(column: pd.Series) -> list[Any]:
    """Return the values as plain Python ones."""
    return [
        value.item() if isinstance(value, np.generic) else value
        for value in column.astype(object).tolist()
    ]
