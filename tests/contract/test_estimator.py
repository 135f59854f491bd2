"""Rules 1 and 2 of every forecaster: scikit-learn's contract, restated for frames."""

from __future__ import annotations

import copy
import inspect
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.utils import estimator_checks as checks

from tests.contract.samples import HORIZON, tiny, waves
from tsrnn import BaselineForecaster, RNNForecaster, RollingOriginSplit
from tsrnn.exceptions import NotFittedError
from tsrnn.listeners import add_listener, remove_listener

pytestmark = pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")

CLASSES = (RNNForecaster, BaselineForecaster)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize(
    "check",
    [
        checks.check_estimator_cloneable,
        checks.check_get_params_invariance,
        checks.check_set_params,
        checks.check_estimator_repr,
        checks.check_no_attributes_set_in_init,
        checks.check_do_not_raise_errors_in_init_or_set_params,
    ],
)
def test_scikit_learns_checks_that_need_no_data_pass(check, cls):
    check(cls.__name__, cls())


@pytest.mark.parametrize("cls", CLASSES)
def test_every_parameter_has_a_default(cls):
    checks.check_parameters_default_constructible(cls.__name__, cls())


def test_only_the_method_of_a_baseline_may_go_without_its_name():
    for cls, positional in ((RNNForecaster, []), (BaselineForecaster, ["method"])):
        parameters = inspect.signature(cls).parameters.values()
        assert [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD] == positional


@pytest.mark.parametrize("method", ["simulate", "summary", "plot"])
def test_a_network_forecaster_answers_nothing_else_before_fit_either(method, tmp_path):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(tiny(), method)()
    with pytest.raises(NotFittedError, match="not fitted yet"):
        tiny().save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def joblib_round_trip(model, folder):
    joblib.dump(model, folder / "model.joblib")
    return joblib.load(folder / "model.joblib")


COPIES = {
    "pickle": lambda model, _: pickle.loads(pickle.dumps(model)),
    "deepcopy": lambda model, _: copy.deepcopy(model),
    "copy": lambda model, _: copy.copy(model),
    "joblib": joblib_round_trip,
}


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_of_a_network_forecasts_the_same_bits(way, network, tmp_path):
    twin = COPIES[way](network, tmp_path)

    pd.testing.assert_frame_equal(
        twin.predict(level=80), network.predict(level=80), check_exact=True
    )
    pd.testing.assert_frame_equal(twin.simulate(3), network.simulate(3), check_exact=True)


def test_a_failure_late_in_the_fit_leaves_the_forecaster_that_was(network, frame):
    class Failing:
        def on_fit_start(self, forecaster, panel): ...
        def on_epoch_end(self, forecaster, step, metrics): ...
        def on_fit_error(self, forecaster, error): ...
        def on_fit_end(self, forecaster):
            raise OSError("the disk of the listener is full")

    model = copy.copy(network)
    state = dict(model.__dict__)

    def factory(_):
        return Failing()

    add_listener(factory)
    try:
        with pytest.raises(OSError, match="disk of the listener"):
            model.set_params(max_steps=2).fit(waves(seed=9))
    finally:
        remove_listener(factory)

    assert model.set_params(max_steps=state["max_steps"]).__dict__ == state


@pytest.mark.slow
def test_parameters_are_searched_over_rolling_origins():
    frame = waves(rows=60)
    splits = RollingOriginSplit(horizon=HORIZON, n_windows=2)

    search = GridSearchCV(tiny(), {"max_steps": [1, 8]}, cv=splits, error_score="raise").fit(frame)

    by_hand = np.mean(
        [tiny().fit(frame.iloc[a]).score(frame.iloc[b]) for a, b in splits.split(frame)]
    )
    assert search.cv_results_["mean_test_score"][1] == by_hand
    assert search.best_params_ == {"max_steps": 8}
    assert len(search.best_estimator_.predict()) == 2 * HORIZON
