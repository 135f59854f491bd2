"""Pipelines under Dagster: a partition is run once, fails where it must, and its schedule asks for its day."""

from __future__ import annotations

import datetime as dt

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from tsrnn.pipelines import steps
from tsrnn.pipelines.dagster import definitions

from tsrnn import tracking
from tsrnn.exceptions import SpecError

pytestmark = pytest.mark.filterwarnings("default")

SPEC = """
name: shop-a
data: {path: sales.csv}
model: {horizon: 2, max_steps: 1, hidden_size: 2, context_length: 8}
backtest: {n_windows: 2}
output: {figures: false}
schedule: {cron: 30 6 * * mon-fri, timezone: Europe/Zurich, retries: 1, delay: 0, timeout: 900}
"""
DATE = "2024-02-10"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A project folder with 60 days of sales, which is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TSRNN_HOME", str(tmp_path))
    monkeypatch.setenv("TSRNN_TRACKING_TIMEOUT", "300")
    noise = np.cumsum(np.random.default_rng(3).normal(size=60))
    days = pd.date_range("2024-01-01", periods=60)
    pd.DataFrame({"ds": days, "y": 20 + noise}).to_csv("sales.csv", index=False)
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines/shop.yaml").write_text(SPEC)
    return tmp_path


@pytest.fixture
def materialize():
    with dg.DagsterInstance.ephemeral() as instance:

        def run(date=DATE):
            job = definitions("pipelines", start="2024-01-01").resolve_job_def("shop_a_job")
            return job.execute_in_process(
                partition_key=date, instance=instance, raise_on_error=False
            )

        yield run


def metadata(result):
    (event,) = result.get_asset_materialization_events()
    return {name: each.value for name, each in event.materialization.metadata.items()}


def test_a_partition_is_a_date_that_is_run_once(place, materialize):
    first, second = materialize(), materialize()

    assert (first.success, second.success) == (True, True)
    assert (metadata(first)["done now"], metadata(second)["done now"]) == (True, False)
    assert metadata(first)["mlflow run"] == metadata(second)["mlflow run"]
    assert tracking.runs("shop-a", nested=False)["run_id"].tolist() == [
        metadata(first)["mlflow run"]
    ]
    forecast = pd.read_csv("runs/shop-a/forecast.csv")
    assert forecast["ds"].tolist() == ["2024-02-11", "2024-02-12"]


def test_a_failure_that_may_pass_is_tried_again(place, materialize, monkeypatch):
    publish, calls = steps.publish, []

    def full_once(*what, **how):
        calls.append(what)
        if len(calls) == 1:
            raise OSError("No space left on device")
        return publish(*what, **how)

    monkeypatch.setattr(steps, "publish", full_once)

    assert materialize().success
    assert len(calls) == 2
    assert tracking.runs("shop-a", nested=False)["status"].tolist() == ["FINISHED"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("model: {cell: nope}", "'cell' parameter"),
        ("gate: {beat: drift}", "drift"),
    ],
)
def test_what_no_try_would_change_fails_at_once(place, materialize, change, why):
    if change.startswith("gate"):
        rows = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=60), "y": range(60)})
        rows.to_csv("sales.csv", index=False)
    spec = SPEC if change.startswith("gate") else SPEC.replace("model: {horizon: 2", "old: {x: 2")
    lines = [line for line in spec.splitlines() if not line.startswith("old")]
    (place / "pipelines/shop.yaml").write_text("\n".join([*lines, change]))

    result = materialize()

    assert not result.success
    (failure,) = (event for event in result.all_events if event.event_type_value == "STEP_FAILURE")
    assert why in str(failure.event_specific_data)
    assert not [e for e in result.all_events if e.event_type_value == "STEP_UP_FOR_RETRY"]


def test_a_tick_asks_for_the_partition_of_its_day(place):
    defs = definitions("pipelines", start="2024-01-01")
    schedule = defs.resolve_schedule_def("shop_a_schedule")
    monday = dt.datetime.fromisoformat("2024-02-12T06:30:00+01:00")

    tick = schedule.evaluate_tick(
        dg.build_schedule_context(
            scheduled_execution_time=monday, repository_def=defs.get_repository_def()
        )
    )

    assert (schedule.cron_schedule, schedule.execution_timezone) == (
        "30 6 * * mon-fri",
        "Europe/Zurich",
    )
    assert [request.partition_key for request in tick.run_requests] == ["2024-02-12"]
    dg.Definitions.validate_loadable(defs)


def test_what_dagster_cant_schedule_is_refused(place):
    (place / "pipelines/shop.yaml").write_text(SPEC.replace("cron: 30", "cron: 0 30"))

    with pytest.raises(SpecError, match="five fields for Dagster"):
        definitions("pipelines", start="2024-01-01")


def test_a_folder_without_pipelines_is_refused(tmp_path):
    with pytest.raises(SpecError, match="need a pipeline"):
        definitions(tmp_path, start="2024-01-01")
