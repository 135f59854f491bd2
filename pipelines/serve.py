"""The schedules of a folder in one process; each run in a process of its own, ended and retried."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tsrnn.exceptions import SpecError

from .cron import trigger
from .spec import read_spec

if TYPE_CHECKING:
    from .sections import ScheduleSpec

__all__ = ["Jobs", "serve"]

GRACE = 10.0
"""Seconds that a run has to end after SIGTERM."""

FINAL = {0: "done", 2: "the spec can't be used", 4: "refused by the gate"}
"""Exit codes that no further try would change."""


def serve(folder: str | Path, *, announce: Callable[[str], None]) -> int:
    """Run each pipeline of ``folder`` at its times, until this thread is interrupted.

    Parameters
    ----------
    folder : str or Path
        Its ``*.yaml`` files are read once, at the start; those without a ``schedule`` are left out.
    announce : callable
        Gets one line per event.

    Raises
    ------
    SpecError
        A spec can't be used, or none has a schedule.

    Notes
    -----
    A pipeline never runs beside itself: a time that comes while it runs, or waits for its next try, is
    left out. When this ends its runs get SIGTERM, and SIGKILL ten seconds later.
    """
    specs = {path: read_spec(path) for path in sorted(Path(folder).glob("*.yaml"))}
    planned = {path: spec for path, spec in specs.items() if spec.schedule is not None}
    if not planned:
        raise SpecError(
            f"serve needs a pipeline with a schedule. Got none in the {len(specs)} *.yaml files of "
            f"{str(folder)!r}. Add 'schedule: {{cron: 30 6 * * mon-fri}}' to one."
        )
    triggers = {path: trigger(spec.schedule) for path, spec in planned.items() if spec.schedule}
    from apscheduler.schedulers.background import BackgroundScheduler

    jobs = Jobs(announce)
    scheduler = BackgroundScheduler()
    for path, spec in planned.items():
        scheduler.add_job(
            jobs.run,
            triggers[path],
            args=[spec.name, run_command(path), spec.schedule],
            id=str(path),
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )
    scheduler.start()
    for job in scheduler.get_jobs():
        announce(f"{job.id}: next run {job.next_run_time:%Y-%m-%d %H:%M:%S %Z}")
    try:
        while True:
            time.sleep(3600)
    finally:
        jobs.stop()
        scheduler.shutdown(wait=True)


def run_command(path: Path) -> list[str]:
    """Return the command of one run."""
    return [sys.executable, "-m", "tsrnn.cli", "pipeline", "run", str(path)]


class Jobs:
    """Runs commands in processes of their own, again where they fail.

    Parameters
    ----------
    announce : callable
        Gets one line per event.
    """

    def __init__(self, announce: Callable[[str], None]) -> None:
        self._announce = announce
        self._stopped = threading.Event()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()

    def run(self, name: str, command: Sequence[str], schedule: ScheduleSpec) -> int:
        """Run ``command`` until it succeeds, can't succeed, or has failed too often; return its code."""
        tries, code = schedule.retries + 1, 0
        for attempt in range(tries):
            began = time.monotonic()
            code = self._once(command, schedule.timeout)
            words = FINAL.get(code, f"failed with exit code {code}")
            if self._stopped.is_set():
                words = f"stopped, exit code {code}"
            self._announce(f"{name}: {words}  ({time.monotonic() - began:.0f} s)")
            if code in FINAL or self._stopped.is_set():
                break
            if attempt + 1 == tries:
                self._announce(f"{name}: given up after {tries} tries")
                break
            delay = schedule.delay * 2**attempt
            self._announce(f"{name}: try {attempt + 2} of {tries} in {delay:g} s")
            if self._stopped.wait(delay):
                break
        return code

    def stop(self) -> None:
        """End all runs, and start none any more."""
        self._stopped.set()
        with self._lock:
            running = list(self._running)
        for process in running:
            _signal(process, signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal(process, signal.SIGKILL)

    def _once(self, command: Sequence[str], timeout: float) -> int:
        """Run ``command`` in a session of its own; end it after ``timeout`` seconds."""
        with self._lock:
            if self._stopped.is_set():
                return 128 + signal.SIGTERM
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
            )
            self._running.add(process)
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._announce(f"{command[-1]}: ended, it took more than {timeout:g} s")
            _signal(process, signal.SIGTERM)
            try:
                return process.wait(GRACE)
            except subprocess.TimeoutExpired:
                _signal(process, signal.SIGKILL)
                return process.wait()
        finally:
            with self._lock:
                self._running.discard(process)


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    """Signal the whole session of ``process``: a run may have helpers."""
    with suppress(ProcessLookupError):
        if process.poll() is None:
            os.killpg(process.pid, number)
