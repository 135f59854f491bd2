"""Kernels whose products round their operands to bfloat16: close to float32, and only in training."""

import pytest
import torch

from tsrnn.nn.cells import make_layer
from tsrnn.nn.kernels import GRU, LSTM
from tsrnn.nn.kernels.products import add_product_, cpu_has_bfloat16, product, product_

LAYERS = (GRU, LSTM)
ROUNDING = 2.0**-9  # of a value to the eight bits that bfloat16 keeps


def twins(kind, *, features=6, hidden=32):
    torch.manual_seed(0)
    exact, rounded = kind(features, hidden), kind(features, hidden, precision="bfloat16")
    rounded.load_state_dict(exact.state_dict())
    return exact, rounded


def gradients(layer, x, start=None):
    """Return what training makes of a batch: the states, and the gradient of all that has one."""
    inputs = x.clone().requires_grad_()
    hidden, _ = layer(inputs, start)
    weights = torch.linspace(-1, 1, hidden.numel()).reshape(hidden.shape)
    wanted = [inputs, *layer.parameters()]
    return [hidden.detach(), *torch.autograd.grad((weights * hidden.sin()).sum(), wanted)]


def inputs(batch=16, steps=24, features=6):
    return torch.randn(batch, steps, features, generator=torch.Generator().manual_seed(1))


def apart(found, wanted):
    return float((found - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("kind", LAYERS)
def test_states_and_gradients_are_those_of_float32_within_the_precision_of_bfloat16(kind):
    exact, rounded = (gradients(layer, inputs()) for layer in twins(kind))

    for found, wanted in zip(rounded, exact, strict=True):
        assert found.dtype == torch.float32
        assert 1e-5 < apart(found, wanted) < 8 * ROUNDING


@pytest.mark.parametrize("kind", LAYERS)
def test_the_same_batch_gives_the_same_gradient(kind):
    _, rounded = twins(kind)

    for first, second in zip(
        gradients(rounded, inputs()), gradients(rounded, inputs()), strict=True
    ):
        assert torch.equal(first, second)


@pytest.mark.parametrize("kind", LAYERS)
def test_reading_rounds_nothing(kind):
    exact, rounded = twins(kind)
    x = inputs(batch=40)

    with torch.no_grad():
        assert torch.equal(rounded(x)[0], exact(x)[0])
    assert torch.equal(rounded.eval()(x)[0], exact.eval()(x)[0])


@pytest.mark.parametrize("kind", LAYERS)
def test_a_carried_state_is_not_rounded(kind):
    _, rounded = twins(kind)
    x, whole = inputs(), twins(kind)[1](inputs())[0]

    first, state = rounded(x[:, :10])
    second, _ = rounded(x[:, 10:], state)

    assert torch.equal(torch.cat([first, second], 1), whole)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_cell_hands_its_precision_to_its_layer(cell):
    assert make_layer(cell, 3, 4).rnn.precision == "float32"
    assert make_layer(cell, 3, 4, precision="bfloat16").rnn.precision == "bfloat16"


def test_products_round_operands_and_sum_in_float32():
    third, many = torch.full((1, 300), 1 / 3), torch.ones(300, 1)
    rounded = third.bfloat16()
    said, total = torch.zeros(1, 1), torch.full((1, 1), 1000.0)

    product_(said, rounded, many)
    add_product_(total, rounded, many)

    exact = 300 * float(
        rounded[0, 0]
    )  # 100.195...; ones summed in bfloat16 would stop at 256 of them
    assert said.item() == pytest.approx(exact, rel=ROUNDING)
    assert total.item() == 1000 + said.item()
    assert product(rounded, many).item() == said.item()
    assert product(rounded, many).dtype == torch.float32


@pytest.mark.parametrize("name", ["amx_bf16", "avx512_bf16", "bf16"])
def test_a_cpu_has_bfloat16_where_it_names_such_instructions(name, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, name: True})
    assert cpu_has_bfloat16()

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, name: False})
    assert not cpu_has_bfloat16()
