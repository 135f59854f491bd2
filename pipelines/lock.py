"""One run of a pipeline at a time: a lock that goes with its process, however that ends."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from .files import write_text

__all__ = ["hold"]

_LOCK, _HOLDER = ".lock", ".holder.json"


@contextmanager
def hold(folder: Path, *, wait: float, announce: Callable[[str], None]) -> Iterator[None]:
    """Hold the pipeline whose results are in ``folder``.

    Parameters
    ----------
    folder : Path
        Created where needed.
    wait : float
        Seconds to wait for another run to end.
    announce : callable
        Gets one line where there is one to wait for.

    Raises
    ------
    TimeoutError
        Another process still holds it; the message says which, on which machine, since when.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        announce(f"waiting   {_holder(folder)} holds {str(folder)!r}")
        try:
            lock.acquire(timeout=wait)
        except Timeout:
            raise TimeoutError(
                f"One run of a pipeline at a time: {_holder(folder)} holds {str(folder)!r}. Waited {wait:g} s; "
                "wait longer with --wait, or end that run."
            ) from None
    try:
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        content = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
        for litter in folder.glob(".*"):  # files that a killed run did not get to rename
            if litter.name != _LOCK and litter.is_file():
                litter.unlink()
        write_text(folder / _HOLDER, json.dumps(content))
        yield
    finally:
        (folder / _HOLDER).unlink(missing_ok=True)
        lock.release()


def _holder(folder: Path) -> str:
    try:
        known = json.loads((folder / _HOLDER).read_text(encoding="utf-8"))
        return f"process {known['pid']} on {known['host']}, since {known['since']},"
    except (OSError, ValueError, KeyError):
        return "another process"
