"""The registry: nothing is registered that was not loaded back, and the alias comes last."""

import pandas as pd
import pytest

import tsrnn
from tsrnn.exceptions import ModelFileError
from tsrnn.tracking import registry

PROBE = pd.DataFrame({"forecast": [1.0, 2.0]})


@pytest.fixture(scope="module")
def model():
    frame = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=30), "y": range(30)})
    return tsrnn.RNNForecaster(
        horizon=2, max_steps=1, hidden_size=2, context_length=8, random_state=0
    ).fit(frame)


pytestmark = pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")


def enter(model, store_uri, *, as_of, run_id=None):
    with tsrnn.track("shop", tracking_uri=store_uri, resume=run_id) as run:
        model_id = registry.upload(model, run, beside={}, probe=lambda m: m.predict())
        version = registry.register(model_id, run, "shop", tags={"as_of": as_of}, newest="as_of")
    return run.run_id, version


@pytest.mark.slow
def test_the_newest_version_is_champion_and_a_run_has_one_version(
    model, store_uri, client, tmp_path
):
    assert registry.find("shop", uri=store_uri) is None
    beside = tmp_path / "twin"
    model.save(beside)

    with tsrnn.track("shop", tracking_uri=store_uri) as run:
        first = registry.upload(model, run, beside={}, probe=lambda m: m.predict())
        kept = registry.upload(model, run, beside={"twin": beside}, probe=lambda m: m.predict())
        versions = [
            registry.register(kept, run, "shop", tags={"as_of": "2024-02"}, newest="as_of")
            for _ in range(2)
        ]

    assert versions[0].version == versions[1].version == "1"
    models = client.search_logged_models([run.experiment_id])
    assert [m.model_id for m in models] == [kept]
    assert first != kept
    champion = registry.find("shop", uri=store_uri)
    assert (champion.version, champion.run_id, champion.tags) == (
        "1",
        run.run_id,
        {"as_of": "2024-02"},
    )
    files = registry.fetch(champion, uri=store_uri, folder=tmp_path / "unused")
    assert tsrnn.load(files / "twin").predict().equals(model.predict())

    enter(model, store_uri, as_of="2024-01")
    assert registry.find("shop", uri=store_uri).version == "1"
    enter(model, store_uri, as_of="2024-03")
    assert registry.find("shop", uri=store_uri).version == "3"


@pytest.mark.slow
def test_a_model_that_comes_back_another_is_not_offered(model, store_uri, client):
    answers = iter([PROBE, PROBE + 1])

    with (
        tsrnn.track("shop", tracking_uri=store_uri) as run,
        pytest.raises(ModelFileError, match="must forecast what the fitted one does"),
    ):
        registry.upload(model, run, beside={}, probe=lambda _: next(answers))

    (left,) = client.search_logged_models([run.experiment_id])
    assert str(left.status) == "FAILED"
    assert client.search_registered_models() == []


def test_a_run_is_gone_on_with_and_a_new_one_is_made_where_it_is_gone(store_uri, client):
    with pytest.raises(KeyboardInterrupt), tsrnn.track("shop", tracking_uri=store_uri) as first:
        raise KeyboardInterrupt
    assert client.get_run(first.run_id).info.status == "KILLED"

    with tsrnn.track("shop", tracking_uri=store_uri, resume=first.run_id) as again:
        assert client.get_run(first.run_id).info.status == "RUNNING"
    with tsrnn.track("shop", tracking_uri=store_uri, resume="0" * 32) as other:
        pass

    assert again.run_id == first.run_id
    assert client.get_run(first.run_id).info.status == "FINISHED"
    assert other.run_id not in {first.run_id, "0" * 32}


def test_tags_are_there_from_the_first_moment_and_open_runs_are_closed_by_them(store_uri, client):
    runs = [
        client.create_run(client.create_experiment(name), tags={"tsrnn.pipeline": name})
        for name in ("shop", "other")
    ]
    with tsrnn.track("shop", tags={"tsrnn.pipeline": "shop"}, tracking_uri=store_uri) as mine:
        assert client.get_run(mine.run_id).data.tags["tsrnn.pipeline"] == "shop"

        registry.close_runs(store_uri, "shop", tags={"tsrnn.pipeline": "shop"}, but=mine.run_id)

        statuses = [client.get_run(run.info.run_id).info.status for run in (*runs, mine.entity)]
    assert statuses == ["KILLED", "RUNNING", "RUNNING"]


def test_a_server_that_is_gone_is_said_so_at_once(monkeypatch):
    monkeypatch.setenv("TSRNN_TRACKING_TIMEOUT", "0.2")

    with pytest.raises(ConnectionError, match=r"did not answer within 0\.2 s"):
        registry.find("shop", uri="http://127.0.0.1:9")
