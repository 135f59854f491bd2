"""precision="bfloat16": another training, the same forecaster around it."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from tests.contract.samples import tiny, waves
from tsrnn import Cell, load
from tsrnn.exceptions import ParameterError

pytestmark = pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")


@pytest.fixture(autouse=True)
def any_cpu(monkeypatch):
    """Torch multiplies bfloat16 on every CPU, if slowly."""
    monkeypatch.setattr("tsrnn.checks.cpu_has_bfloat16", lambda: True)


class Own(Cell):
    def step(self, projected, state):
        return (0.9 * state[0] + projected.mean(-1, keepdim=True),)


def weights(model):
    return model.network_.members[0].encoder.state_dict()


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_training_is_rounded_repeatable_and_survives_saving(cell, tmp_path):
    exact = tiny(cell=cell).fit(waves())
    model = tiny(cell=cell, precision="bfloat16").fit(waves())
    model.save(tmp_path / "model")

    again = load(tmp_path / "model")
    assert again.precision == again.network_.plan.encoder.precision == "bfloat16"
    forecast = model.predict(level=80)
    pd.testing.assert_frame_equal(again.predict(level=80), forecast, check_exact=True)
    refitted = again.fit(waves()).predict(level=80)
    pd.testing.assert_frame_equal(refitted, forecast, check_exact=True)
    own, other = weights(model), weights(exact)
    assert all(weight.dtype == torch.float32 for weight in own.values())
    assert any(not torch.equal(own[name], other[name]) for name in own)


def test_a_model_that_was_trained_so_is_read_on_a_cpu_without_it(tmp_path, monkeypatch):
    model = tiny(precision="bfloat16").fit(waves())
    model.save(tmp_path / "model")
    monkeypatch.setattr("tsrnn.checks.cpu_has_bfloat16", lambda: False)

    forecast = load(tmp_path / "model").predict()

    pd.testing.assert_frame_equal(forecast, model.predict(), check_exact=True)


@pytest.mark.parametrize("cell", ["rnn", "slstm", "mlp", Own])
def test_cells_without_such_kernels_are_refused(cell):
    with pytest.raises(ParameterError, match=r"'gru' and 'lstm'\. Got cell=.*, or precision='floa"):
        tiny(cell=cell, precision="bfloat16").fit("no frame at all")


def test_a_precision_that_there_is_not_is_refused():
    with pytest.raises(
        ParameterError, match=r"'precision' parameter must be one of 'float32', 'bfl"
    ):
        tiny(precision="float16").fit("no frame at all")


def test_training_on_a_gpu_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    with pytest.raises(ParameterError, match=r"Got device='cuda'\. Use device='cpu', or precision"):
        tiny(precision="bfloat16", device="cuda").fit("no frame at all")


def test_a_cpu_without_the_instructions_is_refused(monkeypatch):
    monkeypatch.setattr("tsrnn.checks.cpu_has_bfloat16", lambda: False)

    with pytest.raises(ParameterError, match=r"this one has none: .* Use precision='float32'\."):
        tiny(precision="bfloat16").fit("no frame at all")
