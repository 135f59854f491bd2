"""What scikit-learn asks of an estimator, restated for frames."""

from __future__ import annotations

import copy
import inspect
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from tsrnn.backtesting import RollingOriginSplit
from tsrnn.contract.case import Case, quietly
from tsrnn.contract.rules import Broken, NotAsked, must, must_equal, rule
from tsrnn.exceptions import DataError, NotFittedError, ParameterError
from tsrnn.listeners import add_listener, remove_listener


@rule
def every_parameter_has_a_default(case: Case) -> None:
    """Every parameter of the constructor has a default."""
    parameters = inspect.signature(type(case.given)).parameters.values()
    bare = [p.name for p in parameters if p.default is p.empty]
    must(not bare, f"no default for {bare}")


@rule
def the_constructor_only_stores(case: Case) -> None:
    """The constructor stores the very objects it is given under their names and does nothing else."""
    given = {name: object() for name in case.given.get_params(deep=False)}
    made = type(case.given)(**given)
    must(made.__dict__ == given, f"attributes {sorted(set(made.__dict__) ^ set(given))} differ")


@rule
def parameters_are_read_and_set_by_name(case: Case) -> None:
    """set_params takes what get_params returns, returns the forecaster, and refuses unknown names."""
    made = case.fresh()
    params = made.get_params()
    must(made.set_params(**params) is made, "set_params returned another object")
    after = made.get_params()
    changed = [name for name in params if after[name] is not params[name]]
    must(not changed, f"other values of {changed} after set_params(**get_params())")
    try:
        made.set_params(no_such_parameter=1)
    except ValueError:
        return
    raise Broken("set_params(no_such_parameter=1) raised nothing")


@rule
def it_prints_itself_briefly(case: Case) -> None:
    """Repr names the class, in no more than 2000 characters."""
    text = repr(case.fresh())
    must(type(case.given).__name__ in text and len(text) <= 2000, f"{len(text)} characters")


@rule
def fit_returns_the_forecaster_itself(case: Case) -> None:
    """Fit returns the forecaster itself and leaves its parameters alone."""
    made = case.fresh()
    params = made.get_params()
    with quietly():
        must(made.fit(case.frame()) is made, "fit returned another object")
    must(made.get_params() == params, "fit changed a parameter")


@rule
def learned_attributes_end_in_an_underscore(case: Case) -> None:
    """What fit learns is kept in attributes that end in an underscore."""
    new = set(case.fitted().__dict__) - set(case.fresh().__dict__)
    wrong = sorted(name for name in new if not name.endswith("_"))
    must(not wrong, f"fit set {wrong}")


@rule
def fit_leaves_the_frame_alone(case: Case) -> None:
    """Fit and predict leave the caller's frame as it was."""
    frame = case.frame()
    kept = frame.copy(deep=True)
    case.fit(frame).predict(frame)
    must_equal(frame, kept, "the caller's frame")


@rule
def a_second_fit_equals_the_first(case: Case) -> None:
    """Fitting again, after a fit to other data, equals fitting once, bit for bit."""
    made = case.fit(case.frame(seed=5))
    with quietly():
        again = made.fit(case.frame())
    must_equal(again.predict(), case.fitted().predict(), "the forecast after a second fit")


@rule
def a_clone_is_not_fitted_and_learns_the_same(case: Case) -> None:
    """A clone has the parameters, is not fitted, and learns the same bits."""
    fresh = clone(case.fitted())
    must(list(fresh.get_params()) == list(case.fresh().get_params()), "other parameters")
    _must_raise(NotFittedError, fresh.predict, "predict of a clone")
    with quietly():
        must_equal(fresh.fit(case.frame()).predict(), case.fitted().predict(), "its forecast")


@rule
def nothing_is_answered_before_fit(case: Case) -> None:
    """Before fit every question raises NotFittedError."""
    made, frame = case.fresh(), case.frame()
    asked: dict[str, Callable[[], object]] = {
        "predict()": made.predict,
        "predict(df)": lambda: made.predict(frame),
        "score(df)": lambda: made.score(frame),
        "make_future()": made.make_future,
    }
    asked |= {
        f"{name}()": getattr(made, name)
        for name in ("simulate", "summary", "plot", "get_state")
        if hasattr(made, name)
    }
    if hasattr(made, "update"):
        asked["update(df)"] = lambda: made.update(frame)
    for name, ask in asked.items():
        _must_raise(NotFittedError, ask, name)


# ---- copies -------------------------------------------------------------------------------


@rule
def a_pickled_copy_forecasts_the_same(case: Case) -> None:
    """A pickled copy forecasts the same bits."""
    _must_be_twins(case, pickle.loads(pickle.dumps(case.fitted())))


@rule
def a_deep_copy_forecasts_the_same(case: Case) -> None:
    """A deep copy forecasts the same bits."""
    _must_be_twins(case, copy.deepcopy(case.fitted()))


@rule
def a_copy_from_joblib_forecasts_the_same(case: Case) -> None:
    """A copy through joblib forecasts the same bits."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "forecaster.joblib")
        joblib.dump(case.fitted(), file)
        _must_be_twins(case, joblib.load(file))


@rule
def a_copy_is_independent(case: Case) -> None:
    """Fitting a copy again leaves the original as it was."""
    original = case.fitted()
    before = original.predict()
    with quietly():
        copy.deepcopy(original).fit(case.frame(seed=9))
        copy.copy(original).fit(case.frame(seed=9))
    must_equal(original.predict(), before, "the original's forecast")


# ---- fits that fail -----------------------------------------------------------------------


@rule
def a_failed_first_fit_leaves_it_unfitted(case: Case) -> None:
    """After a first fit that failed, the forecaster is as it was made."""
    made = case.fresh()
    state = dict(made.__dict__)
    _must_raise(DataError, lambda: made.fit(case.frame().assign(y="words")), "fit to text")
    must(made.__dict__ == state, "fit left attributes behind")
    _must_raise(NotFittedError, made.predict, "predict")


@rule
def a_failed_refit_leaves_the_forecaster_that_was(case: Case) -> None:
    """After a fit that failed, an earlier fit still forecasts the same bits."""
    made = case.fitted()
    state, before = dict(made.__dict__), made.predict()
    _must_raise(DataError, lambda: made.fit(case.frame().assign(y="words")), "fit to text")
    _must_raise(DataError, lambda: made.fit(case.frame().iloc[:0]), "fit to no rows")
    _must_raise(ParameterError, lambda: made.set_params(horizon=0).fit(case.frame()), "horizon=0")
    must(made.set_params(horizon=case.horizon).__dict__ == state, "attributes changed")
    must_equal(made.predict(), before, "the forecast")


class _Listener:
    """Notes what it hears; raises ``error`` at ``moment``."""

    def __init__(self, moment: str = "", error: BaseException | None = None) -> None:
        self.moment, self.error, self.heard = moment, error, list[str]()

    def hear(self, moment: str) -> None:
        self.heard.append(moment)
        if moment == self.moment and self.error is not None:
            raise self.error

    def on_fit_start(self, forecaster: Any, panel: Any) -> None:
        self.hear("start")

    def on_epoch_end(self, forecaster: Any, step: int, metrics: dict[str, float]) -> None:
        self.hear("epoch")

    def on_fit_end(self, forecaster: Any) -> None:
        self.hear("end")

    def on_fit_error(self, forecaster: Any, error: BaseException) -> None:
        self.hear("error")


def _fit_heard(case: Case, made: Any, listener: _Listener) -> None:
    def factory(forecaster: Any) -> _Listener | None:
        return listener if forecaster is made else None

    add_listener(factory)
    try:
        with quietly():
            made.fit(case.frame(seed=3))
    finally:
        remove_listener(factory)


@rule
def listeners_hear_a_fit_begin_and_end(case: Case) -> None:
    """A listener hears the start of a fit once, then its steps, then its end once."""
    listener = _Listener()
    _fit_heard(case, case.fresh(), listener)
    inner = set(listener.heard[1:-1])
    must(
        listener.heard[:1] == ["start"] and listener.heard[-1:] == ["end"] and inner <= {"epoch"},
        f"a listener heard {listener.heard}",
    )


@rule
def an_interrupted_fit_leaves_the_forecaster_that_was(case: Case) -> None:
    """Ctrl-C propagates out of fit, and the forecaster is the one that was."""
    for moment in ("start", "end"):
        made, listener = case.fitted(), _Listener(moment, KeyboardInterrupt())
        state = dict(made.__dict__)
        try:
            _fit_heard(case, made, listener)
        except KeyboardInterrupt:
            must(made.__dict__ == state, f"attributes changed by an interrupt at the {moment}")
            must(listener.heard[-1] == "error", "the listener was not told of the error")
        else:
            raise Broken(f"fit swallowed KeyboardInterrupt at the {moment}")


@rule
def a_parameter_waits_for_the_next_fit(case: Case) -> None:
    """A parameter that is set after fit moves no forecast before the next fit."""
    made = case.fitted()
    before = made.predict()
    must_equal(made.set_params(horizon=case.horizon + 1).predict(), before, "the forecast")


@rule
def a_fixed_seed_needs_no_generator_of_the_process(case: Case) -> None:
    """With an integer random_state the generators of the process move no forecast."""
    if not isinstance(case.fresh().get_params().get("random_state"), int):
        raise NotAsked("no integer random_state")
    state = np.random.get_state()  # noqa: NPY002 - the global generator is the subject
    try:
        np.random.seed(7)  # noqa: NPY002
        again = case.fit(case.frame()).predict()
    finally:
        np.random.set_state(state)  # noqa: NPY002
    must_equal(again, case.fitted().predict(), "the forecast after np.random.seed(7)")


# ---- composition --------------------------------------------------------------------------


@rule
def it_ends_a_pipeline(case: Case) -> None:
    """As the last step of a scikit-learn Pipeline it forecasts the same bits."""
    with quietly():
        whole = Pipeline([("same", "passthrough"), ("forecast", case.fresh())]).fit(case.frame())
    must_equal(whole.predict(case.frame()), case.fitted().predict(case.frame()), "its forecast")


@rule
def parameters_are_searched_over_rolling_origins(case: Case) -> None:
    """GridSearchCV with a RollingOriginSplit scores it as by hand, and refits the winner."""
    frame = case.frame()
    splits = RollingOriginSplit(horizon=case.horizon, n_windows=2)
    grid = {"horizon": [case.horizon]}
    search = GridSearchCV(case.fresh(), grid, cv=splits, error_score="raise").fit(frame)
    by_hand = np.mean(
        [case.fit(frame.iloc[a]).score(frame.iloc[b]) for a, b in splits.split(frame)]
    )
    must(search.cv_results_["mean_test_score"][0] == by_hand, "another score than by hand")
    must_equal(search.best_estimator_.predict(), case.fitted().predict(), "the winner's forecast")


# ---- shared -------------------------------------------------------------------------------


def _must_be_twins(case: Case, twin: Any) -> None:
    original, level = case.fitted(), case.level
    must_equal(twin.predict(level=level), original.predict(level=level), "the copy's forecast")
    frame = case.frame(seed=2)
    must_equal(twin.predict(frame), original.predict(frame), "the copy's forecast of a new frame")


def _must_raise(error: type[Exception], ask: Callable[[], object], what: str) -> None:
    try:
        ask()
    except error:
        return
    raise Broken(f"{what} raised no {error.__name__}")
