"""Training: what the loss is, that each step is bounded, and when it ends."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from tests import reference
from tests.nn.plans import plan as small_plan
from tsrnn.calendars import TimeAxis
from tsrnn.exceptions import ParameterError, TrainingError
from tsrnn.learning import training
from tsrnn.learning.loss import training_loss
from tsrnn.learning.start import start_from_reference
from tsrnn.learning.training import _TrainingModule, fit_network, make_optimizer
from tsrnn.learning.training_plan import OPTIMIZERS, TrainingPlan
from tsrnn.nn.decoders import Teacher
from tsrnn.nn.networks import ForecastNetwork
from tsrnn.nn.outputs import HeadValues
from tsrnn.panel import Panel
from tsrnn.windows import WindowSampler

LEVELS = (0.1, 0.5, 0.9)
PLAN = TrainingPlan(
    max_steps=8,
    max_time=None,
    check_every=2,
    patience=None,
    batch_size=4,
    learning_rate=1e-2,
    optimizer="adamw",
    gradient_clip=1.0,
    gradient_clip_value=None,
    average=0.98,
    warm_up=True,
    seed=0,
    device="cpu",
    verbose=0,
)


def build(**changes) -> ForecastNetwork:
    settings = {"horizon": 3, "seasons": (1,), "window": 6, "anchor": "last", "hidden_size": 4}
    plan = small_plan(**{**settings, "context": 12, "quantiles": LEVELS, **changes})
    network = ForecastNetwork.build(plan, torch.Generator().manual_seed(0))
    with torch.no_grad():  # a fresh head says nothing of its own yet
        for parameter in (network.head.out.weight, network.head.mixture):
            parameter.normal_(0, 0.3, generator=torch.Generator().manual_seed(1))
    return network


def make_panel(values, weights=None) -> Panel:
    rows = len(values)
    axis = TimeAxis("integer", "1")
    indptr, ids = np.array([0, rows]), pd.Index(["a"])
    return Panel(np.asarray(values, float), indptr, ids, np.arange(rows), axis, weights)


def sampler(values, *, weights=None, horizon=3, look_back=None) -> WindowSampler:
    panel = make_panel(values, weights)
    look_back = build().plan.look_back if look_back is None else look_back
    return WindowSampler(
        panel, panel.lengths, look_back=look_back, context=10, horizon=horizon, patch=1
    )


def windows(rows, count=2, seed=0) -> np.ndarray:
    return 50 + np.random.default_rng(seed).normal(size=(count, rows)).cumsum(1)


# ---- N steps in, the same N shifted by one out --------------------------------------------


def said(network, values):
    """What the network says at each row it reads, as raw quantiles: (row, horizon, level)."""
    plan = network.plan
    with torch.no_grad():
        head = network(values[:, : values.shape[1] - plan.horizon])
        trained = network.output.trained(head)[0].double()
        anchor, scale = head.anchor[0].unsqueeze(-1), head.scale[0].unsqueeze(-1)
    return (anchor + scale * trained).numpy(), head.scale[0, :, 0].numpy()


def loss_by_hand(network, values, weights=None):
    """Twice the mean pinball loss of every row's next rows, in units of the row's causal scale."""
    plan = network.plan
    quantiles, scale = said(network, torch.from_numpy(values[None]))
    total, importance = 0.0, 0.0
    for position, row in enumerate(range(plan.look_back, len(values) - plan.horizon)):
        for ahead in range(plan.horizon):
            truth = values[row + 1 + ahead]
            weight = 1.0 if weights is None else weights[row + 1 + ahead]
            if np.isnan(truth) or scale[position] == 0:
                continue
            errors = [truth - q for q in quantiles[position, ahead]]
            pinball = [max(p * e, (p - 1) * e) for p, e in zip(LEVELS, errors, strict=True)]
            total += weight * 2 * np.mean(pinball) / scale[position]
            importance += weight
    return total / importance


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("missing", [False, True])
def test_the_loss_is_that_of_each_row_against_the_rows_after_it(horizon, missing):
    network = build(horizon=horizon)
    values = windows(network.plan.look_back + 12 + horizon, 1)[0]
    if missing:
        values[[network.plan.look_back + 4, network.plan.look_back + 9]] = np.nan

    loss = training_loss(network, torch.from_numpy(values[None]), None)

    assert loss.item() == pytest.approx(loss_by_hand(network, values), rel=1e-5)


def test_weights_weigh_the_rows_that_are_forecast():
    network = build()
    values = windows(network.plan.look_back + 12, 1)[0]
    weights = np.random.default_rng(2).random(len(values))

    loss = training_loss(network, *(torch.from_numpy(x[None]) for x in (values, weights)))

    assert loss.item() == pytest.approx(loss_by_hand(network, values, weights), rel=1e-5)


def test_the_scale_of_the_loss_is_the_causal_one():
    network = build()
    values = windows(network.plan.look_back + 12, 1)[0]

    _, scale = said(network, torch.from_numpy(values[None]))

    expected = reference.causal_scale(values, season=1, window=6)[2]
    np.testing.assert_allclose(scale, expected[network.plan.look_back : -3], rtol=1e-12)


def test_the_target_of_the_shift_decoder_at_each_row_is_the_next_row():
    """Move one row only: the loss terms of the row before it answer, and no earlier ones."""
    network = build(horizon=1)
    look_back = network.plan.look_back
    values = windows(look_back + 9, 1)
    moved = values.copy()
    moved[0, look_back + 5] += 10.0

    terms = []
    for each in (values, moved):
        head = network(torch.from_numpy(each[:, :-1]))
        target = network.view.relative_target(
            torch.from_numpy(each[:, look_back + 1 :, None]), head
        )
        terms.append(network.output.loss(head, target)[0, :, 0].detach().numpy())
    total = training_loss(network, torch.from_numpy(values), None)

    changed = np.flatnonzero(terms[0] != terms[1])
    assert changed[0] == 4  # said at row 4, about row 5
    assert len(terms[0]) == 8  # eight rows in, the same eight shifted by one out
    assert total.item() == pytest.approx(terms[0].mean(), rel=1e-6)


def test_step_one_of_the_direct_decoder_sees_the_newest_value():
    network = build()
    values = windows(network.plan.look_back + 5, 1)
    moved = values.copy()
    moved[0, -1] += 1.0

    before, after = (
        network.quantiles(head, torch.tensor([[[0.5]]], dtype=torch.float64))[0, -1, :, 0]
        for head in (network(torch.from_numpy(values)), network(torch.from_numpy(moved)))
    )

    assert (after - before).abs().min() > 0.05


def test_windows_without_any_target_have_a_loss_of_zero():
    network = build()

    nothing = torch.full((2, network.plan.look_back + 12), torch.nan, dtype=torch.float64)
    loss = training_loss(network, nothing, None)

    assert loss.item() == 0.0
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_a_loss_at_the_last_step_is_that_of_the_newest_origin_alone():
    network = build(loss_at="last")
    rows = network.plan.look_back + network.plan.context
    values = torch.from_numpy(windows(rows + 3))

    with torch.no_grad():
        head = network(values[:, :-3])
        last = network.view.relative_target(
            values[:, -3:], HeadValues(*(part[:, -1] for part in head))
        )
        expected = network.output.loss(HeadValues(*(part[:, -1] for part in head)), last).mean()
        step = torch.tensor([network.plan.context - 1])
        loss = training_loss(network, values, None, steps=step)

    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize(("changes", "steps"), [({}, None), ({"loss_at": "last"}, [11])])
def test_a_window_is_taught_at_the_steps_of_the_plan(changes, steps):
    network = build(**changes)
    module = _TrainingModule(network, PLAN, None, lambda *_: None)
    rows = network.plan.look_back + network.plan.context + network.plan.horizon

    drawn = module._steps(torch.zeros(2, rows))

    assert steps == (None if drawn is None else drawn.tolist())


# ---- teacher forcing ----------------------------------------------------------------------

STEPWISE = ("recurrent", "attention")


def fed_loss(network, values, mode, progress):
    teacher = Teacher(mode, progress, torch.Generator().manual_seed(3))
    return training_loss(network, torch.from_numpy(values), None, teacher=teacher).item()


@pytest.mark.parametrize("decoder", STEPWISE)
def test_the_schedule_goes_from_always_to_never(decoder):
    network = build(decoder=decoder)
    values = windows(network.plan.look_back + 12)

    always, never = (fed_loss(network, values, mode, 0.5) for mode in ("always", "never"))

    assert always != never
    assert fed_loss(network, values, "scheduled", 0.0) == always
    assert fed_loss(network, values, "scheduled", 1.0) == never
    assert never == training_loss(network, torch.from_numpy(values), None).item()
    assert fed_loss(network, values, "scheduled", 0.5) not in {always, never}


@pytest.mark.parametrize("decoder", STEPWISE)
def test_a_missing_truth_has_no_loss_and_is_gone_on_from_as_the_networks_own(decoder):
    network = build(decoder=decoder)
    look_back = network.plan.look_back
    values = windows(look_back + 4, 1)
    values[0, look_back + 2] = np.nan  # one origin, the second of its three steps

    loss = fed_loss(network, values, "always", 0.0)

    truth = torch.from_numpy(values[:, None, look_back + 1 :])
    head = network(torch.from_numpy(values[:, :-3]), fed=truth)
    target = network.view.relative_target(truth, head)
    terms = network.output.loss(head, target.nan_to_num(0.0))[0, 0]
    assert loss == pytest.approx((terms[0] + terms[2]).item() / 2, rel=1e-6)


def test_direct_decoders_are_fed_nothing():
    network = build()
    values = windows(network.plan.look_back + 12)

    assert fed_loss(network, values, "scheduled", 0.0) == fed_loss(network, values, "never", 0.0)


def test_training_tells_the_teacher_how_far_it_has_come(monkeypatch):
    seen = []
    choose = Teacher.choose

    def spy(self, truth):
        seen.append((self.mode, self.progress))
        return choose(self, truth)

    monkeypatch.setattr(Teacher, "choose", spy)
    before = torch.random.get_rng_state()
    network = build(decoder="recurrent", teacher_forcing="scheduled")
    rows = np.random.default_rng(0).normal(size=60).cumsum()

    fit_network(network, sampler(rows), PLAN, validate=None, notify=lambda *_: None)

    assert seen == [("scheduled", step / 8) for step in range(8)]
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("decoder", STEPWISE)
def test_the_truth_teaches_the_conditional_mean_of_an_autoregression(decoder):
    """y = 0.8 times the value before, and noise: each step follows the value it is told, by 0.8."""
    rng = np.random.default_rng(0)
    values = np.zeros(3000)
    for row in range(1, len(values)):
        values[row] = 0.8 * values[row - 1] + rng.normal()
    network = build(decoder=decoder, teacher_forcing="always", anchor="level", window=60)
    panel = sampler(values, look_back=network.plan.look_back)
    start_from_reference(network, panel, rng)
    plan = replace(PLAN, max_steps=150, check_every=150, batch_size=32)

    fit_network(network, panel, plan, validate=None, notify=lambda *_: None)

    past = torch.from_numpy(values[None, -200:])
    with torch.no_grad():
        state = network.read(past)
        for step in (1, 2):
            told = torch.tensor([-3.0, -1.0, 1.0, 3.0], dtype=torch.float64)
            fed = torch.full((4, 1, 3), torch.nan, dtype=torch.float64)
            fed[:, 0, step - 1] = told
            inputs = network._inputs_at_newest(state, network._newest_inputs(past, None))
            anchor, scale = inputs.anchor[..., None], inputs.scale[..., None]
            relative = network.view.relative_to(fed, anchor=anchor, scale=scale)
            said = network.head(inputs.repeat(4), fed=relative.transpose(0, 1))
            mean = network.view.restore(said.location, said)[0, :, step]
            np.testing.assert_allclose(mean, 0.8 * told, atol=0.35)


# ---- one step -----------------------------------------------------------------------------


def one_step(**changes):
    """How far the weights move in one step of plain gradient descent, in units of the learning rate."""
    network = build()
    plan = replace(PLAN, max_steps=1, check_every=1, optimizer="sgd", learning_rate=1.0)
    plan = replace(plan, warm_up=False, average=0.0)
    plan = replace(plan, **changes)
    start = copy.deepcopy(network.state_dict())
    rng = np.random.default_rng(0)
    result = fit_network(
        network, sampler(rng.normal(size=60).cumsum()), plan, validate=None, notify=lambda *_: None
    )
    end = network.state_dict()
    moved = torch.cat([(end[k] - start[k]).double().flatten() for k in start])
    return moved / (plan.learning_rate * plan.rate(0)), result


def test_the_gradient_that_is_applied_is_no_longer_than_gradient_clip():
    free, result = one_step(gradient_clip=None)
    clipped, _ = one_step(gradient_clip=0.01)

    assert float(free.norm()) == pytest.approx(result.history[0]["gradient_norm"], rel=1e-3)
    assert float(free.norm()) > 0.02
    assert float(clipped.norm()) == pytest.approx(0.01, rel=1e-2)
    np.testing.assert_allclose(clipped / clipped.norm(), free / free.norm(), atol=1e-3)


def test_no_entry_of_the_gradient_is_larger_than_gradient_clip_value():
    free, _ = one_step(gradient_clip=None)
    clipped, _ = one_step(gradient_clip=None, gradient_clip_value=0.01)

    assert float(free.abs().max()) > 0.02
    assert float(clipped.abs().max()) == pytest.approx(0.01, rel=1e-2)
    np.testing.assert_allclose(clipped, free.clamp(-0.01, 0.01), atol=2e-4)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_lowers_the_loss(name):
    network = build()
    values = torch.from_numpy(windows(network.plan.look_back + 13, 4))
    optimizer = make_optimizer(network, replace(PLAN, optimizer=name))
    losses = []
    for _ in range(30):
        loss = training_loss(network, values, None)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))

    assert losses[-1] < 0.98 * losses[0]
    assert type(optimizer).__name__.lower() == name


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_fused_steps_end_where_single_ones_do(name):
    values = torch.from_numpy(windows(build().plan.look_back + 13, 4))
    ends = []
    for fused in (True, False):
        network = build()
        optimizer = make_optimizer(network, replace(PLAN, optimizer=name))
        for group in optimizer.param_groups:
            assert group["fused"]
            group["fused"] = fused
        for _ in range(10):
            optimizer.zero_grad()
            training_loss(network, values, None).backward()
            optimizer.step()
        ends.append(torch.cat([weight.detach().flatten() for weight in network.parameters()]))

    torch.testing.assert_close(*ends, rtol=1e-5, atol=1e-6)


# ---- the schedule -------------------------------------------------------------------------


def test_the_learning_rate_rises_for_a_tenth_and_falls_as_half_a_cosine():
    plan = replace(PLAN, max_steps=100, check_every=10)

    rates = [plan.rate(step) for step in range(100)]

    np.testing.assert_allclose(rates[:9], np.arange(1, 10) / 10)
    progress = (np.arange(10, 101) / 100 - 0.1) / 0.9
    np.testing.assert_allclose(rates[9:], 0.05 + 0.95 * (1 + np.cos(np.pi * progress)) / 2)
    assert rates[9] == 1.0
    assert rates[-1] == pytest.approx(0.05)
    assert replace(plan, warm_up=False).rate(0) == pytest.approx(
        0.05 + 0.95 * (1 + math.cos(0.01 * math.pi)) / 2
    )


def train(plan, *, validate=None, values=None, notify=lambda *_: None):
    network = build()
    values = np.random.default_rng(0).normal(size=60).cumsum() if values is None else values
    return network, fit_network(network, sampler(values), plan, validate=validate, notify=notify)


@pytest.mark.parametrize("truncated_bptt", [None, 4])
def test_steps_given_to_lightning_together_are_the_steps_one_by_one(monkeypatch, truncated_bptt):
    plan = replace(PLAN, max_steps=11, check_every=6, truncated_bptt=truncated_bptt)
    ended = []
    for together in (1, 4):
        monkeypatch.setattr(training, "TOGETHER", together)
        ended.append(train(plan, validate=lambda network: float(network.head.mixture.norm())))

    (one, alone), (other, grouped) = ended
    assert [entry["step"] for entry in alone.history] == [6, 11]
    assert alone == grouped
    assert all(torch.equal(v, other.state_dict()[k]) for k, v in one.state_dict().items())


def test_a_score_that_is_known_before_training_is_not_computed_again():
    network, asked = build(), []
    best = {k: v.clone() for k, v in network.state_dict().items()}

    result = fit_network(
        network,
        sampler(np.random.default_rng(0).normal(size=60).cumsum()),
        replace(PLAN, max_steps=2, check_every=1),
        validate=lambda _: asked.append(1) or 1.0,
        notify=lambda *_: None,
        first_score=0.5,
    )

    assert (len(asked), result.best_step, result.best_score) == (2, 0, 0.5)
    assert all(torch.equal(v, best[k]) for k, v in network.state_dict().items())


def test_the_curve_has_an_entry_for_each_validation_and_says_the_rate():
    heard = []

    _, result = train(
        replace(PLAN, max_steps=7, check_every=3),
        validate=lambda _: 1.0,
        notify=lambda step, metrics: heard.append((step, metrics)),
    )

    assert [entry["step"] for entry in result.history] == [3, 6, 7]
    assert [step for step, _ in heard] == [3, 6, 7]
    plan = replace(PLAN, max_steps=7)
    for entry, (_, metrics) in zip(result.history, heard, strict=True):
        assert entry == {"step": entry["step"], **metrics}
        assert entry["learning_rate"] == 1e-2 * plan.rate(entry["step"])


def test_training_stops_after_patience_validations_without_a_better_score():
    scores = iter([5.0, 4.0, 3.0, 3.5, 3.1, 2.0])

    _, result = train(
        replace(PLAN, max_steps=100, check_every=1, patience=2), validate=lambda _: next(scores)
    )

    assert [entry["val_score"] for entry in result.history] == [4.0, 3.0, 3.5, 3.1]
    assert (result.best_step, result.best_score) == (2, 3.0)


def test_the_weights_that_are_left_are_those_of_the_best_score():
    scores, seen = iter([5.0, 4.0, 1.0, 2.0, 3.0]), []

    def validate(network):
        seen.append(copy.deepcopy(network.state_dict()))
        return next(scores)

    network, result = train(replace(PLAN, max_steps=4, check_every=1), validate=validate)

    assert result.best_step == 2
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, seen[2][name])
    assert any(not torch.equal(w, seen[4][k]) for k, w in network.state_dict().items())


def test_the_weights_that_training_begins_with_are_a_candidate():
    worse_and_worse = iter([0.0, 1.0, 2.0, 3.0, 4.0])

    network, result = train(PLAN, validate=lambda _: next(worse_and_worse))

    assert (result.best_step, result.best_score) == (0, 0.0)
    for name, weight in build().state_dict().items():
        assert torch.equal(network.state_dict()[name], weight)


def test_time_ends_training_with_what_is_best_until_then():
    _, result = train(
        replace(PLAN, max_steps=10_000, check_every=5, max_time=1e-6), validate=lambda _: 1.0
    )

    assert result.history[-1]["step"] <= 5


def test_a_loss_that_is_not_finite_ends_training_with_advice():
    plan = replace(PLAN, learning_rate=1e30, gradient_clip=None, warm_up=False, optimizer="sgd")

    with pytest.raises(
        TrainingError, match=r"not finite at step \d+.*Lower learning_rate \(now 1e\+30\)"
    ):
        train(replace(plan, max_steps=20))


def test_dropout_comes_from_the_seed_alone():
    def weights(seed):
        network = build(dropout=0.5)
        values = np.random.default_rng(0).normal(size=60).cumsum()
        plan = replace(PLAN, max_steps=2, seed=seed)
        fit_network(network, sampler(values), plan, validate=None, notify=lambda *_: None)
        return torch.cat([w.flatten() for w in network.state_dict().values()])

    state = torch.random.get_rng_state()

    assert torch.equal(weights(3), weights(3))
    assert not torch.equal(weights(3), weights(4))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_what_is_passed_on_to_the_trainer_arrives():
    with pytest.raises(ParameterError, match="no_such_option"):
        train(replace(PLAN, trainer_params={"no_such_option": 1}))
