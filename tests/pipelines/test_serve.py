"""Schedules: the weekdays that cron means, runs that are ended and retried, and one that really fires."""

import os
import re
import signal
import subprocess
import sys
import threading
import time

import pandas as pd
import pytest
from tsrnn.pipelines import serve
from tsrnn.pipelines.cron import trigger
from tsrnn.pipelines.sections import ScheduleSpec
from tsrnn.pipelines.serve import Jobs

from tsrnn.cli import main
from tsrnn.exceptions import SpecError

from .conftest import SPEC, rows

SATURDAY = pd.Timestamp("2024-06-01 12:00", tz="UTC").to_pydatetime()


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("30 6 * * 1-5", "2024-06-03 06:30:00"),  # Monday
        ("30 6 * * mon-fri", "2024-06-03 06:30:00"),
        ("0 0 * * 0", "2024-06-02 00:00:00"),  # Sunday, twice
        ("0 0 * * 7", "2024-06-02 00:00:00"),
        ("0 0 * * fri-sat", "2024-06-07 00:00:00"),
        ("0 0 * * 6-1/2", "2024-06-03 00:00:00"),  # Saturday and Monday
        ("0 0 * * */2", "2024-06-02 00:00:00"),  # Sunday, Tuesday, ...
        ("*/15 * * * *", "2024-06-01 12:00:00"),
        ("*/20 5 12 * * *", "2024-06-01 12:05:00"),  # with seconds
        ("0 4 1 * *", "2024-07-01 04:00:00"),
    ],
)
def test_the_next_time_is_that_of_cron(cron, expected):
    fires = trigger(ScheduleSpec(cron=cron)).get_next_fire_time(None, SATURDAY)

    assert fires.strftime("%Y-%m-%d %H:%M:%S") == expected


def test_a_schedule_has_its_own_time_zone():
    schedule = ScheduleSpec(cron="30 6 * * *", timezone="America/New_York")

    fires = trigger(schedule).get_next_fire_time(None, SATURDAY)

    assert pd.Timestamp(fires).tz_convert("UTC") == pd.Timestamp("2024-06-02 10:30", tz="UTC")


@pytest.mark.parametrize(
    ("cron", "zone", "message"),
    [
        ("30 6 * *", "UTC", "must have five fields"),
        ("61 6 * * *", "UTC", "must be a cron line"),
        ("0 6 * * 8", "UTC", "no weekday '8'"),
        ("0 6 * * *", "Mars/Olympus", "Got .*'Mars/Olympus'"),
    ],
)
def test_a_line_that_is_no_cron_is_refused(cron, zone, message):
    with pytest.raises(SpecError, match=message):
        trigger(ScheduleSpec(cron=cron, timezone=zone))


def python(text):
    return [sys.executable, "-S", "-c", text]


def flaky(file, code):
    """Return a command that exits with ``code`` and succeeds the next time."""
    return python(
        f"import os,sys; there=os.path.exists({str(file)!r}); open({str(file)!r},'a').write('x')\n"
        f"sys.exit(0 if there else {code})"
    )


PATIENT = ScheduleSpec(cron="* * * * *", retries=2, delay=0.01)


def test_a_run_that_fails_is_tried_again(tmp_path):
    said = []

    assert Jobs(said.append).run("shop", flaky(tmp_path / "tries", 3), PATIENT) == 0

    assert (tmp_path / "tries").read_text() == "xx"
    assert [re.sub(r" +\(\d+ s\)", "", line) for line in said] == [
        "shop: failed with exit code 3",
        "shop: try 2 of 3 in 0.01 s",
        "shop: done",
    ]


@pytest.mark.parametrize("code", [2, 4])
def test_what_no_further_try_would_change_is_not_tried_again(code, tmp_path):
    assert Jobs(print).run("shop", flaky(tmp_path / "tries", code), PATIENT) == code

    assert (tmp_path / "tries").read_text() == "x"


def test_a_run_that_always_fails_is_given_up():
    said = []

    assert Jobs(said.append).run("shop", python("raise SystemExit(1)"), PATIENT) == 1

    assert said[-1] == "shop: given up after 3 tries"


def test_a_run_that_takes_too_long_is_ended():
    schedule = ScheduleSpec(cron="* * * * *", retries=0, timeout=0.2)

    code = Jobs(print).run("shop", python("import time; time.sleep(60)"), schedule)

    assert code == -signal.SIGTERM


def test_a_run_that_does_not_end_is_killed(monkeypatch):
    monkeypatch.setattr(serve, "GRACE", 0.2)
    stubborn = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    schedule = ScheduleSpec(cron="* * * * *", retries=0, timeout=1.0)

    assert Jobs(print).run("shop", python(stubborn), schedule) == -signal.SIGKILL


def test_stopping_ends_the_run_and_its_retries():
    jobs, codes = Jobs(print), []
    sleeper = python("import time; time.sleep(60)")
    thread = threading.Thread(target=lambda: codes.append(jobs.run("shop", sleeper, PATIENT)))
    thread.start()
    while not jobs._running:
        time.sleep(0.01)

    jobs.stop()
    thread.join(10)

    assert codes == [-signal.SIGTERM]
    assert jobs.run("shop", sleeper, PATIENT) == 143


def test_a_folder_without_a_schedule_is_refused(place, capsys):
    assert main(["pipeline", "serve", "."]) == 2

    assert "needs a pipeline with a schedule. Got none in the 1 *.yaml" in capsys.readouterr().err


@pytest.mark.slow
def test_a_scheduled_pipeline_fires_twice_fails_once_and_succeeds_when_retried(place, store_uri):
    """The first try finds no data and fails; the retry and the next time find some."""
    (place / "sales.csv").unlink()
    plan = "schedule: {cron: '*/4 * * * * *', retries: 1, delay: 0.5}\n"
    (place / "shop.yaml").write_text(SPEC + plan)
    command = [sys.executable, "-m", "tsrnn.cli", "pipeline", "serve", "."]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as served:
        try:
            wait_for(served, "shop: failed with exit code 3")
            supply(place, 59)
            wait_for(served, "shop: done")
            supply(place, 60)
            wait_for(served, "shop: done", until=place / "runs/shop/dates/2024-02-29/report.txt")
        finally:
            served.terminate()
            said = served.communicate(timeout=60)[1]

    assert served.returncode == 143, said
    first, second = (place / f"runs/shop/dates/2024-02-{day}" for day in (28, 29))
    assert (first / "steps/done.json").exists()
    assert (second / "steps/done.json").exists()


def supply(place, n):
    rows(n).to_csv(place / "new.csv", index=False)
    os.replace(place / "new.csv", place / "sales.csv")  # noqa: PTH105


def wait_for(served, words, until=None):
    for line in served.stderr:
        if words in line and (until is None or until.exists()):
            return
    raise AssertionError(f"the scheduler ended before it said {words!r}")
