"""What a run has done is on disk, whole, and one process at a time works on it."""

import json

import pytest
from tsrnn.pipelines import files
from tsrnn.pipelines.ledger import Ledger, dates, order
from tsrnn.pipelines.lock import hold


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(tmp_path, "2024-03-01")
    made.begin("abc")
    return made


def test_a_step_is_done_once_its_record_is_there(ledger):
    assert ledger.read("fit") is None

    ledger.write("fit", seconds=3)

    assert Ledger(ledger.folder.parent.parent, "2024-03-01").read("fit") == {"seconds": 3}


def test_a_record_that_could_not_be_written_is_not_there(ledger, monkeypatch):
    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        ledger.write("fit", seconds=3)

    assert ledger.read("fit") is None


def test_a_date_goes_on_with_the_same_spec_and_starts_anew_with_another(ledger, tmp_path):
    ledger.write("fit", seconds=3)

    ledger.begin("abc")
    assert ledger.read("fit") is not None
    ledger.begin("xyz")

    assert ledger.read("fit") is None
    assert ledger.read("begun") == {"digest": "xyz", "as_of": "2024-03-01"}


def test_files_that_were_not_renamed_are_swept_when_a_date_goes_on(ledger):
    (ledger.folder / ".forecast.parquet.x1").write_text("half")
    (ledger.folder / "steps" / ".fit.json.x2").write_text("half")
    (ledger.folder / "tables").mkdir()
    (ledger.folder / "tables" / ".by_window.parquet.x3").write_text("half")
    (ledger.folder / ".model.x4" / ".x5").mkdir(parents=True)

    ledger.begin("abc")

    assert not [*ledger.folder.rglob(".*")]


def test_a_finished_date_answers_only_for_its_spec(ledger):
    assert ledger.finished("abc") is None

    ledger.close(outcome="kept")

    assert ledger.finished("abc") == {"outcome": "kept"}
    assert ledger.finished("xyz") is None
    ledger.begin("abc", again=True)
    assert ledger.finished("abc") is None


def test_finished_dates_are_listed_with_names_that_are_no_file_names(tmp_path):
    for as_of in ("2024-03-01 18:00:00", "17"):
        made = Ledger(tmp_path, as_of)
        made.begin("abc")
        made.close(outcome="kept")
    Ledger(tmp_path, "2024-03-02").begin("abc")

    assert [day.as_of for day in dates(tmp_path)] == ["17", "2024-03-01 18:00:00"]


def test_a_date_that_was_killed_while_it_was_dropped_is_not_listed(ledger, tmp_path):
    ledger.close(outcome="kept")
    (ledger.folder / "steps" / "begun.json").unlink()

    assert dates(tmp_path) == []


def test_dates_and_integers_are_ordered_by_time():
    assert order("9") < order("10")
    assert order("2024-09-30") < order("2024-10-01")


def test_a_second_run_is_told_who_holds_the_pipeline(tmp_path):
    said = []
    with hold(tmp_path, wait=0, announce=said.append):
        pid = json.loads((tmp_path / ".holder.json").read_text())["pid"]
        with (
            pytest.raises(TimeoutError, match=rf"process {pid} on .*, since .* Waited 0.01 s"),
            hold(tmp_path, wait=0.01, announce=said.append),
        ):
            pass

    assert said[0].startswith(f"waiting   process {pid} on ")
    with hold(tmp_path, wait=0, announce=said.append):
        assert len(said) == 1


def test_litter_of_a_killed_run_is_swept_when_the_lock_is_taken(tmp_path):
    (tmp_path / ".forecast.csv.x1").write_text("half")

    with hold(tmp_path, wait=0, announce=print):
        pass

    assert [path.name for path in tmp_path.iterdir() if path.name != ".lock"] == []
