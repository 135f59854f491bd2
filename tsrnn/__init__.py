"""tsrnn: recurrent networks for time-series forecasting.

>>> from tsrnn import RNNForecaster                       # doctest: +SKIP
>>> RNNForecaster().fit(df).predict(level=[80])           # doctest: +SKIP

Importing this package loads neither torch, lightning nor mlflow: each name loads its own module at
first use (PEP 562).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tsrnn.backtesting import RollingOriginSplit, backtest
    from tsrnn.baselines import BaselineForecaster
    from tsrnn.contract import ContractError, check_forecaster
    from tsrnn.exceptions import (
        DataError,
        DataWarning,
        FrequencyError,
        ModelFileError,
        NotFittedError,
        ParameterError,
        SkillWarning,
        TrackingWarning,
        TrainingError,
        TsrnnError,
        TsrnnWarning,
    )
    from tsrnn.forecaster import RNNForecaster, load
    from tsrnn.frames import regularize
    from tsrnn.nn.cells import Cell
    from tsrnn.tracking import autolog, track
    from tsrnn.tuning import TuneResult, tune

__version__ = "0.1.0"

_HOME = {
    "BaselineForecaster": "baselines",
    "Cell": "nn.cells",
    "ContractError": "contract",
    "DataError": "exceptions",
    "DataWarning": "exceptions",
    "FrequencyError": "exceptions",
    "ModelFileError": "exceptions",
    "NotFittedError": "exceptions",
    "ParameterError": "exceptions",
    "RNNForecaster": "forecaster",
    "RollingOriginSplit": "backtesting",
    "SkillWarning": "exceptions",
    "TrackingWarning": "exceptions",
    "TrainingError": "exceptions",
    "TsrnnError": "exceptions",
    "TsrnnWarning": "exceptions",
    "TuneResult": "tuning",
    "autolog": "tracking",
    "backtest": "backtesting",
    "check_forecaster": "contract",
    "load": "forecaster",
    "regularize": "frames",
    "track": "tracking",
    "tune": "tuning",
}
__all__ = [
    "BaselineForecaster",
    "Cell",
    "ContractError",
    "DataError",
    "DataWarning",
    "FrequencyError",
    "ModelFileError",
    "NotFittedError",
    "ParameterError",
    "RNNForecaster",
    "RollingOriginSplit",
    "SkillWarning",
    "TrackingWarning",
    "TrainingError",
    "TsrnnError",
    "TsrnnWarning",
    "TuneResult",
    "__version__",
    "autolog",
    "backtest",
    "check_forecaster",
    "load",
    "regularize",
    "track",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tsrnn' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"tsrnn.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
