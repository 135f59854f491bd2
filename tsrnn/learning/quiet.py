"""A training leaves the outside world as it was: no words of Lightning's, and Ctrl-C as it came."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import warnings
from collections.abc import Iterator

__all__ = ["interruptible", "quiet_lightning"]

_lock = threading.Lock()
_depth = 0
_undo: contextlib.ExitStack | None = None


@contextlib.contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence Lightning's loggers and warnings until the last fit that runs at the same time ends."""
    global _depth, _undo  # noqa: PLW0603  (one switch for the process, counted)
    with _lock:
        _depth += 1
        if _depth == 1:
            _undo = contextlib.ExitStack()
            _undo.enter_context(warnings.catch_warnings())
            for package in ("pytorch_lightning", "lightning_fabric", "lightning", "torch"):
                warnings.filterwarnings("ignore", module=rf"{package}(\..*)?")
            for name in list(logging.root.manager.loggerDict):
                package, _, below = name.partition(".")
                if package not in {"pytorch_lightning", "lightning_fabric", "lightning"}:
                    continue
                logger = logging.getLogger(name)
                if logger.level or not below:  # the others follow those above them
                    _undo.callback(logger.setLevel, logger.level)
                    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0 and _undo is not None:
                _undo.close()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C out as KeyboardInterrupt; Lightning ends the process and disables the signal."""
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if main else None
    try:
        yield
    except SystemExit as ended:
        if isinstance(ended.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    finally:
        if main and handler is not None:
            signal.signal(signal.SIGINT, handler)
