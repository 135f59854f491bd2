"""Names of the columns that hold intervals and quantiles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

from tsrnn.exceptions import ParameterError

__all__ = ["interval_columns"]

SAME = 1e-9  # probabilities that differ by less are one


def interval_columns(
    level: float | Sequence[float] | None, quantiles: Sequence[float] | None
) -> dict[str, float]:
    """Return column name -> probability for central intervals (percent) and quantiles.

    The names follow the ``-lo-80`` / ``-hi-80`` convention of utilsforecast.

    >>> interval_columns([80], [0.5])
    {'forecast-lo-80': 0.1, 'forecast-hi-80': 0.9, 'forecast-q50': 0.5}
    """
    columns: dict[str, float] = {}
    for percent in _listed(level):
        if not _is_between(percent, 100):
            raise ParameterError(
                f"The 'level' parameter must hold percents between 0 and 100 (80 for an 80 % interval). "
                f"Got {percent!r}."
            )
        if percent < 1:
            raise ParameterError(
                f"The 'level' parameter must hold percents from 1 on. Got {percent!r}. For an {100 * percent:g} % "
                f"interval give {100 * percent:g}."
            )
        for side, sign in (("lo", -1), ("hi", 1)):
            name, probability = f"forecast-{side}-{percent:g}", 0.5 + sign * float(percent) / 200
            _enter(columns, name, round(probability, 10), "level", percent)
    for probability in _listed(quantiles):
        if not _is_between(probability, 1):
            raise ParameterError(
                f"The 'quantiles' parameter must hold probabilities between 0 and 1. Got {probability!r}."
            )
        name = f"forecast-q{round(probability * 100, 8):g}"
        _enter(columns, name, float(probability), "quantiles", probability)
    return columns


def _enter(columns: dict[str, float], name: str, probability: float, which: str, got: Any) -> None:
    if abs(columns.setdefault(name, probability) - probability) > SAME:
        raise ParameterError(
            f"The {which!r} parameter must hold values that differ in their first six digits, which name "
            f"their columns. Got {got!r}, and column {name!r} is taken. Ask for them in two calls."
        )


def _listed(asked: Any) -> list[Any]:
    """Return what was asked as a list: nothing, one, or many."""
    if asked is None:
        return []
    return list(asked) if isinstance(asked, Iterable) and not isinstance(asked, str) else [asked]


def _is_between(value: Any, high: float) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and 0 < float(value) < high
