"""The accuracy benchmark: official definitions by hand, splits, resuming, tables; no public data needed."""

import json
from dataclasses import replace

import accuracy
import numpy as np
import pandas as pd
import pytest
from accuracy_report import report, with_m3_average
from competition import DECILES, Competition, official_scores
from trial import Record, Trial, append, read

from tsrnn import datasets, metrics

QUICK = ["--set", "max_steps=2", "--set", "hidden_size=4", "--set", "batch_size=4"]


def monthly(series=5, rows=60):
    """Return positive series with a season, as the loader of the sets would."""
    rng = np.random.default_rng(0)
    steps = np.arange(rows)
    wave = 10 + np.sin(steps * np.pi / 6) + 0.1 * rng.normal(size=(series, rows))
    return pd.DataFrame(
        {
            "unique_id": np.repeat([f"s{i}" for i in range(series)], rows),
            "ds": np.tile(pd.date_range("2001-01-01", periods=rows, freq="MS"), series),
            "y": wave.ravel(),
            "extra": 0.0,
        }
    )


@pytest.fixture
def tiny(monkeypatch):
    """Every set is a small generated one."""
    monkeypatch.setattr(datasets, "load", lambda _: monthly())


def record(name="hospital", seed=0, **scores):
    values = {measure: {"tsrnn": value, "naive": 2.0} for measure, value in scores.items()}
    sizes = {"series": 2, "windows": 2, "horizon": 3}
    seconds = {"fit": 1.0, "predict": 0.5}
    return Record(name, Trial(seed), values, sizes, seconds, seconds, 7, "A machine.")


# ---- definitions --------------------------------------------------------------------------


def test_official_scores_are_those_computed_by_hand():
    truth = np.array([[10.0, 20.0], [5.0, 5.0]])
    point = np.array([[12.0, 20.0], [5.0, 10.0]])
    said = {
        "forecast": point,
        "forecast-lo-95": np.array([[9.0, 21.0], [4.0, 4.0]]),
        "forecast-hi-95": np.array([[13.0, 25.0], [6.0, 6.0]]),
        "forecast-lo-80": point,
        "forecast-hi-80": point,
        **{f"forecast-q{100 * p:g}": point for p in DECILES},
    }

    overall, each = official_scores(truth, said, scale=np.array([2.0, 5.0]))

    assert each["smape"].tolist() == pytest.approx([100 * 2 / 22, 100 * 5 / 15])
    assert overall["smape"] == pytest.approx((100 * 2 / 22 + 100 * 5 / 15) / 2)
    assert each["mase"].tolist() == [0.5, 0.5]
    assert overall["mae"] == 1.75
    # widths 4 and 4, one value 1 outside: (4 + 4 + 40) / 2 / 2; widths 2 and 2: 2 / 5
    assert each["msis"].tolist() == pytest.approx([12.0, 0.4])
    assert (overall["in_80"], overall["in_95"]) == (0.5, 0.75)
    assert overall["acd"] == pytest.approx(0.2)
    assert overall["wql"] == pytest.approx(7 / 40)  # without spread: sum |error| / sum |y|
    assert overall["sql"] == pytest.approx(0.5)  # and its scaled kind is MASE


def test_a_series_without_a_scale_counts_for_no_scaled_score():
    truth, point = np.array([[1.0], [1.0]]), np.array([[3.0], [2.0]])

    overall, _ = official_scores(truth, {"forecast": point}, scale=np.array([0.0, 2.0]))

    assert overall == pytest.approx({"smape": (100 + 200 / 3) / 2, "mase": 0.5, "mae": 1.5})


def test_the_average_of_m3_weighs_by_points():
    sizes = {"m3_yearly": (1, 6), "m3_quarterly": (2, 8), "m3_monthly": (3, 18), "m3_other": (4, 8)}
    records = {
        name: [replace(record(name, smape=value), sizes={"series": series, "horizon": horizon})]
        for value, (name, (series, horizon)) in enumerate(sizes.items(), start=1)
    }

    added = with_m3_average(records)["m3 average"][0]

    assert added.scores["smape"]["tsrnn"] == (1 * 6 + 2 * 16 + 3 * 54 + 4 * 32) / (6 + 16 + 54 + 32)
    assert "m3 average" not in with_m3_average({"m3_yearly": records["m3_yearly"]})


# ---- splits -------------------------------------------------------------------------------


def test_validation_judges_the_rows_before_those_of_the_test(tiny):
    case = Competition("any", 12, 12)

    _, test = case.split(Trial(0))
    past, validation = case.split(Trial(0, "validation", first=2))

    whole = monthly()
    assert test["y"].tolist() == whole.groupby("unique_id")["y"].tail(12).tolist()
    assert validation["unique_id"].unique().tolist() == ["s0", "s1"]
    assert validation["y"].tolist() == [*whole["y"][36:48], *whole["y"][96:108]]
    assert past["y"].tolist() == [*whole["y"][:36], *whole["y"][60:96]]


# ---- the command --------------------------------------------------------------------------


def test_a_run_scores_writes_and_resumes(tiny, tmp_path, monkeypatch, capsys):
    page, lines = tmp_path / "page.md", tmp_path / "results.jsonl"
    page.write_text("<!-- accuracy-competition:start -->\n<!-- accuracy-competition:end -->\n")
    command = ["--sets", "hospital", "--seeds", "2", "--results", str(lines), "--write", str(page)]

    accuracy.main([*command, *QUICK])

    frame = monthly()
    past, truth = (
        frame["y"].to_numpy().reshape(5, 60)[:, :48],
        frame.groupby("unique_id")["y"].tail(12),
    )
    naive = metrics.mase(truth.to_numpy().reshape(5, 12), np.repeat(past[:, -1:], 12, 1), past, 12)
    found = read(lines)
    assert [each.trial.seed for each in found] == [0, 1]
    assert found[0].scores["mase"]["naive"] == pytest.approx(naive)
    assert found[0].scores["owa"]["naive2"] == 1.0
    assert found[0].scores["mase"]["tsrnn"] < naive  # it starts from the season
    assert f"| hospital | MASE | **{np.mean([e.scores['mase']['tsrnn'] for e in found]):.3f}**" in (
        page.read_text()
    )

    monkeypatch.setattr(Competition, "run", None)  # would fail
    capsys.readouterr()
    accuracy.main([*command, *QUICK])
    accuracy.main(["--sets", "hospital", "--from", str(lines), *QUICK])

    assert capsys.readouterr().out.count("| hospital | MASE |") == 2
    assert len(read(lines)) == 2


def test_only_the_same_split_cutoffs_and_settings_are_not_run_again(tmp_path, monkeypatch):
    lines, ran = tmp_path / "results.jsonl", []
    append(lines, record(mase=1.0))

    def run(name, case, trial, options):
        ran.append(trial)
        return replace(record(mase=1.0), trial=trial)

    monkeypatch.setattr(accuracy, "_run", run)
    command = ["--sets", "hospital", "--seeds", "1", "--results", str(lines)]
    for more in ([], ["--set", "cell=lstm"], ["--first", "3"], ["--split", "validation"]):
        accuracy.main([*command, *more])

    assert ran == [Trial(0, settings={"cell": "lstm"}), Trial(0, first=3), Trial(0, "validation")]


@pytest.mark.slow
def test_an_experiment_keeps_parameters_scores_and_each_series(tiny, tmp_path, monkeypatch):
    import mlflow

    import tsrnn

    monkeypatch.setenv("TSRNN_HOME", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    accuracy.main(["--sets", "hospital", "--seeds", "1", "--experiment", "tries", *QUICK])

    run = tsrnn.tracking.runs("tries").iloc[0]
    assert (run["params.hidden_size"], run["params.horizon"]) == ("4", "12")
    assert run["metrics.tsrnn/mase"] < run["metrics.naive/mase"]
    assert run["metrics.fit_cpu_s"] > 0
    address = tsrnn.tracking.resolve_uri()
    file = mlflow.artifacts.download_artifacts(
        run_id=run["run_id"], artifact_path="per_series.parquet", tracking_uri=address,
        dst_path=str(tmp_path),
    )  # fmt: skip
    assert pd.read_parquet(file)["unique_id"].tolist() == [f"s{i}" for i in range(5)]


@pytest.mark.parametrize("wrong", ["hiden_size=3", "hidden_size"])
def test_a_setting_that_is_none_is_refused_with_the_nearest(wrong, capsys):
    with pytest.raises(SystemExit):
        accuracy.main(["--set", wrong])

    assert "parameter of RNNForecaster" in capsys.readouterr().err


# ---- results and tables -------------------------------------------------------------------


def test_a_line_cut_off_by_a_kill_is_left_out(tmp_path):
    file = tmp_path / "results.jsonl"
    append(file, record(mase=1.0))
    append(file, record(seed=1, mase=1.0))
    file.write_text(file.read_text()[:-20])

    assert read(file) == [record(mase=1.0)]


def test_a_broken_line_in_the_middle_is_refused(tmp_path):
    file = tmp_path / "results.jsonl"
    file.write_text("{\n" + json.dumps({}) + "\n")

    with pytest.raises(ValueError, match="line 1"):
        read(file)


def test_the_table_says_which_goal_is_met():
    records = {"hospital": [record(mase=0.75, mae=17.5), record(seed=1, mase=0.77, mae=18.7)]}

    text = report(records, split="test")

    assert "| hospital | MASE | **0.760** (0.750–0.770) | 2.000 |" in text
    assert "| 0.769 | 0.755 | yes |" in text
    assert "| 18.000 | 17.400 | **no** |" in text
    assert "0.755" not in report(records, split="validation")  # goals are about the test rows
