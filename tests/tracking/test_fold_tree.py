"""The folds of a logged backtest: once each, however often it is logged, and one curve per target."""

import numpy as np
import pandas as pd
import pytest

import tsrnn
from tsrnn import BaselineForecaster, backtest
from tsrnn.exceptions import TrackingWarning
from tsrnn.frames.joint import each_target
from tsrnn.tracking import folds, runs
from tsrnn.tracking.registry import close_runs


def frame(n=20, ids=("a", "b")):
    walk = np.random.default_rng(0).normal(size=(2, n)).cumsum(1)
    days = pd.date_range("2024-01-01", periods=n)
    parts = [pd.DataFrame({"id": i, "ds": days, "y": walk[0] + 5, "z": 9 * walk[1]}) for i in ids]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def joint():
    model = BaselineForecaster("drift", horizon=2, target_col=["y", "z"])
    return backtest(model, frame(), n_windows=3, level=80)


def test_a_backtest_that_was_broken_off_and_is_logged_again_has_each_fold_once(
    store_uri, monkeypatch
):
    model = BaselineForecaster("drift", horizon=2, target_col="y")
    result = backtest(model, frame(), n_windows=3, level=80)
    ended = []

    def broken(client, run_id, status, at):
        ended.append(run_id)
        if len(ended) == 2:
            raise ConnectionError("gone")
        return terminate(client, run_id, status, at)

    terminate = folds.terminate

    def log(resume=None):
        with tsrnn.track("tree", tags={"who": "me"}, resume=resume) as run:
            run.log_backtest(result, figures=False)
        return run

    with monkeypatch.context() as patched:
        patched.setattr(folds, "terminate", broken)
        with pytest.warns(TrackingWarning):
            run = log()
    half = runs("tree", tracking_uri=store_uri)
    below = half[half["tags.tsrnn.task"] == "fold"]
    assert below["status"].value_counts().to_dict() == {"FINISHED": 1, "RUNNING": 1}

    close_runs(store_uri, "tree", tags={"who": "you"}, but=None)
    assert "RUNNING" in set(runs("tree", tracking_uri=store_uri)["status"])
    close_runs(store_uri, "tree", tags={"who": "me"}, but=run.run_id)
    assert "RUNNING" not in set(runs("tree", tracking_uri=store_uri)["status"])
    log(resume=run.run_id)

    table = runs("tree", tracking_uri=store_uri)
    below = table[table["tags.tsrnn.task"] == "fold"].sort_values("run_name")
    assert below["run_name"].tolist() == ["fold 01", "fold 02", "fold 03"]
    assert below["status"].eq("FINISHED").all()
    assert set(below["tags.mlflow.parentRunId"]) == {run.run_id}
    np.testing.assert_allclose(below["metrics.backtest/model/mae"], result.by_window["model"])
    assert len(runs("tree", nested=False, tracking_uri=store_uri)) == 1


def test_joint_targets_are_series_of_their_own_in_the_store(joint, store_uri):
    with tsrnn.track("joint") as run:
        run.log_backtest(joint)

    (logged,) = runs("joint", nested=False, tracking_uri=store_uri).to_dict("records")
    for series, mae in joint.by_series["model"].items():
        assert logged[f"metrics.backtest/series/{' '.join(series)}/mae"] == pytest.approx(mae)
    assert logged["metrics.backtest/model/mase"] == pytest.approx(joint.scores.loc["model", "mase"])
    assert 0 <= logged["metrics.backtest/model/coverage_80_by_step"] <= 1
    assert logged["tags.tsrnn.backtest_horizon"] == "2"


def test_a_joint_backtest_becomes_one_of_single_targets(joint):
    long = each_target(joint.forecasts, ["y", "z"], "id")

    assert list(long) == [
        *("id", "cutoff", "ds", "actual", "forecast", "forecast-lo-80", "forecast-hi-80")
    ]
    assert len(long) == 2 * len(joint.forecasts)
    mine = long[long["id"] == "b z"].reset_index(drop=True)
    theirs = joint.forecasts[joint.forecasts["id"] == "b"].reset_index(drop=True)
    for short, name in [("actual", "actual-z"), ("forecast-hi-80", "forecast-z-hi-80")]:
        pd.testing.assert_series_equal(mine[short], theirs[name], check_names=False)


def test_one_joint_series_gets_its_targets_as_names():
    rows = pd.DataFrame({"ds": [1], "forecast-a": [2.0], "forecast-a-b": [3.0]})

    long = each_target(rows, ["a", "a-b"])

    assert long.to_dict("list") == {"target": ["a", "a-b"], "ds": [1, 1], "forecast": [2.0, 3.0]}
