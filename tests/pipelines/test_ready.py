"""The champion between two fits: moved on by the newest rows, exactly, or reading all of them, and saying why."""

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from tsrnn.pipelines import day
from tsrnn.pipelines.ready import bring_up
from tsrnn.pipelines.run import run_pipeline
from tsrnn.pipelines.spec import read_spec

import tsrnn
from tsrnn import RNNForecaster, tracking
from tsrnn.frames import read_panel
from tsrnn.tracking.record import fingerprint

pytestmark = pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")
TINY = {"horizon": 2, "max_steps": 1, "hidden_size": 2, "context_length": 8}
JOINT = {"target_col": ["y", "z"]}


def frame(n=40, ids=("a", "b")):
    noise = np.random.default_rng(0).normal(size=(2, n)).cumsum(1)
    days = pd.date_range("2024-01-01", periods=n)
    parts = [
        pd.DataFrame({"id": name, "ds": days, "y": k + noise[0], "z": k * noise[1]})
        for k, name in enumerate(ids, 1)
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module", params=[{"target_col": "y"}, JOINT], ids=["one", "joint"])
def fitted(request, tmp_path_factory):
    """The folder of a model fitted to 30 rows, and their fingerprint."""
    past = frame()[frame()["ds"] < "2024-01-31"]
    folder = tmp_path_factory.mktemp("models") / "model"
    RNNForecaster(**TINY, **request.param).fit(past).save(folder)
    return folder, fingerprint(read_panel(past, **request.param)[0])


def test_the_newest_rows_alone_say_what_reading_all_of_them_says(fitted):
    folder, known = fitted

    ready = bring_up(tsrnn.load(folder), frame(), fitted=known)

    said = ready.forecast(horizon=3, level=[80])
    read = tsrnn.load(folder).predict(frame(), horizon=3, level=80)
    assert (ready.how, ready.words) == ("updated", "its state was moved on by 20 rows")
    assert ready.history is None
    pd.testing.assert_frame_equal(said, read, rtol=1e-5)


def test_a_model_that_was_fitted_to_these_rows_is_left_as_it_is(fitted):
    folder, known = fitted

    ready = bring_up(tsrnn.load(folder), frame()[frame()["ds"] < "2024-01-31"], fitted=known)

    assert ready.words == "its state was moved on by 0 rows"
    pd.testing.assert_frame_equal(
        ready.forecast(horizon=2, level=[]), tsrnn.load(folder).predict(), rtol=1e-6
    )


def test_series_that_stopped_early_and_came_late_are_moved_on_each_by_its_own_rows(tmp_path):
    late = frame().query("id == 'a' or ds < '2024-01-26'")
    past = late[late["ds"] < "2024-01-31"]
    model = RNNForecaster(**TINY, target_col="y").fit(past)
    known = fingerprint(read_panel(past, target_col="y")[0])

    ready = bring_up(model, frame(), fitted=known)

    assert ready.words == "its state was moved on by 25 rows"  # 10 of a, 15 of b
    said = ready.forecast(horizon=2, level=[])
    pd.testing.assert_frame_equal(said, model.predict(frame()), rtol=1e-5)


def revised(rows):
    return rows.assign(y=rows["y"].where(rows.index != 3, 99.0))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (revised, "rows that were fitted have been revised"),
        (lambda rows: rows[rows["id"] == "a"], "other series than were fitted"),
        (lambda rows: pd.concat([rows, frame(ids="c")]), "other series than were fitted"),
        (lambda rows: rows[rows["ds"] > "2024-01-05"], "rows that were fitted have been revised"),
    ],
    ids=["revised", "missing", "new", "cut"],
)
def test_rows_that_are_not_as_they_were_fitted_are_read_anew(change, why, fitted):
    folder, known = fitted
    rows = change(frame()).reset_index(drop=True)

    ready = bring_up(tsrnn.load(folder), rows, fitted=known)

    assert (ready.how, ready.words) == ("read", f"it reads all rows: {why}")
    said = ready.forecast(horizon=2, level=[])
    pd.testing.assert_frame_equal(said, tsrnn.load(folder).predict(rows))


def test_a_model_that_reads_both_ways_has_no_state_and_reads_all_rows():
    past = frame()[frame()["ds"] < "2024-01-31"]
    model = RNNForecaster(**TINY, target_col="y", bidirectional=True).fit(past)

    ready = bring_up(model, frame(), fitted=fingerprint(read_panel(past, target_col="y")[0]))

    assert ready.how == "read"
    assert "update" in ready.words


@pytest.mark.slow
def test_between_fits_the_champion_is_updated_nothing_is_registered_and_the_run_says_so(
    place, store_uri, monkeypatch
):
    due = ["fit.when=due", "fit.every=5"]
    dates = ["2024-02-10", "2024-02-12", "2024-02-13", "2024-02-14"]
    first = run_pipeline(read_spec("shop.yaml", due), as_of=dates[0])
    champion = first.forecaster
    second = run_pipeline(read_spec("shop.yaml", due), as_of=dates[1])
    rows = pd.read_csv("sales.csv", parse_dates=["ds"])

    with monkeypatch.context() as broken:  # killed between update and forecast, and gone on with
        broken.setattr(day.Day, "_forecast", None)
        with pytest.raises(TypeError):
            run_pipeline(read_spec("shop.yaml", due), as_of=dates[2])
    third = run_pipeline(read_spec("shop.yaml", due), as_of=dates[2])
    read = champion.predict(rows[rows["ds"] <= dates[2]], level=[80, 95])
    rows.assign(y=rows["y"].where(rows.index != 2, 21.0)).to_csv("sales.csv", index=False)
    fourth = run_pipeline(read_spec("shop.yaml", due), as_of=dates[3])
    more = [*due, "model.horizon=3", "forecast.level=[98]"]  # which it was not trained on
    widest = "model.quantiles=[0.01,0.1,0.5,0.9,0.99]"
    fifth = run_pipeline(read_spec("shop.yaml", [*more, widest]), as_of=dates[3])

    assert [r.outcome for r in (first, second, third, fourth)] == ["promoted", *["kept"] * 3]
    pd.testing.assert_frame_equal(third.forecast, read, rtol=1e-5)
    newest = pd.read_csv(place / "runs/shop/forecast.csv")
    assert len(newest) == 3
    assert "Model    its state was moved on by 3 rows" in third.report
    assert "rows that were fitted have been revised" in fourth.report
    assert (fifth.outcome, "can't forecast the folds" in fifth.words) == ("promoted", True)
    runs = tracking.runs("shop", tracking_uri=store_uri)
    runs = runs[runs["tags.tsrnn.pipeline"] == "shop"].dropna(subset="tags.tsrnn.model")
    assert runs["tags.tsrnn.model"].tolist()[::-1] == [
        *("fitted", "updated", "updated", "read", "fitted")
    ]
    versions = MlflowClient(store_uri).search_model_versions("name='shop'")
    assert len(versions) == 2
