"""How things are timed: in turn, so that all see the same machine, or in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["ONE_THREAD", "Work", "paired", "process", "said_by"]

BENCHMARKS = Path(__file__).resolve().parents[1]
ONE_THREAD = os.environ | dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)

Work = Callable[[], object]


def paired(works: Sequence[Work], rounds: int) -> list[float]:
    """Return the median processor seconds of each, taken in turn so that all see the same machine."""
    spent: list[list[float]] = [[] for _ in works]
    for turn in range(rounds + 1):
        for work, seconds in zip(works, spent, strict=True):
            started = time.process_time()
            work()
            if turn:  # the first round warms up
                seconds.append(time.process_time() - started)
    return [float(np.median(seconds)) for seconds in spent]


def process(command: Sequence[str]) -> tuple[float, float]:
    """Run a command to its end; return wall and processor seconds."""
    started = time.perf_counter()
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=BENCHMARKS,
        env=ONE_THREAD,
    ) as child:
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, list(command))
    wall = time.perf_counter() - started
    return wall, used.ru_utime + used.ru_stime


def said_by(module: str, function: str, *arguments: object) -> Any:
    """Return what a function of a module in this folder returns in a process of its own."""
    code = f"import json; from {module} import {function}; print(json.dumps({function}(*{arguments!r})))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=BENCHMARKS,
        env=ONE_THREAD,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])
