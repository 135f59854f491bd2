"""The model in MLflow: what is loaded forecasts as the model in memory does."""

from __future__ import annotations

import warnings

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from mlflow.exceptions import MlflowException
from torch import nn

from tsrnn import Cell, RNNForecaster
from tsrnn.exceptions import ModelFileError, ParameterError, SkillWarning
from tsrnn.tracking import load_model, log_model, resolve_uri, runs, save_model, track


class Fading(Cell):
    """h' = h / 2 + tanh(W x)."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size))

    def step(self, projected, state):
        return (state[0] / 2 + torch.tanh(projected @ self.weight_ih.T),)


@pytest.fixture(scope="module")
def history() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    values = np.sin(np.arange(80) * np.pi / 6)[None, :] + rng.normal(0, 0.1, (2, 80)) + [[10], [20]]
    return pd.DataFrame(
        {
            "unique_id": np.repeat(["a", "b"], 80),
            "ds": np.tile(pd.date_range("2018-01-01", periods=80, freq="MS"), 2),
            "y": values.ravel(),
        }
    )


LOOK = (
    "diagnosis.txt", "diagnosis.png", "network.png",
    "gradients.csv", "spectra.csv", "gates.csv", "units.csv",
)  # fmt: skip


def tiny(**changes) -> RNNForecaster:
    return RNNForecaster(**{"horizon": 4, "max_steps": 5, "hidden_size": 4, **changes})


@pytest.fixture(scope="module")
def fitted(history):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkillWarning)
        return tiny().fit(history)


@pytest.fixture
def folder(fitted, history, tmp_path):
    save_model(fitted, tmp_path / "model", input_example=history.head(3))
    return tmp_path / "model"


def test_a_logged_model_forecasts_as_the_one_in_memory(client, fitted, history, capfd):
    with track():
        info = log_model(fitted)
        loaded = mlflow.pyfunc.load_model(info.model_uri)
        native = load_model(info.model_uri)

    pd.testing.assert_frame_equal(
        loaded.predict(history), fitted.predict(history), check_exact=True
    )
    pd.testing.assert_frame_equal(native.predict(), fitted.predict(), check_exact=True)
    assert capfd.readouterr() == ("", "")


@pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")
def test_a_cell_of_ones_own_is_given_when_its_model_is_loaded(history, tmp_path):
    model = tiny(cell=Fading).fit(history)
    save_model(model, tmp_path / "model")

    again = load_model(tmp_path / "model", custom_cells={"Fading": Fading})

    pd.testing.assert_frame_equal(again.predict(), model.predict(), check_exact=True)
    with pytest.raises(ModelFileError, match=r"custom_cells=\{'Fading': Fading\}"):
        load_model(tmp_path / "model")


@pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")
def test_a_fit_inside_track_leaves_a_ready_model_linked_to_its_numbers(client, history):
    with track("linked") as run:
        model = tiny().fit(history)

    (logged,) = client.search_logged_models([run.experiment_id])
    loaded = load_model(f"{logged.artifact_location}")
    pd.testing.assert_frame_equal(loaded.predict(), model.predict(), check_exact=True)
    assert logged.status == "READY"
    assert {metric.key for metric in logged.metrics} >= {"test/mase", "naive/mase"}
    params = client.get_run(run.run_id).data.params
    assert params["plan/representation"] == model.plan_.representation
    files = {file.path for file in client.list_artifacts(run.run_id)}
    assert {"forecast.parquet", "forecast.csv", "forecast.png"} <= files
    look = {file.path for file in client.list_artifacts(run.run_id, "diagnosis")}
    assert look == {f"diagnosis/{name}" for name in LOOK}
    by_lag = client.get_metric_history(run.run_id, "diagnosis/gradient_by_lag")
    found = model.diagnose().gradients["median"]
    assert [(point.step, point.value) for point in by_lag] == list(found.items())
    curve = client.get_metric_history(run.run_id, "train_loss")
    assert len(curve) >= 1
    assert runs("linked").loc[0, "metrics.fit_seconds"] > 0


@pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")
def test_tracking_changes_no_bit_of_a_forecast(client, history, fitted):
    with track():
        tracked = tiny().fit(history)

    pd.testing.assert_frame_equal(
        tracked.predict(level=[80]), fitted.predict(level=[80]), check_exact=True
    )


def test_horizon_and_level_are_parameters_of_serving(folder, fitted, history):
    loaded = mlflow.pyfunc.load_model(str(folder))

    forecast = loaded.predict(history, params={"horizon": 2, "level": [80.0]})

    pd.testing.assert_frame_equal(
        forecast, fitted.predict(history, horizon=2, level=[80.0]), check_exact=True
    )


def test_no_rows_and_bad_rows_are_refused_as_invalid_input(folder, history):
    loaded = mlflow.pyfunc.load_model(str(folder))

    with pytest.raises(MlflowException, match="at least one row of history") as caught:
        loaded.predict(history.iloc[:0])
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    with pytest.raises(MlflowException, match="infinite"):
        loaded.predict(history.assign(y=np.inf))
    with pytest.raises(MlflowException, match="'level' parameter"):
        loaded.predict(history, params={"level": [180.0]})


def test_the_model_folder_names_what_it_needs_and_holds_no_pickle(folder):
    described = yaml.safe_load((folder / "MLmodel").read_text())
    requirements = (folder / "requirements.txt").read_text().splitlines()
    files = [path for path in folder.rglob("*") if path.is_file()]

    assert described["flavors"]["python_function"]["loader_module"] == "tsrnn.tracking"
    assert described["flavors"]["tsrnn"]["forecaster"] == "RNNForecaster"
    assert "horizon" in described["signature"]["params"]
    assert '"name": "ds"' in described["signature"]["inputs"]
    assert '"name": "forecast"' in described["signature"]["outputs"]
    assert [line for line in requirements if "+" in line] == []
    assert {line.partition("==")[0] for line in requirements} >= {"tsrnn", "torch", "mlflow"}
    assert not [path for path in files if path.suffix in {".pkl", ".pickle", ".pt", ".bin"}]


@pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")
@pytest.mark.parametrize("kind", ["zoned", "wide", "series", "indexed"])
def test_frames_that_a_schema_cannot_hold_are_served_without_one(tmp_path, history, kind):
    one = history[history["unique_id"] == "a"]
    frame = {
        "zoned": history.assign(ds=history["ds"].dt.tz_localize("UTC")),
        "wide": history.pivot(index="ds", columns="unique_id", values="y"),
        "series": one.set_index("ds")["y"],
        "indexed": history.set_index(["unique_id", "ds"]),
    }[kind]
    model = tiny().fit(frame)

    save_model(model, tmp_path / "model")

    loaded = load_model(str(tmp_path / "model"))
    expected, got = model.predict(frame), loaded.predict(frame)
    assert got.equals(expected)
    if kind != "series":  # MLflow takes no Series
        served = mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(frame)
        assert served.equals(expected)


@pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")
def test_whole_numbers_and_integer_ids_are_served(tmp_path, history):
    frame = history.assign(
        unique_id=history["unique_id"].map({"a": 1, "b": 2}), y=history["y"].round().astype(int)
    )
    model = tiny().fit(frame)
    save_model(model, tmp_path / "model")
    served = mlflow.pyfunc.load_model(str(tmp_path / "model"))

    for part in (frame, frame.astype({"y": float})):
        pd.testing.assert_frame_equal(served.predict(part), model.predict(part), check_exact=True)


def test_the_input_example_reads_back_as_the_rows_it_was(folder, history):
    example = mlflow.models.Model.load(str(folder)).load_input_example(str(folder))

    pd.testing.assert_frame_equal(example, history.head(3), check_dtype=False, rtol=1e-12)


def test_a_folder_with_something_in_it_is_not_written_over(tmp_path, fitted):
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(ParameterError, match="new or empty folder"):
        save_model(fitted, tmp_path)


def test_a_forecaster_that_cannot_be_saved_is_refused(tmp_path, last_value, frame):
    with pytest.raises(ParameterError, match="save_model needs a forecaster with a save method"):
        save_model(last_value().fit(frame), tmp_path / "model")


def test_the_model_of_another_store_is_found_by_its_address(client, fitted, history):
    with track() as run:
        log_model(fitted)

    assert resolve_uri() == run.uri
    mlflow.set_tracking_uri(run.uri)
    try:
        loaded = load_model(f"runs:/{run.run_id}/model")
    finally:
        mlflow.set_tracking_uri(None)
    pd.testing.assert_frame_equal(loaded.predict(), fitted.predict(), check_exact=True)


def test_a_model_with_covariates_is_logged_though_its_future_is_not_known(client, history):
    known = history.assign(event=np.tile([0.0, 1.0], 80))
    past = known.groupby("unique_id").head(76)
    with warnings.catch_warnings(), track():
        warnings.simplefilter("ignore", SkillWarning)
        model = tiny(future_covariates=["event"], target_col="y").fit(past)
        info = log_model(model)
        loaded = mlflow.pyfunc.load_model(info.model_uri)

    appended = known.assign(y=known["y"].where(known.index.isin(past.index)))

    assert info.signature.inputs.input_names() == ["unique_id", "ds", "y", "event"]
    pd.testing.assert_frame_equal(
        loaded.predict(appended), model.predict(past, future_df=known), check_exact=True
    )
