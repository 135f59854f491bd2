"""The search for parameters: the best is found, processes share, a kill loses nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from mlflow import MlflowClient

import tsrnn
from tsrnn import BaselineForecaster, backtest, tune
from tsrnn.exceptions import ParameterError
from tsrnn.tracking import resolve_uri, runs

ROOT = Path(__file__).parents[1]
SPACE = {"season": [3, 5, 7], "method": ["seasonal_naive", "drift"]}


def weeks() -> pd.DataFrame:
    """Two series that repeat every seven days, with a little noise."""
    rng = np.random.default_rng(0)
    values = np.tile([1.0, 4.0, 2.0, 8.0, 5.0, 7.0, 0.0], 8) + rng.normal(0, 0.1, 56)
    return pd.DataFrame(
        {
            "unique_id": np.repeat(["a", "b"], 56),
            "ds": np.tile(pd.date_range("2024-01-01", periods=56), 2),
            "y": np.concatenate([values, 10 * values]),
        }
    )


def seasonal(**changes) -> BaselineForecaster:
    return BaselineForecaster(**{"method": "seasonal_naive", "horizon": 7, "season": 7, **changes})


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    for name in ("TRACKING_URI", "EXPERIMENT_ID", "EXPERIMENT_NAME"):
        monkeypatch.delenv(f"MLFLOW_{name}", raising=False)
    monkeypatch.setenv("TSRNN_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_right_season_is_found_and_fitted(home):
    found = tune(seasonal(season=1), weeks(), SPACE, n_trials=12, tracked=False)

    assert found.params == {"season": 7, "method": "seasonal_naive"}
    pd.testing.assert_frame_equal(found.forecaster.predict(), seasonal().fit(weeks()).predict())
    assert len(found.trials) == 12
    assert found.trials["score"].min() == found.score < 0.1
    assert list(home.iterdir()) == []  # no name, no tracking: nothing is written


def test_a_score_is_the_error_of_a_backtest_in_units_of_naive():
    found = tune(seasonal(), weeks(), {"season": [5]}, n_trials=1, tracked=False)

    folds = backtest(seasonal(season=5), weeks(), n_windows=3, step=7).by_series
    assert found.score == pytest.approx((folds["model"] / folds["naive"]).mean())


def test_a_trial_is_given_up_after_the_fold_that_shows_it():
    fits = []

    class Watching(BaselineForecaster):
        def _fit_panel(self, panel, notify):
            fits.append(self.season)
            super()._fit_panel(panel, notify)

    found = tune(
        Watching("seasonal_naive", horizon=7),
        weeks(),
        {"season": [7, 3]},
        n_trials=8,
        pruner=optuna.pruners.ThresholdPruner(upper=0.5),
        tracked=False,
    )

    trials = found.trials.groupby("season")["state"].agg(["unique", "size"])
    assert trials["unique"].map(list).to_dict() == {3: ["pruned"], 7: ["complete"]}
    assert fits.count(3) == trials.loc[3, "size"]
    assert fits.count(7) == 3 * trials.loc[7, "size"] + 1  # the winner, on all rows


def test_a_study_goes_on_by_its_name_and_finds_what_one_go_finds():
    in_one_go = tune(seasonal(), weeks(), SPACE, n_trials=14, tracked=False)

    tune(seasonal(), weeks(), SPACE, n_trials=5, study="weeks", tracked=False)
    found = tune(seasonal(), weeks(), SPACE, n_trials=14, study="weeks", tracked=False)
    again = tune(seasonal(), weeks(), SPACE, n_trials=14, study="weeks", tracked=False)

    columns = ["season", "method", "state", "score"]
    pd.testing.assert_frame_equal(found.trials[columns], in_one_go.trials[columns])
    pd.testing.assert_frame_equal(again.trials, found.trials)  # nothing is left to do


def test_a_study_refuses_other_data_another_space_and_other_folds():
    tune(seasonal(), weeks(), SPACE, n_trials=1, study="mine", tracked=False)

    with pytest.raises(ParameterError, match="another data fingerprint"):
        tune(seasonal(), weeks().head(60), SPACE, n_trials=2, study="mine", tracked=False)
    with pytest.raises(ParameterError, match="another space"):
        tune(seasonal(), weeks(), {"season": [7]}, n_trials=2, study="mine", tracked=False)
    with pytest.raises(ParameterError, match="another folds"):
        tune(seasonal(), weeks(), SPACE, n_trials=2, n_windows=2, study="mine", tracked=False)


SCRIPT = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from tests.test_tuning import SPACE, seasonal, weeks
from tsrnn import BaselineForecaster, tune
from tsrnn.listeners import add_listener
count = 0
class Killer:
    def on_fit_start(self, forecaster, panel):
        global count
        count += 1
        if count == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
    def on_epoch_end(self, *args): ...
    def on_fit_end(self, forecaster): ...
    def on_fit_error(self, *args): ...
add_listener(lambda _: Killer())
print(len(tune(seasonal(), weeks(), SPACE, n_trials=10, study="shared", tracked=False).trials))
"""


def start(kill_at_fit: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(ROOT), str(kill_at_fit)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.slow
def test_a_killed_study_goes_on_and_its_trial_is_done_by_another(home):
    killed = start(kill_at_fit=8)  # in the second fold of the third trial, where none was pruned
    killed.communicate(timeout=120)
    assert killed.returncode == -9

    found = tune(seasonal(), weeks(), SPACE, n_trials=10, study="shared", tracked=False)

    in_one_go = tune(seasonal(), weeks(), SPACE, n_trials=10, tracked=False)
    assert len(found.trials) == 10
    assert set(found.trials["state"]) <= {"complete", "pruned"}
    assert found.params == in_one_go.params
    assert found.score == in_one_go.score
    left = {path.name for path in (home / "mlruns/optuna").iterdir()}
    assert left - {".shared.lock", ".shared.journal.lock"} == {"shared.journal"}


@pytest.mark.slow
def test_two_processes_share_the_trials_of_one_study(home):
    workers = [start(kill_at_fit=0), start(kill_at_fit=0)]
    errors = [worker.communicate(timeout=300)[1] for worker in workers]

    assert [worker.returncode for worker in workers] == [0, 0], errors
    found = tune(seasonal(), weeks(), SPACE, n_trials=10, study="shared", tracked=False)
    study = optuna.load_study(
        study_name="shared",
        storage=optuna.storages.JournalStorage(
            optuna.storages.journal.JournalFileBackend(str(home / "mlruns/optuna/shared.journal"))
        ),
    )
    assert len(study.trials) == len(found.trials) == 10
    assert len({trial.user_attrs["owner"] for trial in study.trials}) <= 2
    assert {trial.state.name for trial in study.trials} <= {"COMPLETE", "PRUNED"}


@pytest.mark.slow
def test_every_trial_is_a_run_nested_in_that_of_the_search():
    tune(seasonal(), weeks(), SPACE, n_trials=2, study="runs", experiment="seek")
    found = tune(seasonal(), weeks(), SPACE, n_trials=4, study="runs", experiment="seek")

    table = runs("seek").set_index("run_name")
    client = MlflowClient(resolve_uri())
    (parent,) = table.index[table["tags.tsrnn.task"] == "search"]
    trials = table[table.index.str.startswith("trial ")]
    assert parent == "runs"
    assert sorted(trials.index) == ["trial 000", "trial 001", "trial 002", "trial 003"]
    assert set(trials["tags.mlflow.parentRunId"]) == {table.loc["runs", "run_id"]}
    assert set(table["status"]) == {"FINISHED"}
    complete = (found.trials["state"] == "complete").to_numpy()
    np.testing.assert_allclose(
        trials.sort_index()["metrics.score"].to_numpy()[complete], found.trials["score"][complete]
    )
    folds = client.get_metric_history(trials["run_id"].iloc[0], "score")
    assert [point.step for point in folds] in ([1, 2, 3], [1], [1, 2])


def test_parameters_that_cannot_be_used_are_a_failed_trial():
    found = tune(seasonal(), weeks(), {"season": [0, 7]}, n_trials=8, tracked=False)

    assert found.params == {"season": 7}
    assert set(found.trials.loc[found.trials["season"] == 0, "state"]) == {"fail"}
    with pytest.raises(ParameterError, match="season"):
        tune(seasonal(), weeks(), {"season": [0]}, n_trials=2, tracked=False)


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({}, "'space' parameter must be a dict"),
        ({"sesaon": [7]}, "parameters of BaselineForecaster. Got 'sesaon'"),
        ({"horizon": [7, 14]}, "other horizons can't be compared"),
        ({"season": (7, 2)}, "list of choices, a range"),
        ({"season": 7}, "list of choices, a range"),
        ({"season": (0, 9, "log")}, "above 0 for 'log'"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(space, words):
    with pytest.raises(ParameterError, match=words):
        tune(seasonal(), weeks(), space, n_trials=1, tracked=False)


def test_a_name_that_could_be_a_path_is_refused():
    with pytest.raises(ParameterError, match="'study' parameter must be a name"):
        tune(seasonal(), weeks(), SPACE, n_trials=1, study="../x", tracked=False)


def test_ranges_and_lists_of_anything_are_searched():
    from tsrnn.tuning.space import Space

    space = Space(
        {
            "hidden_size": (8, 64),
            "learning_rate": (1e-4, 1e-1, "log"),
            "dilations": [None, (1, 2)],
        },
        tsrnn.RNNForecaster(),
    )

    said = space.suggest(optuna.create_study().ask())

    assert isinstance(said["hidden_size"], int)
    assert 1e-4 <= said["learning_rate"] <= 1e-1
    assert said["dilations"] in (None, (1, 2))
    assert space.values({"dilations": "(1, 2)"}) == {"dilations": (1, 2)}


def test_optuna_says_nothing_and_is_left_as_it_was(capfd):
    before = optuna.logging.get_verbosity()

    tune(seasonal(), weeks(), {"season": [7]}, n_trials=1, tracked=False)

    assert optuna.logging.get_verbosity() == before
    assert capfd.readouterr() == ("", "")
