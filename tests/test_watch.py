"""Spreads that follow recent errors: the factor by its formula, chosen by validation, the same on every way."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from tests import reference
from tests.contract.samples import fit_tiny, tiny, waves
from tests.nn.plans import plan as small_plan
from tests.test_training import build
from tests.test_validation import validation, walk
from tsrnn import load
from tsrnn.learning import watching
from tsrnn.nn.networks import ForecastNetwork
from tsrnn.nn.reference import reference_names
from tsrnn.nn.watch import Watch

ROWS, SEASON, HORIZON = 120, 6, 6


def two_kinds() -> pd.DataFrame:
    """Series that change by as much from row to row: patterns that come back, and noise that does not."""
    rng = np.random.default_rng(0)
    pattern = np.tile(rng.permutation(np.arange(SEASON) - 2.5), ROWS // SEASON)
    size = np.abs(np.diff(pattern)).mean()
    frames = []
    for i in range(24):
        noise = rng.normal(size=ROWS)
        y = pattern + 0.1 * noise if i % 2 else noise * size / np.abs(np.diff(noise)).mean()
        frames.append(pd.DataFrame({"unique_id": f"s{i:02d}", "ds": np.arange(ROWS), "y": 50 + y}))
    return pd.concat(frames, ignore_index=True)


def heeding(frame, *, power=0.5, **settings):
    """A fitted forecaster whose network heeds recent errors."""
    model = fit_tiny(frame, **settings)
    for network in model.network_.networks:
        with torch.no_grad():
            network.head.share.fill_(0.5)
            network.head.watch.power.fill_(power)
            network.head.watch.usual.fill_(0.7)
    model.memory_ = model._remember(model._read(frame, fitted=True)[0])
    return model


@pytest.mark.parametrize(
    ("error", "count", "expected"),
    [(0.0, 0.0, 1.0), (3.0, 6.0, 1.0), (9.0, 6.0, 2.5), (100.0, 6.0, 4.0), (0.0, 98.0, 0.25)],
)
def test_recent_errors_are_relative_to_the_usual_one_with_two_of_credit(error, count, expected):
    watch = Watch()
    watch.usual.fill_(0.5)
    recent = torch.tensor([error, count])

    assert float(watch.relative(recent)) == pytest.approx(expected)
    assert float(watch(recent)) == 1.0
    watch.power.fill_(0.5)
    assert float(watch(recent)) == pytest.approx(expected**0.5)


def test_the_typical_error_is_multiplied_by_what_the_references_did_lately():
    made = ForecastNetwork.build(
        small_plan(seasons=(6,), window=18), torch.Generator().manual_seed(0)
    )
    values = torch.randn(
        2, made.plan.look_back + 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    ).cumsum(1)
    with torch.no_grad():
        made.head.share.fill_(0.5)
        made.head.trust.fill_(2.0)
        made.head.start.normal_(generator=torch.Generator().manual_seed(2))
        before = made(values)
        made.head.watch.power.fill_(0.75)
        made.head.watch.usual.fill_(0.9)
        after = made(values)
        weights = made.head.following_weights(made_record(made, values))

    for b in range(2):
        series = values[b].numpy()
        last = len(series) - 1
        _, _, scale = reference.causal_scale(series, season=6, window=18)
        total = np.zeros(len(reference_names((6,))))
        count = 0.0
        for back in range(1, 33):
            said = reference.reference_forecast(
                series, last - back, horizon=1, season=6, window=18, anchor="level"
            )
            count += 0.9 ** (back - 1)
            errors = [abs(each[0] - series[last - back + 1]) for each in said.values()]
            total += 0.9 ** (back - 1) * np.array(errors)
        bounded = (total / total.mean() * count + 2) / (count + 2) * total.mean()
        weighed = weights[b, 0].mean(-1).numpy() @ bounded / scale[last]
        factor = np.clip((weighed / 0.9 + 2) / (count + 2), 0.25, 4) ** 0.75
        torch.testing.assert_close(
            after.unit[b, -1], before.unit[b, -1] * float(factor), rtol=1e-4, atol=0
        )
    torch.testing.assert_close(after.location, before.location)


def made_record(made, values):
    represented, scale = made.view.represent(values)
    return made.view.track_record(represented, scale, torch.tensor([values.shape[1] - 1])).relative


def test_validation_gives_each_kind_of_series_its_own_spread(monkeypatch):
    """Interval and error of the easy series are a tenth of the others', which spreads alone do not see."""
    frame = two_kinds()
    past = frame[frame["ds"] < ROWS - HORIZON]
    truth = frame[frame["ds"] >= ROWS - HORIZON]["y"].to_numpy().reshape(24, HORIZON)

    def said(model):
        """Widths of the two kinds of series, and the interval score of all (Gneiting and Raftery 2007)."""
        forecast = model.predict(level=80)
        low, high = (
            forecast[f"forecast-{side}-80"].to_numpy().reshape(24, -1) for side in ("lo", "hi")
        )
        outside = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
        width = high - low
        return width[::2].mean(), width[1::2].mean(), (width + 10 * outside).mean()

    settings = {"season": SEASON, "horizon": HORIZON, "context_length": 48, "max_steps": 1}
    model = tiny(**settings).fit(past)
    monkeypatch.setattr(watching, "POWERS", (0.0,))
    blind = tiny(**settings).fit(past)

    assert float(blind.network_.networks[0].head.watch.power) == 0
    assert float(model.network_.networks[0].head.watch.power) > 0.6
    assert "spreads" in model.summary()
    assert "spreads" not in blind.summary()
    hard, easy, score = said(model)
    hard_before, easy_before, score_before = said(blind)
    assert hard / easy > 2 * hard_before / easy_before
    assert score < 0.9 * score_before


def test_every_member_watches_alike():
    frame = two_kinds()
    model = tiny(season=SEASON, horizon=HORIZON, n_members=2, max_steps=8, learning_rate=1e-3)
    model.fit(frame)

    states = [network.head.watch.state_dict() for network in model.network_.networks]

    assert all(state == states[0] for state in states)


def test_updated_reread_and_loaded_forecasters_have_the_same_spread(tmp_path):
    frame = waves(series=3)
    past = frame[frame.groupby("unique_id").cumcount(ascending=False) >= 5]
    model = heeding(past)

    reread = model.predict(frame, level=80)
    model.save(tmp_path / "model")
    loaded = load(tmp_path / "model")
    for each in (model, loaded):
        each.update(frame[~frame.index.isin(past.index)])
        pd.testing.assert_frame_equal(each.predict(level=80), reread, rtol=1e-6)

    flat = heeding(past, power=0.0).predict(frame, level=80)
    assert (reread["forecast-hi-80"] - flat["forecast-hi-80"]).abs().min() > 1e-3
    pd.testing.assert_series_equal(flat["forecast"], reread["forecast"])


def test_what_is_said_after_following_errors_is_what_was_judged(monkeypatch):
    monkeypatch.setattr(watching, "POWERS", (0.5,))
    network = build()
    with torch.no_grad():
        network.head.share.fill_(0.5)
    check = validation(walk(900), np.arange(40, 890))
    reading = check.reading(network)
    read = reading.rows, reading.state, reading.covariates

    with torch.inference_mode():
        before = network.say(*read)
        after, factor = watching.follow_references(
            network, network.output, check, before, network.recent_error(*read)
        )
        said = network.say(*read)

    assert 0 < float(network.head.watch.power) < 1
    assert factor != 1
    torch.testing.assert_close(said, after)
    torch.testing.assert_close(said.location, before.location)
