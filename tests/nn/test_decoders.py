"""Decoders that are recurrent networks of their own, with and without attention."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests import reference
from tests.nn.plans import LEVELS, plan
from tests.nn.test_networks import network, walk
from tsrnn.nn.decoders import HeadInputs, Teacher, newest_steps, recall, remember
from tsrnn.nn.ensemble import NetworkEnsemble
from tsrnn.nn.networks import ForecastNetwork
from tsrnn.nn.paths import block_paths, stratified_uniforms

STEPWISE = ("recurrent", "attention")
P = torch.tensor(LEVELS, dtype=torch.float64)[None, None, :]


def inputs_of(made, values):
    """What the head of a network knows at the newest row."""
    return made._inputs_at_newest(made.read(values), made._newest_inputs(values, None))


# ---- the equations ------------------------------------------------------------------------


@pytest.mark.parametrize("decoder", STEPWISE)
@pytest.mark.parametrize("fed", [None, [1.5, np.nan, -0.5, 2.0, 0.0]])
def test_the_head_computes_its_equations(decoder, fed):
    made = network(decoder=decoder)
    with torch.no_grad():
        made.head.unit.copy_(torch.tensor([1.0, 1.2, 0.7, 2.0, 0.5]))
    inputs = inputs_of(made, walk(1, made.plan.look_back + 9))

    given = None if fed is None else torch.tensor(fed)[None, None]
    said = made.head(inputs, fed=given)

    origin = [part[0, 0].detach().double().numpy() for part in inputs[:4]]
    slots = None
    if decoder == "attention":
        slots = inputs.memory[0, -9:].detach().double().numpy()
    weights = {k: v.double().numpy() for k, v in made.head.state_dict().items()}
    location, spread, attended = reference.stepwise_head(weights, *origin, fed=fed, slots=slots)
    np.testing.assert_allclose(said.location[0, 0].detach(), location, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(said.log_spread[0, 0].detach(), spread, rtol=1e-4, atol=1e-5)
    if decoder == "attention" and fed is None:
        looked = made.head.attended(inputs)[0, 0].detach()
        np.testing.assert_allclose(looked[:, -9:], attended, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(looked[:, :-9], 0.0)


@pytest.mark.parametrize("decoder", STEPWISE)
@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn", "rnn_relu"])
@pytest.mark.parametrize(("patch", "rows"), [(1, 12), (3, 12), (3, 60)])
def test_reading_then_saying_equals_saying_at_every_step(decoder, cell, patch, rows):
    """Also where more steps are read than attention keeps: 24 rows, eight patches of three."""
    made = network(decoder=decoder, patch=patch, cell=cell)
    values = walk(2, made.plan.look_back + rows)
    values[0, -8] = torch.nan

    everywhere = made(values)
    one_by_one = made.say(values, made.read(values))
    state = made.read(values[:, :-patch])
    advanced, _ = made.advance(values, state)

    for every, one, other in zip(everywhere, one_by_one, advanced, strict=True):
        torch.testing.assert_close(every[:, -1], one, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("decoder", STEPWISE)
def test_reading_in_chunks_equals_reading_at_once(decoder, monkeypatch):
    made = network(decoder=decoder, patch=3)
    values = walk(2, made.plan.look_back + 60)
    at_once = made.read(values)

    monkeypatch.setattr("tsrnn.nn.reader.READ_AT_ONCE", 5)
    in_chunks = made.read(values)

    for one, other in zip(in_chunks, at_once, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("decoder", STEPWISE)
def test_what_is_said_at_a_step_does_not_depend_on_later_rows(decoder):
    made = network(decoder=decoder)
    values = walk(1, made.plan.look_back + 30)
    changed = values.clone()
    changed[:, -4:] = 1e5

    before, after = made(values), made(changed)

    torch.testing.assert_close(before.location[:, :26], after.location[:, :26], rtol=0, atol=0)
    assert (before.location[:, 26:] != after.location[:, 26:]).all()


@pytest.mark.parametrize("decoder", STEPWISE)
def test_what_is_said_at_some_steps_is_what_is_said_there_among_all(decoder):
    made = network(decoder=decoder)
    values = walk(2, made.plan.look_back + 30)

    some = made(values, steps=torch.tensor([3, 27]))

    torch.testing.assert_close(some.location, made(values).location[:, [3, 27]])


@pytest.mark.parametrize("decoder", STEPWISE)
@pytest.mark.parametrize("anchor", ["level", "last"])
@pytest.mark.parametrize(("factor", "offset"), [(1.0, 2.0**20), (2.0**-20, 0.0), (1000.0, -5.0)])
def test_forecasts_follow_shift_and_scale_of_the_data(decoder, anchor, factor, offset):
    made = network(decoder=decoder, anchor=anchor)
    values = walk(2, made.plan.look_back + 10)

    def quantiles(v):
        return made.quantiles(made.say(v, made.read(v)), P)

    plain, moved = quantiles(values), quantiles(values * factor + offset)

    torch.testing.assert_close((moved - offset) / factor, plain, rtol=1e-5, atol=2e-4)


@pytest.mark.parametrize("decoder", STEPWISE)
def test_an_untrained_network_says_the_fitted_mixture(decoder):
    made = network(spoken=False, decoder=decoder)
    g = torch.Generator().manual_seed(3)
    sample = torch.randn(500, made.head.references, 5, generator=g)
    made.head.set_mixture(sample, sample[:, 3] + 0.01, torch.ones(500, 5))
    values = walk(2, made.plan.look_back + 8)
    fed = walk(2, 8 * 5, seed=1).reshape(2, 8, 5)

    represented, scale = made.view.represent(values)
    references = made.view.relative_references(represented, scale, made.positions(8))

    weights = torch.softmax(made.head.mixture, 0)
    for said in (made(values), made(values, fed=fed)):
        torch.testing.assert_close(said.location, (weights * references).sum(-2))
        torch.testing.assert_close(said.log_spread, torch.zeros(2, 8, 2, 5))


@pytest.mark.parametrize("decoder", STEPWISE)
def test_a_constant_series_is_continued_exactly(decoder):
    made = network(decoder=decoder)
    values = torch.full((1, made.plan.look_back + 10), 7.25, dtype=torch.float64)

    said = made.say(values, made.read(values))

    np.testing.assert_array_equal(made.view.restore(said.location, said).detach(), 7.25)


def test_horizon_and_context_differ_freely():
    for horizon, context in ((1, 24), (30, 6), (6, 30)):
        made = network(decoder="attention", horizon=horizon, context=context)
        values = walk(2, made.plan.look_back + 10)
        assert made(values).location.shape == (2, 10, horizon)
        assert made.read(values)[-2].shape[0] == context


# ---- what is fed --------------------------------------------------------------------------


@pytest.mark.parametrize("decoder", STEPWISE)
def test_a_fed_value_moves_the_steps_after_it_alone(decoder):
    made = network(decoder=decoder)
    values = walk(1, made.plan.look_back + 10)
    fed = torch.full((1, 10, 5), torch.nan, dtype=torch.float64)
    free = made(values)

    nothing = made(values, fed=fed)
    fed[..., 2] = 130.0
    third = made(values, fed=fed)

    for one, other in zip(free, nothing, strict=True):
        assert torch.equal(one, other)
    assert torch.equal(free.location[..., :3], third.location[..., :3])
    assert (free.location[..., 3:] != third.location[..., 3:]).all()


@pytest.mark.parametrize("decoder", STEPWISE)
def test_unrolling_says_what_the_whole_head_says_when_fed_the_same(decoder):
    made = network(decoder=decoder)
    values = walk(3, made.plan.look_back + 10)
    fed = torch.full((3, 10, 5), torch.nan, dtype=torch.float64)
    fed[:, -1, :4] = walk(3, 4, seed=1)
    fed[0, -1, 1] = torch.nan
    whole = made(values, fed=fed).location[:, -1]

    steps = made.unroll(values, made.read(values), paths=2)
    said = [next(steps)]
    said += [steps.send(fed[:, -1, h, None].expand(3, 2)) for h in range(4)]

    location = torch.cat([one.location for one in said], -1)
    torch.testing.assert_close(location, whole[:, None].expand(3, 2, 5), rtol=1e-4, atol=1e-5)
    with pytest.raises(StopIteration):
        next(steps)


def test_only_decoders_that_unroll_do_and_only_attention_attends():
    direct = network()
    values = walk(1, direct.plan.look_back + 4)

    with pytest.raises(TypeError, match="Got 'direct'"):
        next(direct.unroll(values, direct.read(values)))
    with pytest.raises(TypeError, match="Got 'direct'"):
        direct.attention(values, direct.read(values))


def test_the_probability_of_the_truth_falls_over_training():
    g = torch.Generator().manual_seed(0)
    truth = torch.randn(4000, 5, generator=g)
    before = torch.random.get_rng_state()

    shares = [
        (~Teacher("scheduled", done, g).choose(truth).isnan()).float().mean().item()
        for done in (0.0, 0.25, 0.75)
    ]

    np.testing.assert_allclose(shares, [1.0, 0.75, 0.25], atol=0.02)
    assert Teacher("scheduled", 1.0, g).choose(truth) is None
    assert Teacher("never", 0.0, g).choose(truth) is None
    assert torch.equal(Teacher("always", 0.9, g).choose(truth), truth)
    assert torch.equal(before, torch.random.get_rng_state())


# ---- attention ----------------------------------------------------------------------------


def test_attention_of_a_hand_built_case():
    """One state points along the decoder's: with a strong score it takes all the weight."""
    made = network(decoder="attention", hidden_size=4, spoken=False)
    hidden = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    memory = torch.tensor([[[5.0, 9.0, 9.0, 9.0], [2.0, 0, 0, 0], [1.0, 7, 7, 7], [0, 0, 0, 0]]])
    visible = torch.tensor([[[False, True, True, True]]])
    nothing = torch.zeros(1, 1, 1)
    inputs = HeadInputs(
        torch.zeros(1, 1, 4),
        nothing,
        nothing,
        nothing,
        nothing,
        nothing,
        None,
        None,
        memory,
        visible,
    )

    with torch.no_grad():
        made.head.score.weight.copy_(torch.eye(4))
        weak = made.head.weights(hidden, inputs)[0, 0]
        made.head.score.weight.mul_(40)
        looked = made.head.look(hidden, inputs)[0]

    expected = (
        np.exp([1.0, 0.5, 0.0]) / np.exp([1.0, 0.5, 0.0]).sum()
    )  # 2 / sqrt(4), 1 / sqrt(4), 0
    np.testing.assert_allclose(weak, [0.0, *expected], rtol=1e-6)
    np.testing.assert_allclose(looked, [1, 0, 0, 0, 2, 0, 0, 0], atol=1e-6)


def test_each_position_sees_itself_and_the_steps_before_it():
    seen = newest_steps(torch.tensor([0, 2, 4]), 5, 3)[0]

    assert seen.int().tolist() == [[1, 0, 0, 0, 0], [1, 1, 1, 0, 0], [0, 0, 1, 1, 1]]


def test_the_newest_states_are_kept_in_order_and_the_missing_ones_hidden():
    said = torch.arange(7.0)[None, :, None].expand(2, -1, 1)

    few = remember(None, said[:, :2], 4)
    many = remember(few, said[:, 2:], 4)

    assert few[0][:, 0, 0].tolist() == [0, 0, 0, 1]
    assert recall(*few)[1][0, 0].tolist() == [False, False, True, True]
    assert many[0][:, 1, 0].tolist() == [3, 4, 5, 6]
    assert recall(*many)[1].all()


def test_attention_forgets_what_lies_before_its_slots():
    made = network(decoder="attention", context=4)
    values = walk(1, made.plan.look_back + 12)
    state = made.read(values)
    slot = torch.zeros_like(state[-2])
    slot[0] = 1.0  # the oldest that is kept

    after = made.attention(values, state)
    moved = made.say(values, (*state[:-2], state[-2] + slot, state[-1]))
    _, later = made.advance(values, state)

    assert after.shape == (1, 5, 4)
    torch.testing.assert_close(after.sum(-1), torch.ones(1, 5))
    assert (moved.location != made.say(values, state).location).all()
    assert torch.equal(later[-2][:-1], state[-2][1:])


# ---- paths --------------------------------------------------------------------------------


@pytest.mark.parametrize("decoder", STEPWISE)
def test_paths_of_a_conditional_decoder_are_drawn_step_by_step(decoder):
    """With a single level each path is what feeding it gives back."""
    made = network(decoder=decoder, teacher_forcing="always")
    values = walk(2, made.plan.look_back + 10)
    state = made.read(values)
    noise = stratified_uniforms(3, 12, torch.Generator().manual_seed(0))

    paths = block_paths(made, values, state, noise)

    assert paths.shape == (2, 3, 12)
    torch.testing.assert_close(
        paths[..., :4], block_paths(made, values, state, noise[..., :4]), rtol=0, atol=0
    )
    for path in range(3):
        fed = torch.full((2, 10, 5), torch.nan, dtype=torch.float64)
        fed[:, -1] = paths[:, path, :5]
        said = made.quantiles(made(values, fed=fed), noise[0, path, :5][None, None, :, None])
        torch.testing.assert_close(said[:, -1, :, 0], paths[:, path, :5], rtol=1e-5, atol=1e-4)
    rows = torch.cat([values, paths[:, 1, :5]], 1)[:, -(made.plan.look_back + 24) :]
    rows = torch.nn.functional.pad(
        rows, (made.plan.look_back + 24 - rows.shape[1], 0), value=np.nan
    )
    second = block_paths(made, rows, made.read(rows), noise[:, 1:2, 5:10])
    torch.testing.assert_close(second[:, 0], paths[:, 1, 5:10], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("output", ["normal", "student_t", "negative_binomial"])
def test_a_step_alone_has_the_quantiles_it_has_among_all(output):
    made = network(decoder="recurrent", output=output)
    values = walk(2, made.plan.look_back + 10).round()
    whole = made.quantiles(made.say(values, made.read(values)), P)

    steps = made.unroll(values, made.read(values))
    nan = torch.full((2, 1), torch.nan, dtype=torch.float64)
    said = [next(steps)] + [steps.send(nan) for _ in range(4)]
    alone = [made.quantiles(one, P, step=h)[:, 0] for h, one in enumerate(said)]

    torch.testing.assert_close(torch.cat(alone, 1), whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("decoder", STEPWISE)
def test_members_are_sent_the_same_values(decoder):
    each = [network(seed=seed, decoder=decoder, teacher_forcing="always") for seed in range(3)]
    together = NetworkEnsemble(each)
    values = walk(2, together.plan.look_back + 9)
    sent = torch.full((2, 1), 101.0, dtype=torch.float64)

    steps = together.unroll(values, together.read(values))
    next(steps)
    said = together.quantiles(steps.send(sent), P, step=1)

    alone = []
    for one in each:
        steps = one.unroll(values, one.read(values))
        next(steps)
        alone.append(one.quantiles(steps.send(sent), P, step=1))
    torch.testing.assert_close(said, torch.stack(alone).mean(0))


# ---- weights ------------------------------------------------------------------------------


@pytest.mark.parametrize("decoder", STEPWISE)
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_weights_come_from_the_generator_alone(decoder, cell):
    before = torch.random.get_rng_state()

    one, other = (
        ForecastNetwork.build(plan(decoder=decoder, cell=cell), torch.Generator().manual_seed(5))
        for _ in range(2)
    )

    assert torch.equal(before, torch.random.get_rng_state())
    for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b)
        assert torch.isfinite(a).all()
    block = one.head.cell.weight_hh[:6].detach()
    torch.testing.assert_close(block @ block.T, torch.eye(6), atol=1e-5, rtol=0)


# ---- stacks -------------------------------------------------------------------------------


@pytest.mark.parametrize("decoder", STEPWISE)
@pytest.mark.parametrize(
    "stack",
    [
        {"cell": "slstm"},
        {"cell": "minlstm", "num_layers": 2, "skip": "residual"},
        {"num_layers": 2, "dilations": (1, 3), "convolution": 2},
        {"bidirectional": True, "context": 12, "loss_at": "last"},
    ],
    ids=["slstm", "residual", "dilated", "bidirectional"],
)
def test_every_stack_reads_for_every_decoder(decoder, stack):
    made = network(decoder=decoder, **stack)
    values = walk(2, made.plan.look_back + 12)

    everywhere = made(values)
    at_the_end = made.say(values, made.read(values))

    for one, other in zip(everywhere, at_the_end, strict=True):
        torch.testing.assert_close(one[:, -1], other, rtol=1e-4, atol=1e-5)
