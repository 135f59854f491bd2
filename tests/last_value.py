"""The simplest forecaster of one's own, which does wrong what it is told to."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
from sklearn.base import clone

from tsrnn.base import Forecast, Forecaster

__all__ = ["FRAME", "LastValue"]


FRAME = pd.DataFrame(
    {
        "id": ["a"] * 5 + ["b"] * 4,
        "ds": [*pd.date_range("2024-01-01", periods=5), *pd.date_range("2024-01-02", periods=4)],
        "y": [1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 20.0, 30.0, 40.0],
    }
)


class LastValue(Forecaster):
    """Repeats the last value, and notifies ``epochs`` times of nothing learned.

    Parameters
    ----------
    inner : Forecaster, optional
        Fitted within the fit.
    fault : BaseException or str, optional
        What the fit fails with in the end, or what a subclass does wrong.
    """

    def __init__(
        self,
        *,
        horizon=None,
        id_col=None,
        time_col=None,
        target_col=None,
        freq=None,
        calendar=None,
        season=None,
        epochs=3,
        inner=None,
        fault=None,
    ):
        self.horizon = horizon
        self.id_col = id_col
        self.time_col = time_col
        self.target_col = target_col
        self.freq = freq
        self.calendar = calendar
        self.season = season
        self.epochs = epochs
        self.inner = inner
        self.fault = fault

    def _check_parameters(self):
        pass

    def _fit_panel(self, panel, notify):
        if self.inner is not None:
            clone(self.inner).fit(FRAME)
        for epoch in range(1, self.epochs + 1):
            notify(epoch * 10, {"train_loss": 1.0 / epoch, "val_loss": float("nan")})
        if isinstance(self.fault, BaseException):
            raise self.fault
        self.last_ = panel.values[panel.indptr[1:] - 1].astype(float)
        self.tail_ = panel.tail(14)
        self.plan_ = {"representation": "difference", "lags": [1, 7]}
        self.skill_ = SimpleNamespace(
            scores=pd.DataFrame(
                {"mae": [1.0, 2.0], "mase": [0.5, np.inf]}, index=["model", "naive"]
            ),
            by_horizon=pd.DataFrame({"model": [1.0, 3.0], "naive": [2.0, 4.0]}, index=[1, 2]),
            verdict="better than naive",
            beats_naive=True,
        )

    def _forecast_panel(self, panel, horizon, probabilities):
        last = self.last_ if panel is None else panel.values[panel.indptr[1:] - 1].astype(float)
        point = np.repeat(last[:, None], horizon, axis=1)
        return Forecast(point, np.repeat(point[:, :, None], max(len(probabilities), 1), axis=2))

    def _history_tail(self):
        return self.tail_
