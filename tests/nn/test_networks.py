import numpy as np
import pytest
import torch

from tests.nn.plans import LEVELS, plan
from tsrnn.nn.decoders import HeadInputs
from tsrnn.nn.networks import ForecastNetwork
from tsrnn.nn.paths import block_paths, copula_factor, shift_paths, stratified_uniforms
from tsrnn.nn.plan import NetworkPlan


def network(seed=0, *, spoken=True, **changes):
    """A network with random weights everywhere, so that every input matters."""
    made = ForecastNetwork.build(plan(**changes), torch.Generator().manual_seed(seed))
    if spoken:
        with torch.no_grad():
            g = torch.Generator().manual_seed(seed + 1)
            for weight in (made.head.out.weight, made.head.out.bias, made.head.mixture):
                weight.copy_(0.2 * torch.empty(weight.shape).normal_(generator=g))
    return made


def walk(batch, steps, seed=0, start=100.0):
    g = torch.Generator().manual_seed(seed)
    return start + torch.randn(batch, steps, generator=g, dtype=torch.float64).cumsum(1)


@pytest.mark.parametrize("patch", [1, 3])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_reading_then_saying_equals_saying_at_every_step(patch, cell):
    made = network(patch=patch, cell=cell)
    values = walk(2, made.plan.look_back + 12)

    everywhere = made(values)
    state = made.read(values)
    at_the_end = made.say(values, state)

    for one, other in zip(everywhere, at_the_end, strict=True):
        torch.testing.assert_close(one[:, -1], other, rtol=1e-5, atol=1e-5)


def test_reading_in_chunks_equals_reading_at_once(monkeypatch):
    made = network(patch=3)
    values = walk(2, made.plan.look_back + 60)
    at_once = made.read(values)

    monkeypatch.setattr("tsrnn.nn.reader.READ_AT_ONCE", 4)
    in_chunks = made.read(values)

    torch.testing.assert_close(in_chunks[0], at_once[0], rtol=1e-5, atol=1e-6)


def test_an_untrained_network_says_the_mixture_of_the_references():
    made = network(spoken=False)
    values = walk(2, made.plan.look_back + 8)
    said = made(values)

    represented, scale = made.view.represent(values)
    references = made.view.relative_references(represented, scale, made.positions(8))

    torch.testing.assert_close(said.location, references.mean(-2), rtol=1e-5, atol=1e-5)


def test_a_long_horizon_is_said_in_segments_that_see_their_own_references():
    made = network(horizon=70)
    values = walk(2, made.plan.look_back + 8).requires_grad_()

    represented, scale = made.view.represent(values)
    references = made.view.relative_references(represented, scale, made.positions(8))
    references = references.detach().requires_grad_()
    features = made.features(represented, scale, made.positions(8)).detach()
    state = torch.zeros(2, 8, made.plan.encoder.hidden_size)
    anchor, unit = scale.anchor[:, -8:], scale.scale[:, -8:]
    newest = torch.zeros(2, 8, 2)
    said = made.head(HeadInputs(state, features, references, newest, anchor, unit))
    said.location[..., 30].sum().backward()

    moved = references.grad.abs().sum((0, 1, 2)) > 0
    assert torch.nonzero(moved).flatten().tolist() == list(range(24, 48))


@pytest.mark.parametrize("horizon", [65, 72])
def test_an_untrained_network_says_the_mixture_of_a_long_horizon_too(horizon):
    made = network(spoken=False, horizon=horizon)
    values = walk(2, made.plan.look_back + 8)
    said = made(values)

    represented, scale = made.view.represent(values)
    references = made.view.relative_references(represented, scale, made.positions(8))

    torch.testing.assert_close(said.location, references.mean(-2), rtol=1e-5, atol=1e-5)


def test_a_longer_horizon_costs_few_parameters():
    short, long = (sum(p.numel() for p in network(horizon=h).parameters()) for h in (72, 72 + 240))

    assert long - short < 240 * 20


def test_the_fitted_mixture_finds_the_reference_that_is_right():
    made = network(spoken=False)
    g = torch.Generator().manual_seed(3)
    references = torch.randn(500, made.head.references, 5, generator=g)
    target = references[:, 3] + 0.01 * torch.randn(500, 5, generator=g)

    residual = made.head.set_mixture(references, target, torch.ones(500, 5))

    weights = torch.softmax(made.head.mixture.detach(), -2)
    assert float(weights[3].min()) > 0.9
    assert residual.shape == (2500,)
    assert float(residual.abs().mean()) == pytest.approx(1.0, abs=0.1)


def test_every_step_of_the_horizon_sees_the_newest_value():
    made = network()
    values = walk(1, made.plan.look_back + 10)
    moved = values.clone()
    moved[:, -1] += 3.0

    before, after = (made.say(v, made.read(v)) for v in (values, moved))

    change = made.view.restore(after.location, after) - made.view.restore(before.location, before)
    assert bool((change.abs() > 1e-4).all())


def test_what_is_said_at_a_step_does_not_depend_on_later_rows():
    made = network()
    values = walk(1, made.plan.look_back + 10)
    changed = values.clone()
    changed[:, -4:] = 1e5

    before, after = made(values), made(changed)

    torch.testing.assert_close(before.location[:, :6], after.location[:, :6], rtol=0, atol=0)


@pytest.mark.parametrize("anchor", ["level", "last"])
@pytest.mark.parametrize(("factor", "offset"), [(1.0, 2.0**20), (2.0**-20, 0.0), (1000.0, -5.0)])
def test_forecasts_follow_shift_and_scale_of_the_data(anchor, factor, offset):
    made = network(anchor=anchor)
    values = walk(2, made.plan.look_back + 10)
    p = torch.tensor(LEVELS, dtype=torch.float64)[None, None, :]

    def quantiles(v):
        return made.quantiles(made.say(v, made.read(v)), p)

    plain, moved = quantiles(values), quantiles(values * factor + offset)

    torch.testing.assert_close((moved - offset) / factor, plain, rtol=1e-5, atol=1e-4)


def test_log_representation_follows_scale_and_stays_positive():
    made = network(log=True)
    values = walk(2, made.plan.look_back + 10).abs() + 1
    p = torch.tensor(LEVELS, dtype=torch.float64)[None, None, :]

    plain = made.quantiles(made.say(values, made.read(values)), p)
    scaled = made.quantiles(made.say(values * 1e6, made.read(values * 1e6)), p)

    assert bool((plain > 0).all())
    torch.testing.assert_close(scaled / 1e6, plain, rtol=1e-5, atol=0)


def test_a_constant_series_is_continued_exactly():
    made = network()
    values = torch.full((1, made.plan.look_back + 10), 7.25, dtype=torch.float64)

    said = made.say(values, made.read(values))

    forecast = made.view.restore(said.location, said)
    np.testing.assert_array_equal(forecast.detach(), 7.25)


def test_building_a_network_leaves_the_global_random_state_alone():
    before = torch.random.get_rng_state()

    one, other = network(seed=5), network(seed=5)

    assert torch.equal(before, torch.random.get_rng_state())
    for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_plan_survives_the_way_through_plain_values():
    assert NetworkPlan.from_dict(plan(seasons=(4, 12)).to_dict()) == plan(seasons=(4, 12))


def test_stratified_uniforms_put_one_draw_in_each_stratum():
    noise = stratified_uniforms(50, 7, torch.Generator().manual_seed(0))

    strata = (noise * 50).floor().sort(1).values

    np.testing.assert_array_equal(strata, np.arange(50)[None, :, None].repeat(7, 2))


def test_paths_of_a_direct_forecast_have_its_margins():
    made = network()
    values = walk(2, made.plan.look_back + 10)
    state = made.read(values)
    noise = stratified_uniforms(2000, 5, torch.Generator().manual_seed(0))

    paths = block_paths(made, values, state, noise)

    p = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    margins = made.quantiles(made.say(values, state), p[None, None, :])
    drawn = torch.quantile(paths, p, dim=1).permute(1, 2, 0)
    torch.testing.assert_close(drawn, margins, rtol=0, atol=0.15)


def test_paths_go_on_beyond_the_horizon_and_begin_the_same():
    made = network()
    values = walk(2, made.plan.look_back + 10)
    state = made.read(values)
    noise = stratified_uniforms(20, 12, torch.Generator().manual_seed(0))

    long = block_paths(made, values, state, noise)
    short = block_paths(made, values, state, noise[..., :5])

    assert long.shape == (2, 20, 12)
    torch.testing.assert_close(long[..., :5], short, rtol=0, atol=0)


def test_shift_paths_carry_the_state_as_a_second_reading_would():
    made = network(horizon=1)
    values = walk(1, made.plan.look_back + 10)
    noise = torch.full((1, 1, 3), 0.5, dtype=torch.float64)

    path = shift_paths(made, values, made.read(values), noise)[0, 0]

    rows = values
    for value in path.tolist():
        said = made.say(rows, made.read(rows))
        step = made.quantiles(said, torch.tensor([[[0.5]]], dtype=torch.float64))
        assert step.item() == pytest.approx(value, abs=1e-3)
        rows = torch.cat([rows, torch.tensor([[value]], dtype=torch.float64)], 1)


def test_copula_factor_recovers_a_known_correlation():
    g = torch.Generator().manual_seed(0)
    correlation = torch.tensor([[1.0, 0.8, 0.2], [0.8, 1.0, 0.5], [0.2, 0.5, 1.0]]).double()
    normal = torch.randn(20_000, 3, generator=g, dtype=torch.float64)
    scores = normal @ torch.linalg.cholesky(correlation).T

    factor = copula_factor(torch.special.ndtr(scores))

    torch.testing.assert_close(factor @ factor.T, correlation, rtol=0, atol=0.03)
