"""Kernels: the values and gradients of torch's layers, from a backward pass of our own."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd import gradcheck

from tsrnn.nn.kernels import GRU, LSTM
from tsrnn.nn.kernels.gru import gru
from tsrnn.nn.kernels.lstm import lstm
from tsrnn.nn.kernels.median import median

PAIRS = [(GRU, nn.GRU), (LSTM, nn.LSTM)]


@pytest.fixture(autouse=True)
def every_size(monkeypatch):
    monkeypatch.setattr("tsrnn.nn.kernels.layers.LSTM_PAYS", 0)


def twins(ours, torchs, *, features=3, hidden=5):
    torch.manual_seed(0)
    made = ours(features, hidden).double()
    reference = torchs(features, hidden, batch_first=True).double()
    reference.load_state_dict(made.state_dict())
    return made, reference


def state(layer, batch=4, hidden=5, seed=1):
    g = torch.Generator().manual_seed(seed)
    draw = torch.randn(2, 1, batch, hidden, generator=g, dtype=torch.float64, requires_grad=True)
    return draw[0] if isinstance(layer, nn.GRU) else (draw[0], draw[1])


def loss_of(hidden, after):
    """A sum that weighs every output differently, states included."""
    parts = [hidden, *((after,) if isinstance(after, torch.Tensor) else after)]
    return sum(((i + 1) * part).sin().sum() for i, part in enumerate(parts))


@pytest.mark.parametrize(("ours", "torchs"), PAIRS)
@pytest.mark.parametrize("carried", [False, True])
@pytest.mark.parametrize("steps", [1, 7])
def test_values_and_gradients_are_those_of_torch(ours, torchs, carried, steps):
    layers = twins(ours, torchs)
    x = torch.randn(4, steps, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = []
    for layer in layers:
        inputs = x.clone().requires_grad_()
        before = state(layer) if carried else None
        hidden, after = layer(inputs, before)
        wanted = [inputs, *layer.parameters()]
        if before is not None:
            wanted += [before] if isinstance(before, torch.Tensor) else list(before)
        found.append([hidden, *torch.autograd.grad(loss_of(hidden, after), wanted)])

    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)


def test_the_gru_kernel_passes_a_numerical_gradient_check():
    g = torch.Generator().manual_seed(0)
    x, start, weight, new = (
        torch.randn(shape, generator=g, dtype=torch.float64, requires_grad=True)
        for shape in ((4, 3, 2), (5, 2), (15, 9), (5, 4))
    )
    blind = torch.ones(15, 9, dtype=torch.float64)
    blind[10:, 5:-1] = 0  # q reads no inputs

    assert gradcheck(
        lambda *these: gru(these[0], these[1], these[2] * blind, these[3]), (x, start, weight, new)
    )


def test_the_lstm_kernel_passes_a_numerical_gradient_check():
    g = torch.Generator().manual_seed(0)
    x, hidden, cell, weight = (
        torch.randn(shape, generator=g, dtype=torch.float64, requires_grad=True)
        for shape in ((4, 3, 2), (5, 2), (5, 2), (20, 9))
    )

    assert gradcheck(lambda x, h, c, w: lstm(x, (h, c), w), (x, hidden, cell, weight))


@pytest.mark.parametrize(("ours", "torchs"), PAIRS)
def test_torch_reads_where_nothing_is_trained(ours, torchs, monkeypatch):
    layer, reference = twins(ours, torchs)
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    for kernel in ("gru", "lstm"):
        monkeypatch.setattr(f"tsrnn.nn.kernels.layers.{kernel}", None)

    with torch.no_grad():
        torch.testing.assert_close(layer(x)[0], reference(x)[0], rtol=0, atol=0)
    layer.eval()
    torch.testing.assert_close(layer(x)[0], reference(x)[0], rtol=0, atol=0)


@pytest.mark.parametrize("carried", [False, True])
def test_many_sequences_are_read_to_the_states_that_torch_reads_them_to(carried, monkeypatch):
    layer, reference = twins(GRU, nn.GRU)
    x = torch.randn(40, 9, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before = state(layer, batch=40).detach() if carried else None
    given = x.clone()

    with torch.no_grad():
        wanted = reference(x, before)
        monkeypatch.setattr(nn.GRU, "forward", None)  # it is the kernel that reads
        hidden, after = layer.eval()(x, before)

    torch.testing.assert_close(hidden, wanted[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(after, wanted[1], rtol=1e-12, atol=1e-12)
    assert torch.equal(x, given)


@pytest.mark.parametrize("carried", [False, True])
def test_a_single_sequence_is_read_to_the_states_that_torch_reads_it_to(carried, monkeypatch):
    ours, torchs = twins(GRU, nn.GRU)
    x = torch.randn(1, 9, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    before = state(ours, batch=1).detach() if carried else None
    with torch.no_grad():
        wanted = torchs(x, before)
        monkeypatch.setattr(nn.GRU, "forward", None)
        found = ours(x, before)

    for mine, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)


def test_small_lstms_are_left_to_torch(monkeypatch):
    monkeypatch.setattr("tsrnn.nn.kernels.layers.LSTM_PAYS", 640_000)
    monkeypatch.setattr("tsrnn.nn.kernels.layers.lstm", None)
    layer, reference = twins(LSTM, nn.LSTM)
    x = torch.randn(4, 6, 3, dtype=torch.float64)

    torch.testing.assert_close(layer(x)[0], reference(x)[0], rtol=0, atol=0)


@pytest.mark.parametrize(("ours", "torchs"), PAIRS)
def test_weights_may_be_replaced_for_a_call(ours, torchs):
    layers = twins(ours, torchs)
    x = torch.randn(4, 6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    halved = {"weight_hh_l0": layers[0].weight_hh_l0 / 2}

    mine, theirs = (torch.func.functional_call(layer, halved, (x,))[0] for layer in layers)

    torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)


# ---- median --------------------------------------------------------------------------------


def test_a_median_is_numpys_whatever_is_missing():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(40, 6, 7))
    values[rng.random(values.shape) < 0.4] = np.nan
    values[0, 0] = np.nan
    values[0, 1, 1:] = np.nan

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of nothing but NaN
        expected = np.nanmedian(values, -1)
    np.testing.assert_array_equal(median(torch.from_numpy(values)), expected)
