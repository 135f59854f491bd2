"""Targets named as a list go through the whole pipeline together."""

import numpy as np
import pandas as pd
import pytest
from tsrnn.pipelines.run import check_pipeline, run_pipeline
from tsrnn.pipelines.spec import read_spec

from tsrnn import tracking
from tsrnn.exceptions import DataError, SpecError

pytestmark = pytest.mark.filterwarnings("ignore::tsrnn.exceptions.TsrnnWarning")
SPEC = """
name: weir
data: {path: weir.csv, id_col: site, time_col: day, target_col: [up, down], unit: cm}
model: {horizon: 2, max_steps: 1, hidden_size: 2, context_length: 8}
backtest: {n_windows: 2}
fit: {when: due}
"""


@pytest.fixture
def weir(place):
    """Two sites of 60 days with two targets, one value missing."""
    walk = np.random.default_rng(1).normal(size=(2, 60)).cumsum(1)
    days = pd.date_range("2024-01-01", periods=60)
    parts = [
        pd.DataFrame({"site": f"0{k}", "day": days, "up": 50 + walk[0], "down": 5 + k * walk[1]})
        for k in (1, 2)
    ]
    rows = pd.concat(parts)
    rows.iloc[30, 3] = np.nan
    rows.to_csv(place / "weir.csv", index=False)
    (place / "weir.yaml").write_text(SPEC)
    return place


def test_a_list_of_targets_is_checked_as_one_series_each_site(weir):
    summary = check_pipeline(read_spec("weir.yaml"))

    assert (summary.n_series, summary.targets, summary.target_col) == (
        *(2, ["up", "down"]),
        "up, down",
    )
    with pytest.raises(DataError, match="'douwn'"):
        check_pipeline(read_spec("weir.yaml", ["data.target_col=[up,douwn]"]))
    with pytest.raises(SpecError, match=r"data.target_col.* must be text or a list"):
        read_spec("weir.yaml", ["data.target_col=7"])


@pytest.mark.slow
def test_joint_targets_are_backtested_judged_forecast_updated_and_monitored(weir, store_uri):
    first = run_pipeline(read_spec("weir.yaml"), as_of="2024-02-10")
    second = run_pipeline(read_spec("weir.yaml"), as_of="2024-02-11")

    assert (first.outcome, second.outcome) == ("promoted", "kept")
    columns = pd.read_csv(weir / "runs/weir/forecast.csv", nrows=0).columns.tolist()
    assert columns[:4] == ["site", "day", "forecast-up", "forecast-up-lo-80"]
    assert "forecast-down-hi-95" in columns
    assert {"actual-up", "forecast-down"} <= set(
        pd.read_parquet(first.folder / "backtest.parquet").columns
    )
    for label in ("01 up", "02 down"):
        assert label in first.report
    assert "its state was moved on by 2 rows" in second.report
    assert "4 steps came true: MAE" in second.report
    assert {path.name for path in first.folder.glob("*.png")} == {
        *("forecast.png", "backtest.png", "skill.png")
    }
    runs = tracking.runs("weir", nested=False, tracking_uri=store_uri)
    assert runs["tags.tsrnn.model"].tolist() == ["updated", "fitted"]
    assert runs["metrics.backtest/series/02 down/mae"].notna().tolist() == [False, True]
    folds = tracking.runs("weir", tracking_uri=store_uri)
    folds = folds[folds["tags.tsrnn.task"] == "fold"]
    assert folds["status"].tolist() == ["FINISHED"] * 2
    assert set(folds["tags.mlflow.parentRunId"]) == {first.run_id}
