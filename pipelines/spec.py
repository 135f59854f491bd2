"""What a pipeline is: frozen dataclasses read from a YAML file in which a wrong key is an error."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tsrnn.exceptions import ParameterError, SpecError

from .sections import (
    BacktestSpec,
    DataSpec,
    FitSpec,
    ForecastSpec,
    GateSpec,
    MonitorSpec,
    OutputSpec,
    ScheduleSpec,
)
from .strict import build, changed, parse

__all__ = ["PipelineSpec", "read_spec"]


@dataclass(frozen=True)
class PipelineSpec:
    """One pipeline: data in, checked, backtested, fitted, judged, forecast, written and tracked.

    Parameters
    ----------
    name : str
        Letters, digits, ``_``, ``-`` and ``.``; names the output folder, the experiment and the
        registered model.
    data : DataSpec
        Where the rows come from.
    model : dict, optional
        Parameters of :class:`tsrnn.RNNForecaster`.
    backtest, fit, gate, monitor, forecast, output, schedule : optional
        See the classes of :mod:`tsrnn.pipelines.sections`.
    register : bool, default True
        Whether a model that passes the gate becomes the champion in MLflow's registry.
    experiment : str, optional
        MLflow experiment; ``name`` when not given.
    """

    name: str
    data: DataSpec
    model: dict[str, Any] = field(default_factory=dict)
    backtest: BacktestSpec = field(default_factory=BacktestSpec)
    fit: FitSpec = field(default_factory=FitSpec)
    gate: GateSpec = field(default_factory=GateSpec)
    monitor: MonitorSpec = field(default_factory=MonitorSpec)
    forecast: ForecastSpec = field(default_factory=ForecastSpec)
    output: OutputSpec = field(default_factory=OutputSpec)
    schedule: ScheduleSpec | None = None
    register: bool = True
    experiment: str | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", self.name):
            raise SpecError(
                f"name must be letters, digits, '_', '-' or '.', at most 128 of them. Got {self.name!r}."
            )
        double = sorted(set(self.model) & {"id_col", "time_col", "target_col", "freq", "calendar"})
        if double:
            raise SpecError(f"{double[0]!r} belongs under 'data', not under 'model'.")
        if self.fit.when == "due" and not self.register:
            raise SpecError("fit.when 'due' needs the champion. Got register: false.")

    @property
    def folder(self) -> Path:
        """Folder of the results."""
        return Path(self.output.folder or f"runs/{self.name}")

    @property
    def experiment_name(self) -> str:
        """MLflow experiment of the runs."""
        return self.experiment or self.name

    @property
    def digest(self) -> str:
        """Changes with everything that a result depends on."""
        content = asdict(self)
        for section in ("schedule", "output"):
            content.pop(section)
        text = json.dumps(content, sort_keys=True, default=str)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def read_spec(path: str | Path, changes: Sequence[str] = ()) -> PipelineSpec:
    """Read a spec and apply ``key=value`` changes to it.

    Parameters
    ----------
    path : str or Path
        YAML file.
    changes : sequence of str, optional
        ``"model.max_steps=200"``: dotted key, equals sign, YAML value.

    Returns
    -------
    PipelineSpec

    Raises
    ------
    SpecError
        The file can't be read, is no YAML, or has a key or value that a spec can't have.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError(f"Can't read the spec {str(path)!r}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"The spec {str(path)!r} is no UTF-8 text: {error}.") from error
    content = parse(text, f"The spec {str(path)!r}")
    try:
        for change in changes:
            content = changed(content, change)
        return build(PipelineSpec, content, "")
    except (SpecError, ParameterError) as error:
        raise SpecError(f"{path}: {error}") from error
