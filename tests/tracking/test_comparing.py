"""Backtests as trees of runs, and runs side by side."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import tsrnn
from tsrnn.cli import main
from tsrnn.exceptions import ParameterError
from tsrnn.tracking import compare, runs

LEVELS = [80, 50]


@pytest.fixture
def waves() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    values = np.sin(np.arange(60) * 2 * np.pi / 7)[None, :] + rng.normal(0, 0.1, (2, 60))
    return pd.DataFrame(
        {
            "unique_id": np.repeat(["a", "b"], 60),
            "ds": np.tile(pd.date_range("2024-01-01", periods=60), 2),
            "y": (values + np.array([[3], [9]])).ravel(),
        }
    )


def log(frame, name, *, method="drift", n_windows=3, horizon=4, experiment="sales"):
    with tsrnn.track(experiment, name) as run, tsrnn.tracking.untracked():
        model = tsrnn.BaselineForecaster(method, horizon=horizon, season=7)
        result = tsrnn.backtest(model, frame, n_windows=n_windows, level=LEVELS)
        run.log_params({"method": method})
        run.log_backtest(result)
    return run.run_id, result


def test_a_backtest_is_a_tree_with_a_run_for_each_fold(client, waves):
    run_id, result = log(waves, "drift")

    table = runs("sales")
    folds = table[table["tags.mlflow.parentRunId"] == run_id].set_index("run_name").sort_index()
    assert folds.index.tolist() == ["fold 01", "fold 02", "fold 03"]
    assert set(folds["status"]) == {"FINISHED"}
    np.testing.assert_allclose(
        folds["metrics.backtest/model/mae"], result.by_window["model"], rtol=1e-12
    )
    cutoffs = result.forecasts["cutoff"].drop_duplicates().astype(str)
    assert folds["tags.tsrnn.cutoff"].tolist() == sorted(
        str(pd.Timestamp(cutoff)) for cutoff in cutoffs
    )
    assert folds["metrics.backtest/model/coverage_80"].mean() == pytest.approx(
        result.scores.loc["model", "coverage_80"]
    )


def test_a_backtest_has_its_curves_series_tables_and_pictures(client, waves):
    run_id, result = log(waves, "drift")

    logged = client.get_run(run_id)
    for name, value in result.by_series["model"].items():
        assert logged.data.metrics[f"backtest/series/{name}/mae"] == pytest.approx(value)
    curve = client.get_metric_history(run_id, "backtest/model/coverage_80_by_step")
    assert [point.step for point in curve] == [1, 2, 3, 4]
    share = np.mean([point.value for point in curve])
    assert share == pytest.approx(result.scores.loc["model", "coverage_80"])
    files = {
        file.path.removeprefix("backtest/") for file in client.list_artifacts(run_id, "backtest")
    }
    pictures = {"folds.png", "error_by_step.png", "residuals.png", "calibration.png"}
    assert files >= pictures | {"forecasts.parquet", "by_series.parquet", "by_horizon.parquet"}


def test_a_fit_keeps_its_environment(client, frame, last_value):
    with tsrnn.track() as run:
        last_value().fit(frame)

    tags = client.get_run(run.run_id).data.tags
    assert tags["tsrnn.env.pandas"] == pd.__version__
    assert tags["tsrnn.env.python"].startswith("3.")


def test_runs_that_the_same_rows_judged_stand_side_by_side(client, waves):
    first, second = log(waves, "one"), log(waves, "two", method="seasonal_naive")

    table = compare("sales")

    assert table.index.tolist() == ["two", "one"]  # the season is there
    for name, (run_id, result) in (("one", first), ("two", second)):
        assert table.loc[name, "run_id"] == run_id
        assert table.loc[name, "mase"] == pytest.approx(result.scores.loc["model", "mase"])
        assert table.loc[name, "naive mae"] == pytest.approx(result.scores.loc["naive", "mae"])
        assert table.loc[name, "coverage_80"] == result.scores.loc["model", "coverage_80"]
    assert table["method"].tolist() == ["seasonal_naive", "drift"]


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ({"n_windows": 2}, "another (data|cutoffs)"),
        ({"horizon": 3}, "another (data|horizon)"),
        ({"frame": 1.5}, "another data"),
    ],
)
def test_runs_that_other_rows_judged_are_refused_unless_told(client, waves, change, fact):
    log(waves, "one")
    other = waves.assign(y=waves["y"] * change.pop("frame", 1.0))
    log(other, "two", **change)

    with pytest.raises(ParameterError, match=f"{fact}.*anyway"):
        compare("sales")

    assert set(compare("sales", anyway=True).index) == {"one", "two"}
    assert compare("sales", ["one"]).index.tolist() == ["one"]


def test_runs_are_named_by_name_or_id(client, waves):
    run_id, _ = log(waves, "one")
    log(waves, "one", method="naive")
    with tsrnn.track("sales", "empty"):
        pass

    assert compare("sales", [run_id[:8]])["run_id"].tolist() == [run_id]
    with pytest.raises(ParameterError, match="There are 2 runs 'one'"):
        compare("sales", ["one"])
    with pytest.raises(ParameterError, match="There is no run 'none'"):
        compare("sales", ["none"])
    with pytest.raises(ParameterError, match="'empty' has no scores"):
        compare("sales", ["empty"])
    with pytest.raises(ParameterError, match="no finished runs with scores"):
        compare("other")


def test_the_command_prints_the_table_and_refuses_with_code_2(client, waves, capsys):
    log(waves, "one")
    log(waves, "two", method="seasonal_naive")

    assert main(["compare", "--experiment", "sales"]) == 0
    printed = capsys.readouterr().out
    assert printed.index("two") < printed.index("one")
    assert "seasonal_naive" in printed

    log(waves, "three", n_windows=2)
    assert main(["compare", "--experiment", "sales"]) == 2
    assert "--anyway" in capsys.readouterr().err
    assert main(["compare", "--experiment", "sales", "--anyway"]) == 0
    assert "three" in capsys.readouterr().out
