"""Spreads that follow the network's own errors: by hand, by validation, the same on every way, right over years."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from tests.contract.samples import fit_tiny, tiny
from tests.nn.plans import plan as small_plan
from tests.test_training import build
from tests.test_validation import validation
from tsrnn import load
from tsrnn.learning import watching
from tsrnn.nn.hindsight import outcomes, recent_size

PATCH, CONTEXT, HORIZON = 4, 24, 6
DAY = 24


def network(**changes):
    """A network whose steps read four rows each, with something learned."""
    made = build(patch=PATCH, context=CONTEXT, horizon=HORIZON, **changes)
    with torch.no_grad():
        made.head.share.fill_(0.5)
    return made


def rows_for(made, *, series=2, seed=1):
    count = made.plan.look_back + made.plan.context
    generator = torch.Generator().manual_seed(seed)
    return 50 + torch.randn(series, count, dtype=torch.float64, generator=generator).cumsum(1)


def hourly(days, *, seed=0, size=1.0, series=1, swing=3.0):
    """Days of 24 hours around a shape; ``size`` of the noise may change with the day."""
    rng = np.random.default_rng(seed)
    shape = swing * np.sin(np.arange(DAY) / DAY * 2 * np.pi)
    noise = rng.normal(size=(series, days, DAY)) * np.broadcast_to(size, days)[:, None]
    frames = [
        pd.DataFrame(
            {
                "unique_id": f"s{i}",
                "ds": pd.date_range("2024-01-01", periods=days * DAY, freq="h"),
                "y": 50 + (shape + noise[i]).ravel(),
            }
        )
        for i in range(series)
    ]
    return pd.concat(frames, ignore_index=True)


def looking_back(frame, *, power=0.8, **settings):
    """A fitted forecaster whose network heeds its own errors."""
    asked = {"season": DAY, "patch": 12, "context_length": 96, "horizon": 24, **settings}
    model = fit_tiny(frame, **asked)
    for each in model.network_.networks:
        with torch.no_grad():
            each.head.share.fill_(0.5)
            each.hindsight.power.fill_(power)
            each.hindsight.usual.fill_(0.6)
    model.memory_ = model._remember(model._read(frame, fitted=True)[0])
    return model


def test_outcomes_are_the_values_after_each_position():
    values = torch.arange(6.0)[None]

    ahead = outcomes(values, torch.tensor([1, 4]), 3)

    expected = torch.tensor([[[2.0, 3.0, 4.0], [5.0, torch.nan, torch.nan]]])
    torch.testing.assert_close(ahead, expected, equal_nan=True)


def test_errors_count_less_with_age_and_by_what_is_known_of_a_forecast():
    nan = torch.nan
    sizes = torch.tensor(
        [[[1.0, 3.0], [2.0, 9.0], [0.5, nan]], [[nan, nan], [nan, nan], [1.0, 1.0]]]
    )

    error, count = recent_size(sizes).unbind(-1)

    first = 0.95**2 * (1 + 3) / 2 + 0.95 * (2 + 4) / 2 + 0.5 / 2  # 9 counts as 4
    assert error.tolist() == pytest.approx([first, 1.0])
    assert count.tolist() == pytest.approx([0.95**2 + 0.95 + 0.5, 1.0])


def test_its_own_error_is_that_of_forecasts_from_the_steps_of_its_newest_window():
    made = network()
    values = rows_for(made)
    look_back, plan = made.plan.look_back, made.plan

    with torch.no_grad():
        (_, _), (watch, own) = made.recent_errors(values, made.read(values))
        error, count = np.zeros(2), np.zeros(2)
        steps = plan.context // PATCH
        for step in range(1, steps):  # the newest has no outcome yet
            stop = look_back + step * PATCH
            head = made.say(values[:, :stop], made.read(values[:, :stop]))
            target = made.view.relative_target(values[:, stop : stop + HORIZON], head._replace())
            known = target.shape[1]
            spread = head.spread()[..., :known]
            away = target - head.location[:, :known]
            size = away.abs() / torch.where(away < 0, spread[:, 0], spread[:, 1])
            weight = 0.95 ** (steps - 1 - step) / HORIZON
            error += weight * size.clamp_max(4.0).sum(1).numpy()
            count += weight * known

    assert watch is made.hindsight
    np.testing.assert_allclose(own[:, 0], error, rtol=1e-4)
    np.testing.assert_allclose(own[:, 1], count, rtol=1e-5)


def test_what_is_said_is_wider_by_that_factor_alone():
    made = network()
    values = rows_for(made)
    state = made.read(values)
    with torch.no_grad():
        before = made.say(values, state)
        _, (watch, own) = made.recent_errors(values, state)
        watch.power.fill_(0.5)
        watch.usual.fill_(0.3)
        after = made.say(values, state)
        factor = watch(own)

    assert float((factor - 1).abs().min()) > 0.05
    torch.testing.assert_close(after.unit, before.unit * factor.unsqueeze(-1))
    torch.testing.assert_close(after.location, before.location)


@pytest.mark.parametrize(
    ("changes", "looks"),
    [
        ({"patch": 4}, True),
        ({"patch": 1}, False),
        ({"patch": 4, "context": 4}, False),
        ({"patch": 4, "horizon": 65}, False),
        ({"patch": 4, "bidirectional": True}, False),
        ({"patch": 4, "decoder": "recurrent"}, True),
        ({"patch": 4, "decoder": "recurrent", "teacher_forcing": "always"}, False),
    ],
)
def test_which_networks_look_back(changes, looks):
    assert small_plan(**changes).looks_back is looks


@pytest.mark.parametrize(("against", "power"), [(0.5, 1.0), (5.0, 0.0)])
def test_spreads_are_in_proportion_to_own_errors_unless_validation_speaks_against_it(
    monkeypatch, against, power
):
    made = network()
    values = 50 + np.random.default_rng(0).normal(size=900).cumsum()
    check = validation(values, np.arange(100, 890, 3), horizon=HORIZON)
    reading = check.reading(made)
    read = reading.rows, reading.state, reading.covariates
    monkeypatch.setattr(
        type(check), "evidence", lambda _, before, after: 0.0 if after is before else against
    )

    with torch.inference_mode():
        before = made.say(*read)
        _, (watch, own) = made.recent_errors(*read)
        after, _ = watching.follow_errors(made, watch, check, before, own)
        said = made.say(*read)

    stretches = len(np.unique(check.stretch))
    assert float(watch.power) == pytest.approx(power * stretches / (stretches + 5))
    torch.testing.assert_close(said, after)


@pytest.mark.parametrize("decoder", ["direct", "recurrent"])
def test_updated_reread_and_loaded_forecasters_have_the_same_spread(decoder, tmp_path):
    frame = hourly(9, series=2)
    past = frame[frame.groupby("unique_id").cumcount(ascending=False) >= 30]
    model = looking_back(past, decoder=decoder)

    reread = model.predict(frame, level=80)
    model.save(tmp_path / "model")
    loaded = load(tmp_path / "model")
    for each in (model, loaded):
        each.update(frame[~frame.index.isin(past.index)])
        pd.testing.assert_frame_equal(each.predict(level=80), reread, rtol=1e-5)

    flat = looking_back(past, power=0.0, decoder=decoder).predict(frame, level=80)
    assert (reread["forecast-hi-80"] - flat["forecast-hi-80"]).abs().min() > 1e-3
    pd.testing.assert_series_equal(flat["forecast"], reread["forecast"])


def test_intervals_stay_right_where_errors_grow_after_the_fit(monkeypatch):
    """Nothing is fitted anew as the noise doubles: without its own errors four in five become fewer than half."""
    days, taught, quiet = 300, 200, 220
    size = np.where(np.arange(days) < quiet, 1.0, 2.0)
    frame = hourly(days, size=size, swing=30.0)  # the scale sees the swing alone
    past = frame[frame["ds"] < frame["ds"].iloc[taught * DAY]]
    settings = {"season": DAY, "patch": 24, "context_length": 480, "horizon": 24, "max_steps": 1}

    def inside(model):
        folds = model.backtest(frame, n_windows=60, step=24, refit="never", level=80)
        forecasts = folds.forecasts
        within = forecasts["actual"].between(
            forecasts["forecast-lo-80"], forecasts["forecast-hi-80"]
        )
        return within.mean()

    model = tiny(**settings).fit(past)
    monkeypatch.setattr(watching, "POWERS", (0.0,))
    blind = tiny(**settings).fit(past)

    assert float(model.network_.networks[0].hindsight.power) > 0.5
    assert "own recent errors" in model.summary()
    assert inside(blind) < 0.52
    assert inside(model) > 0.65
