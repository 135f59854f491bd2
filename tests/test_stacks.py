"""Stacks of layers in a forecaster: every arrangement fits, and what can't be is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.contract.samples import HORIZON, tiny, waves
from tsrnn import load
from tsrnn.exceptions import ParameterError

pytestmark = pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")


def kinds() -> pd.DataFrame:
    frame = waves()
    return frame.assign(size=(frame["unique_id"] == "s1") * 3.0)


STACKS = [  # every pair of values of two settings occurs, as far as they go together
    {"skip": "residual", "dilations": [1, 3], "initial_state": "learned", "loss_at": "last"},
    {"skip": "highway", "convolution": 2, "initial_state": "static", "decoder": "shift"},
    {"skip": "highway", "dilations": (2, 1), "recurrent_dropout": 0.2, "cell": "lstm"},
    {"skip": "residual", "bidirectional": True, "initial_state": "static", "convolution": 3},
    {"bidirectional": True, "dilations": (1, 2), "recurrent_dropout": 0.2, "loss_at": "last"},
    {"skip": "highway", "bidirectional": True, "initial_state": "learned", "cell": "rnn"},
    {"recurrent_dropout": 0.2, "initial_state": "static", "loss_at": "last", "decoder": "shift"},
    {"dilations": (4, 2), "convolution": 4, "n_members": 2, "decoder": "shift"},
]


@pytest.mark.slow
@pytest.mark.parametrize("stack", STACKS, ids=lambda stack: "-".join(map(str, stack.values())))
def test_every_stack_learns_forecasts_and_survives_saving(stack, tmp_path):
    frame = kinds()
    model = tiny(num_layers=2, dropout=0.1, static_covariates=["size"], **stack)

    model.fit(frame)
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")

    forecast = model.predict(level=80, horizon=HORIZON + 2)
    assert np.isfinite(forecast.iloc[:, 2:].to_numpy()).all()
    for other in (
        again.predict(level=80, horizon=HORIZON + 2),
        model.predict(frame, level=80, horizon=HORIZON + 2),
    ):
        pd.testing.assert_frame_equal(other, forecast, check_exact=True)
    assert again.get_params() == model.get_params()
    assert again.network_.plan == model.network_.plan
    refitted = again.fit(frame).predict(level=80, horizon=HORIZON + 2)
    pd.testing.assert_frame_equal(refitted, forecast, check_exact=True)


def test_a_stack_that_learned_moves_its_initial_state():
    model = tiny(static_covariates=["size"], initial_state="static").fit(kinds())

    moved = model.network_.members[0].encoder.initial

    assert model.best_step_ > 0
    assert float(moved.weight.detach().abs().max()) > 1e-3
    assert float(moved.bias.detach().abs().max()) > 1e-3


@pytest.mark.parametrize("rows", [20, 72])
def test_a_bidirectional_forecaster_reads_the_newest_window_alone(rows):
    model = tiny(bidirectional=True).fit(waves(rows=rows))
    kept = model.network_.plan.look_back + model.network_.plan.context
    frame = waves(rows=200, seed=3)

    whole = model.predict(frame, level=80)
    window = model.predict(frame.groupby("unique_id").tail(kept), level=80)

    pd.testing.assert_frame_equal(window, whole, check_exact=True)
    assert not model.network_.plan.is_causal


def test_a_backtest_of_a_bidirectional_forecaster_forecasts_from_rows_before_each_origin():
    model = tiny(bidirectional=True).fit(waves())
    frame = waves(rows=100, seed=4)
    changed = frame.assign(
        y=frame["y"].where(frame.groupby("unique_id").cumcount() < 100 - HORIZON, 50.0)
    )

    one, other = (model.backtest(each, n_windows=2, refit=False) for each in (frame, changed))

    np.testing.assert_array_equal(one.forecasts["forecast"], other.forecasts["forecast"])


def test_the_summary_names_what_is_not_as_by_default():
    plain = tiny(max_steps=1).fit(waves()).summary()
    model = tiny(max_steps=1, num_layers=2, dilations=(1, 4), skip="highway", loss_at="last")

    text = model.fit(waves()).summary()

    assert "stack" not in plain
    assert "2 layers, skip highway, dilations (1, 4), loss at the last step" in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"skip": "highways"}, r"'skip' parameter must be one of .* Did you mean 'highway'\?"),
        ({"skip": "residual"}, "the only layer reads features. Use num_layers of 2 or more"),
        (
            {"skip": "residual", "convolution": 2, "bidirectional": True},
            "the only layer reads features",
        ),
        ({"dilations": 2}, r"one integer a layer, as \(1, 2, 4\), or be None. Got 2"),
        ({"dilations": ()}, r"one integer a layer, as \(1, 2, 4\), or be None. Got \(\)"),
        ({"dilations": (1, 0)}, "'dilations' parameter must be an integer of at least 1"),
        ({"dilations": (1, 2)}, r"Got \(1, 2\) with num_layers=1. Use num_layers=2"),
        ({"recurrent_dropout": 1.0}, r"'recurrent_dropout' parameter must be a number in \[0, 1\)"),
        ({"initial_state": "random"}, "'initial_state' parameter must be one of"),
        ({"initial_state": "static"}, "made of the static covariates, and there are none"),
        ({"bidirectional": 1}, "'bidirectional' parameter must be True or False"),
        ({"bidirectional": True, "decoder": "shift"}, "read from its future. Use decoder='direct'"),
        ({"bidirectional": True, "loss_at": "every"}, "Use loss_at='last', or leave it on 'auto'"),
        ({"convolution": 1}, "'convolution' parameter must be an integer of at least 2 or None"),
        ({"loss_at": "end"}, "'loss_at' parameter must be one of 'auto', 'every', 'last'"),
    ],
)
def test_what_does_not_go_together_is_refused_with_the_way_out(changes, message):
    with pytest.raises(ParameterError, match=message):
        tiny(**changes).fit("no frame at all")
