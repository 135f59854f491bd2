"""Silence for what MLflow and urllib3 log in the current thread; other threads are heard."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.utils.logging_utils import should_suppress_logs_in_thread

__all__ = ["quiet"]


@contextmanager
def quiet() -> Iterator[None]:
    """Keep MLflow's and urllib3's messages of this thread away from the terminal."""
    retries = logging.getLogger("urllib3.connectionpool")
    others = _OtherThreads(threading.get_ident())
    before = should_suppress_logs_in_thread.get()
    retries.addFilter(others)
    should_suppress_logs_in_thread.set(True)
    try:
        yield
    finally:
        should_suppress_logs_in_thread.set(before)
        retries.removeFilter(others)


class _OtherThreads(logging.Filter):
    """Lets pass what other threads log."""

    def __init__(self, thread: int) -> None:
        super().__init__()
        self.thread = thread

    def filter(self, record: logging.LogRecord) -> bool:
        return record.thread != self.thread
