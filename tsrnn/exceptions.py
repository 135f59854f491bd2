"""Every error and warning of tsrnn.

Exception
└── TsrnnError
    ├── DataError (ValueError)            the frame: names column, series, time and the way out
    │   └── FrequencyError                the time axis fits no frequency
    ├── ParameterError (ValueError)       a parameter of an estimator or function
    ├── TrainingError (ValueError)        the loss is not finite any more
    ├── NotFittedError (sklearn's)        predict before fit
    ├── ModelFileError (ValueError)       a saved model is damaged, newer or not a model
    ├── SpecError (ValueError)            a pipeline's YAML
    └── MissingDependencyError (ImportError)   an extra is not installed: names the pip command

UserWarning
└── TsrnnWarning
    ├── DataWarning       handled as documented: missing values, gaps, short series
    ├── SkillWarning      the fitted model does not beat the naive forecasts
    └── TrackingWarning   MLflow could not be reached; the fit went on
"""

from __future__ import annotations

import sys
import warnings

from sklearn.exceptions import NotFittedError as _SklearnNotFittedError

__all__ = [
    "DataError",
    "DataWarning",
    "FrequencyError",
    "MissingDependencyError",
    "ModelFileError",
    "NotFittedError",
    "ParameterError",
    "SkillWarning",
    "SpecError",
    "TrackingWarning",
    "TrainingError",
    "TsrnnError",
    "TsrnnWarning",
    "warn",
]


class TsrnnError(Exception):
    """Base of every error raised on purpose by tsrnn."""


class DataError(TsrnnError, ValueError):
    """The data frame can't be used as it is."""


class FrequencyError(DataError):
    """The time stamps fit no regular axis."""


class ParameterError(TsrnnError, ValueError):
    """A parameter has a value it can't have."""


class TrainingError(TsrnnError, ValueError):
    """Training can't go on: the loss or the gradient is not finite."""


class NotFittedError(TsrnnError, _SklearnNotFittedError):
    """The forecaster was asked for something it learns in ``fit``."""


class ModelFileError(TsrnnError, ValueError):
    """A saved model is damaged, of a newer format, or no model of tsrnn."""


class SpecError(TsrnnError, ValueError):
    """A pipeline specification can't be run."""


class MissingDependencyError(TsrnnError, ImportError):
    """An optional package is not installed."""


class TsrnnWarning(UserWarning):
    """Base of every warning of tsrnn."""


class DataWarning(TsrnnWarning):
    """Data was handled as documented, and you should know."""


class SkillWarning(TsrnnWarning):
    """The fitted model does not beat the naive forecasts on held-out steps."""


class TrackingWarning(TsrnnWarning):
    """MLflow failed; the computation went on without it."""


def shown(value: object) -> str:
    """Return how a value is written, a number of numpy's like any other: 1, not np.int64(1)."""
    item = getattr(value, "item", None)
    return repr(item() if callable(item) else value)


def warn(message: str, category: type[TsrnnWarning]) -> None:
    """Issue a warning at the line outside of tsrnn that caused it."""
    level, frame = 2, sys._getframe(1)  # noqa: SLF001  (the only way to the caller's line)
    while frame.f_back is not None and _is_inner(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_inner(module: str) -> bool:
    return module == "contextlib" or module.startswith("tsrnn.")
