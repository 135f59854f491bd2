"""A date is run once: answered from its record, gone on with, refused by the gate, or left to the champion."""

import time
import warnings

import pandas as pd
import pytest
from mlflow import MlflowClient
from tsrnn.pipelines import steps
from tsrnn.pipelines.run import run_pipeline
from tsrnn.pipelines.spec import read_spec

from tsrnn import tracking
from tsrnn.cli import main
from tsrnn.exceptions import SpecError, TrackingWarning

pytestmark = pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")
FIRST, SECOND = "2024-02-10", "2024-02-17"


def everything(place):
    return {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_date_that_broke_off_goes_on_and_one_that_is_finished_is_answered(
    place, store_uri, monkeypatch
):
    def full(*_, **__):
        raise OSError("No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(steps, "publish", full)
        with pytest.raises(OSError, match="No space left"):
            run_pipeline(read_spec("shop.yaml"), as_of=FIRST)
    assert tracking.runs("shop", nested=False, tracking_uri=store_uri)["status"].tolist() == [
        "FAILED"
    ]
    (place / "sales.csv").unlink()  # its rows are in the folder of the date

    def never(*_, **__):
        raise AssertionError("done before")

    with monkeypatch.context() as broken:
        broken.setattr(steps, "make_forecaster", never)
        result = run_pipeline(read_spec("shop.yaml"), as_of=FIRST)

    runs = tracking.runs("shop", nested=False, tracking_uri=store_uri)
    assert runs["status"].tolist() == ["FINISHED"]
    assert runs["run_id"].tolist() == [result.run_id]
    assert [v.version for v in MlflowClient(store_uri).search_model_versions("name='shop'")] == [1]
    assert (result.outcome, result.is_new) == ("promoted", True)

    before = everything(place)
    answered = run_pipeline(read_spec("shop.yaml"), as_of=FIRST)

    assert (answered.is_new, answered.report) == (False, result.report)
    assert everything(place) == before
    assert main(["pipeline", "run", "shop.yaml", "--as-of", FIRST]) == 0


@pytest.mark.slow
def test_a_refused_date_has_no_forecast_and_exits_with_4_each_time(place, store_uri):
    command = ["pipeline", "run", "shop.yaml", "--as-of", FIRST, "--set", "gate.beat=drift"]
    command += ["--set", "data.start=2024-01-30"]
    pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=60), "y": range(60)}).to_csv(
        place / "sales.csv", index=False
    )

    assert [main(command), main(command)] == [4, 4]

    assert not (place / "runs/shop/forecast.csv").exists()
    runs = tracking.runs("shop", nested=False, tracking_uri=store_uri)
    assert runs["tags.tsrnn.outcome"].tolist() == ["refused"]
    assert MlflowClient(store_uri).search_registered_models() == []


@pytest.mark.slow
def test_a_champion_reads_the_newest_rows_where_no_fit_is_due(place, store_uri, monkeypatch):
    due = ["fit.when=due", "fit.every=5"]
    run_pipeline(read_spec("shop.yaml", due), as_of=FIRST)

    def never(*_, **__):
        raise AssertionError("no fit is due")

    with monkeypatch.context() as patched:
        patched.setattr("tsrnn.forecaster.RNNForecaster._fit_panel", never)
        result = run_pipeline(read_spec("shop.yaml", due), as_of="2024-02-14")
        with pytest.raises(AssertionError, match="no fit is due"):
            run_pipeline(read_spec("shop.yaml", due), as_of="2024-02-15")

    assert result.outcome == "kept"
    assert result.words == f"No fit is due; champion v1 (as of {FIRST}) reads the newest rows."
    assert result.forecast["ds"].min() == pd.Timestamp("2024-02-15")


@pytest.mark.slow
def test_a_date_before_the_champions_is_forecast_by_its_own_model_and_leaves_the_champion(
    place, store_uri
):
    newer = run_pipeline(read_spec("shop.yaml"), as_of=SECOND)

    older = run_pipeline(read_spec("shop.yaml"), as_of=FIRST)

    assert (newer.outcome, older.outcome) == ("promoted", "kept")
    assert "is of a later date and stays" in older.words
    champion = MlflowClient(store_uri).get_model_version_by_alias("shop", "champion")
    assert champion.tags["tsrnn.as_of"] == SECOND
    newest = pd.read_csv(place / "runs/shop/forecast.csv")
    assert newest["ds"].min() == "2024-02-18"  # an older date does not replace the newest forecast
    assert older.forecast["ds"].min() == pd.Timestamp("2024-02-11")


@pytest.mark.slow
def test_without_mlflow_the_date_is_forecast_all_the_same(place, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("TSRNN_TRACKING_TIMEOUT", "2")
    began = time.monotonic()

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", TrackingWarning)
        result = run_pipeline(read_spec("shop.yaml"), as_of=FIRST)

    assert result.outcome == "promoted"
    assert len(pd.read_csv(place / "runs/shop/forecast.csv")) == 2
    assert "MLflow   not reached" in result.report
    texts = [str(w.message) for w in told if issubclass(w.category, TrackingWarning)]
    assert any("tracking is off" in text for text in texts)
    assert any("The model was not registered" in text for text in texts)
    assert time.monotonic() - began < 120


@pytest.mark.parametrize(("as_of", "code"), [("soon", 2), ("2023-01-01", 3)])
def test_a_date_that_can_not_be_run_leaves_nothing(as_of, code, place, capsys):
    assert main(["pipeline", "run", "shop.yaml", "--as-of", as_of]) == code

    assert list((place / "runs/shop/dates").glob("*")) == []
    assert not (place / "mlruns").exists()


def test_due_without_a_registry_is_refused(place):
    with pytest.raises(SpecError, match=r"fit\.when 'due' needs the champion"):
        read_spec("shop.yaml", ["fit.when=due", "register=false"])
