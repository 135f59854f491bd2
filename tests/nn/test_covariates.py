import pytest
import torch

from tests.nn.test_networks import network, walk
from tsrnn.nn.covariates import ColumnEncoder, CovariatePlan, Covariates

NAN = float("nan")
PLAN = CovariatePlan(future=(None, (1, 3)), past=(None,), static=((1, 2),))


def covariates(batch, steps, ahead, seed=0):
    g = torch.Generator().manual_seed(seed)

    def columns(rows):
        number = torch.randn(batch, rows, 1, generator=g, dtype=torch.float64)
        category = torch.randint(0, 4, (batch, rows, 1), generator=g).double()
        return number, category

    past = torch.cat([*columns(steps), columns(steps)[0]], 2)
    static = torch.arange(batch, dtype=torch.float64)[:, None]
    return Covariates(past, torch.cat(columns(ahead), 2), static)


def test_numbers_are_standardised_and_a_constant_stays_calm():
    encoder = ColumnEncoder((None, None))
    encoder.standardise(torch.tensor([[1.0, 7e9], [3.0, 7e9], [NAN, 7e9]], dtype=torch.float64))

    inputs = encoder(torch.tensor([[3.0, 7e9], [NAN, 7e9 + 1]], dtype=torch.float64))

    assert inputs[0].tolist() == pytest.approx([1.0, 0.0], abs=0.01)
    assert inputs[1, 0].isnan()
    assert inputs[1, 1].item() == pytest.approx(0.0, abs=1e-6)
    assert encoder.complete(inputs)[1].tolist() == pytest.approx([0, 0, 1, 0], abs=1e-6)


def test_an_outlier_is_damped():
    encoder = ColumnEncoder((None,))

    near, far = encoder(torch.tensor([[1.0], [1e12]], dtype=torch.float64))

    assert near.item() == pytest.approx(1.0, abs=0.01)
    assert far.item() == pytest.approx(8.0)


def test_codes_that_are_not_known_and_missing_ones_are_the_zero_vector():
    encoder = ColumnEncoder(((2, 5),))
    encoder.initialise(torch.Generator().manual_seed(0))

    inputs = encoder(torch.tensor([[2.0], [5.0], [3.0], [9.0], [0.0], [NAN]], dtype=torch.float64))

    assert (inputs[:2] != 0).all()
    assert (inputs[2:] == 0).all()
    assert inputs[0] != inputs[1]


def test_what_was_ahead_is_past_one_step_later():
    beside = covariates(2, 6, 3)

    later = beside.after(2)

    torch.testing.assert_close(later.past[:, :4], beside.past[:, 2:], rtol=0, atol=0)
    torch.testing.assert_close(later.past[:, 4:, :2], beside.ahead[:, :2], rtol=0, atol=0)
    assert later.past[:, 4:, 2].isnan().all()
    torch.testing.assert_close(later.ahead, beside.ahead[:, 2:], rtol=0, atol=0)


@pytest.mark.parametrize("patch", [1, 3])
def test_reading_with_covariates_then_saying_equals_saying_at_every_step(patch):
    made = network(patch=patch, covariates=PLAN)
    with torch.no_grad():
        made.response.gain.weight.fill_(0.05)
    steps = made.plan.look_back + 12
    values, beside = walk(2, steps), covariates(2, steps, made.plan.horizon)

    everywhere = made(values, covariates=beside)
    at_the_end = made.say(values, made.read(values, covariates=beside), beside)

    for one, other in zip(everywhere, at_the_end, strict=True):
        torch.testing.assert_close(one[:, -1], other, rtol=1e-5, atol=1e-5)


def test_at_each_step_the_future_of_its_own_horizon_is_seen_and_no_other_column_of_it():
    made = network(covariates=PLAN)
    with torch.no_grad():
        made.response.gain.weight.fill_(0.05)
    steps = made.plan.look_back + 12
    values, beside = walk(1, steps), covariates(1, steps, made.plan.horizon)
    known, unknown = beside.past.clone(), beside.past.clone()
    known[:, -1, 0] += 1.0
    unknown[:, -1, 2] += 1.0

    before = made(values, covariates=beside).location
    by_known = made(values, covariates=beside._replace(past=known)).location
    by_unknown = made(values, covariates=beside._replace(past=unknown)).location

    reach = made.plan.horizon
    assert ((by_known - before).abs().sum(-1)[0, -1 - reach :] > 0).all()
    torch.testing.assert_close(by_known[:, : -1 - reach], before[:, : -1 - reach], rtol=0, atol=0)
    assert (by_unknown - before)[0, -1].abs().sum() > 0
    torch.testing.assert_close(by_unknown[:, :-1], before[:, :-1], rtol=0, atol=0)


def test_an_untrained_network_with_covariates_says_what_one_without_says():
    plain, named = network(spoken=False), network(spoken=False, covariates=PLAN)
    steps = plain.plan.look_back + 8
    values = walk(2, steps)

    said = named(values, covariates=covariates(2, steps, plain.plan.horizon))

    for one, other in zip(said, plain(values), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_plan_with_covariates_survives_the_way_through_plain_values():
    made = network(covariates=PLAN).plan

    assert type(made).from_dict(made.to_dict()) == made


def test_a_network_with_covariates_does_not_read_without_them():
    made = network(covariates=PLAN)

    with pytest.raises(ValueError, match="needs those of the rows"):
        made(walk(1, made.plan.look_back + 4))
