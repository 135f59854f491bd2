"""The benchmark beside other libraries: who sees what, what forecasts are worth, how results become a table."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import peer_report
import peer_sets
import peers
import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNNERS = ROOT / "benchmarks" / "peers"

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(RUNNERS)  # whose scripts run from this folder
    import runner

LAST_VALUE = """
import sys
sys.path.insert(0, {runners!r})
import numpy as np
from runner import run

def fit(history, job, limit):
    def forecast(history):
        last = history.groupby("unique_id", sort=False)["y"].last().to_numpy()[:, None]
        said = np.repeat(last, job.horizon, axis=1)
        return said, said - 1.5, said + 1.5
    return forecast

run(fit, ["numpy"])
"""


@pytest.fixture
def case():
    return peer_sets.Case("none", horizon=2, season=1, freq="D", windows=2)


@pytest.fixture
def frame():
    """Two lines that climb by 1 and by 10 a step, the second one first in the alphabet."""
    steps = np.arange(8)
    return pd.concat(
        [
            pd.DataFrame({"unique_id": "b", "ds": steps, "y": steps + 0.0}),
            pd.DataFrame({"unique_id": "a", "ds": steps, "y": steps * 10.0}),
        ],
        ignore_index=True,
    )


@pytest.fixture
def last_value(tmp_path):
    script = tmp_path / "run_last_value.py"
    script.write_text(LAST_VALUE.format(runners=str(RUNNERS)))
    return peers.Library(("Last",), script, Path(sys.executable))


def _climb(names, values, **bounds):
    """Return forecasts of two windows of two steps."""
    return pd.DataFrame(
        {
            "unique_id": np.repeat(names, 4),
            "window": np.tile([0, 0, 1, 1], len(names)),
            "step": np.tile([1, 2, 1, 2], len(names)),
            "forecast": np.asarray(values, dtype=float).ravel(),
        }
        | {name: np.asarray(each, dtype=float).ravel() for name, each in bounds.items()}
    )


def test_the_last_horizon_never_reaches_a_library(case, frame):
    seen = peer_sets.history(frame, case)

    assert seen.groupby("unique_id")["ds"].max().to_dict() == {"a": 5, "b": 5}


def test_scores_are_those_computed_by_hand(case, frame):
    said = [[4, 5, 6, 9], [50, 50, 60, 70]]  # of 4, 5, 6, 7 and 40, 50, 60, 70
    forecast = _climb(["b", "a"], said, lo=np.array(said) - 1, hi=np.array(said) + 1)

    found = peer_sets.score(frame, forecast.sample(frac=1, random_state=0), case)

    assert found["mase"] == pytest.approx((2 / 1 + 10 / 10) / 8)
    assert found["smape"] == pytest.approx(200 * (2 / 16 + 10 / 90) / 8)
    assert found["coverage"] == pytest.approx(6 / 8)


def test_a_series_that_repeats_itself_is_left_out_of_mase(case, frame):
    frame.loc[frame["unique_id"] == "a", "y"] = 3.0
    forecast = _climb(["b", "a"], [[4, 5, 6, 9], [7, 7, 7, 7]])

    found = peer_sets.score(frame, forecast, case)

    assert found["mase"] == pytest.approx(2 / 4)
    assert found["coverage"] is None


def test_a_forecast_that_is_missing_or_not_finite_is_refused(case, frame):
    forecast = _climb(["b", "a"], [[4, 5, 6, 7], [40, 50, 60, np.inf]])

    with pytest.raises(ValueError, match="1 have none, the first 'a', step 4 of 4"):
        peer_sets.score(frame, forecast, case)
    with pytest.raises(ValueError, match="4 have none, the first 'b', step 1 of 4"):
        peer_sets.score(frame, forecast[forecast["unique_id"] == "a"].replace(np.inf, 70), case)


@pytest.mark.parametrize(("season", "expected"), [(1, [3, 3, 5, 5]), (2, [2, 3, 4, 5])])
def test_the_seasonal_naive_forecast_repeats_the_last_season(case, frame, season, expected):
    case = peer_sets.Case("none", horizon=2, season=season, freq="D", windows=2)

    said = peer_sets.seasonal_naive(frame, case)

    assert said.loc[said["unique_id"] == "b", "forecast"].tolist() == expected
    assert peer_sets.score(frame, said, case)["mase"] == pytest.approx(1.5 if season == 1 else 1.0)


def test_a_runner_fits_before_the_first_window_and_forecasts_from_the_history_up_to_each(
    case, frame, tmp_path, monkeypatch
):
    job = {"model": "Last", "horizon": 2, "freq": "D", "windows": 2}
    job |= {"seed": 0, "limit": 1.0, "smoke": False}
    (tmp_path / "job.json").write_text(json.dumps(job))
    peer_sets.history(frame, case).to_parquet(tmp_path / "history.parquet")
    monkeypatch.setattr(sys, "argv", ["run", str(tmp_path)])
    fitted = []

    def fit(history, job, limit):
        fitted.append(history["ds"].max())
        limit.reached = True
        return lambda history: (history["y"].to_numpy().reshape(2, -1)[:, -job.horizon :],)

    runner.run(fit, ["numpy"])

    said = pd.read_parquet(tmp_path / "forecast.parquet")
    result = json.loads((tmp_path / "result.json").read_text())
    assert fitted == [3]
    assert said[said["unique_id"] == "b"]["forecast"].tolist() == [2, 3, 4, 5]
    assert said[said["window"] == 1]["forecast"].tolist() == [4, 5, 40, 50]
    assert said["step"].tolist() == [1, 2] * 4
    assert result["cut"]
    assert result["versions"] == {"numpy": np.__version__}
    assert result["fit_cpu"] >= 0


def test_training_is_stopped_after_its_processor_seconds_and_not_before():
    class Trainer:
        should_stop = False

    early, late = runner.Limit(1000.0), runner.Limit(0.0)
    trainer = Trainer()

    early.callback(object).on_train_batch_end(trainer, None, None, None, 0)
    assert (early.reached, trainer.should_stop) == (False, False)

    late.callback(object).on_train_batch_end(trainer, None, None, None, 0)
    assert (late.reached, trainer.should_stop) == (True, True)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("raise SystemExit('first\\nno such model')", {"error": "no such model"}),
        ("raise SystemExit(1)", {"error": "no message"}),
        ("while True:\n    pass", {"timeout": 1}),
    ],
)
def test_a_runner_that_fails_or_hangs_is_a_result(
    case, frame, tmp_path, monkeypatch, script, expected
):
    monkeypatch.setattr(peers, "GRACE", 0.0)
    path = tmp_path / "run.py"
    path.write_text(script)
    library = peers.Library(("Model",), path, Path(sys.executable))

    limit = 0.25 if "while" in script else 60.0
    found = peers.measure(library, "Model", case, frame, seed=0, limit=limit)

    assert found == expected


def test_an_environment_that_is_not_there_is_named_with_the_way_to_build_it(case, frame, tmp_path):
    library = peers.Library(("Model",), tmp_path / "run.py", tmp_path / "none")

    with pytest.raises(FileNotFoundError, match="make bench-peers"):
        peers.measure(library, "Model", case, frame, seed=0, limit=1)


@pytest.mark.slow
def test_a_cut_run_goes_on_where_it_was_and_the_newest_result_counts(
    case, frame, last_value, tmp_path, monkeypatch, capsys
):
    class Set(peer_sets.Case):
        def frame(self):
            return frame

    sets = {name: Set("none", 2, 1, "D", windows=2) for name in ("hospital", "etth1")}
    monkeypatch.setattr(peers, "SETS", sets)
    monkeypatch.setattr(peers, "LIBRARIES", {"tsrnn": last_value})
    monkeypatch.setattr(peer_report, "COLUMNS", {("tsrnn", "Last"): "tsrnn"})
    results, page = tmp_path / "results.jsonl", tmp_path / "page.md"
    page.write_text("<!-- peers:start -->\n<!-- peers:end -->\n")
    words = ["--results", str(results), "--write", str(page), "--sets"]

    peers.main([*words, "hospital"])
    first = peers.read(results)
    peers.main([*words, "hospital", "etth1"])
    second = peers.read(results)
    peers.main([*words, "etth1", "--libraries", "tsrnn", "--again"])
    third = peers.read(results)

    assert [(each["set"], each["library"]) for each in second] == [
        (name, library) for name in sets for library in ("tsrnn", "seasonal naive")
    ]
    assert second[:2] == first
    assert len(third) == 6
    assert len(peers.newest(third, seed=0)) == 4
    assert first[0]["mase"] == pytest.approx(1.5)  # errors of 1, 2, 1, 2 steps
    assert first[0]["coverage"] == pytest.approx(0.25)  # of the slow line, its first steps
    assert "| hospital | **1.500** |" in page.read_text()
    assert "1.500" in capsys.readouterr().out


def test_the_report_marks_the_best_the_stopped_and_the_failed():
    common = {"set": "hospital", "seed": 0, "day": "2020-01-01"}
    took = {"limit": 60, "fit_cpu": 20.0, "forecast_cpu": 1.4, "cut": False}
    took["versions"] = {"torch": "2"}
    said = {"smape": 5.0, "coverage": 0.8}
    results = [
        common | took | said | {"library": "tsrnn", "model": "RNNForecaster", "mase": 0.8},
        common | took | said | {"library": "darts", "model": "RNNModel", "mase": 1.6, "cut": True},
        common | {"library": "gluonts", "model": "DeepAR", "error": "out of memory"},
        common | {"library": "neuralforecast", "model": "GRU", "timeout": 480.0},
        common
        | {"library": "seasonal naive", "model": "", "mase": 1.0, "smape": 6.0, "coverage": None},
    ]

    text = peer_report.report(results)

    assert (
        "| set | tsrnn | GluonTS DeepAR | neuralforecast GRU | darts RNNModel | seasonal naive |"
        in text
    )
    assert "| hospital | **0.800** | failed | none in 480 s | 1.600† | 1.000 |" in text
    assert "| hospital | 21 | failed | none in 480 s | more than 60 |" in text
    assert "| hospital | 80% | 80%† |" in text
    assert (
        "darts RNNModel 2.00 (above 1 on 1 of 1), seasonal naive 1.25 (above 1 on 1 of 1)" in text
    )
    assert "- GluonTS DeepAR failed on hospital: out of memory" in text


@pytest.mark.parametrize("name", [name for name in peers.LIBRARIES if name != "tsrnn"])
def test_every_library_is_pinned_has_a_runner_and_a_column(name):
    library = peers.LIBRARIES[name]
    pins = (RUNNERS / f"requirements-{name}.txt").read_text().splitlines()
    built = re.search(r"^PEERS := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert library.script.exists()
    assert all("==" in pin for pin in pins)
    assert "torch==2.13.0" in pins
    assert name in built[1].split()
    assert all((name, model) in peer_report.COLUMNS for model in library.models)
