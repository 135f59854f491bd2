import numpy as np
import pytest
import torch

from tests import reference
from tsrnn.nn.reference import look_back, reference_forecasts, reference_names
from tsrnn.nn.scaling import causal_scale, last_observed, relative_move, represent, restore


def series(seed, steps=60, missing=0.2):
    rng = np.random.default_rng(seed)
    values = np.cumsum(rng.normal(size=steps)) + 5 * np.sin(np.arange(steps) * np.pi / 3)
    values[rng.random(steps) < missing] = np.nan
    values[:2] = np.nan
    return values


@pytest.mark.parametrize("season", [1, 6])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_level_and_scale_are_those_of_their_definition(season, missing):
    values = series(0, missing=missing)

    scale = causal_scale(torch.tensor(values)[None], season=season, window=15, anchor="level")

    last, mean, spread = reference.causal_scale(values, season=season, window=15)
    np.testing.assert_allclose(scale.last[0], last, rtol=1e-12)
    np.testing.assert_allclose(scale.mean[0], mean, rtol=1e-10)
    np.testing.assert_allclose(scale.scale[0], spread, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("anchor", ["last", "level"])
@pytest.mark.parametrize("season", [1, 6, 7])
def test_reference_forecasts_are_those_of_their_definition(anchor, season):
    values = series(1)
    scale = causal_scale(torch.tensor(values)[None], season=season, window=18, anchor=anchor)
    positions = torch.tensor([5, 20, 59])

    said = reference_forecasts(
        torch.tensor(values)[None], scale, positions, horizon=8, seasons=(season,), window=18
    )

    assert len(reference_names((season,))) == len(said)
    for i, t in enumerate(positions.tolist()):
        expected = reference.reference_forecast(
            values, t, horizon=8, season=season, window=18, anchor=anchor
        )
        for j, forecast in enumerate(expected.values()):
            np.testing.assert_allclose(said[j][0, i], forecast, rtol=1e-9)


@pytest.mark.parametrize("season", [6, 7])
@pytest.mark.parametrize("horizon", [1, 8, 14])
def test_reference_forecasts_of_whole_series_and_of_those_with_gaps_stand_side_by_side(
    horizon, season
):
    gaps = [(), range(10), range(40, 47), (), (139,)]
    rows = np.random.default_rng(0).normal(size=(len(gaps), 140)).cumsum(1)
    for row, missing in zip(rows, gaps, strict=True):
        row[list(missing)] = np.nan
    values, positions = torch.tensor(rows), torch.tensor([103, 120, 139])
    scale = causal_scale(values, season=season, window=24, anchor="level")

    said = reference_forecasts(
        values, scale, positions, horizon=horizon, seasons=(season,), window=24
    )

    for i, t in enumerate(positions.tolist()):
        for row, own in enumerate(rows):
            expected = reference.reference_forecast(
                own, t, horizon=horizon, season=season, window=24, anchor="level"
            )
            for forecast, wanted in zip(said, expected.values(), strict=True):
                np.testing.assert_allclose(forecast[row, i], wanted, rtol=1e-9)


@pytest.mark.parametrize("horizon", [8, 50])
def test_reference_forecasts_need_no_more_rows_than_the_look_back(horizon):
    values = torch.tensor(series(2, steps=300))[None]
    rows = look_back((7,), 24, horizon) + 1
    newest = values[:, -rows:]

    def forecast(v):
        scale = causal_scale(v, season=7, window=24, anchor="level")
        at = torch.tensor([v.shape[1] - 1])
        return reference_forecasts(v, scale, at, horizon=horizon, seasons=(7,), window=24)

    torch.testing.assert_close(forecast(values), forecast(newest), rtol=1e-9, atol=1e-9)


def test_nothing_at_a_step_depends_on_later_rows():
    values = torch.tensor(series(3))[None]
    changed = values.clone()
    changed[:, 40:] = 1e6

    before = causal_scale(values, season=6, window=20, anchor="level")
    after = causal_scale(changed, season=6, window=20, anchor="level")

    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one[:, :40], other[:, :40], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("offset", [0.0, 2.0**27])
@pytest.mark.parametrize("factor", [1.0, 2.0**-40, 2.0**40])
def test_scale_follows_units_exactly_and_ignores_the_offset(offset, factor):
    rng = np.random.default_rng(4)
    values = torch.tensor(np.round(np.cumsum(rng.normal(size=50)) * 64) / 64)[None]

    plain = causal_scale(values, season=1, window=20, anchor="last")
    moved = causal_scale(values * factor + offset * factor, season=1, window=20, anchor="last")

    torch.testing.assert_close(moved.scale, plain.scale * factor, rtol=1e-12, atol=0)


def test_a_constant_stretch_has_a_scale_of_exactly_zero():
    values = torch.cat([torch.randn(30, dtype=torch.float64), torch.full((30,), 7.3)])[None]

    scale = causal_scale(values.double(), season=1, window=10, anchor="last")

    assert scale.scale[0, -1] == 0


def test_last_observed_carries_values_forward_only():
    values = torch.tensor([[torch.nan, 1.0, torch.nan, 3.0, torch.nan]])

    np.testing.assert_array_equal(last_observed(values)[0], [np.nan, 1, 1, 3, 3])


@pytest.mark.parametrize("log", [True, False])
def test_restore_undoes_relative_moves(log):
    values = torch.tensor([0.5, 1.0, 80.0], dtype=torch.float64)
    anchor = represent(torch.tensor(3.0, dtype=torch.float64), log=log)

    move = relative_move(represent(values, log=log) - anchor, log=log)

    torch.testing.assert_close(restore(anchor, move, log=log), values)


def test_relative_moves_of_logarithms_are_shares_upwards_and_logarithms_downwards():
    move = torch.tensor([0.5, 2.0], dtype=torch.float64).log()

    torch.testing.assert_close(
        relative_move(move, log=True), torch.tensor([np.log(0.5), 1.0], dtype=torch.float64)
    )


def test_levels_are_represented_by_themselves():
    values = torch.tensor([0.5, 1.0, 80.0], dtype=torch.float64)

    assert represent(values, log=False) is values


@pytest.mark.parametrize("anchor", ["level", "last"])
@pytest.mark.parametrize(("season", "window"), [(1, 5), (7, 63), (4, 600)])
def test_rows_without_a_gap_have_the_same_scale_bit_for_bit(season, window, anchor):
    values = torch.randn(3, 200, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    values = 1e3 * values.cumsum(1)
    values[2] = 5.0
    how = {"season": season, "window": window, "anchor": anchor}

    quick = causal_scale(values, **how)
    general = causal_scale(values.clone().requires_grad_(), **how)  # takes the long way

    for own, expected in zip(quick, general, strict=True):
        assert torch.equal(own, expected.detach())
