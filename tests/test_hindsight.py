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
from tsrnn.nn.hindsight import outcomes, recent_error

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

    error, count = recent_error(sizes).unbind(-1)

    first = 0.95**2 * (1 + 3) / 2 + 0.95 * (2 + 4) / 2 + 0.5 / 2  # 9 counts as 4
    assert error.tolist() == pytest.approx([first, 1.0])
    assert count.tolist() == pytest.approx([0.95**2 + 0.95 + 0.5, 1.0])


def test_its_own_error_is_that_of_forecasts_from_the_newest_steps_of_its_newest_window(monkeypatch):
    made = network()
    values = rows_for(made)
    look_back, plan = made.plan.look_back, made.plan
    monkeypatch.setattr("tsrnn.nn.networks.LOOKED_BACK", 4)
    monkeypatch.setattr("tsrnn.nn.networks.LOOKED_AT_ONCE", 1)  # series by series

    with torch.no_grad():
        own = made.own_error(values)
        error, count = np.zeros(2), np.zeros(2)
        steps = plan.context // PATCH
        for step in range(steps - 4, steps):  # the newest has no outcome yet
            stop = look_back + step * PATCH
            head = made.say(values[:, :stop], made.read(values[:, :stop]))
            target = made.view.relative_target(values[:, stop : stop + HORIZON], head)
            known = target.shape[1]
            spread = head.spread()[..., :known]
            away = target - head.location[:, :known]
            size = away.abs() / torch.where(away < 0, spread[:, 0], spread[:, 1])
            weight = 0.95 ** (steps - 1 - step) / HORIZON
            error += weight * size.clamp_max(4.0).sum(1).numpy()
            count += weight * known

    np.testing.assert_allclose(own[:, 0], error, rtol=1e-4)
    np.testing.assert_allclose(own[:, 1], count, rtol=1e-5)


def test_what_is_said_is_wider_by_that_factor_alone():
    made = network()
    values = rows_for(made)
    state = made.read(values)
    with torch.no_grad():
        before = made.say(values, state)
        made.hindsight.power.fill_(0.5)
        made.hindsight.usual.fill_(0.3)
        after = made.say(values, state)
        factor = made.hindsight(made.own_error(values))

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


@pytest.mark.parametrize(
    ("against", "power"), [((0, 0, 0, 1.9), 1.0), ((0, 2.1, 0, 0), 0.25), ((5, 5, 5, 5), 0.0)]
)
def test_spreads_are_in_proportion_to_own_errors_unless_validation_objects(
    monkeypatch, against, power
):
    made = network()
    values = 50 + np.random.default_rng(0).normal(size=900).cumsum()
    check = validation(values, np.arange(100, 890, 3), horizon=HORIZON)
    reading = check.reading(made)
    said_of = iter((0.0, *against))  # of no power, and of a quarter to one
    monkeypatch.setattr(type(check), "evidence", lambda *_: next(said_of))

    with torch.inference_mode():
        before = made.say(reading.rows, reading.state)
        own = made.own_error(reading.rows)
        after, _ = watching.follow_itself(made, made.output, check, before, own)
        said = made.say(reading.rows, reading.state)

    stretches = len(np.unique(check.stretch))
    assert float(made.hindsight.power) == pytest.approx(power * stretches / (stretches + 5))
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


def test_paths_beyond_the_horizon_are_as_wide_as_at_their_origin(monkeypatch):
    """A path tells nothing of the network's errors: it is not looked back at, which would take long."""
    frame = hourly(9, series=2)
    model = looking_back(frame)
    seen = []
    own_error = type(model.network_.networks[0]).own_error

    def counted(self, values, covariates=None):
        seen.append(len(values))
        return own_error(self, values, covariates)

    monkeypatch.setattr(type(model.network_.networks[0]), "own_error", counted)

    paths = model.simulate(n_paths=20, horizon=60)

    assert seen == [2]
    assert np.isfinite(paths.select_dtypes("number").to_numpy()).all()


@pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")
def test_covariates_and_channels_look_back_too():
    frame = hourly(9)
    frame["load"] = frame["y"].shift(1).bfill() + 5
    past, ahead = frame[:-24], frame[-24:]
    known = looking_back(past, future_covariates=["load"])
    wide = known.predict(level=80, future_df=ahead.drop(columns="y"))
    known.network_.networks[0].hindsight.power.fill_(0.0)
    flat = known.predict(level=80, future_df=ahead.drop(columns="y"))
    assert (wide["forecast-hi-80"] - flat["forecast-hi-80"]).abs().min() > 1e-3

    joint = looking_back(past, target_col=["y", "load"])
    reread = joint.predict(past, level=80)
    pd.testing.assert_frame_equal(joint.predict(level=80), reread, rtol=1e-5)


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
