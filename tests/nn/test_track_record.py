import numpy as np
import pytest
import torch

from tests import reference
from tests.nn.plans import plan
from tsrnn.nn.networks import ForecastNetwork
from tsrnn.nn.reference import look_back, reference_names
from tsrnn.nn.scaling import causal_scale
from tsrnn.nn.track_record import REMEMBERED, track_record


def rows(batch, steps, seed=0):
    values = np.random.default_rng(seed).normal(size=(batch, steps)).cumsum(1)
    return torch.from_numpy(values + 5 * np.sin(np.arange(steps) * np.pi / 3))


def record_of(values, positions, *, season=6, window=18, anchor="level"):
    scale = causal_scale(values, season=season, window=window, anchor=anchor)
    at = torch.as_tensor(positions)
    return track_record(values, scale, at, seasons=(season,), window=window).relative


@pytest.mark.parametrize("season", [1, 6])
@pytest.mark.parametrize("missing", [0.0, 0.15])
def test_a_record_is_that_of_its_definition(season, missing):
    values = rows(1, 90)
    values[0, np.random.default_rng(1).random(90) < missing] = torch.nan
    values[0, :3] = torch.nan

    record = record_of(values, [40, 89], season=season)

    for i, t in enumerate((40, 89)):
        expected = reference.track_record(values[0].numpy(), t, season=season, window=18)
        np.testing.assert_allclose(record[0, i], expected, rtol=1e-5, atol=1e-6)


def test_a_record_does_not_depend_on_later_rows():
    values = rows(1, 90)
    changed = values.clone()
    changed[:, 61:] = 1e6

    before, after = (record_of(v, [59, 60]) for v in (values, changed))

    assert torch.equal(before, after)


@pytest.mark.parametrize(("factor", "offset"), [(1.0, 2.0**20), (2.0**-30, 0.0), (-1000.0, 7.0)])
def test_a_record_does_not_change_with_shift_and_scale(factor, offset):
    values = rows(2, 90)

    moved = record_of(values * factor + offset, [50, 89])

    torch.testing.assert_close(moved, record_of(values, [50, 89]), rtol=1e-5, atol=1e-6)


def test_a_record_feels_no_company():
    values = rows(3, 90)

    together = record_of(values, [50, 89])
    alone = torch.cat([record_of(each[None], [50, 89]) for each in values])

    torch.testing.assert_close(together, alone, rtol=1e-6, atol=1e-6)


def test_a_record_needs_no_more_rows_than_the_look_back():
    values = rows(1, 300)
    newest = values[:, -(look_back((6,), 18, 1) + REMEMBERED + 1) :]

    whole, cut = (record_of(v, [v.shape[1] - 1]) for v in (values, newest))

    torch.testing.assert_close(cut, whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("value", [torch.nan, 7.25])
def test_a_series_that_tells_nothing_has_no_record(value):
    values = torch.full((1, 90), value, dtype=torch.float64)

    assert torch.equal(record_of(values, [89]), torch.zeros(1, 1, len(reference_names((6,)))))


def test_weights_follow_what_was_right_on_that_very_series():
    """Of two kinds of series in one panel, walks go on from the last value, noise around its mean."""
    made = ForecastNetwork.build(
        plan(seasons=(1,), anchor="last"), torch.Generator().manual_seed(0)
    )
    names = reference_names((1,))
    noise = np.random.default_rng(0).normal(size=(60, made.plan.look_back + 40))
    values = torch.from_numpy(np.concatenate([noise[:30].cumsum(1), noise[30:]]))
    represented, scale = made.view.represent(values)
    positions = made.positions(35)
    references = made.view.relative_references(represented, scale, positions).flatten(0, 1)
    record = made.view.track_record(represented, scale, positions).relative
    ahead = positions[:, None] + torch.arange(1, 6)
    target = made.view.relative_target(values[:, ahead], made(values[:, :-5])).flatten(0, 1)

    made.head.set_mixture(references, target, torch.ones_like(target), record.flatten(0, 1))

    with torch.no_grad():
        power = made.head.following_weights(record[:, -1]).mean(-1)  # (series, reference)
    walks, levels = power[:30].mean(0), power[30:].mean(0)
    assert walks[names.index("last")] > 3 * levels[names.index("last")]
    assert levels[names.index("long-mean")] > 3 * walks[names.index("long-mean")]


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_forecast_is_learned_by_its_share_and_follows_the_record_by_the_rest(share):
    made = ForecastNetwork.build(plan(), torch.Generator().manual_seed(0))
    values = rows(2, made.plan.look_back + 8)
    represented, scale = made.view.represent(values)
    positions = made.positions(8)
    references = made.view.relative_references(represented, scale, positions)
    record = made.view.track_record(represented, scale, positions).relative
    with torch.no_grad():
        made.head.share.fill_(share)
        made.head.trust.fill_(3.0)

    said = made(values)

    followed = (torch.softmax(-3 * record, -1).unsqueeze(-1) * references).sum(-2)
    expected = share * references.mean(-2) + (1 - share) * followed
    torch.testing.assert_close(said.location, expected, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        made.head.share[1] = 1.0  # of spreads, which move no location
    torch.testing.assert_close(made(values).location, said.location)


@pytest.mark.parametrize("seasons", [(1,), (4,)])
@pytest.mark.parametrize("missing", [0.0, 0.15])
def test_references_and_record_of_one_place_are_those_computed_apart(seasons, missing):
    made = ForecastNetwork.build(plan(seasons=seasons), torch.Generator().manual_seed(0))
    values = rows(2, made.plan.look_back + 12)
    values[torch.rand(values.shape, generator=torch.Generator().manual_seed(1)) < missing] = (
        torch.nan
    )
    represented, scale = made.view.represent(values)
    newest = torch.tensor([values.shape[1] - 1])

    references, record = made.view.references_and_record(represented, scale, newest)

    apart = made.view.relative_references(represented, scale, newest)
    torch.testing.assert_close(references, apart)
    torch.testing.assert_close(record, made.view.track_record(represented, scale, newest))
