"""What a user gets to read: nothing of what MLflow says by itself, one warning where it fails."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.utils.logging_utils import should_suppress_logs_in_thread

from tsrnn.exceptions import TrackingWarning
from tsrnn.exceptions import warn as warn_outside

__all__ = ["quiet", "warn"]


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


def warn(message: str) -> None:
    """Issue a TrackingWarning at the caller's line outside of tsrnn."""
    warn_outside(message, TrackingWarning)


class _OtherThreads(logging.Filter):
    """Lets pass what other threads log."""

    def __init__(self, thread: int) -> None:
        super().__init__()
        self.thread = thread

    def filter(self, record: logging.LogRecord) -> bool:
        return record.thread != self.thread
