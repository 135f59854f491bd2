"""The lag-copy detector: whether a forecast only repeats the last observed value."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from tsrnn.exceptions import DataError
from tsrnn.metrics.pairing import numbers

__all__ = ["LagCopy", "lag_copy"]

STANDS_STILL = 0.1  # moves this small, relative to the real ones, are no moves
FOLLOWS = 0.5  # correlation from which a forecast follows something
ENOUGH = (
    10  # forecasts below which following the last value may be chance, and is not held against it
)


@dataclass(frozen=True)
class LagCopy:
    """Whether forecasts only repeat the last observed value, and the numbers that say so.

    Parameters
    ----------
    with_previous : float
        Correlation, from one origin to the next, of the forecast's change with the change of the
        last observed value y(t-1). NaN where there are too few origins, or no forecast changes.
    with_actual : float
        The same with the change of what came true, y(t).
    moves : float
        Correlation of the foretold move, forecast - y(t-1), with the real one, y(t) - y(t-1);
        0 where no move is foretold. It is what a forecast knows beyond the last value.
    moved : float
        Size of the foretold moves relative to the real ones (root mean squares): 0 for naive.
    n_forecasts : int
        Forecasts behind the numbers: origins times series; the steps of one forecast count once.
    is_copy : bool
        The moves carry no information (``moves`` is not significantly positive at 2.5 %), and the
        forecast either hardly moves or, over at least ten forecasts, follows y(t-1) better than y(t).
    """

    with_previous: float
    with_actual: float
    moves: float
    moved: float
    n_forecasts: int
    is_copy: bool

    def __str__(self) -> str:
        """Return the finding as a sentence."""
        says = "Copies" if self.is_copy else "Does not copy"
        return (
            f"{says} the last value (correlation of changes with y(t-1) {self.with_previous:.2f}, "
            f"with y(t) {self.with_actual:.2f}, of the moves {self.moves:.2f})."
        )

    def to_dict(self) -> dict[str, float]:
        """Return the numbers by name, the boolean as it is: for a log or a saved model."""
        return asdict(self)


def lag_copy(actual: ArrayLike, forecast: ArrayLike, previous: ArrayLike) -> LagCopy:
    """Find out whether forecasts follow the last observed value better than what came true.

    A network that has learned nothing but to repeat yesterday looks excellent on a plot of prices:
    its curve is the real one, one step late. This compares changes, where the delay shows. On a
    random walk a copy is also the best forecast there is, so a copy is a fact, not a fault; it
    only means that the model adds nothing to naive.

    Parameters
    ----------
    actual, forecast : array_like of shape (origins,), (origins, horizon) or (origins, series, horizon)
        What came true and what was said, origins in the order of time. NaN is left out.
    previous : array_like of shape (origins,) or (origins, series)
        Last value observed at each origin: y(t-1) of the first step.

    Returns
    -------
    LagCopy

    Examples
    --------
    >>> walk = np.random.default_rng(0).normal(size=200).cumsum()
    >>> late, early = lag_copy(walk[1:], walk[:-1], walk[:-1]), lag_copy(walk[1:], walk[1:], walk[:-1])
    >>> late.is_copy, early.is_copy
    (True, False)
    """
    y, f = numbers(actual, "actual"), numbers(forecast, "forecast")
    before = numbers(previous, "previous")
    if y.shape != f.shape or y.ndim == 0 or y.ndim > 3:
        raise DataError(
            "actual and forecast must have the same shape: (origins,), (origins, horizon) or "
            f"(origins, series, horizon). Got {y.shape} and {f.shape}."
        )
    per_forecast = y.shape if y.ndim == 1 else y.shape[:-1]
    if before.shape != per_forecast:
        raise DataError(
            f"previous must hold one value per forecast, shape {per_forecast}. Got {before.shape}."
        )
    full = (len(y), -1, 1 if y.ndim == 1 else y.shape[-1])  # (origins, series, horizon)
    y, f = y.reshape(full), f.reshape(full)
    before = np.broadcast_to(before.reshape(len(y), -1, 1), y.shape)
    known = np.isfinite(y) & np.isfinite(f) & np.isfinite(before)
    y, f, before = (np.where(known, values, np.nan) for values in (y, f, before))

    real, foretold = _in_units_of(y - before, f - before)
    moves = _correlation(foretold, real, centred=False)
    size = _root_mean_square(real)
    moved = _root_mean_square(foretold) / size if size > 0 else math.nan
    with_previous = _correlation(*_in_units_of(np.diff(before, axis=0), np.diff(f, axis=0)))
    with_actual = _correlation(*_in_units_of(np.diff(y, axis=0), np.diff(f, axis=0)))

    n_forecasts = int(known.any(axis=2).sum())
    knows_more = moves * math.sqrt(n_forecasts) > ndtri(0.975)
    stands_still = moved < STANDS_STILL
    follows_lag = (
        n_forecasts >= ENOUGH and with_previous > FOLLOWS and not with_actual >= with_previous
    )
    return LagCopy(
        with_previous,
        with_actual,
        moves if math.isfinite(moves) else 0.0,
        moved,
        n_forecasts,
        is_copy=bool(not knows_more and (stands_still or follows_lag)),
    )


def _in_units_of(x: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Divide both by the root mean square of each series in ``x``, so that none outweighs the rest."""
    known = ~np.isnan(x)
    total = np.where(known, x**2, 0.0).sum(axis=(0, 2), keepdims=True)
    size = np.sqrt(total / np.maximum(known.sum(axis=(0, 2), keepdims=True), 1))
    size = np.where(size > 0, size, np.nan)
    return x / size, other / size


def _root_mean_square(x: np.ndarray) -> float:
    known = x[~np.isnan(x)]
    return math.sqrt(float(known @ known) / len(known)) if len(known) else math.nan


def _correlation(x: np.ndarray, y: np.ndarray, *, centred: bool = True) -> float:
    """Return the correlation of the pairs that are both known; NaN where one does not vary."""
    known = ~(np.isnan(x) | np.isnan(y))
    a, b = x[known], y[known]
    if centred and len(a):
        a, b = a - a.mean(), b - b.mean()
    norm = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / norm if norm > 0 else math.nan
