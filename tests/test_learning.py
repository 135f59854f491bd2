"""What a fit does with its rows: start from the references, choose, go back, train on all."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from tests.contract.samples import DECODERS, HORIZON, tiny, waves
from tests.test_training import build, make_panel
from tsrnn import RNNForecaster, load
from tsrnn.learning.loss import training_loss
from tsrnn.learning.start import start_from_reference
from tsrnn.learning.training import TrainingResult
from tsrnn.learning.validation import Validation
from tsrnn.windows import WindowSampler

pytestmark = pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")


def series(values, name="y") -> pd.Series:
    return pd.Series(values, index=pd.date_range("2020-01-01", periods=len(values)), name=name)


def sampler(values, weights=None) -> WindowSampler:
    panel = make_panel(values, weights)
    look_back = build().plan.look_back
    return WindowSampler(panel, panel.lengths, look_back=look_back, context=10, horizon=3, patch=1)


def fresh():
    network = build()
    with torch.no_grad():
        network.head.out.weight.zero_()
    return network


# ---- the start ----------------------------------------------------------------------------


@pytest.mark.parametrize("best", ["last", "drift"])
def test_an_untrained_network_already_says_the_best_reference(best):
    """A line is drift; noise around nothing but its last step is the last value."""
    rng = np.random.default_rng(0)
    values = 0.5 * np.arange(300) if best == "drift" else rng.normal(size=300).cumsum()
    network = fresh()

    start_from_reference(network, sampler(values), np.random.default_rng(0))

    weights = torch.softmax(network.head.mixture, 0).mean(1)
    assert ("last", "drift", "mean")[int(weights.argmax())] == best
    assert weights.max() > 0.5


def test_the_start_knows_how_wrong_the_references_are():
    """On a walk the error of the last value grows like the square root of the step."""
    network = fresh()
    values = np.random.default_rng(0).normal(size=3000).cumsum()

    start_from_reference(network, sampler(values), np.random.default_rng(0))

    unit = network.head.unit.numpy()
    np.testing.assert_allclose(unit / unit[0], np.sqrt([1, 2, 3]), rtol=0.1)


def test_rows_of_no_weight_have_no_say_in_the_start():
    """The second half of the record is another world, and its weights are zero."""
    rng = np.random.default_rng(0)
    walk, line = rng.normal(size=200).cumsum(), 3.0 * np.arange(200)
    weights = np.repeat([1.0, 0.0], 200)
    mixtures = []
    for values, given in (
        (np.concatenate([walk, line]), weights),
        (np.concatenate([walk, -7 * line]), weights),
        (np.concatenate([walk, line]), np.ones(400)),
    ):
        network = fresh()
        start_from_reference(network, sampler(values, given), np.random.default_rng(0))
        mixtures.append(network.head.mixture.detach())

    assert torch.equal(mixtures[0], mixtures[1])
    assert not torch.equal(mixtures[0], mixtures[2])


def test_a_record_without_two_values_leaves_the_network_as_it_is():
    network = fresh()
    before = {k: v.clone() for k, v in network.state_dict().items()}

    start_from_reference(network, sampler(np.full(40, np.nan)), np.random.default_rng(0))

    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_a_walk_is_left_to_the_last_value_and_the_summary_says_so(tmp_path):
    """Nothing beats it, so that what a mixture adds is luck; in a season it is no match."""
    steps = np.random.default_rng(1).normal(size=(30, 120))
    walks = steps.cumsum(1)
    frame = pd.concat(
        [series(walk).to_frame().assign(unique_id=f"w{i:02d}") for i, walk in enumerate(walks)]
    )

    model = tiny(season=7, max_steps=2).fit(frame)

    assert model.network_.members[0].head.stays
    assert "the last value: no mixture of them forecast better" in model.summary()
    assert model.best_step_ == 0
    said = model.predict().groupby("unique_id", sort=False)["forecast"]
    np.testing.assert_allclose(said.first(), walks[:, -1], rtol=1e-6)
    np.testing.assert_allclose(said.last(), walks[:, -1], rtol=1e-6)

    model.save(tmp_path / "model")

    again = load(tmp_path / "model")
    pd.testing.assert_frame_equal(again.predict(level=80), model.predict(level=80))
    assert again.network_.members[0].head.stays
    weekly = tiny(season=7).fit(series(np.tile(np.arange(7.0), 40)))
    assert not weekly.network_.members[0].head.stays
    assert "no mixture of them" not in weekly.summary()


# ---- the choice ---------------------------------------------------------------------------


def test_training_that_may_be_luck_is_undone(monkeypatch):
    """Within a standard error the mixture of references is what is left."""
    monkeypatch.setattr(Validation, "evidence", lambda *_: 0.9)

    model = tiny().fit(waves())

    assert model.best_step_ == 0
    assert not model.network_.members[0].head.out.weight.any()
    assert model.history_[
        "val_score"
    ].is_monotonic_decreasing  # it was better, but not beyond doubt


def test_what_was_learned_is_kept_by_the_share_that_is_no_luck(monkeypatch):
    """Two standard errors keep three quarters; what is said lies between mixture and training."""
    monkeypatch.setattr("tsrnn.learning.choosing.SHARES", (1.0,))
    frame = waves()
    said = {}
    for evidence in (1e9, 2.0, 0.5):
        monkeypatch.setattr(Validation, "evidence", lambda *_, evidence=evidence: evidence)
        model = tiny().fit(frame)
        said[evidence] = model.predict()["forecast"].to_numpy()
        head = model.network_.members[0].head
        if evidence == 2.0:
            assert head.share.tolist() == pytest.approx([0.75, 0.75])
            assert ", 75% of what it says of medians and 75% of spreads kept" in model.summary()
            head.share.fill_(1.0)
            whole = model.predict(frame)["forecast"].to_numpy()
            head.share.zero_()
            nothing = model.predict(frame)["forecast"].to_numpy()

    assert model.best_step_ == 0
    np.testing.assert_allclose(whole, said[1e9], rtol=1e-5)
    np.testing.assert_allclose(said[2.0], 0.75 * whole + 0.25 * nothing, rtol=1e-4, atol=1e-5)


def test_what_was_learned_is_mixed_by_the_share_that_forecasts_best(monkeypatch):
    """A loss that is least at one half keeps one half, where nothing is luck."""
    calls = []

    def least_at_half(self, network, reading=None, *, medians=False):
        calls.append(network)
        share = float(network.head.share[0 if medians else 1])
        loss = 1 + (share - 0.5) ** 2 - 0.001 * len(calls)  # training helps
        return np.full_like(self.truth, loss)

    monkeypatch.setattr(Validation, "evidence", lambda *_: 1e9)
    monkeypatch.setattr(Validation, "losses", least_at_half)

    model = tiny().fit(waves())

    assert model.network_.members[0].head.share.tolist() == [0.5, 0.5]


def test_where_only_spreads_were_learned_the_forecast_stays_the_mixture(monkeypatch):
    monkeypatch.setattr("tsrnn.learning.choosing.SHARES", (1.0,))
    monkeypatch.setattr(Validation, "evidence", lambda *_: 1e9)
    losses = Validation.losses

    def medians_got_worse(self, network, reading=None, *, medians=False):
        if not medians:
            return losses(self, network, reading)
        return np.full_like(self.truth, float(network.head.share[0]))

    monkeypatch.setattr(Validation, "losses", medians_got_worse)
    frame = waves()

    model = tiny().fit(frame)

    head = model.network_.members[0].head
    assert model.best_step_ > 0
    assert head.share.tolist() == [0.0, 1.0]
    said = model.predict(frame, level=80)
    head.share.fill_(0.0)
    mixture = model.predict(frame, level=80)
    pd.testing.assert_series_equal(said["forecast"], mixture["forecast"])
    assert (said["forecast-hi-80"] - mixture["forecast-hi-80"]).abs().min() > 1e-3


def test_training_that_helps_is_kept():
    model = tiny().fit(waves())

    assert model.best_step_ == model.history_.loc[model.history_["val_score"].idxmin(), "step"]
    assert model.network_.members[0].head.out.weight.any()


def test_series_too_short_to_choose_by_train_a_quarter_as_long():
    values = np.sin(np.arange(6.0))

    model = tiny(max_steps=8).fit(series(values))

    assert model.history_["step"].max() == 2
    assert model.history_["val_score"].isna().all()
    assert model.skill_ is None
    assert np.isfinite(model.predict().to_numpy()).all()
    assert "not enough rows to judge" in model.summary()


@pytest.mark.slow
def test_the_newest_rows_enter_the_weights_once_they_have_judged():
    """Two frames that differ in the judging rows alone lead to different weights."""
    frame = waves()
    newest = frame.groupby("unique_id").cumcount() >= len(frame) // 2 - HORIZON
    other = frame.assign(y=frame["y"].where(~newest, frame["y"] + 0.3))

    one, two = (tiny(representation="difference").fit(f) for f in (frame, other))

    pd.testing.assert_frame_equal(one.history_, two.history_, check_exact=True)
    assert not torch.equal(
        one.network_.members[0].head.out.weight, two.network_.members[0].head.out.weight
    )


# ---- members ------------------------------------------------------------------------------


def test_members_are_trained_from_their_own_seeds_and_averaged(tmp_path):
    model = tiny(n_members=2).fit(waves())
    one, two = model.network_.members
    alone = tiny().fit(waves())

    assert not torch.equal(*(network.encoder.layers[0].rnn.weight_hh_l0 for network in (one, two)))
    torch.testing.assert_close(one.head.out.weight, alone.network_.members[0].head.out.weight)
    assert "2, quantiles averaged" in model.summary()

    model.save(tmp_path / "model")

    pd.testing.assert_frame_equal(load(tmp_path / "model").predict(), model.predict())


def test_members_of_a_mixture_alone_would_be_the_same(monkeypatch):
    monkeypatch.setattr(Validation, "evidence", lambda *_: 0.9)

    assert len(tiny(n_members=3).fit(waves()).network_.members) == 1


def test_choosing_and_members_share_max_time(monkeypatch):
    """Trainings that use all they are given never overdraw the ten seconds."""
    limits = []

    def fit(network, sampler, plan, *, validate, notify, first_score=None):
        limits.append(plan.max_time)
        now[0] += plan.max_time
        return TrainingResult(4, 0.0, [])

    now = [0.0]
    monkeypatch.setattr("tsrnn.learning.learner.time.monotonic", lambda: now[0])
    monkeypatch.setattr("tsrnn.learning.training.fit_network", fit)
    monkeypatch.setattr(Validation, "evidence", lambda *_: 9.0)

    tiny(n_members=2, max_time=10).fit(waves())

    assert limits == [5.0, 2.5, 2.5]


# ---- weights of rows ----------------------------------------------------------------------


@pytest.mark.slow
def test_equal_weights_are_no_weights_whatever_they_are():
    frame = waves()
    expected = tiny(max_steps=8).fit(frame).predict()

    for weight in (1.0, 4.0):
        weighted = frame.assign(w=weight)
        got = tiny(max_steps=8, weight_col="w").fit(weighted).predict()
        np.testing.assert_array_equal(got["forecast"], expected["forecast"])


def test_weights_move_what_is_learned():
    frame = waves()
    weighted = frame.assign(w=np.where(frame["unique_id"] == "s0", 1.0, 0.0))

    one = tiny(max_steps=8, weight_col="w").fit(weighted)
    other = tiny(max_steps=8).fit(frame)

    assert (one.history_["train_loss"] != other.history_["train_loss"]).all()


def test_targets_of_no_weight_do_not_matter_to_the_loss():
    network = build()
    rows = network.plan.look_back + 13
    values = torch.from_numpy(50 + np.random.default_rng(0).normal(size=(2, rows)).cumsum(1))
    weights = torch.ones_like(values)
    weights[:, -3:] = 0.0  # rows that are forecast and never read
    poisoned = values.clone()
    poisoned[:, -3:] *= 1e3

    assert training_loss(network, values, weights).item() == (
        training_loss(network, poisoned, weights).item()
    )
    assert training_loss(network, values, None).item() != (
        training_loss(network, poisoned, None).item()
    )


# ---- known answers ------------------------------------------------------------------------


def forecast_of(values, **changes) -> np.ndarray:
    settings = {
        "horizon": 12,
        "hidden_size": 16,
        "max_steps": 150,
        "learning_rate": 1e-2,
        "season": 1,
    }
    return RNNForecaster(**{**settings, **changes}).fit(series(values)).predict().to_numpy()


@pytest.mark.slow
def test_a_sine_that_is_no_season_is_continued():
    """Period 17 on daily data: only the network can know it. Off by less than 5 % of the amplitude."""
    step = np.arange(252)
    sine = 10 + 3 * np.sin(2 * np.pi * step / 17)

    forecast = forecast_of(sine[:240])

    assert np.abs(forecast - sine[240:]).mean() < 0.05 * 3


def test_a_sine_that_is_a_season_is_continued_at_once():
    step = np.arange(96)
    sine = 10 + 3 * np.sin(2 * np.pi * step / 7)

    forecast = forecast_of(sine[:84], season=7, max_steps=4)

    np.testing.assert_allclose(forecast, sine[84:], atol=0.05 * 3)


@pytest.mark.parametrize(
    ("decoder", "teacher_forcing"),
    [
        ("recurrent", "scheduled"),
        pytest.param("recurrent", "always", marks=pytest.mark.slow),
        pytest.param("recurrent", "never", marks=pytest.mark.slow),
        pytest.param("attention", "scheduled", marks=pytest.mark.slow),
        pytest.param("attention", "always", marks=pytest.mark.slow),
        ("attention", "never"),
    ],
)
def test_a_sine_that_no_reference_knows_is_continued_by_a_decoder(decoder, teacher_forcing):
    sine = 3 * np.sin(2 * np.pi * np.arange(205) / 11)

    forecast = forecast_of(
        sine[:200],
        horizon=5,
        context_length=24,
        max_steps=150,
        batch_size=16,
        decoder=decoder,
        teacher_forcing=teacher_forcing,
    )

    np.testing.assert_allclose(forecast, sine[200:], atol=0.1 * 3)


@pytest.mark.parametrize("level", [0.0, 5.0, -1e9])
@pytest.mark.parametrize("decoder", DECODERS)
def test_a_constant_stays_constant_and_is_certain(level, decoder):
    model = tiny(max_steps=4, decoder=decoder).fit(series(np.full(60, level)))

    forecast = model.predict(level=80)

    np.testing.assert_array_equal(forecast.to_numpy(), level)


def test_a_trend_goes_on():
    step = np.arange(90)

    forecast = forecast_of(100 + 2.5 * step[:78], max_steps=10)

    np.testing.assert_allclose(forecast, 100 + 2.5 * step[78:], atol=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("decoder", DECODERS)
def test_a_growing_monthly_series_is_forecast_better_than_by_seasonal_naive(decoder):
    """Level times four in ten years, swings that grow with it, as airline passengers do."""
    rng = np.random.default_rng(0)
    step = np.arange(144)
    values = np.exp(4.7 + 0.0105 * step + 0.15 * np.sin(2 * np.pi * step / 12))
    values *= np.exp(rng.normal(0, 0.03, 144))
    months = pd.Series(values, pd.date_range("1949-01-01", periods=144, freq="MS"), name="y")

    model = RNNForecaster(horizon=12, max_steps=60, decoder=decoder, hidden_size=16)
    forecast = model.fit(months[:132]).predict().to_numpy()

    error = np.abs(forecast - values[132:]).mean()
    seasonal = np.abs(values[120:132] - values[132:]).mean()
    assert model.plan_.representation == "log"
    assert error < 0.6 * seasonal


def test_demand_that_is_mostly_nothing_is_forecast_as_nothing():
    """Seven months of ten without a sale: no forecast has a smaller absolute error than 0, the median."""
    rng = np.random.default_rng(0)
    series, rows, horizon = 60, 60, 12
    y = rng.poisson(2.0, (series, rows)) * (rng.random((series, rows)) < 0.3)
    frame = pd.DataFrame({
        "unique_id": np.repeat([f"s{i:02d}" for i in range(series)], rows),
        "ds": np.tile(pd.date_range("2020-01-01", periods=rows, freq="MS"), series),
        "y": y.ravel().astype(float),
    })  # fmt: skip
    past = frame[frame.groupby("unique_id").cumcount() < rows - horizon]
    model = RNNForecaster(horizon=horizon, max_steps=8, hidden_size=8, random_state=0).fit(past)

    forecast = model.predict()["forecast"].to_numpy().reshape(series, horizon)

    truth = y[:, -horizon:]
    assert np.abs(forecast - truth).mean() < 1.01 * np.abs(truth).mean()
