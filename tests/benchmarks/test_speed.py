"""The speed benchmark: what is paired, what libraries are asked, and ratios that must hold on any machine."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from speed import accuracy, libraries, precision
from speed.data import frame
from speed.forecasts import fitted
from speed.pairs import paired, process, said_by
from speed.series import airline, prices, weekly_panel

from tsrnn.frames import read_panel
from tsrnn.metrics import naive_scale

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "benchmarks" / "peers"
ANSWER = """
import json, sys
from pathlib import Path
folder = Path(sys.argv[1])
job = json.loads((folder / "job.json").read_text())
known = (folder / "frame.parquet").exists()
(folder / "result.json").write_text(json.dumps({"work": job["work"], "known": known}))
if job["work"] == "train":
    import numpy as np

    np.save(folder / "forecast.npy", np.full((2, job["horizon"]), 7.0))
"""

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(PEERS)  # whose scripts run from this folder
    import timing


class Climbing(timing.Library):
    """Forecasts a line that climbs by one a step."""

    def read(self, frame, job):
        return frame["y"].to_numpy().reshape(frame["unique_id"].nunique(), -1)

    def batches(self, data, job):
        while True:
            yield data[:, : job.window]

    def fit(self, data, job):
        weight = torch.nn.Parameter(torch.zeros(1))
        optimizer = torch.optim.SGD([weight], 0.1)
        for _ in range(job.steps):
            weight.grad = torch.ones(1)
            optimizer.step()
        return weight

    def predict(self, model, data, job):
        return data[:, -1:] + np.arange(1, job.horizon + 1)


def script():
    """Return benchmarks/speed.py, whose name its folder of parts has, too."""
    spec = importlib.util.spec_from_file_location("speed_script", ROOT / "benchmarks" / "speed.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_works_are_timed_in_turn_after_a_round_that_does_not_count():
    order = []

    spent = paired([lambda: order.append("a"), lambda: order.append("b")], rounds=2)

    assert order == ["a", "b"] * 3
    assert len(spent) == 2
    assert all(0 <= each < 1 for each in spent)


def test_the_processor_time_of_a_process_is_its_own():
    idle = process([sys.executable, "-c", "pass"])
    busy = process([sys.executable, "-c", "sum(range(20_000_000))"])

    assert busy[1] > 2 * idle[1]
    assert busy[0] >= 0.9 * busy[1]
    with pytest.raises(subprocess.CalledProcessError):
        process([sys.executable, "-c", "raise SystemExit(3)"])


def test_a_function_answers_from_another_process():
    assert said_by("math", "comb", 5, 2) == 10


def test_the_panel_is_the_same_for_a_seed_and_has_a_week():
    panel = weekly_panel(20, 400)

    values = panel["y"].to_numpy().reshape(20, 400)
    by_week = np.abs(values[:, 7:] - values[:, :-7]).mean(1)
    by_day = np.abs(values[:, 3:] - values[:, :-3]).mean(1)
    assert panel.equals(weekly_panel(20, 400))
    assert not panel["y"].equals(weekly_panel(20, 400, seed=1)["y"])
    assert np.median(by_day / by_week) > 1.5


def test_the_airline_grows_with_its_year():
    y = airline()["y"].to_numpy()

    years = y.reshape(12, 12)
    assert (np.diff(years.mean(1)) > 0).all()
    assert np.corrcoef(years[0], years[-1])[0, 1] > 0.8


def test_layers_of_both_precisions_are_timed_and_compared(monkeypatch):
    monkeypatch.setattr(precision, "UNITS", (4,))
    monkeypatch.setattr(precision, "STEPS", 3)
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: True)
    monkeypatch.delenv("TSRNN_DATA", raising=False)

    text = precision.bf16(1)

    rows = [line for line in text.splitlines() if " units |" in line]
    off = [float(row.split("|")[-2].strip().removesuffix("%")) for row in rows]
    assert len(rows) == 2
    assert all(0 < each < 2 for each in off)
    assert text.endswith("m3_monthly: not measured, TSRNN_DATA names no folder.")


def test_a_cpu_without_bfloat16_is_not_measured(monkeypatch):
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: False)

    assert precision.bf16(1).startswith("Not measured")


def test_every_part_has_its_place_in_the_docs():
    page = (ROOT / "docs" / "benchmarks.md").read_text()

    for part in script().PARTS:
        assert page.count(f"<!-- speed-{part}:start -->") == 1
        assert page.count(f"<!-- speed-{part}:end -->") == 1


def test_a_part_alone_is_written_between_its_markers(tmp_path, monkeypatch, capsys):
    speed = script()
    monkeypatch.setitem(speed.PARTS, "layers", lambda rounds: f"{rounds} rounds")
    monkeypatch.setattr(speed.torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr(speed.torch, "set_flush_denormal", lambda _: None)
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- speed-layers:start -->\nold\n<!-- speed-layers:end -->\nb\n")

    speed.main(["--only", "layers", "--rounds", "2", "--write", str(page)])

    assert page.read_text().startswith("a\n<!-- speed-layers:start -->\n2 rounds\n\nMeasured on")
    assert "old" not in page.read_text()
    assert capsys.readouterr().out.startswith("## layers\n\n2 rounds")


def job(work, **more):
    return timing.Job(**vars(libraries.Task(work, **more)))


def test_a_library_is_timed_by_its_steps_and_its_forecast_comes_back():
    panel = weekly_panel(3, 40)

    found, said = timing.train(Climbing(), panel, job("train", steps=20, horizon=4))

    last = panel["y"].to_numpy().reshape(3, 40)[:, -1:]
    assert found["steps"] == 20
    assert 0 <= found["step"] <= found["fit"] <= found["first_step"] + found["fit"]
    np.testing.assert_array_equal(said, last + np.arange(1, 5))


def test_reading_is_timed_to_the_first_batch_with_the_memory_it_adds():
    found = timing.read(Climbing(), weekly_panel(3, 40), job("read"))

    assert sorted(found) == ["added", "batch", "read"]
    assert found["added"] < 50


def test_a_script_gets_job_and_frame_and_gives_what_it_found(tmp_path, monkeypatch):
    (tmp_path / "peers").mkdir()
    (tmp_path / "peers" / "time_any.py").write_text(ANSWER)
    monkeypatch.setattr(libraries, "BENCHMARKS", tmp_path)
    monkeypatch.setattr(libraries.Model, "python", Path(sys.executable))
    model = libraries.Model("any", "", "import numpy")

    trained = libraries.measure(model, libraries.Task("train", horizon=4), weekly_panel(2, 9))
    read = libraries.measure(model, libraries.Task("read"), weekly_panel(2, 9))

    assert trained[0] == {"work": "train", "known": True}
    assert trained[1].tolist() == [[7.0] * 4] * 2
    assert read == ({"work": "read", "known": True}, None)


def test_a_library_that_is_not_installed_is_left_out_with_a_word(monkeypatch):
    asked = []

    def measured(model, task, panel):
        asked.append((model.library, task.work, len(panel)))
        numbers = ("step", "first_step", "predict", "peak", "read", "batch", "added")
        return dict.fromkeys(numbers, 0.5), None

    models = {
        "bare loop": libraries.MODELS["bare loop"],
        "Nowhere": libraries.Model("nowhere", "", "import nowhere"),
    }
    monkeypatch.setattr(libraries, "MODELS", models)
    monkeypatch.setattr(libraries, "measure", measured)
    monkeypatch.setattr(libraries, "process", lambda _: (2.0, 1.0))
    monkeypatch.setattr(libraries, "weekly_panel", lambda series, rows: range(series * rows))

    text = libraries.libraries(1)

    assert "| bare loop | 500 | 1.00 | 0.50 | 500 | 1.00 | 0 |" in text
    assert "| bare loop | 0.500 | 0.50 | 500.00 | 0 |" in text
    assert text.endswith("Not installed, and left out: Nowhere.")
    assert asked == [("bare", "train", 196_800), ("bare", "read", 10**6), ("bare", "read", 10**7)]


def test_time_to_accuracy_says_errors_and_shares_of_deepars_time(monkeypatch):
    case = accuracy.Held(horizon=2, season=7, window=8, freq="D")
    panel = weekly_panel(2, 30)
    past, future = accuracy._cut(panel, 2)
    monkeypatch.setattr(accuracy, "panel", lambda _: panel)
    monkeypatch.setattr(accuracy, "measure", lambda *_: ({"fit": 40.0}, future))
    monkeypatch.setattr(accuracy, "BUDGETS", (1,))
    monkeypatch.setattr(libraries.Model, "python", Path(sys.executable))
    scale = [float(naive_scale(y, 7)) for y in past["y"].to_numpy().reshape(2, 28)]
    off = future + np.array(scale)[:, None]
    monkeypatch.setattr(accuracy, "said_by", lambda *_: {"cpu": 4.0, "said": off.tolist()})

    text = accuracy._table("any", case)

    assert "| GluonTS DeepAR, 500 steps | 0.000 | 40.0 | 1 |" in text
    assert "| tsrnn, max_steps=1 | 1.000 | 4.0 | 1/10.0 |" in text


@pytest.mark.speed
def test_reading_two_million_rows_costs_few_copies_of_them():
    df = frame(2000, 1000, "int")
    values = df["y"].to_numpy()

    copied, read = paired([lambda: values.astype(np.float32).copy(), lambda: read_panel(df)], 7)

    assert read < 25 * copied


@pytest.mark.speed
@pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")
def test_five_hundred_cutoffs_with_their_baselines_cost_a_fifth_of_as_many_calls():
    history = prices(1, 2000)
    model = fitted(history)
    pasts = [history[:end] for end in range(1000, 2000, 100)]

    def calls():
        for past in pasts:
            model.predict(past)

    def backtest():
        model.backtest(history, n_windows=500, step=3, refit="never")

    called, judged = paired([calls, backtest], 2)

    assert judged < 50 * called / 5
