"""Errors of tsrnn's own, before any training, in words that a user can act on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from tsrnn.contract.case import Case
from tsrnn.contract.rules import Broken, must, rule
from tsrnn.exceptions import DataError, ParameterError
from tsrnn.listeners import add_listener, remove_listener

_LONGEST = 2000
_WRONG_HORIZONS = (0, -1, 1.5, "7", True)


class _Sentinel:
    """Tells that a fit began to learn."""

    began = False

    def on_fit_start(self, forecaster: Any, panel: Any) -> None:
        self.began = True

    def on_epoch_end(self, forecaster: Any, step: int, metrics: dict[str, float]) -> None: ...

    def on_fit_end(self, forecaster: Any) -> None: ...

    def on_fit_error(self, forecaster: Any, error: BaseException) -> None: ...


def _must_refuse(
    call: Callable[[], object], names: str, error: type[Exception] = DataError
) -> None:
    """Raise Broken unless ``call`` raises ``error`` before learning, with a short text that has ``names``."""
    watch = _Sentinel()

    def factory(forecaster: Any) -> _Sentinel:
        del forecaster
        return watch

    add_listener(factory)
    try:
        call()
    except error as refusal:
        text = str(refusal)
        must(names in text, f"an error that does not name {names!r}: {text[:200]}")
        must(len(text) <= _LONGEST, f"an error of {len(text)} characters")
        must(not watch.began, "an error after the fit had begun")
        return
    except Exception as other:  # noqa: BLE001 - any other error is the finding
        raise Broken(f"{type(other).__name__} instead of {error.__name__}: {other}") from None
    finally:
        remove_listener(factory)
    raise Broken(f"no {error.__name__}")


def _refuses_frame(case: Case, spoil: Callable[[pd.DataFrame], Any], names: str) -> None:
    """Both fit and predict refuse the spoiled frame by a DataError that has ``names``."""
    _must_refuse(lambda: case.fresh().fit(spoil(case.frame())), names)
    _must_refuse(lambda: case.fitted().predict(spoil(case.frame())), names)


def _put(column: str, value: Any, row: int = 7) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def spoil(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[row, column] = value
        return frame

    return spoil


@rule
def text_as_target_is_refused(case: Case) -> None:
    """Text in the target is refused by the name of the column."""
    _refuses_frame(case, lambda frame: frame.assign(y="words"), "y")


@rule
def an_infinite_value_is_refused(case: Case) -> None:
    """An infinite value is refused by column and series."""
    _refuses_frame(case, _put("y", np.inf), "s0")


@rule
def the_same_time_twice_is_refused(case: Case) -> None:
    """The same time twice in a series is refused by the name of the series."""
    _refuses_frame(case, lambda f: pd.concat([f, f.tail(1)], ignore_index=True), "s1")


@rule
def a_missing_time_is_refused(case: Case) -> None:
    """A missing time is refused by the name of the column."""
    _refuses_frame(case, _put("ds", pd.NaT), "ds")


@rule
def a_missing_id_is_refused(case: Case) -> None:
    """A missing id is refused by the name of the column."""
    _refuses_frame(case, _put("unique_id", None), "unique_id")


@rule
def an_irregular_time_is_refused(case: Case) -> None:
    """A time off the step of the axis is refused."""
    _refuses_frame(case, _put("ds", pd.Timestamp("2024-01-08 07:03:11")), "s0")


@rule
def a_missing_column_is_refused(case: Case) -> None:
    """A frame without the target, or without the times, is refused."""
    _must_refuse(lambda: case.fitted().predict(case.frame().drop(columns="y")), "y")
    _must_refuse(lambda: case.fitted().predict(case.frame().drop(columns="ds")), "ds")


@rule
def no_rows_are_refused(case: Case) -> None:
    """A frame without rows is refused."""
    _refuses_frame(case, lambda frame: frame.iloc[:0], "row")


@rule
def what_is_no_frame_is_refused(case: Case) -> None:
    """What is no frame is refused by the name of its type."""
    _must_refuse(lambda: case.fresh().fit([1.0, 2.0, 3.0]), "list")
    _must_refuse(lambda: case.fitted().predict({"y": [1.0]}), "dict")


@rule
def a_horizon_that_is_no_number_of_steps_is_refused(case: Case) -> None:
    """A horizon that is no whole number of at least 1 is refused by fit and by predict."""
    for horizon in _WRONG_HORIZONS:
        fit = partial(case.fresh(horizon=horizon).fit, case.frame())
        _must_refuse(fit, "horizon", ParameterError)
        predict = partial(case.fitted().predict, horizon=horizon)
        _must_refuse(predict, "horizon", ParameterError)


@rule
def a_level_outside_of_0_to_100_is_refused(case: Case) -> None:
    """A level that is no percentage between 0 and 100, or a quantile outside of 0 to 1, is refused."""
    predict = case.fitted().predict
    for level in (0, 100, -5, "80%"):
        _must_refuse(partial(predict, level=level), "level", ParameterError)
    for quantile in (0.0, 1.0, 2):
        _must_refuse(partial(predict, quantiles=[quantile]), "quantile", ParameterError)


@rule
def a_score_needs_rows_that_follow(case: Case) -> None:
    """score(df) refuses rows that do not follow the training data, and unknown series."""
    _must_refuse(lambda: case.fitted().score(case.frame()), "follow")
    stranger = case.later().replace({"unique_id": {"s1": "s9"}})
    _must_refuse(lambda: case.fitted().score(stranger), "s9")
