"""A forecaster around another, that a backtest takes as it is: no copy of it is made."""

from __future__ import annotations

from abc import ABC
from typing import Any, Self

from tsrnn.base import Forecaster

__all__ = ["Wrapped"]


class Wrapped(Forecaster, ABC):
    """A forecaster that lets ``model`` do the work; subclasses say what a fit and a forecast are.

    Parameters
    ----------
    model : Forecaster
        Fitted or not.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        for name in ("horizon", "id_col", "time_col", "target_col", "freq", "calendar", "season"):
            setattr(self, name, getattr(model, name))

    def __sklearn_clone__(self) -> Self:
        return self

    def _check_parameters(self) -> None:
        self.model._check_parameters()  # noqa: SLF001

    def _covariate_columns(self) -> Any:
        return self.model._covariate_columns()  # noqa: SLF001
