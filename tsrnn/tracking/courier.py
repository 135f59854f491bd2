"""A thread that carries calls to MLflow, so that no fit ever waits for a server that is gone.

MLflow's client retries a dead server for minutes. Calls therefore go to a thread of their own; a
call that is not answered in time, or fails, ends the delivery, and the caller learns why.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tsrnn.tracking.quiet import quiet

__all__ = ["OPENING", "Courier", "is_remote", "patience"]

OPENING = 60.0
"""Seconds that a local store may take to open: creating it can take ten on a busy machine."""

_PAUSE = 60.0
"""Seconds for which a store that stalled is not asked again."""

_stalled: dict[str, float] = {}
_stalled_lock = threading.Lock()


def patience(uri: str) -> float:
    """Return the seconds one call may take: ``$TSRNN_TRACKING_TIMEOUT``, else 4, and 10 for a file.

    A server that is silent for 4 s is down; a local database is only ever busy.
    """
    usual = 4.0 if is_remote(uri) else 10.0
    try:
        return max(0.05, float(os.environ.get("TSRNN_TRACKING_TIMEOUT", usual)))
    except ValueError:
        return usual


def is_remote(uri: str) -> bool:
    """Return whether ``uri`` is that of a server rather than a file."""
    return not uri.startswith(("sqlite:", "file:", "/"))


@dataclass(frozen=True)
class _Call:
    run: Callable[[], object]
    seconds: float
    optional: bool


class Courier:
    """Runs calls in order in a daemon thread, until one fails or takes too long.

    Parameters
    ----------
    uri : str
        The store the calls go to. One that stalled less than a minute ago is not tried again.

    Attributes
    ----------
    failure : str or None
        Why nothing is delivered any more.
    mishap : str or None
        Why an optional call (an upload) was not delivered; the others were.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.failure: str | None = None
        self.mishap: str | None = None
        self._calls: deque[_Call] = deque()
        self._changed = threading.Condition()
        self._running: _Call | None = None
        self._since = 0.0
        self._closed = False
        self._thread: threading.Thread | None = None
        with _stalled_lock:
            if time.monotonic() - _stalled.get(uri, -_PAUSE) < _PAUSE:
                self.failure = f"{uri} did not answer a moment ago"

    def send(
        self, run: Callable[[], object], *, seconds: float | None = None, optional: bool = False
    ) -> None:
        """Deliver ``run`` after the calls before it; return at once.

        Parameters
        ----------
        run : callable
            Called without arguments in the courier's thread.
        seconds : float, optional
            How long it may take; :func:`patience` when not given.
        optional : bool
            Its failure skips the optional calls after it, not the others.
        """
        with self._changed:
            if self.failure is not None:
                return
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="tsrnn-tracking", daemon=True
                )
                self._thread.start()
            if self._running is None and not self._calls:
                self._since = time.monotonic()
            self._calls.append(
                _Call(run, patience(self.uri) if seconds is None else seconds, optional)
            )
            self._changed.notify_all()

    def drain(self) -> bool:
        """Wait until everything is delivered, or it is clear that it won't be; return which."""
        with self._changed:
            while self.failure is None and (self._running is not None or self._calls):
                call = self._running or self._calls[0]
                left = self._since + call.seconds - time.monotonic()
                if left <= 0:
                    self._give_up(
                        f"{self.uri} did not answer within {call.seconds:g} s", stalled=True
                    )
                    break
                self._changed.wait(left)
            return self.failure is None

    def close(self) -> None:
        """Let the thread end once everything is delivered."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _give_up(self, reason: str, *, stalled: bool = False) -> None:
        self.failure = reason
        self._calls.clear()
        self._changed.notify_all()
        if stalled:
            with _stalled_lock:
                _stalled[self.uri] = time.monotonic()

    def _work(self) -> None:
        with quiet():
            while (call := self._next()) is not None:
                self._deliver(call)

    def _next(self) -> _Call | None:
        with self._changed:
            while not self._calls and not self._closed and self.failure is None:
                self._changed.wait()
            if self.failure is not None or not self._calls:
                return None
            self._running, self._since = self._calls.popleft(), time.monotonic()
            return self._running

    def _deliver(self, call: _Call) -> None:
        reason = None
        if not (call.optional and self.mishap):
            try:
                call.run()
            except Exception as error:  # noqa: BLE001 - whatever MLflow raises, the fit goes on
                reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        with self._changed:
            self._running, self._since = None, time.monotonic()
            if reason is not None and call.optional:
                self.mishap = reason
            elif reason is not None and self.failure is None:
                self._give_up(reason)
            self._changed.notify_all()
