"""Validation: the score by hand, the standard error of a gain, and what calibration corrects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from tests.test_training import build, make_panel
from tsrnn.inference import Forecasting
from tsrnn.learning.calibration import (
    allow_for_few,
    beside_normal,
    calibrate,
    integral_transform,
)
from tsrnn.learning.start import _first_of_each
from tsrnn.learning.validation import Validation
from tsrnn.nn.decoders import DECODERS
from tsrnn.windows import Origins

LEVELS = (0.1, 0.5, 0.9)
HORIZON = 3


def walk(rows=80, seed=0) -> np.ndarray:
    return 50 + np.random.default_rng(seed).normal(size=rows).cumsum()


def validation(values, known, *, horizon=HORIZON, season=1, bounds=(None, None)) -> Validation:
    panel = make_panel(values)
    known = np.asarray(known)
    return Validation(
        panel,
        Origins(np.zeros_like(known), known),
        panel.lengths,
        horizon=horizon,
        context=10,
        season=season,
        probabilities=LEVELS,
        forecasting=Forecasting(20, 0, bounds),
    )


def test_the_score_is_the_pinball_loss_of_free_forecasts_in_naive_errors():
    network, values = build(), walk()
    values[72] = np.nan
    known = np.array([60, 70, 77])

    check = validation(values, known)

    total = []
    for k in known:
        read = values[max(0, k - 20) : k]  # two windows
        padded = np.concatenate([np.full(network.plan.look_back, np.nan), read])
        before = values[max(0, k - 20 - network.plan.look_back) : max(0, k - 20)]
        padded[network.plan.look_back - len(before) : network.plan.look_back] = before
        with torch.no_grad():
            head = network(torch.from_numpy(padded[None]))
            said = network.quantiles(head, torch.tensor([[[0.1, 0.5, 0.9]]]).double())[0, -1]
        for ahead in range(HORIZON):
            for level, quantile in zip(LEVELS, said[ahead].tolist(), strict=True):
                error = values[k + ahead] - quantile
                total.append(2 * max(level * error, (level - 1) * error))
    scale = np.nanmean(np.abs(np.diff(values)))
    assert check(network) == pytest.approx(np.nanmean(total) / scale, rel=1e-6)


def test_a_point_output_is_scored_by_its_absolute_error():
    network = build(output="point")
    values = walk()
    check = validation(values, [70])

    losses = check.losses(network)

    with torch.inference_mode():
        point, _ = check.forecasting(network, check.reading(network), HORIZON, ())
    np.testing.assert_allclose(losses, np.abs(values[70:73] - point) / check.scale[0])


def test_without_a_single_truth_there_is_nothing_to_choose_by():
    values = walk()
    values[70:] = np.nan

    assert not validation(values, [70, 75])
    assert validation(values, [65, 75])


def test_evidence_counts_stretches_and_not_the_steps_that_share_a_truth():
    """Nine stretches whose gains are 1, 2, ..., 9: mean 5, standard error sqrt(7.5 / 9)."""
    check = validation(walk(40), np.arange(11, 38))
    stretch = (40 - check.origins.known) // HORIZON
    gain = np.repeat((stretch - stretch.min() + 1.0)[:, None], HORIZON, 1)

    evidence = check.evidence(gain, np.zeros_like(gain))

    groups = np.unique(stretch)
    assert len(groups) == 9
    assert evidence == pytest.approx(5 / np.sqrt(7.5 / 9))
    assert check.evidence(np.zeros_like(gain), gain) == pytest.approx(-evidence)


@pytest.mark.parametrize(
    ("rows", "origins"), [(8, [1]), (17, [10]), (19, [8, 4]), (24, [8, 9]), (27, [8, 8, 4])]
)
def test_a_stretch_of_few_origins_is_none_of_its_own(rows, origins):
    """Eight steps ahead: the oldest origins of 17 rows share most of their truth with those after them."""
    check = validation(walk(), np.arange(80 - rows, 80 - 8 + 1), horizon=8)

    assert np.bincount(check.stretch)[1:].tolist() == origins


def test_an_improvement_that_leaves_hardly_any_loss_is_no_luck_of_a_stretch():
    """From 2 to 0.02 over two stretches: errors differ by a share of four times what remains, 0.08."""
    check = validation(walk(), np.arange(80 - 2 * HORIZON - 2, 80 - HORIZON + 1))
    before = np.full((len(check.origins), HORIZON), 2.0)
    noise = 1e-9 * np.arange(len(before))[:, None]

    evidence = check.evidence(before, 0.01 * before + noise)

    shock = np.hypot(0.06 / 2**0.5, 0.6 / 2) * 0.08
    assert evidence == pytest.approx(1.98 / shock, rel=1e-3)


@pytest.mark.parametrize(
    ("gain", "noise", "worth"),
    [(0.005, 0.0, True), (0.005, 0.1, False), (0.03, 0.1, True), (-0.001, 0.0, False)],
)
def test_the_simpler_of_two_is_kept_where_they_tie(gain, noise, worth):
    """Within a hundredth it takes more than one standard error: that of a mean of 33 stretches."""
    check = validation(walk(400), np.arange(300, 397, HORIZON))
    before = np.full((len(check.origins), HORIZON), 2.0)
    luck = np.random.default_rng(0).normal(size=(len(before), 1))
    luck -= luck.mean()

    assert check.is_worth(before, before * (1 - gain + noise * luck)) is worth


def test_one_stretch_of_one_series_is_no_evidence():
    check = validation(walk(), [70])

    assert check.evidence(np.ones((1, HORIZON)), np.zeros((1, HORIZON))) == 0.0


@pytest.mark.parametrize("factor", [0.5, 1.6])
def test_calibration_brings_intervals_to_the_spread_that_was_seen(factor):
    """A network whose intervals are too narrow, or too wide, covers about four fifths afterwards."""
    network, values = build(), walk(900)
    with torch.no_grad():
        network.head.out.weight.zero_()
        network.head.mixture.zero_()
    check = validation(values, np.arange(40, 890))
    for _ in range(3):  # one step is at most a factor of 2.5
        calibrate(network, check)
    with torch.no_grad():
        gap = torch.nn.functional.softplus(network.output.log_gap) * factor
        network.output.log_gap.copy_(torch.expm1(gap).log())

    def coverage():
        with torch.inference_mode():
            _, said = check.forecasting(network, check.reading(network), HORIZON, (0.1, 0.9))
        return ((said[..., 0] <= check.truth) & (check.truth <= said[..., 1])).mean()

    before = coverage()
    calibrate(network, check)

    assert abs(before - 0.8) > 0.08
    assert coverage() == pytest.approx(0.8, abs=0.03)


def test_a_single_stretch_of_time_corrects_no_spread():
    """Origins within one horizon share what moved it: they are one observation of the spread."""
    network = build()
    before = network.output.log_gap.detach().clone()

    correction = calibrate(network, validation(walk(), [75, 76, 77]))

    assert (correction.widening == 1).all()
    torch.testing.assert_close(network.output.log_gap.detach(), before)


def test_a_series_that_has_not_moved_says_nothing_of_how_steps_go_together():
    """Its quantiles are all alike, so that its values would all seem to lie at the lowest of them."""
    centre = torch.tensor([[5.0, 5.0], [0.0, 0.0]]).double()
    spread = torch.tensor([[0.0], [1.0]]).double()

    said = integral_transform(
        lambda p: centre[..., None] + spread[..., None] * torch.special.ndtri(p),
        torch.tensor([[5.0, 5.0], [0.0, torch.nan]]),
    )

    assert said.isnan().tolist() == [[True, True], [False, True]]
    assert float(said[1, 0]) == pytest.approx(0.5, abs=0.01)


def test_rows_that_several_windows_hold_count_once():
    series, start = np.array([0, 0, 1, 1]), np.array([3, 4, 4, 4])

    first = _first_of_each(series, start, torch.tensor([0, 1]))

    rows = [(s, r + p) for s, r in zip(series, start, strict=True) for p in (0, 1)]
    assert first.tolist() == [row not in rows[:i] for i, row in enumerate(rows)]


@pytest.mark.parametrize(("rows", "factor"), [([24], 1.171), ([11, 14], 1.201), ([90_000], 1.0)])
def test_what_few_stretches_show_is_widened_by_students_t(rows, factor):
    """Of 8 and of 3 + 4 of them: t(0.9, 7) = 1.4149 and t(0.9, 6) = 1.4398 (tables), the normal 1.2816."""
    network = build()
    before = torch.cat(network.output.offsets(), -1).detach()

    allow_for_few(network, np.array(rows))

    assert network.output.levels.tolist() == [0.1, 0.5, 0.9]
    after = torch.cat(network.output.offsets(), -1).detach()
    torch.testing.assert_close(after, factor * before, rtol=2e-3, atol=0)


def test_students_t_beside_the_normal_is_that_of_the_tables():
    levels = torch.tensor([0.025, 0.1, 0.9, 0.975]).double()

    ratio = beside_normal(levels, 4)

    expected = [2.7764 / 1.95996, 1.5332 / 1.28155, 1.5332 / 1.28155, 2.7764 / 1.95996]
    np.testing.assert_allclose(ratio, expected, rtol=4e-3)


def test_the_copula_of_paths_is_that_of_a_random_walk_on_a_random_walk():
    network, values = build(), walk(900)
    with torch.no_grad():
        network.head.out.weight.zero_()
        network.head.mixture.copy_(
            torch.tensor([9.0] + [0.0] * (network.head.references - 1))[:, None]
        )

    calibrate(network, validation(values, np.arange(40, 890)))

    correlation = (network.path_factor @ network.path_factor.T).numpy()
    expected = [[1, 2**-0.5, 3**-0.5], [2**-0.5, 1, (2 / 3) ** 0.5], [3**-0.5, (2 / 3) ** 0.5, 1]]
    np.testing.assert_allclose(correlation, expected, atol=0.08)
    assert (network.path_factor.triu(1) == 0).all()


@pytest.mark.parametrize(("series", "least"), [(5000, 0.0606), (50, 0.1040), (4, 0.306)])
def test_one_stretch_is_evidence_of_more_than_a_common_shock_could_give(series, least):
    """What moves a whole stretch can't be seen in one: 6 % of the loss, and more where few series are alike."""
    values = np.random.default_rng(0).normal(size=20 * series).cumsum()
    one = make_panel(values)
    panel = replace(one, indptr=np.arange(series + 1) * 20, ids=pd.RangeIndex(series))
    check = Validation(
        panel,
        Origins(np.arange(series), panel.lengths - HORIZON),
        panel.lengths,
        horizon=HORIZON,
        context=16,
        season=1,
        probabilities=(0.1, 0.5, 0.9),
        forecasting=None,
    )
    before = np.full((series, HORIZON), 2.0)
    noise = 1e-6 * np.random.default_rng(0).normal(size=(series, 1))

    for gain in (0.03, 0.12):
        evidence = check.evidence(before, before * (1 - gain) + noise)
        assert evidence == pytest.approx(gain / least, rel=0.01)


def test_shocks_common_to_few_series_weigh_less_the_more_stretches_tell():
    check = validation(walk(400), np.arange(100, 397, HORIZON))
    stretches = len(np.unique(check.stretch))
    before = np.full((len(check.origins), HORIZON), 2.0)
    noise = 1e-6 * np.random.default_rng(0).normal(size=(len(before), 1))

    least = np.hypot(0.06 / np.sqrt(stretches), 0.6 / stretches)
    assert check.evidence(before, 0.9 * before + noise) == pytest.approx(0.1 / least, rel=0.01)


def test_losses_from_what_was_read_already_are_those_of_reading_anew():
    network, check = build(), validation(walk(), [70, 75])

    np.testing.assert_array_equal(
        check.losses(network, check.reading(network)), check.losses(network)
    )


@pytest.mark.parametrize("decoder", list(DECODERS))
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_glance_tells_the_losses_of_an_untrained_network(decoder, cell):
    network, check = build(decoder=decoder, cell=cell), validation(walk(), [60, 70, 77])
    network.head.initialise(torch.Generator().manual_seed(0))

    glanced, read = (check.losses(network, seen(network)) for seen in (check.glance, check.reading))

    np.testing.assert_allclose(glanced, read, rtol=1e-6)
