import numpy as np
import pytest
import torch

from tests import reference
from tests.nn.plans import encoder_plan
from tsrnn.nn.cells import CELLS
from tsrnn.nn.encoder import RecurrentEncoder, dropout


def encoder(cell, layers=1, seed=0):
    made = RecurrentEncoder(3, encoder_plan(cell=cell, hidden_size=4, num_layers=layers)).double()
    made.initialise(torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for parameter in made.parameters():  # biases, too, so that each term is seen
            noise = torch.empty(parameter.shape, dtype=torch.float64)
            parameter.add_(0.3 * noise.normal_(generator=torch.Generator().manual_seed(1)))
    return made


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 3])
def test_encoder_computes_the_equations_of_its_cell(cell, layers):
    made = encoder(cell, layers)
    x = torch.randn(1, 7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    hidden, _ = made(x)

    expected = x[0].numpy()
    for layer in made.layers:
        weights = [w.detach().numpy() for w in layer.parameters()]
        expected = reference.CELLS[cell](expected, *weights)
    np.testing.assert_allclose(hidden[0].detach(), expected, rtol=1e-10)


@pytest.mark.parametrize("cell", CELLS)
def test_reading_in_two_parts_equals_reading_at_once(cell):
    made = encoder(cell, layers=2)
    x = torch.randn(2, 9, 3, dtype=torch.float64)

    whole, end = made(x)
    first, state = made(x[:, :4])
    second, state = made(x[:, 4:], state)

    torch.testing.assert_close(torch.cat([first, second], 1), whole)
    for part, expected in zip(state, end, strict=True):
        torch.testing.assert_close(part, expected)


@pytest.mark.parametrize("cell", CELLS)
def test_weights_come_from_the_generator_alone(cell):
    torch.manual_seed(7)
    before = torch.random.get_rng_state()

    one, other = encoder(cell, seed=3), encoder(cell, seed=3)

    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    made = RecurrentEncoder(3, encoder_plan(cell=cell, hidden_size=4))
    torch.manual_seed(7)
    made.initialise(torch.Generator().manual_seed(3))
    assert torch.equal(before, torch.random.get_rng_state())


def test_recurrent_weights_start_orthogonal_and_forget_gates_open():
    made = RecurrentEncoder(3, encoder_plan(cell="lstm", hidden_size=8))
    made.initialise(torch.Generator().manual_seed(0))
    layer = made.layers[0]

    for block in layer.rnn.weight_hh_l0.detach().split(8):
        torch.testing.assert_close(block @ block.T, torch.eye(8), atol=1e-5, rtol=0)
    np.testing.assert_array_equal(layer.rnn.bias_ih_l0.detach()[8:16], 1.0)


def test_dropout_keeps_the_mean_and_does_nothing_without_a_generator():
    x = torch.ones(20_000)

    dropped = dropout(x, 0.25, torch.Generator().manual_seed(0))

    assert dropout(x, 0.25, None) is x
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.02)
    np.testing.assert_allclose(dropped.unique(), [0.0, 4 / 3], rtol=1e-6)
