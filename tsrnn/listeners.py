"""Who listens to a fit: tracking, a progress display, a test."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from tsrnn.parallel import crew

if TYPE_CHECKING:
    from tsrnn.base import Forecaster
    from tsrnn.panel import Panel

__all__ = ["FitListener", "add_listener", "listeners_of", "remove_listener"]


class FitListener(Protocol):
    """What listens to a fit: tracking, a progress display, a test."""

    def on_fit_start(self, forecaster: Forecaster, panel: Panel) -> None:
        """Training data has been read and checked; nothing has been learned."""

    def on_epoch_end(self, forecaster: Forecaster, step: int, metrics: dict[str, float]) -> None:
        """One more stretch of training steps is done."""

    def on_fit_end(self, forecaster: Forecaster) -> None:
        """Hear that the forecaster is fitted and can predict."""

    def on_fit_error(self, forecaster: Forecaster, error: BaseException) -> None:
        """Fit is about to raise ``error``."""


ListenerFactory = Callable[["Forecaster"], FitListener | None]
_factories: list[ListenerFactory] = []


def add_listener(factory: ListenerFactory) -> None:
    """Ask ``factory`` for a listener at the start of every fit (None: not interested)."""
    _factories.append(factory)


def remove_listener(factory: ListenerFactory) -> None:
    """Undo :func:`add_listener`."""
    _factories.remove(factory)


def listeners_of(forecaster: Forecaster) -> list[FitListener]:
    """Return who listens to this fit: of processes that share it, to the first one's."""
    if not crew().is_first:
        return []
    # An active MLflow run can only exist where mlflow is loaded; the library itself never loads it.
    if "mlflow" in sys.modules:
        importlib.import_module("tsrnn.tracking")
    made = (factory(forecaster) for factory in tuple(_factories))
    return [listener for listener in made if listener is not None]
