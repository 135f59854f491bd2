"""Challenger against champion: the same folds, and nothing known that came later."""

import numpy as np
import pandas as pd
import pytest
from tsrnn.pipelines.contest import backtest_with_twin, decide, knows_later, score_twin
from tsrnn.pipelines.sections import BacktestSpec, GateSpec

from tsrnn import BaselineForecaster, backtest

FOLDS = BacktestSpec(n_windows=3)
LEVEL = [80]


def frame(n=40, ids=("a", "b")):
    walk = np.random.default_rng(0).normal(size=n).cumsum()
    days = pd.date_range("2024-01-01", periods=n)
    return pd.concat(
        [pd.DataFrame({"id": name, "ds": days, "y": walk * k}) for k, name in enumerate(ids, 1)],
        ignore_index=True,
    )


def drift():
    return BaselineForecaster("drift", horizon=4)


def test_the_backtest_with_a_twin_is_the_backtest():
    plain = backtest(drift(), frame(), n_windows=3, refit=False, level=80)

    result, twin, folds = backtest_with_twin(drift(), frame(), FOLDS, level=LEVEL)

    pd.testing.assert_frame_equal(result.scores, plain.scores)
    assert folds is result
    assert twin.axis_.to_index(twin._history_tail().last_times).max() == pd.Timestamp("2024-01-28")


def test_a_refitted_challenger_has_a_twin_that_is_fitted_once():
    refitted = BacktestSpec(n_windows=3, refit=True)

    result, twin, folds = backtest_with_twin(drift(), frame(), refitted, level=LEVEL)

    pd.testing.assert_frame_equal(
        result.scores, backtest(drift(), frame(), n_windows=3, refit=True, level=80).scores
    )
    assert not knows_later(twin, folds)


def test_a_twin_is_scored_as_it_is_on_the_newest_folds():
    old = backtest_with_twin(drift(), frame(36), FOLDS, level=LEVEL)[1]
    new = backtest_with_twin(drift(), frame(40), FOLDS, level=LEVEL)[1]

    scored = score_twin(old, frame(40), FOLDS, level=LEVEL, like=new)

    cutoffs = scored.forecasts["cutoff"].drop_duplicates().sort_values().tolist()
    assert cutoffs == list(pd.date_range("2024-01-28", periods=3, freq="4D"))
    assert old.axis_.to_index(old._history_tail().last_times).max() == pd.Timestamp("2024-01-24")


def test_a_twin_that_has_seen_a_fold_is_found_out():
    later = backtest_with_twin(drift(), frame(40), FOLDS, level=LEVEL)[1]
    earlier = backtest_with_twin(drift(), frame(36), FOLDS, level=LEVEL)[1]

    on_earlier_folds = score_twin(later, frame(36), FOLDS, level=LEVEL, like=earlier)

    assert knows_later(later, on_earlier_folds)
    assert not knows_later(earlier, score_twin(earlier, frame(40), FOLDS, level=LEVEL, like=later))


def test_series_that_end_at_different_times_know_nothing_later_of_their_own_folds():
    ragged = frame(40).query("id == 'a' or ds < '2024-01-31'")

    _, twin, folds = backtest_with_twin(drift(), ragged, FOLDS, level=LEVEL)

    assert not knows_later(twin, folds)


SCORES = pd.DataFrame({"mase": [1.0, 0.9], "mae": [5.0, 4.0]}, index=["naive", "model"])


@pytest.mark.parametrize(
    ("gate", "challenger", "champion", "outcome", "words"),
    [
        ({}, 0.9, None, "promoted", "There was no champion"),
        ({}, 0.9, 1.0, "promoted", "10.00 % better: mase 0.9 against 1 of v3"),
        ({}, 0.9, 0.9, "kept", "not better"),
        ({}, 0.9, 0.8, "kept", "not better: mase 0.9 against 0.8 of v3"),
        ({"margin": 5}, 0.9, 0.92, "kept", "only 2.17 % better"),
        ({"margin": 5}, 0.9, 0.95, "promoted", "5.26 % better"),
        ({}, 0.9, float("nan"), "promoted", "on the same folds"),
        ({"beat": "naive"}, 0.9, None, "promoted", "There was no champion"),
    ],
)
def test_the_gate_promotes_by_the_margin_alone(gate, challenger, champion, outcome, words):
    rival = None if champion is None else {"mase": champion, "mae": 4.0}

    decision = decide(
        GateSpec(**gate), SCORES, challenger={"mase": challenger}, champion=rival, name="v3"
    )

    assert (decision.outcome, decision.champion) == (outcome, pytest.approx(champion, nan_ok=True))
    assert words in decision.words


@pytest.mark.parametrize(("champion", "outcome"), [(None, "refused"), (2.0, "kept")])
def test_a_challenger_that_does_not_beat_what_it_must_is_never_promoted(champion, outcome):
    scores = SCORES.assign(mase=[1.0, 1.0])
    rival = None if champion is None else {"mase": champion}

    decision = decide(
        GateSpec(beat="naive"), scores, challenger={"mase": 1.0}, champion=rival, name="v3"
    )

    assert decision.outcome == outcome
    assert "does not beat naive: mase 1 against 1" in decision.words
