"""Every cell: its paper's equations, forward and by numerical gradient, and the contract of a layer."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from tests import reference
from tsrnn.nn.cells import CELLS, Cell, make_layer
from tsrnn.nn.cells.window import WindowMLP

TORCHS = {"gru": nn.GRUCell, "lstm": nn.LSTMCell, "rnn": nn.RNNCell, "rnn_relu": nn.RNNCell}


def drawn(*shape, seed=2, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.empty(*shape, dtype=torch.float64).normal_(generator=generator)


def layer(cell, *, inputs=3, hidden=4, seed=0, noise=0.3):
    """Return a layer in float64, biases drawn, too, so that each term is seen."""
    made = WindowMLP(inputs, hidden, steps=3) if cell == "mlp" else make_layer(cell, inputs, hidden)
    made = made.double()
    made.initialise(torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for k, parameter in enumerate(made.parameters()):
            parameter.add_(drawn(*parameter.shape, seed=k, scale=noise))
    return made


def some_state(made, batch):
    parts = [0.5 * drawn(batch, size, seed=9 + k) for k, size in enumerate(made.sizes)]
    if "n" in made.parts:  # a normaliser is positive
        parts[made.parts.index("n")] = parts[made.parts.index("n")].abs() + 0.1
    return tuple(parts)


# ---- equations --------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
def test_layer_computes_the_equations_of_the_paper(cell):
    made, x = layer(cell), drawn(1, 12, 3)

    hidden, _ = made(x)

    weights = [weight.detach().numpy() for weight in made.parameters()]
    expected = reference.CELLS[cell](x[0].numpy(), *weights)
    np.testing.assert_allclose(hidden[0].detach(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_reading_equals_step_after_step(cell):
    made, x = layer(cell), drawn(2, 9, 3)
    state = some_state(made, 2)

    hidden, end = made(x, state)

    for t in range(9):
        state = made.step(made.project(x[:, t]), state)
        torch.testing.assert_close(hidden[:, t], state[0], rtol=1e-10, atol=1e-12)
    for part, expected in zip(end, state, strict=True):
        torch.testing.assert_close(part, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_reading_in_chunks_equals_reading_at_once(cell):
    made, x = layer(cell), drawn(2, 11, 3)

    whole, end = made(x)
    state, parts = None, []
    for chunk in x.split([4, 1, 6], 1):
        hidden, state = made(chunk, state)
        parts.append(hidden)

    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-10, atol=1e-12)
    for part, expected in zip(state, end, strict=True):
        torch.testing.assert_close(part, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_gradient_is_that_of_small_differences(cell):
    made = layer(cell, inputs=2, hidden=3)
    names = [name for name, _ in made.named_parameters()]
    weights = [weight.detach().requires_grad_() for weight in made.parameters()]
    x, state = drawn(2, 5, 2).requires_grad_(), [p.requires_grad_() for p in some_state(made, 2)]

    def read(x, *rest):
        before, weights = rest[: len(state)], rest[len(state) :]
        hidden, after = functional_call(
            made, dict(zip(names, weights, strict=True)), (x, tuple(before))
        )
        return hidden, *after

    assert torch.autograd.gradcheck(read, (x, *state, *weights))


@pytest.mark.parametrize("cell", CELLS)
def test_gradient_through_steps_is_that_through_the_sequence(cell):
    made, x, upward = layer(cell), drawn(2, 6, 3), drawn(2, 6, 4, seed=8)
    state = made.zero_state(2, like=x)

    hidden = []
    for t in range(6):
        state = made.step(made.project(x[:, t]), state)
        hidden.append(state[0])
    by_steps = torch.autograd.grad((torch.stack(hidden, 1) * upward).sum(), made.parameters())
    at_once = torch.autograd.grad((made(x)[0] * upward).sum(), made.parameters())

    for one, other in zip(by_steps, at_once, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("cell", TORCHS)
def test_step_is_that_of_torchs_cell_with_the_same_weights(cell):
    made, x = layer(cell), drawn(2, 3)
    how = {"nonlinearity": "relu"} if cell == "rnn_relu" else {}
    theirs = TORCHS[cell](3, 4, dtype=torch.float64, **how)
    theirs.load_state_dict(
        {name.removesuffix("_l0"): weight for name, weight in made.rnn.state_dict().items()}
    )
    state = some_state(made, 2)

    after = made.step(made.project(x), state)

    expected = theirs(x, state if cell == "lstm" else state[0])
    expected = expected if cell == "lstm" else (expected,)
    for part, other in zip(after, expected, strict=True):
        torch.testing.assert_close(part, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn", "rnn_relu"])
@pytest.mark.parametrize("goes_on", [False, True])
def test_native_layer_is_torchs_bit_for_bit(cell, goes_on):
    made, x = make_layer(cell, 3, 4), drawn(2, 9, 3).float()
    made.initialise(torch.Generator().manual_seed(0))
    before = tuple(drawn(2, 4, seed=k).float() for k in range(len(made.parts)))

    hidden, after = made(x, before if goes_on else None)

    given = tuple(part[None] for part in before)
    given = (given if cell == "lstm" else given[0]) if goes_on else None
    expected, end = made.rnn(x, given)
    assert torch.equal(hidden, expected)
    end = end if cell == "lstm" else (end,)
    assert all(torch.equal(part, other[0]) for part, other in zip(after, end, strict=True))


def test_docs_name_every_cell_its_state_and_the_number_of_its_parameters():
    page = (Path(__file__).parents[3] / "docs" / "networks.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| .* \| `([\w ]+)` \| `(.*)` \|$", page, re.MULTILINE)

    assert [name for name, _, _ in rows] == list(CELLS)
    for name, parts, formula in rows:
        made = make_layer(name, 3, 5)
        assert parts.split() == list(made.parts)
        assert sum(weight.numel() for weight in made.parameters()) == eval(
            formula, {"F": 3, "H": 5}
        )


# ---- gates ------------------------------------------------------------------------------------

GATES = {
    "gru": "r z n",
    "lstm": "i f g o",
    "rnn": "",
    "rnn_relu": "",
    "mut1": "z r h~",
    "mut2": "z r h~",
    "mut3": "z r h~",
    "nas": "l0 l1 l2 l3 l4 l5 l6 l7",
    "mingru": "z h~",
    "minlstm": "i' f' h~",
    "slstm": "z i' f' o",
    "mlp": "",
}


@pytest.mark.parametrize("cell", CELLS)
def test_gates_are_named_as_in_the_paper(cell):
    made, x = layer(cell), drawn(2, 3)

    gates = made.gates(x, some_state(made, 2))

    assert " ".join(gates) == GATES[cell]
    assert all(gate.shape == (2, 4) for gate in gates.values())


def test_gates_make_the_step():
    x = drawn(2, 3)
    for cell in ("gru", "lstm", "mut1", "mut2", "mut3", "mingru", "minlstm", "slstm"):
        made = layer(cell)
        state = some_state(made, 2)
        after, g = made.step(made.project(x), state), made.gates(x, state)
        h = state[0]
        expected = {
            "gru": lambda g, h, s: (1 - g["z"]) * g["n"] + g["z"] * h,
            "lstm": lambda g, h, s: g["o"] * torch.tanh(g["f"] * s[1] + g["i"] * g["g"]),
            "mingru": lambda g, h, s: (1 - g["z"]) * h + g["z"] * g["h~"],
            "minlstm": lambda g, h, s: g["f'"] * h + g["i'"] * g["h~"],
            "slstm": lambda g, h, s: (
                g["o"] * (g["f'"] * s[1] + g["i'"] * g["z"]) / (g["f'"] * s[2] + g["i'"])
            ),
        }.get(cell, lambda g, h, s: g["z"] * g["h~"] + (1 - g["z"]) * h)(g, h, state)

        torch.testing.assert_close(after[0], expected, rtol=1e-10, atol=1e-12)


# ---- weights ----------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
def test_weights_come_from_the_generator_alone_and_all_of_them(cell):
    before = torch.random.get_rng_state()
    with torch.device("meta"):
        one, other = make_layer(cell, 3, 4), make_layer(cell, 3, 4)
    for made in (one, other):
        made.to_empty(device="cpu")
        for weight in made.parameters():
            nn.init.constant_(weight, torch.nan)
        made.initialise(torch.Generator().manual_seed(3))

    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        assert torch.isfinite(a).all()
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    "cell", [cell for cell in CELLS if cell not in {"mlp", "mingru", "minlstm"}]
)
def test_recurrent_weights_start_orthogonal(cell):
    made = make_layer(cell, 3, 8)
    made.initialise(torch.Generator().manual_seed(0))
    (recurrent,) = [weight for name, weight in made.named_parameters() if "weight_hh" in name]

    for block in recurrent.detach().split(8):
        torch.testing.assert_close(block @ block.T, torch.eye(8), atol=1e-5, rtol=0)


def test_weights_of_torchs_layers_are_drawn_as_ever():
    last = {
        "gru": [0.137124, -0.185092, -0.951114, 0.205721],
        "lstm": [0.145904, -0.41883, 0.790175, -0.422987],
        "rnn": [0.480495, -0.790055, -0.332633, -0.185185],
    }
    for cell, row in last.items():
        made = make_layer(cell, 3, 4)
        made.initialise(torch.Generator().manual_seed(0))

        first = made.rnn.weight_ih_l0[0].detach()
        np.testing.assert_allclose(first, [-0.005294, 0.379323, -0.581981], atol=1e-5)
        np.testing.assert_allclose(made.rnn.weight_hh_l0[-1].detach(), row, atol=1e-5)


def test_forget_gates_start_open():
    bias = {}
    for cell in ("lstm", "minlstm", "slstm"):
        made = make_layer(cell, 3, 8)
        made.initialise(torch.Generator().manual_seed(0))
        bias[cell] = dict(made.named_parameters())["rnn.bias_ih_l0" if cell == "lstm" else "bias"]

    assert bias["lstm"].tolist() == [0.0] * 8 + [1.0] * 8 + [0.0] * 16
    assert bias["minlstm"].tolist() == [1.0] * 8 + [0.0] * 16
    np.testing.assert_allclose(bias["slstm"].detach()[16:24], np.linspace(3, 6, 8), rtol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_input_weights_are_those_that_the_input_meets(cell):
    made = layer(cell)
    with torch.no_grad():
        for weight in made.input_weights():
            weight[..., 1] = 0.0
    x = drawn(1, 5, 3)
    changed = x.clone()
    changed[..., 1] += 1.0

    assert torch.equal(made(x)[0], made(changed)[0])


# ---- numbers that are far out -----------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
def test_far_inputs_over_a_long_sequence_leave_everything_finite(cell):
    made = make_layer(cell, 3, 4)
    made.initialise(torch.Generator().manual_seed(0))
    x = drawn(2, 600, 3, scale=50.0).float().requires_grad_()

    hidden, state = made(x)
    hidden.square().mean().backward()

    assert torch.isfinite(hidden).all()
    assert all(torch.isfinite(part).all() for part in state)
    assert all(torch.isfinite(weight.grad).all() for weight in made.parameters())


def test_stabiliser_lets_gates_through_whose_exponential_overflows():
    made, x = layer("slstm", inputs=1, hidden=2), torch.ones(1, 4, 1, dtype=torch.float64)
    with torch.no_grad():
        made.weight_ih.zero_()
        made.weight_hh.zero_()
        made.bias.copy_(torch.tensor([1.0, 1, 2000, -2000, 0, 0, 0, 0]))  # z, i, f, o: two units

    hidden, _ = made(x)

    expected = np.tanh(1.0) * 0.5  # the mean of equal inputs, whatever their weight
    np.testing.assert_allclose(hidden.detach(), np.full((1, 4, 2), expected), rtol=1e-12)


# ---- cells of one's own -----------------------------------------------------------------------


class Leaky(Cell):
    """h' = h / 2 + tanh(W x)."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.inner = nn.Linear(input_size, hidden_size)

    def step(self, projected, state):
        return (state[0] / 2 + self.inner(projected).tanh(),)


def test_a_cell_of_ones_own_needs_a_step_and_nothing_else():
    made = make_layer("Leaky", 3, 4, {"Leaky": Leaky})
    made.initialise(torch.Generator().manual_seed(0))
    x = drawn(2, 5, 3).float()

    hidden, state = made(x)

    h = torch.zeros(2, 4)
    for t in range(5):
        h = h / 2 + torch.tanh(x[:, t] @ made.inner.weight.T)
        torch.testing.assert_close(hidden[:, t], h)
    assert torch.equal(state[0], hidden[:, -1])
    assert made.gates(x[:, 0], state) == {}
    assert made.input_weights() == []
