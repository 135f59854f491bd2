"""The exported contract: our forecasters keep it, and whoever breaks a rule is told which."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import numpy as np
import pytest

from tests.contract.samples import HORIZON, baseline, tiny
from tests.last_value import LastValue
from tsrnn import ContractError, check_forecaster
from tsrnn.base import Forecast
from tsrnn.contract import contract_rules
from tsrnn.contract.case import Case
from tsrnn.contract.rules import NotAsked
from tsrnn.exceptions import ParameterError
from tsrnn.learning.validation import Validation
from tsrnn.listeners import _factories

pytestmark = pytest.mark.filterwarnings("ignore::tsrnn.exceptions.TsrnnWarning")

NAMES = {rule.name for rule in contract_rules()}


@pytest.fixture(scope="module")
def case() -> Iterator[Case]:
    """A network that keeps what it learned, or the rules would look at the references alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Validation, "evidence", lambda *_: 9.0)
        made = Case(tiny(max_steps=4))
        assert made.fitted().best_step_ > 0
        yield made


@pytest.mark.parametrize("rule", contract_rules(), ids=str)
def test_a_network_keeps(rule, case):
    try:
        rule.check(case)
    except NotAsked as reason:  # a network has it all
        pytest.fail(f"not asked: {reason}")


@pytest.mark.parametrize("method", ["naive", "seasonal_naive", "drift", "theta"])
def test_a_baseline_keeps_every_rule_that_concerns_it(method):
    held = check_forecaster(baseline(method=method, season=7))

    assert NAMES - set(held) == {  # it says the same every time, and learns too little to be saved
        "a_fixed_seed_needs_no_generator_of_the_process",
        "an_update_equals_reading_everything_again",
        "a_saved_forecaster_forecasts_the_same",
        "an_unfitted_forecaster_is_not_saved",
        "paths_are_drawn_as_rows_of_id_path_time_and_value",
    }


class OneOfOnesOwn(LastValue):
    """Keeps the contract where no ``fault`` is asked for."""

    def _check_parameters(self):
        if (self.horizon is not None and type(self.horizon) is not int) or self.horizon == 0:
            raise ParameterError(f"The 'horizon' parameter must be whole. Got {self.horizon!r}.")
        if self.horizon is not None and self.horizon < 0:
            raise ParameterError(f"The 'horizon' parameter must be positive. Got {self.horizon}.")

    def _fit_panel(self, panel, notify):
        super()._fit_panel(panel, notify)
        self.box_ = []
        if self.fault == "memory":
            self.seen_ = getattr(self, "seen_", 0) + 1
        if self.fault == "attribute":
            self.cache = 1
        if self.fault == "seed":
            np.random.seed(3)  # noqa: NPY002 - the fault
        if self.fault == "print":
            print("epoch 1")  # noqa: T201 - the fault
        if self.fault == "horizon":
            self.horizon = None

    def _forecast_panel(self, panel, horizon, probabilities):
        if self.fault == "impure" and panel is not None:
            self.box_.append(1.0)
        panel = self.tail_ if panel is None else panel
        last = panel.values[panel.indptr[1:] - 1].astype(float)
        last = last + (self.seen_ if self.fault == "memory" else 0)
        last = last + len(self.box_)
        if self.fault == "company":
            last = last + panel.values.mean()
        spread = np.sort(np.array(probabilities or (0.5,)))
        if self.fault == "cross":
            spread = spread[::-1]
        point = np.repeat(last[:, None], horizon, axis=1)
        return Forecast(point, point[:, :, None] + spread - 0.5)


def test_a_forecaster_of_ones_own_can_keep_the_contract():
    assert len(check_forecaster(OneOfOnesOwn(horizon=HORIZON))) > 60


@pytest.mark.parametrize(
    ("fault", "rule", "words"),
    [
        ("memory", "a_second_fit_equals_the_first", "bit for bit"),
        ("attribute", "learned_attributes_end_in_an_underscore", r"fit set \['cache'\]"),
        ("seed", "nothing_of_the_process_is_moved", "moved: the generator of numpy"),
        ("print", "nothing_is_printed", "'epoch 1"),
        ("horizon", "fit_returns_the_forecaster_itself", "fit changed a parameter"),
        ("impure", "predicting_changes_nothing", "Predict is pure"),
        ("company", "another_series_moves_no_forecast", "moves no forecast of the others"),
        ("cross", "quantiles_never_cross", "quantiles that descend"),
    ],
)
def test_a_broken_rule_is_named_in_words(fault, rule, words):
    with pytest.raises(AssertionError, match=words) as caught:
        check_forecaster(OneOfOnesOwn(horizon=HORIZON, fault=fault))

    assert isinstance(caught.value, ContractError)
    assert rule in caught.value.broken
    assert f"({rule})" in str(caught.value)
    assert str(caught.value).startswith("OneOfOnesOwn breaks ")


def test_rules_can_be_left_out_by_name():
    faulty = OneOfOnesOwn(horizon=HORIZON, fault="print")

    held = check_forecaster(faulty, skip={"nothing_is_printed"})

    assert "nothing_is_printed" not in held
    with pytest.raises(ParameterError, match=r"names of rules\. Got 'no_such_rule'"):
        check_forecaster(faulty, skip=["no_such_rule"])


def test_a_class_or_another_estimator_is_refused():
    for wrong in (OneOfOnesOwn, object()):
        with pytest.raises(ParameterError, match=r"subclass of tsrnn\.base\.Forecaster"):
            check_forecaster(wrong)


def test_the_one_under_check_is_not_changed_and_no_listener_stays():
    model, before = OneOfOnesOwn(horizon=HORIZON, id_col="shop"), list(_factories)

    check_forecaster(model)

    assert model.__dict__ == OneOfOnesOwn(horizon=HORIZON, id_col="shop").__dict__
    assert _factories == before


def test_rules_are_sentences():
    for rule in contract_rules():
        assert rule.says.endswith("."), rule.name
        assert inspect.signature(rule.check).parameters.keys() == {"case"}
