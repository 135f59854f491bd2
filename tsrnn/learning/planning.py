"""What RNNForecaster decides from the data when it is not told: the plan, visible in ``summary()``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from tsrnn.calendars.features import choose_features
from tsrnn.exceptions import DataError, ParameterError, shown
from tsrnn.frames.covariates import CovariateColumn, CovariateColumns
from tsrnn.learning.seasonality import detect_seasons
from tsrnn.nn.covariates import Column, CovariatePlan
from tsrnn.panel import Panel
from tsrnn.windows import Origins

__all__ = ["DataPlan", "Split", "choose_bounds", "plan_covariates", "plan_data", "split_panel"]

ORIGINS_AT_LEAST, ORIGINS_AT_MOST = 256, 2048  # that choose; one a series in between
MANY_SERIES = 100
STRETCHES, STRETCHES_OF_MANY = 50, 6  # of one horizon, that choose at most
GOLDEN = (5**0.5 - 1) / 2  # whose multiples lie evenly between whole numbers, in no order
REACHED = 0.01  # share of the values that lie on a floor
ROWS_OF_A_TEST = 3  # in horizons: a series shorter than this keeps nothing aside for the verdict


@dataclass(frozen=True)
class DataPlan:
    """How the rows of a panel are read.

    Parameters
    ----------
    horizon : int
        Steps of the forecast.
    seasons : tuple of int
        Season lengths the network sees, shortest first; (1,): none.
    patch : int
        Rows that one recurrent step reads.
    context : int
        Rows of a training window.
    representation : str
        "level", "difference", "log" or "log_return".
    steps : int
        Optimiser steps at most.
    batch : int
        Windows of one step.
    calendar : tuple of str
        Features of the stamps; see :mod:`tsrnn.calendars.features`.
    """

    horizon: int
    seasons: tuple[int, ...]
    patch: int
    context: int
    representation: str
    steps: int
    batch: int
    calendar: tuple[str, ...] = ()

    @property
    def log(self) -> bool:
        """Whether the network works on logarithms."""
        return self.representation in {"log", "log_return"}

    @property
    def anchor(self) -> str:
        """What forecasts are relative to: the season's level, or the last value."""
        return "level" if self.representation in {"level", "log"} else "last"

    @property
    def window(self) -> int:
        """Rows that the causal scale remembers: whole seasons, at least about sixty rows."""
        season = self.seasons[0]
        return season * max(4, -(-60 // season)) if season < 60 else 4 * season

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DataPlan:
        """Undo :meth:`to_dict`."""
        read = {name: tuple(values.get(name, ())) for name in ("seasons", "calendar")}
        return cls(**{**values, **read})


@dataclass(frozen=True)
class Split:
    """Which rows teach, which choose, and which judge; positions within each series, shape (series,).

    Rows before ``train`` teach; rows up to ``choose`` are forecast to choose the weights; rows up to the
    end judge. ``validation`` and ``test`` are the origins of those forecasts (test: at most one a series).
    """

    train: np.ndarray
    choose: np.ndarray
    validation: Origins
    test: Origins


class Wishes(Protocol):
    """The parameters of a forecaster that a plan depends on; None leaves the choice to the data."""

    season: int | None
    patch: int | None
    decoder: str
    context_length: int | None
    representation: str
    output: str
    max_steps: int
    batch_size: int
    calendar_features: Any


def plan_data(panel: Panel, horizon: int, wishes: Wishes) -> DataPlan:
    """Decide how to read a panel; what ``wishes`` say goes first."""
    seasons = choose_seasons(panel, wishes.season, horizon)
    patch = choose_patch(seasons, wishes.decoder) if wishes.patch is None else int(wishes.patch)
    context = choose_context(panel, seasons, patch, wishes.context_length)
    representation = wishes.representation
    if representation == "auto":
        counts = wishes.output == "negative_binomial"
        representation = "level" if counts else choose_representation(panel, seasons, horizon)
    rows = int(panel.lengths.sum())
    steps = min(wishes.max_steps, max(200, int(20 * np.sqrt(rows / patch))))
    batch = min(wishes.batch_size, max(8, rows // (2 * patch * max(1, context // patch // 16))))
    features = wishes.calendar_features
    features = choose_features(panel, seasons) if features == "auto" else tuple(features or ())
    return DataPlan(horizon, seasons, patch, context, representation, steps, batch, features)


def plan_covariates(
    panel: Panel, columns: CovariateColumns, *, one_hot: bool
) -> CovariatePlan | None:
    """Return which covariates a network reads, and the categories that the panel shows of each.

    What the panel has beyond the ``columns`` are features of its stamps: numbers.
    """
    if panel.covariates is None:
        return None

    def shown(kind: tuple[CovariateColumn, ...], rows: np.ndarray) -> tuple[Column, ...]:
        named: list[Column] = [
            None if column.categories is None else _codes(rows[:, i])
            for i, column in enumerate(kind)
        ]
        return (*named, *(None,) * (rows.shape[1] - len(kind)))

    given = panel.covariates
    return CovariatePlan(
        shown(columns.future, given.future),
        shown(columns.past, given.past),
        shown(columns.static, given.static),
        one_hot=one_hot,
    )


def _codes(values: np.ndarray) -> tuple[int, ...]:
    return tuple(int(code) for code in np.unique(values[values > 0]))


def choose_seasons(panel: Panel, season: int | None, horizon: int) -> tuple[int, ...]:
    """Return the seasons that the longest series shows at least twice, or (1,).

    They are the given one, or those of the frequency; an integer axis says nothing, so there they are
    looked for in the data, without the rows that will judge.
    """
    longest = int(panel.lengths.max())
    if season is not None:
        wanted: tuple[int, ...] = (season,)
    elif panel.axis.kind == "integer":
        stop = _rows_that_choose(panel.lengths, horizon)
        wanted = detect_seasons(panel.take_rows(np.zeros_like(stop), stop))
    else:
        wanted = panel.axis.seasons
    shown = tuple(sorted({s for s in wanted if s > 1 and 2 * s + 1 <= longest}))
    return shown or (1,)


def choose_patch(seasons: tuple[int, ...], decoder: str) -> int:
    """Return the rows of a recurrent step: one, or more where a season has many steps."""
    season = seasons[0]
    if decoder == "shift" or season < 24:
        return 1
    return 4 if season == 52 else 24


def choose_context(
    panel: Panel, seasons: tuple[int, ...], patch: int, asked: int | None = None
) -> int:
    """Return the rows of a training window: as asked, else some seasons; no more than the longest series has."""
    season = seasons[0]
    if asked is not None:
        wanted = asked
    elif season == 1:
        wanted = 64
    elif season >= 24:
        wanted = max(2 * season, min(21 * season, 28 * patch))
    else:
        wanted = max(48, 4 * season)
    longest = int(panel.lengths.max())
    return max(patch, -(-min(wanted, max(longest - 1, 1)) // patch) * patch)


def choose_representation(panel: Panel, seasons: tuple[int, ...], horizon: int) -> str:
    """Return the representation that fits: log for positive, growing, multiplicative data.

    The rows that will judge have no say, but logarithms need every value to be positive.

    Multiplicative: over blocks of a season, the size of the changes grows with the level (the slope of
    log change on log level, pooled over series, is above one half) while the level itself moves by a
    fifth or more. Without a season, forecasts are relative to the last value (difference, log return).
    """
    anchor_level = seasons[0] > 1
    chosen = _rows_that_choose(panel.lengths, horizon)
    past = panel.take_rows(np.zeros_like(chosen), chosen)
    return (
        ("log" if anchor_level else "log_return")
        if np.nanmin(panel.values) > 0 and _is_multiplicative(past, seasons[0])
        else ("level" if anchor_level else "difference")
    )


def _is_multiplicative(panel: Panel, season: int) -> bool:
    block = max(season, 8)
    chosen = np.unique(np.linspace(0, len(panel) - 1, min(len(panel), 500)).astype(int))
    series = [panel.series(i) for i in chosen]
    series = [each[np.isfinite(each)] for each in series]
    whole = [each[len(each) % block :] for each in series if len(each) >= 4 * block]
    if not whole:
        return False
    folded = np.concatenate(whole).astype(np.float64).reshape(-1, block)
    owner = np.repeat(np.arange(len(whole)), [len(each) // block for each in whole])
    level = np.log(folded.mean(1))
    change = np.abs(np.diff(folded, axis=1)).mean(1)
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    reach = np.maximum.reduceat(level, first) - np.minimum.reduceat(level, first)
    keep = change > 0
    count = np.bincount(owner, keep)
    keep &= (count >= 4)[owner]
    if not keep.any():
        return False
    owner, x, y = owner[keep], level[keep], np.log(change[keep])
    x = x - (np.bincount(owner, x, len(whole)) / np.maximum(count, 1))[owner]
    spread = float(x @ x)
    if not spread > 0:
        return False
    return float(x @ y) / spread > 0.5 and float(np.median(reach[count >= 4])) > 0.2


def choose_bounds(panel: Panel) -> tuple[float | None, float | None]:
    """Return what no value can leave: below, zero where it is a floor that values reach and never cross.

    Demand, counts, rain and sunshine are like that. Where zero itself is not among the values, or hardly,
    that nothing was negative so far says little: in a year of prices or a summer's temperatures.
    """
    observed = panel.values[~np.isnan(panel.values)]
    floor = observed.min() == 0 and np.mean(observed == 0) >= REACHED
    return (0.0 if floor else None, None)


def split_panel(panel: Panel, *, horizon: int, val_size: int | None) -> Split:
    """Cut each series into rows that teach, choose and judge, newest last.

    Parameters
    ----------
    panel : Panel
    horizon : int
    val_size : int, optional
        Rows of each series that choose the weights; from the data when not given: one horizon, or up to
        a sixth of the rows (fifty horizons), with many series a twelfth (six horizons).
    """
    lengths = panel.lengths
    choose = _rows_that_choose(lengths, horizon)
    if val_size is None:
        share = choose // (6 if len(panel) < MANY_SERIES else 12)
        most = horizon * (STRETCHES if len(panel) < MANY_SERIES else STRETCHES_OF_MANY)
        rows = np.clip(share, horizon, np.maximum(most, horizon))
    else:
        rows = np.full_like(lengths, val_size)
    chosen = choose - rows >= max(horizon, 3)
    if val_size is not None and not chosen.any():
        longest = int(np.argmax(choose))
        raise ParameterError(
            f"The 'val_size' parameter must leave at least {max(horizon, 3)} rows to learn from. Got {val_size} for "
            f"{int(choose[longest])} rows of the longest series, {shown(panel.ids[longest])}. Use a smaller one, or None."
        )
    rows = np.where(chosen, rows, 0)
    train = choose - rows
    if int(train.max()) < 3:
        longest = int(np.argmax(lengths))
        raise DataError(
            f"Every series is too short. The longest, {shown(panel.ids[longest])}, has {int(lengths.max())} rows; "
            f"learning needs at least 3 rows. Give longer series."
        )
    test = np.flatnonzero(choose < lengths)
    every = panel.channels
    origins = _validation_origins(train[::every], choose[::every], horizon)
    return Split(train, choose, origins.of_channels(every), Origins(test, choose[test]))


def _rows_that_choose(lengths: np.ndarray, horizon: int) -> np.ndarray:
    """Rows of each series before those that judge; all rows of a short series."""
    judged = lengths >= ROWS_OF_A_TEST * horizon + 2
    return np.where(judged, lengths - horizon, lengths)


def _validation_origins(train: np.ndarray, choose: np.ndarray, horizon: int) -> Origins:
    """Every origin whose whole horizon lies in the choosing rows, or one of each of some hundred equal parts."""
    per_series = np.where(choose > train, np.maximum(choose - train - horizon + 1, 1), 0)
    series = np.repeat(np.arange(len(train)), per_series)
    first = np.concatenate([[0], np.cumsum(per_series)])[:-1]
    known = train[series] + np.arange(len(series)) - first[series]
    limit = min(max(int((per_series > 0).sum()), ORIGINS_AT_LEAST), ORIGINS_AT_MOST)
    if len(series) <= limit:
        return Origins(series, known)
    # one from each of as many equal parts, not at the same phase: where a part is a series, one phase after
    # the other would let the first series choose at their oldest origins and the last at their newest
    part, phase = np.arange(limit), np.arange(limit) * GOLDEN % 1
    kept = ((part + phase) * len(series) / limit).astype(int)
    return Origins(series[kept], known[kept])
