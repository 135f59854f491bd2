"""The forecaster under check, and frames for it: two sines of period 11, at different levels."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from tsrnn.base import Forecaster
from tsrnn.contract.rules import NotAsked
from tsrnn.exceptions import ParameterError, TsrnnWarning

__all__ = ["OWN_COLUMNS", "Case", "quietly", "values", "waves"]

ROWS = 72
HORIZON = 4
OWN_COLUMNS = (
    "id_col",
    "time_col",
    "target_col",
    "freq",
    "calendar",
    "weight_col",
    "past_covariates",
    "future_covariates",
    "static_covariates",
)
"""Parameters that speak of the user's frame, and are None while the contract is checked."""


def waves(*, series: int = 2, rows: int = ROWS, noise: float = 0.05, seed: int = 0) -> pd.DataFrame:
    """Return sines of period 11 at different levels: no season of the calendar explains them.

    Columns ``unique_id``, ``ds`` (days) and ``y``; ``rows`` of each series.
    """
    rng = np.random.default_rng(seed)
    step = np.arange(rows)
    each = [
        10 * i + np.sin(2 * np.pi * (step + 3 * i) / 11) + rng.normal(0, noise, rows)
        for i in range(series)
    ]
    return pd.DataFrame(
        {
            "unique_id": np.repeat([f"s{i}" for i in range(series)], rows),
            "ds": np.tile(pd.date_range("2024-01-01", periods=rows, freq="D"), series),
            "y": np.concatenate(each),
        }
    )


def values(forecast: pd.DataFrame) -> np.ndarray:
    """Return the numbers of a long forecast in the order of series and time."""
    return forecast.set_index(["unique_id", "ds"]).sort_index().to_numpy(np.float64)


@contextmanager
def quietly() -> Iterator[None]:
    """Hide the warnings of tsrnn: seventy rows prove no skill."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TsrnnWarning)
        yield


class Case:
    """A forecaster under check.

    Parameters
    ----------
    forecaster : Forecaster
        As its user made it, fitted or not; it is cloned and not changed.
    """

    def __init__(self, forecaster: Forecaster) -> None:
        self.given = forecaster
        params = forecaster.get_params()
        self.horizon = HORIZON if params.get("horizon") is None else int(params["horizon"])
        self.rows = max(ROWS, 12 * self.horizon)
        self._own = {name: None for name in OWN_COLUMNS if name in params}

    def fresh(self, **changes: Any) -> Any:
        """Return an unfitted forecaster with the parameters of the one under check."""
        made = clone(self.given)
        return made.set_params(**{**self._own, "horizon": self.horizon, **changes})

    def fit(self, frame: Any, **changes: Any) -> Any:
        """Return a forecaster that is fitted to ``frame``."""
        with quietly():
            return self.fresh(**changes).fit(frame)

    def frame(self, **changes: Any) -> pd.DataFrame:
        """Return a frame to fit to; see :func:`waves`."""
        return waves(**{"rows": self.rows, **changes})

    def later(self) -> pd.DataFrame:
        """Return the rows that follow :meth:`frame`."""
        longer = self.frame(rows=self.rows + self.horizon)
        return longer[longer.groupby("unique_id").cumcount() >= self.rows]

    @cached_property
    def _fitted(self) -> Any:
        return self.fit(self.frame())

    def fitted(self) -> Any:
        """Return a forecaster that is fitted to :meth:`frame`, to do anything with."""
        return copy.copy(self._fitted)

    @cached_property
    def level(self) -> float | None:
        """An interval to ask for: 80, or None where the forecaster says points only."""
        try:
            self._fitted.predict(level=80)
        except ParameterError:
            return None
        return 80.0

    def needs(self, *methods: str) -> None:
        """Pass the rule by where the forecaster lacks one of ``methods``."""
        for name in methods:
            if not hasattr(self.given, name):
                raise NotAsked(f"no method {name}")

    def needs_intervals(self) -> None:
        """Pass the rule by where the forecaster says points only."""
        if self.level is None:
            raise NotAsked("points only")
