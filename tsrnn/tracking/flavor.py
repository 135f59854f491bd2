"""The MLflow flavour of a forecaster: its own model folder, a signature, and a pyfunc around it.

What is saved is what ``forecaster.save`` writes (JSON and safetensors, no pickle), so that a model
from MLflow is as safe to load as one from disk.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.models.model import MLMODEL_FILE_NAME, ModelInfo
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.tracking.artifact_utils import _download_artifact_from_uri
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import AnyType
from mlflow.utils.environment import (
    _CONDA_ENV_FILE_NAME,
    _PYTHON_ENV_FILE_NAME,
    _REQUIREMENTS_FILE_NAME,
    _mlflow_conda_env,
    _PythonEnv,
)
from mlflow.utils.model_utils import _get_flavor_configuration

import tsrnn
from tsrnn.exceptions import DataError, ParameterError, TsrnnError
from tsrnn.tracking.record import past_frame

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow warns about type hints of its own
    from mlflow.pyfunc import add_to_model

if TYPE_CHECKING:
    from tsrnn.base import Forecaster
    from tsrnn.nn.cells import Cell

__all__ = ["FLAVOR_NAME", "get_default_pip_requirements", "load_model", "log_model", "save_model"]

FLAVOR_NAME = "tsrnn"
_DATA = "forecaster"
_EXAMPLE = "input_example.json"
_SERVING = "serving_input_example.json"
# MLflow would refuse whole numbers under "double", and missing ones under "long"; the gate checks both
_TYPES = {
    "f": DataType.double,
    "i": AnyType(),
    "u": AnyType(),
    "b": AnyType(),
    "M": DataType.datetime,
}
_EPOCH = pd.Timestamp(
    "1971-01-01"
)  # numbers since 1970 are read as nanoseconds: a few weeks at most
_LONGEST = 1000
_PACKAGES = ("numpy", "pandas", "scikit-learn", "torch", "safetensors", "mlflow")


def get_default_pip_requirements() -> list[str]:
    """Return what a machine that serves the model must install, pinned to what is installed here."""
    pins = [f"{name}=={version(name).partition('+')[0]}" for name in _PACKAGES]
    return [f"tsrnn=={tsrnn.__version__}", *pins]


def save_model(
    forecaster: Forecaster,
    path: str | Path,
    mlflow_model: Model | None = None,
    signature: ModelSignature | None = None,
    input_example: Any = None,
    pip_requirements: list[str] | None = None,
    metadata: dict[str, Any] | None = None,
) -> None:
    """Save a fitted forecaster as an MLflow model folder.

    Parameters
    ----------
    forecaster : Forecaster
        Fitted, with a method ``save(path)``.
    path : str or Path
        The folder to write; it must not exist or be empty.
    mlflow_model : mlflow.models.Model, optional
        Filled in by ``Model.log``.
    signature : ModelSignature, optional
        From ``input_example`` when not given.
    input_example : pandas.DataFrame, optional
        A few rows of history in the form that was fitted; the newest 30 of the first series when
        not given.
    pip_requirements : list of str, optional
        :func:`get_default_pip_requirements` when not given.
    metadata : dict, optional
        Kept in the MLmodel file.
    """
    if not hasattr(forecaster, "save"):
        raise ParameterError(
            f"save_model needs a forecaster with a save method. Got {type(forecaster).__name__}."
        )
    folder = Path(path)
    if folder.exists() and any(folder.iterdir()):
        raise ParameterError(f"save_model writes into a new or empty folder. Got {str(folder)!r}.")
    folder.mkdir(parents=True, exist_ok=True)
    forecaster.save(folder / _DATA)
    example = past_frame(forecaster) if input_example is None else input_example
    model = Model() if mlflow_model is None else mlflow_model
    model.signature = signature or _signature(forecaster, example)
    if _schema(example) is not None:
        _save_example(model, example, folder)
    if metadata is not None:
        model.metadata = metadata
    add_to_model(
        model,
        loader_module="tsrnn.tracking",
        data=_DATA,
        conda_env=_CONDA_ENV_FILE_NAME,
        python_env=_PYTHON_ENV_FILE_NAME,
    )
    model.add_flavor(
        FLAVOR_NAME,
        data=_DATA,
        forecaster=type(forecaster).__name__,
        tsrnn_version=tsrnn.__version__,
    )
    model.save(str(folder / MLMODEL_FILE_NAME))
    requirements = pip_requirements or get_default_pip_requirements()
    conda = yaml.safe_dump(_mlflow_conda_env(additional_pip_deps=requirements))
    (folder / _CONDA_ENV_FILE_NAME).write_text(conda, encoding="utf-8")
    (folder / _REQUIREMENTS_FILE_NAME).write_text("\n".join(requirements) + "\n", encoding="utf-8")
    _PythonEnv.current().to_yaml(str(folder / _PYTHON_ENV_FILE_NAME))


def log_model(forecaster: Forecaster, name: str = "model", **kwargs: Any) -> ModelInfo:
    """Log a fitted forecaster to the active MLflow run.

    Parameters
    ----------
    forecaster : Forecaster
        Fitted.
    name : str
        Name of the model within the run.
    **kwargs
        ``registered_model_name``, ``signature``, ``input_example``, ``pip_requirements`` and the
        other arguments of ``mlflow.models.Model.log``.

    Returns
    -------
    mlflow.models.model.ModelInfo
        Its ``model_uri`` loads with :func:`load_model` and ``mlflow.pyfunc.load_model``.
    """
    from tsrnn import tracking

    return Model.log(
        artifact_path=None, name=name, flavor=tracking, forecaster=forecaster, **kwargs
    )


def load_model(
    model_uri: str,
    dst_path: str | None = None,
    custom_cells: Mapping[str, type[Cell]] | None = None,
) -> Any:
    """Load a forecaster that was logged or saved with this flavour.

    Parameters
    ----------
    model_uri : str
        ``models:/...``, ``runs:/<run_id>/model`` or a folder.
    dst_path : str, optional
        Existing folder to download to.
    custom_cells : dict of str to type, optional
        As in :func:`tsrnn.load`.

    Returns
    -------
    Forecaster
        As it was fitted: ``predict`` gives the same numbers.
    """
    local = _download_artifact_from_uri(artifact_uri=str(model_uri), output_path=dst_path)
    flavor = _get_flavor_configuration(model_path=local, flavor_name=FLAVOR_NAME)
    return _load(Path(local) / flavor["data"], custom_cells)


def _load_pyfunc(path: str) -> _Pyfunc:
    """Return what ``mlflow.pyfunc`` calls; MLflow looks for this name."""
    return _Pyfunc(_load(Path(path)))


def _load(path: Path, custom_cells: Mapping[str, type[Cell]] | None = None) -> Any:
    from tsrnn.forecaster import load

    return load(path, custom_cells)


class _Pyfunc:
    """Adapts a forecaster to ``mlflow.pyfunc``: a history in, its forecast out."""

    def __init__(self, forecaster: Any) -> None:
        self._forecaster = forecaster

    def get_raw_model(self) -> Any:
        """Return the forecaster."""
        return self._forecaster

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """Forecast the steps after each series of ``model_input``.

        ``params`` may hold ``horizon`` (steps; 0 or None: as fitted) and ``level`` (percents).
        """
        asked = params or {}
        try:
            if len(model_input) == 0:
                raise ParameterError("predict needs at least one row of history. Got none.")
            self._check_dates(model_input)
            self._check_horizon(asked.get("horizon"))
            return self._forecaster.predict(
                model_input,
                horizon=asked.get("horizon") or None,
                level=list(asked.get("level") or []) or None,
            )
        except TsrnnError as error:
            raise MlflowException(str(error), error_code=INVALID_PARAMETER_VALUE) from error

    def _check_horizon(self, horizon: Any) -> None:
        most = max(_LONGEST, 10 * self._forecaster.horizon_)
        if isinstance(horizon, (int, float)) and horizon > most:
            raise ParameterError(
                f"The 'horizon' parameter of a served model must be at most {most}. Got {horizon}."
            )

    def _check_dates(self, frame: Any) -> None:
        """Refuse numbers since 1970 that were read as dates: JSON does not tell them apart."""
        name = self._forecaster.format_.time_name
        if not isinstance(frame, pd.DataFrame) or name not in frame.columns:
            return
        times = frame[name]
        if times.dtype.kind != "M":
            return
        fitted = self._forecaster.axis_.to_index(self._forecaster._history_tail().last_times)  # noqa: SLF001
        newest = times.max()
        if newest < _EPOCH.tz_localize(newest.tzinfo) and fitted.min() >= _EPOCH.tz_localize(
            fitted.min().tzinfo
        ):
            raise DataError(
                f"Times in column {name!r} must be dates, such as {str(fitted.max())!r}. Got numbers, or dates in "
                f"the days after 1970-01-01 (the newest: {newest}), where numbers end up. Send text in ISO format."
            )


def _signature(forecaster: Any, example: Any) -> ModelSignature:
    params = ParamSchema(
        [ParamSpec("horizon", "long", 0), ParamSpec("level", "double", [], shape=(-1,))]
    )
    inputs, outputs = _schema(example), None
    if inputs is not None:
        with suppress(DataError):  # future covariates that are not known yet
            outputs = _schema(forecaster.predict(horizon=1), history=False)
    return ModelSignature(inputs=inputs, outputs=outputs, params=params)


def _schema(frame: Any, *, history: bool = True) -> Schema | None:
    """Return MLflow's schema of a long frame; None for a frame that it can't express."""
    if not isinstance(frame, pd.DataFrame) or not isinstance(frame.index, pd.RangeIndex):
        return None
    columns = []
    for name, dtype in frame.dtypes.items():
        kind = getattr(dtype, "kind", "O")
        if isinstance(dtype, (pd.DatetimeTZDtype, pd.PeriodDtype, pd.CategoricalDtype)):
            return None
        numbers = frame[name] if kind == "f" and history else None
        # rows to forecast have no target, which then can't be whole
        if numbers is not None and numbers.notna().iloc[-1] and (numbers.dropna() % 1 == 0).all():
            kind = "i"  # a history of whole numbers may come as integers
        columns.append(ColSpec(_TYPES.get(kind, DataType.string), str(name)))
    return Schema(columns)


def _save_example(model: Model, frame: pd.DataFrame, folder: Path) -> None:
    split = json.loads(
        frame.to_json(orient="split", index=False, date_format="iso", double_precision=15)
    )
    (folder / _EXAMPLE).write_text(json.dumps(split), encoding="utf-8")
    (folder / _SERVING).write_text(json.dumps({"dataframe_split": split}), encoding="utf-8")
    model.saved_input_example_info = {
        "artifact_path": _EXAMPLE,
        "type": "dataframe",
        "pandas_orient": "split",
        "serving_input_path": _SERVING,
    }
