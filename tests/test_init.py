"""What is loaded when: tsrnn first, torch with a forecaster, lightning with a training, MLflow never."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tsrnn
from tests.contract.samples import tiny, waves

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "pytorch_lightning", "mlflow", "pandas", "sklearn", "numpy", "matplotlib")
COMPILER = ("torch._dynamo", "sympy")  # of torch: a second to load, and nothing here compiles


def loaded_after(code: str, *arguments: str) -> set[str]:
    """Return which heavy packages a fresh interpreter has loaded after ``code``."""
    report = f"\nimport sys; print(*(m for m in {HEAVY + COMPILER!r} if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code + report, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return set(done.stdout.split())


def test_importing_tsrnn_loads_nothing_heavy():
    assert loaded_after("import tsrnn; tsrnn.__version__; dir(tsrnn)") == set()


def test_errors_load_no_torch():
    assert not loaded_after("from tsrnn import DataError") & {"torch", "mlflow", "matplotlib"}


@pytest.mark.slow
def test_a_baseline_loads_no_torch():
    code = (
        "from tsrnn import BaselineForecaster, backtest, RollingOriginSplit; BaselineForecaster()"
    )
    assert not loaded_after(code) & {"torch", "pytorch_lightning", "mlflow", "matplotlib"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")
def test_a_loaded_model_forecasts_without_lightning_and_torchs_compiler(tmp_path):
    tiny(max_steps=2).fit(waves()).save(tmp_path / "model")

    loaded = loaded_after(
        "import sys, tsrnn; m = tsrnn.load(sys.argv[1]); m.predict(level=80); m.simulate(2); m.summary()",
        str(tmp_path / "model"),
    )

    assert "torch" in loaded
    assert not loaded & {"pytorch_lightning", "mlflow", "matplotlib", *COMPILER}


def test_every_name_is_there_and_is_listed():
    assert list(dir(tsrnn)) == tsrnn.__all__
    assert all(getattr(tsrnn, name) is not None for name in tsrnn.__all__)
    assert tsrnn.RNNForecaster.__module__ == "tsrnn.forecaster"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'tsrnn' has no attribute 'LSTMForecaster'"):
        tsrnn.LSTMForecaster  # noqa: B018
