"""``cell=`` of the forecaster: every name, and cells of the user's own."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from torch import nn

import tsrnn
from tests.contract.samples import tiny, waves
from tsrnn import Cell, ModelFileError, ParameterError, RNNForecaster, load
from tsrnn.nn.cells import CELLS
from tsrnn.nn.networks import ForecastNetwork

pytestmark = pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")


class Leaky(Cell):
    """h' = h / 2 + tanh(W x)."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size))

    def project(self, x):
        return (x @ self.weight_ih.T).tanh()

    def step(self, projected, state):
        return (state[0] / 2 + projected,)


class Gated(Leaky):
    """A cell whose state has two parts."""

    parts = ("h", "c")

    def step(self, projected, state):
        c = state[1] / 2 + projected
        return c.sigmoid() * projected, c


@pytest.mark.parametrize("cell", [*CELLS, Leaky, Gated])
def test_every_cell_fits_forecasts_and_survives_saving(cell, tmp_path):
    own = {} if isinstance(cell, str) else {cell.__name__: cell}
    model = tiny(cell=cell, num_layers=2, max_steps=3, n_members=2, horizon=3).fit(waves())

    forecast = model.predict(level=80)
    model.save(tmp_path / "model")
    again = load(tmp_path / "model", custom_cells=own)

    assert np.isfinite(forecast[["forecast", "forecast-lo-80"]].to_numpy()).all()
    assert again.cell is cell if own else again.cell == cell
    pd.testing.assert_frame_equal(again.predict(level=80), forecast, check_exact=True)
    pd.testing.assert_frame_equal(again.predict(waves()), model.predict(waves()), check_exact=True)
    assert f"cell {next(iter(own), cell)}" in again.summary()


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["nas", "slstm", "mingru", "mlp", Gated])
def test_fit_learns_with_the_cell_and_repeats_bit_for_bit(cell):
    one, two = (tiny(cell=cell).fit(waves()) for _ in range(2))

    fresh = ForecastNetwork.build(
        one.network_.plan, torch.Generator().manual_seed(0), {"Gated": Gated}
    )
    assert one.best_step_ > 0
    for name, weight in one.network_.members[0].encoder.named_parameters():
        assert not torch.equal(weight, fresh.encoder.get_parameter(name))
    pd.testing.assert_frame_equal(one.predict(), two.predict(), check_exact=True)


def test_a_class_as_cell_is_cloned_and_pickled():
    model = RNNForecaster(cell=Leaky)

    assert clone(model).cell is Leaky
    assert model.get_params()["cell"] is Leaky
    assert pickle.loads(pickle.dumps(model)).cell is Leaky
    assert "Leaky" in repr(model)


def test_a_fitted_model_with_a_cell_of_ones_own_is_pickled():
    model = tiny(cell=Leaky, max_steps=2).fit(waves())

    again = pickle.loads(pickle.dumps(model))

    pd.testing.assert_frame_equal(again.predict(), model.predict(), check_exact=True)


def test_loading_without_the_class_says_how_to_give_it(tmp_path):
    tiny(cell=Leaky, max_steps=2).fit(waves()).save(tmp_path / "model")

    for given in (None, {"Leeky": Leaky}):
        with pytest.raises(ModelFileError, match=r"custom_cells=\{'Leaky': Leaky\}"):
            load(tmp_path / "model", custom_cells=given)


class gru(Leaky):  # noqa: N801
    """Its name is taken."""


class Unset(Leaky):
    def initialise(self, generator):
        pass


class Narrow(Leaky):
    def step(self, projected, state):
        return (projected[:, :1],)


class NoStep(Cell):
    pass


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("gro", r"must be one of .*Did you mean 'gru'\?"),
        (None, "must be one of 'gru'"),
        (Leaky(1, 2), "must be one of 'gru'"),
        (nn.GRU, r"subclass of tsrnn.Cell with a step\(\)"),
        (NoStep, r"subclass of tsrnn.Cell with a step\(\)"),
        (Cell, r"subclass of tsrnn.Cell with a step\(\)"),
        (gru, "name of its own"),
        (Unset, r"must set every parameter and buffer. Got NaN in \['weight_ih'\]"),
        (Narrow, r"must return hidden states and the parts \('h',\)"),
    ],
)
def test_what_is_no_cell_is_refused(cell, message):
    with pytest.raises(ParameterError, match=message):
        tiny(cell=cell).fit(waves())


def test_cell_loads_where_it_is_first_named():
    assert tsrnn.Cell is Cell
    assert Cell.__module__ == "tsrnn.nn.cells.contract"
