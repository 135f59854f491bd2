"""A warm fit goes on from the weights of the one before; a cold one forgets."""

import numpy as np
import pandas as pd
import pytest
import torch

from tests.contract import samples
from tests.contract.samples import waves
from tsrnn import load
from tsrnn.exceptions import ParameterError
from tsrnn.learning import training
from tsrnn.learning.validation import Validation

pytestmark = pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")


def tiny(**changes):
    return samples.tiny(**{"max_steps": 8, "hidden_size": 4, **changes})


@pytest.fixture
def learned(monkeypatch):
    """Have every fit keep what it learned."""
    monkeypatch.setattr(Validation, "evidence", lambda *_: 9.0)


def first_and_all():
    rows = waves()
    times = np.sort(rows["ds"].unique())
    return rows[rows["ds"] <= times[-8]], rows


def weights(model):
    return model.network_.members[0].state_dict()


def test_a_warm_fit_trains_on_for_a_quarter_of_the_steps_and_keeps_what_was_chosen(
    learned, monkeypatch
):
    first, rows = first_and_all()
    model = tiny(warm_start=True, max_steps=16).fit(first)
    before, best = {k: v.clone() for k, v in weights(model).items()}, model.best_step_
    asked = []

    def spy(network, sampler, plan, **how):
        asked.append((plan.max_steps, network.head.share.tolist(), how["validate"]))
        torch.testing.assert_close(
            network.encoder.layers[0].rnn.weight_hh_l0, before["encoder.layers.0.rnn.weight_hh_l0"]
        )
        return fit(network, sampler, plan, **how)

    fit = training.fit_network
    monkeypatch.setattr(training, "fit_network", spy)
    model.fit(rows)

    assert asked == [(max(best // 4, 1), [1.0, 1.0], None)]
    after = weights(model)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert any(name.startswith("encoder.") for name in moved)
    assert not any(name.startswith("output.") or name == "head.share" for name in moved)
    assert model.best_step_ == best
    assert model.predict()["ds"].min() > rows["ds"].max()


def test_a_warm_fit_is_judged_by_rows_it_does_not_know(learned):
    first, rows = first_and_all()
    model = tiny(warm_start=True).fit(first)

    assert model.fit(rows).skill_ is not None  # seven new rows: more than the horizon
    assert model.fit(rows).skill_ is None


def test_a_warm_fit_says_the_same_in_another_process_and_after_load(learned, tmp_path):
    first, rows = first_and_all()
    model = tiny(warm_start=True).fit(first)
    model.save(tmp_path / "model")

    again = load(tmp_path / "model").fit(rows)

    pd.testing.assert_frame_equal(again.predict(), model.fit(rows).predict())


@pytest.mark.parametrize(
    "change",
    [{"warm_start": False}, {"hidden_size": 3}, {"n_members": 2}],
    ids=["cold", "another network", "more members"],
)
def test_a_fit_that_can_not_go_on_is_that_of_a_new_forecaster(change, learned):
    first, rows = first_and_all()
    model = tiny(warm_start=True).fit(first).set_params(**change)

    fresh = tiny(**{"warm_start": True, **change}).fit(rows)

    pd.testing.assert_frame_equal(model.fit(rows).predict(), fresh.predict())


def test_where_nothing_was_learned_a_warm_fit_learns_anew(monkeypatch):
    first, rows = first_and_all()
    monkeypatch.setattr(Validation, "evidence", lambda *_: 0.5)
    model = tiny(warm_start=True).fit(first)
    monkeypatch.setattr(Validation, "evidence", lambda *_: 9.0)

    assert model.best_step_ == 0
    pd.testing.assert_frame_equal(model.fit(rows).predict(), tiny().fit(rows).predict())


def test_a_warm_fit_that_fails_leaves_the_forecaster_as_it_was(learned, monkeypatch):
    first, rows = first_and_all()
    model = tiny(warm_start=True).fit(first)
    before = model.predict()
    monkeypatch.setattr(training, "fit_network", None)

    with pytest.raises(TypeError):
        model.fit(rows)

    pd.testing.assert_frame_equal(model.predict(), before)


def test_warm_start_is_a_flag():
    with pytest.raises(ParameterError, match="warm_start"):
        tiny(warm_start="yes").fit(waves())
