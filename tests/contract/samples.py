"""Small frames and small forecasters that the contract's tests share."""

from __future__ import annotations

import copy

import joblib

from tsrnn import BaselineForecaster, RNNForecaster
from tsrnn.contract.case import HORIZON, ROWS, waves

__all__ = ["DECODERS", "HORIZON", "ROWS", "baseline", "fit_tiny", "tiny", "waves"]

DECODERS = ("direct", "shift", "recurrent", "attention")


def tiny(**changes) -> RNNForecaster:
    """Return a forecaster that learns in a fraction of a second, and does learn."""
    small = {
        "horizon": HORIZON,
        "hidden_size": 8,
        "max_steps": 8,
        "learning_rate": 6e-2,
        "batch_size": 16,
        "context_length": 32,
        "season": 1,
    }
    return RNNForecaster(**{**small, **changes})


_FITTED: dict[str, RNNForecaster] = {}


def fit_tiny(frame, **changes) -> RNNForecaster:
    """Return a tiny forecaster of the caller's own, fitted to the frame; the same fit is done once."""
    unfitted = tiny(**changes)
    key = joblib.hash((frame, unfitted.get_params()))
    if key not in _FITTED:
        _FITTED[key] = unfitted.fit(frame)
    return copy.deepcopy(_FITTED[key])


def baseline(**changes) -> BaselineForecaster:
    """Return the simplest forecaster of the same contract."""
    return BaselineForecaster(**{"method": "drift", "horizon": HORIZON, **changes})
