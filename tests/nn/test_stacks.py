"""What stands between and around recurrent layers, beside a plain loop over steps."""

import itertools
import math
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import gelu

from tests import reference
from tests.nn.plans import encoder_plan, plan
from tests.nn.test_networks import network, walk
from tsrnn.nn.cells import CELLS
from tsrnn.nn.convolution import CausalConvolution
from tsrnn.nn.dilation import read_dilated
from tsrnn.nn.dropout import dropout, locked_dropout, weight_dropped
from tsrnn.nn.encoder import RecurrentEncoder
from tsrnn.nn.plan import NetworkPlan
from tsrnn.nn.skips import Highway

STATIC = 2


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def encoder(seed=0, **changes):
    """An encoder in float64 with random weights everywhere, so that every term matters."""
    by_static = changes.get("initial_state") == "static"
    made = RecurrentEncoder(
        3, encoder_plan(hidden_size=4, **changes), static_size=STATIC if by_static else 0
    ).double()
    made.initialise(generator(seed))
    with torch.no_grad():
        for parameter in made.parameters():
            noise = torch.empty(parameter.shape, dtype=torch.float64)
            parameter.add_(0.2 * noise.normal_(generator=generator(seed + 1)))
    return made


def inputs(batch=2, steps=11, size=3, seed=2):
    return torch.randn(batch, steps, size, dtype=torch.float64, generator=generator(seed))


def first_states(made, batch, static):
    """The states before the first step of every layer, read off the parameters."""
    layers = [*made.layers, *made.backward_layers]
    zeros = [layer.zero_state(batch, like=inputs()) for layer in layers]
    if made.initial is None:
        return zeros
    offset = made.initial.bias.expand(batch, -1)
    if made.initial.weight is not None:
        offset = offset + static @ made.initial.weight.T
    states, at = [], 0
    for layer, each in zip(layers, zeros, strict=True):
        parts = []
        for name, zero in zip(layer.parts, each, strict=True):
            size = 0 if name in layer.fixed else zero.shape[1]
            parts.append(zero + offset[:, at : at + size] if size else zero)
            at += size
        states.append(tuple(parts))
    assert at == offset.shape[1]
    return states


def in_a_loop(layer, x, start, dilation):
    """h_t from x_t and the state ``dilation`` steps before, one step at a time."""
    states, said = [start] * dilation, []
    for t in range(x.shape[1]):
        hidden, after = layer(x[:, t : t + 1], states[-dilation])
        states.append(after)
        said.append(hidden)
    return torch.cat(said, 1)


def plain(made, x, static=None):
    """The output at every step as the equations of the stack say, for any plan."""
    stack = made.plan
    starts = first_states(made, len(x), static)
    if stack.convolution is not None:
        weight, bias = made.convolution.weight, made.convolution.bias
        padded = torch.cat([x.new_zeros(len(x), stack.convolution - 1, x.shape[2]), x], 1)
        x = torch.stack(
            [
                gelu(
                    sum(padded[:, t + j] @ weight[:, :, j].T for j in range(stack.convolution))
                    + bias
                )
                for t in range(x.shape[1])
            ],
            1,
        )
    for i, layer in enumerate(made.layers):
        dilation = (stack.dilations or (1,) * stack.num_layers)[i]
        said = in_a_loop(layer, x, starts[i], dilation)
        if stack.bidirectional:
            back = in_a_loop(
                made.backward_layers[i], x.flip(1), starts[stack.num_layers + i], dilation
            )
            said = torch.cat([said, back.flip(1)], -1)
        skipped = stack.skip != "none" and x.shape == said.shape
        if i == 0 and stack.convolution is None:
            skipped = False
        if skipped and stack.skip == "residual":
            said = said + x
        elif skipped:
            gate = torch.sigmoid(x @ made.skips[i].gate.weight.T + made.skips[i].gate.bias)
            said = gate * said + (1 - gate) * x
        x = said
    return x


STACKS = {
    "residual": {"num_layers": 3, "skip": "residual"},
    "highway": {"num_layers": 3, "skip": "highway"},
    "dilated": {"num_layers": 3, "dilations": (1, 2, 4)},
    "dilated by three": {"dilations": (3,)},
    "learned": {"num_layers": 2, "initial_state": "learned"},
    "static": {"num_layers": 2, "initial_state": "static"},
    "convolution": {"convolution": 3},
    "convolution and highway": {"convolution": 2, "skip": "highway", "num_layers": 2},
    "residual, dilated, learned, convolution": {
        "num_layers": 2,
        "skip": "residual",
        "dilations": (2, 5),
        "initial_state": "learned",
        "convolution": 4,
    },
    "highway, dilated, static": {
        "num_layers": 3,
        "skip": "highway",
        "dilations": (4, 2, 1),
        "initial_state": "static",
    },
}


def every_combination():
    """Everything a stack can have, each with one of the cells."""
    cells = [*CELLS] * 3
    random.Random(0).shuffle(cells)
    turn = itertools.cycle(cells)
    choices = itertools.product(
        ("none", "residual", "highway"),
        ((), (1, 2, 4), (3, 1, 2)),
        ("zero", "learned", "static"),
        (None, 3),
    )
    for skip, dilations, initial_state, convolution in choices:
        yield {
            "cell": next(turn),
            "num_layers": 3,
            "skip": skip,
            "dilations": dilations,
            "initial_state": initial_state,
            "convolution": convolution,
        }


COMBINATIONS = list(every_combination())
NAMES = ["-".join(map(str, combination.values())) for combination in COMBINATIONS]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
def test_a_stack_says_what_its_equations_say(stack, cell):
    made = encoder(cell=cell, **stack)
    x, static = inputs(), inputs(1, 2, STATIC)[0]

    output, state = made(x, static=static)

    expected = plain(made, x, static)
    torch.testing.assert_close(output, expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(state[0][-1], expected[:, -1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("cell", ["lstm", "mut1"])
@pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
def test_a_bidirectional_stack_ends_with_what_has_read_all(stack, cell):
    made = encoder(cell=cell, bidirectional=True, **stack)
    x, static = inputs(), inputs(1, 2, STATIC)[0]

    output, state = made(x, static=static)

    expected = plain(made, x, static)
    torch.testing.assert_close(output, expected, rtol=1e-9, atol=1e-12)
    ends = torch.cat([expected[:, -1, :4], expected[:, 0, 4:]], 1)
    torch.testing.assert_close(state[0][-1], ends, rtol=1e-9, atol=1e-12)


@st.composite
def stacks(draw):
    """Any stack, of any cell and depth."""
    depth = draw(st.integers(1, 3))
    convolution = draw(st.sampled_from([None, 2, 4]))
    skips = ["none"] if depth == 1 and convolution is None else ["none", "residual", "highway"]
    return {
        "cell": draw(st.sampled_from([*CELLS])),
        "num_layers": depth,
        "dilations": tuple(draw(st.lists(st.integers(1, 6), min_size=depth, max_size=depth))),
        "skip": draw(st.sampled_from(skips)),
        "initial_state": draw(st.sampled_from(["zero", "learned", "static"])),
        "convolution": convolution,
    }


@settings(max_examples=60, deadline=None, derandomize=True)
@given(stack=stacks(), cuts=st.sets(st.integers(1, 12)))
def test_every_stack_reads_in_parts_as_it_reads_at_once(stack, cuts):
    made = encoder(**stack)
    x, static = inputs(steps=13), inputs(1, 2, STATIC)[0]

    whole, end = made(x, static=static)
    said, state = [], None
    for start, stop in itertools.pairwise((0, *sorted(cuts), 13)):
        some, state = made(x[:, start:stop], state, static=static)
        said.append(some)

    torch.testing.assert_close(torch.cat(said, 1), whole, rtol=1e-9, atol=1e-12)
    for part, expected in zip(state, end, strict=True):
        torch.testing.assert_close(part, expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(state[0][-1], said[-1][:, -1], rtol=0, atol=0)


@pytest.mark.parametrize("combination", COMBINATIONS, ids=NAMES)
def test_no_combination_sees_later_steps(combination):
    made = encoder(**combination)
    x, static = inputs(steps=13), inputs(1, 2, STATIC)[0]
    changed = x.clone()
    changed[:, 7:] += 5.0

    before, _ = made(x, static=static)
    after, _ = made(changed, static=static)

    torch.testing.assert_close(after[:, :7], before[:, :7], rtol=0, atol=0)
    assert bool((after[:, 7] != before[:, 7]).any())


@pytest.mark.parametrize("combination", COMBINATIONS, ids=NAMES)
def test_every_parameter_of_every_combination_learns(combination):
    made = encoder(**combination)

    output, _ = made(inputs(steps=13), static=inputs(1, 2, STATIC)[0])
    output.square().sum().backward()

    for name, parameter in made.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 0, name


# ---- each piece, beside its equation --------------------------------------------------------


def test_a_highway_is_that_of_the_paper_and_starts_by_carrying():
    gate = Highway(4).double()
    gate.initialise(generator())
    read, said = inputs(2, 3, 4), inputs(2, 3, 4, seed=5)

    mixed = gate(read, said)

    expected = reference.highway(
        read.numpy(),
        said.numpy(),
        gate.gate.weight.detach().numpy(),
        gate.gate.bias.detach().numpy(),
    )
    np.testing.assert_allclose(mixed.detach(), expected, rtol=1e-12)
    at_rest = gate(torch.zeros(1, 4).double(), torch.ones(1, 4).double())
    np.testing.assert_allclose(at_rest.detach(), 1 / (1 + math.exp(2)), rtol=1e-12)


def test_a_convolution_sees_the_steps_before_it_and_zeros_before_the_first():
    made = CausalConvolution(3, 5, kernel=3).double()
    made.initialise(generator())
    x = inputs(1, 6)

    said, recent = made(x)

    expected = reference.causal_convolution(
        x[0].numpy(), made.weight.detach().numpy(), made.bias.detach().numpy()
    )
    np.testing.assert_allclose(said[0].detach(), expected, rtol=1e-6)
    torch.testing.assert_close(recent[:, 0], x[0, -2:], rtol=0, atol=0)


@pytest.mark.parametrize("dilation", [2, 3, 7, 20])
def test_a_dilated_layer_is_the_equation_of_the_paper(dilation):
    layer = encoder(cell="rnn").layers[0]
    x = inputs(1, 13)
    start = tuple(part.expand(dilation, 1, 4) for part in layer.zero_state(1, like=x))

    hidden, queue = read_dilated(layer, x, start, dilation)

    weights = [w.detach().numpy() for w in layer.parameters()]
    expected = reference.dilated_elman(x[0].numpy(), *weights, dilation=dilation)
    np.testing.assert_allclose(hidden[0].detach(), expected, rtol=1e-9)
    newest = min(dilation, 13)
    np.testing.assert_allclose(queue[0][-newest:, 0].detach(), expected[-newest:], rtol=1e-9)
    assert len(queue[0]) == dilation


def test_an_initial_state_starts_at_zero():
    for kind in ("learned", "static"):
        made = RecurrentEncoder(3, encoder_plan(initial_state=kind), static_size=STATIC)
        zero = RecurrentEncoder(3, encoder_plan())
        for each in (made, zero):
            each.initialise(generator())
        x = inputs().float()

        said, _ = made(x, static=torch.ones(2, STATIC))

        torch.testing.assert_close(said, zero(x)[0], rtol=0, atol=0)


def test_parts_of_an_slstm_that_make_one_mean_start_at_zero_together():
    made = encoder(cell="slstm", initial_state="learned")
    with torch.no_grad():
        made.initial.bias.fill_(-9.0)

    said, _ = made(inputs())

    assert made.initial.bias.shape == (4,)
    assert bool(torch.isfinite(said).all())


def test_a_bidirectional_encoder_goes_on_from_no_state():
    made = encoder(bidirectional=True)
    _, state = made(inputs())

    with pytest.raises(ValueError, match="from no state"):
        made(inputs(), state)


def test_an_input_moves_nothing_where_its_weights_are_zero():
    for changes in ({}, {"convolution": 2}, {"bidirectional": True}):
        made = encoder(**changes)
        with torch.no_grad():
            for weight in made.input_weights():
                weight[..., 1] = 0.0
        x = inputs()
        changed = x.clone()
        changed[..., 1] += 3.0

        torch.testing.assert_close(made(changed)[0], made(x)[0], rtol=0, atol=0)


# ---- dropout --------------------------------------------------------------------------------


def test_locked_dropout_drops_the_same_features_at_every_step_and_others_in_each_sequence():
    x = torch.ones(50, 7, 40)

    dropped = locked_dropout(x, 0.25, generator())

    assert locked_dropout(x, 0.25, None) is x
    torch.testing.assert_close(dropped, dropped[:, :1].expand_as(x), rtol=0, atol=0)
    assert len(dropped[:, 0].unique(dim=0)) == 50
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("cell", CELLS)
def test_dropped_recurrent_weights_are_the_same_at_every_step(cell):
    layer = encoder(cell=cell).layers[0]
    x = inputs()
    before = {name: weight.clone() for name, weight in layer.named_parameters()}

    hidden, _ = weight_dropped(layer, 0.5, generator(3))(x, None)

    for name, weight in layer.named_parameters():
        assert torch.equal(weight, before[name])
    recurrent = [w for n, w in layer.named_parameters() if "weight_hh" in n]
    source = generator(3)
    with torch.no_grad():
        for weight in recurrent:
            weight.copy_(dropout(weight, 0.5, source))
    torch.testing.assert_close(hidden, layer(x)[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("changes", [{}, {"bidirectional": True}, {"dilations": (2, 3)}])
def test_recurrent_dropout_moves_training_alone_and_comes_from_the_generator(changes):
    changes = {"num_layers": 2, **changes}
    made = encoder(recurrent_dropout=0.5, **changes)
    x = inputs()

    quiet, _ = made(x)
    one, other, third = (made(x, generator=generator(seed))[0] for seed in (1, 1, 2))

    torch.testing.assert_close(quiet, encoder(**changes)(x)[0], rtol=0, atol=0)
    torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert float((one - third).detach().abs().max()) > 1e-3
    assert float((one - quiet).detach().abs().max()) > 1e-3


def test_recurrent_dropout_is_inputs_and_recurrent_weights_of_one_mask_a_window():
    made = encoder(cell="rnn", recurrent_dropout=0.5)
    x = inputs()

    said, _ = made(x, generator=generator(4))

    source = generator(4)
    mask = dropout(torch.ones(2, 1, 3).double(), 0.5, source)
    weights = {n.rpartition(".")[2]: w.detach() for n, w in made.layers[0].named_parameters()}
    fewer = dropout(weights["weight_hh_l0"], 0.5, source)
    for i in range(2):
        expected = reference.elman(
            (x * mask)[i].numpy(),
            weights["weight_ih_l0"].numpy(),
            fewer.numpy(),
            weights["bias_ih_l0"].numpy(),
            weights["bias_hh_l0"].numpy(),
        )
        np.testing.assert_allclose(said[i].detach(), expected, rtol=1e-9)


# ---- inside the network -----------------------------------------------------------------------

NETWORKS = {
    **STACKS,
    "bidirectional": {"num_layers": 2, "bidirectional": True, "skip": "residual"},
}
del NETWORKS["static"], NETWORKS["highway, dilated, static"]


@pytest.mark.parametrize("patch", [1, 3])
@pytest.mark.parametrize("stack", NETWORKS.values(), ids=NETWORKS)
def test_reading_then_saying_equals_saying_at_the_last_step(stack, patch):
    made = network(patch=patch, **stack)
    values = walk(2, made.plan.look_back + made.plan.context)

    at_last = made(values)
    at_the_end = made.say(values, made.read(values))

    for one, other in zip(at_last, at_the_end, strict=True):
        torch.testing.assert_close(one[:, -1], other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("stack", NETWORKS.values(), ids=NETWORKS)
def test_long_histories_are_read_in_chunks_as_at_once(stack, monkeypatch):
    made = network(patch=3, **stack)
    values = walk(2, made.plan.look_back + 60)
    at_once = made.read(values)

    monkeypatch.setattr("tsrnn.nn.reader.READ_AT_ONCE", 4)
    in_chunks = made.read(values)

    for one, other in zip(in_chunks, at_once, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("stack", [v for v in NETWORKS.values() if "bidirectional" not in v])
def test_advancing_row_by_row_equals_reading_them_all(stack):
    made = network(horizon=1, **stack)
    values = walk(2, made.plan.look_back + 12)

    state = made.read(values[:, :-5])
    for later in range(-4, 1):
        said, state = made.advance(values[:, : later or None], state)

    for one, other in zip(state, made.read(values), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    expected = made.say(values, made.read(values))
    torch.testing.assert_close(said.location, expected.location, rtol=1e-4, atol=1e-4)


def test_a_bidirectional_network_says_something_at_the_last_step_alone():
    made = network(bidirectional=True)
    values = walk(2, made.plan.look_back + made.plan.context)

    said = made(values)

    assert said.location.shape == (2, 1, 5)
    assert not made.plan.is_causal
    assert plan().is_causal


def test_a_bidirectional_network_reads_the_newest_window_and_no_more():
    made = network(bidirectional=True)
    rows = made.plan.look_back + made.plan.context
    values = walk(2, rows + 30)

    whole, window = made.read(values), made.read(values[:, -rows:])
    moved = values.clone()
    moved[:, 30 + made.plan.look_back] += 3.0

    torch.testing.assert_close(whole[0], window[0], rtol=0, atol=0)
    assert float((made.read(moved)[0] - whole[0]).detach().abs().max()) > 1e-4


def test_a_short_history_is_a_window_whose_first_rows_are_missing():
    made = network(bidirectional=True)
    values = walk(2, made.plan.look_back + 5)
    missing = torch.full((2, made.plan.context - 5), torch.nan, dtype=torch.float64)

    padded = made.read(torch.cat([missing, values], 1))

    torch.testing.assert_close(made.read(values)[0], padded[0], rtol=0, atol=0)


def test_a_plan_of_a_stack_survives_the_way_through_json():
    made = plan(dilations=(1, 2), num_layers=2, skip="highway", convolution=3, loss_at="last")

    values = made.to_dict()
    values["encoder"]["dilations"] = list(values["encoder"]["dilations"])

    assert NetworkPlan.from_dict(values) == made


def test_a_plan_of_before_stacks_is_read_as_the_default():
    values = plan().to_dict()
    new = ("skip", "dilations", "recurrent_dropout", "initial_state", "bidirectional")
    for name in (*new, "convolution", "precision"):
        del values["encoder"][name]
    del values["loss_at"]

    assert NetworkPlan.from_dict(values) == plan()
