"""Which runs are open in this process, so that the next one can close them if this one is killed.

A process that is killed can't end its runs, and MLflow would show them as running for ever. Each
process therefore writes the ids of its open runs into a file that it holds locked; the lock goes
with the process, however it ends. Whoever tracks next on that machine finds the file unlocked and
ends its runs as KILLED. A process that was told to end and can't unwind says so itself, last of all.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from tsrnn.tracking.courier import Courier
from tsrnn.tracking.store import is_embedded, terminate

try:
    import fcntl
except ImportError:  # Windows: runs of a killed process stay open there
    fcntl = None  # type: ignore[assignment]

__all__ = ["abandoned", "end_held", "hold", "release"]

_lock = threading.Lock()
_held: dict[tuple[int, str], tuple[Path, int, set[str]]] = {}


def hold(uri: str, run_id: str) -> None:
    """Note that ``run_id`` is open in this process."""
    if fcntl is None:
        return
    with _lock:
        key = (os.getpid(), uri)
        if key not in _held:
            path, descriptor = _locked_file(_folder(uri))
            _held[key] = (path, descriptor, set())
        _, descriptor, open_runs = _held[key]
        open_runs.add(run_id)
        os.write(descriptor, f"{uri} {run_id}\n".encode())


def release(uri: str, run_id: str) -> None:
    """Note that ``run_id`` has ended; the file goes with the last of them."""
    with _lock:
        key = (os.getpid(), uri)
        if key not in _held:
            return
        path, descriptor, open_runs = _held[key]
        open_runs.discard(run_id)
        if not open_runs:
            del _held[key]
            path.unlink(missing_ok=True)
            os.close(descriptor)


def end_held(seconds: float) -> None:
    """End every run that this process holds as KILLED, each store within ``seconds``.

    For a process that ends without unwinding: whatever it waits for, this waits for no lock of it.
    """
    now = int(time.time() * 1000)
    for (_, uri), (_, _, open_runs) in list(_held.items()):
        courier = Courier(uri)
        for run_id in list(open_runs):
            courier.send(
                lambda uri=uri, run_id=run_id: terminate(MlflowClient(uri), run_id, "KILLED", now),  # type: ignore[misc]
                seconds=seconds,
            )
        courier.close()
        courier.drain()


def abandoned(uri: str) -> Iterable[str]:
    """Yield the runs of ``uri`` that processes which are gone have held, and forget each file after it."""
    folder = _folder(uri)
    for path in sorted(folder.glob("*.runs")) if fcntl is not None and folder.is_dir() else []:
        with suppress(OSError):  # held by a living process, or just removed by another
            descriptor = os.open(path, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                pairs = [line.rpartition(" ") for line in path.read_text().splitlines()]
                ours = [run_id for store, _, run_id in pairs if store == uri]
                yield from ours
                if len(ours) == len(pairs):
                    path.unlink(missing_ok=True)
            finally:
                os.close(descriptor)


def _folder(uri: str) -> Path:
    if is_embedded(uri):
        return Path(uri.removeprefix("sqlite:///")).parent / ".leases"
    user: Any = getattr(os, "getuid", lambda: 0)()
    return Path(tempfile.gettempdir()) / f"tsrnn-leases-{user}"


def _locked_file(folder: Path) -> tuple[Path, int]:
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        path = folder / f"{os.getpid()}-{uuid.uuid4().hex[:8]}.runs"
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if path.exists():  # else someone took it for abandoned before it was locked
            return path, descriptor
        os.close(descriptor)
