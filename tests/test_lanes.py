"""Truncated backpropagation: every row is read, series are never mixed, and gradients are the plain loop's."""

from __future__ import annotations

import copy
from itertools import islice

import numpy as np
import pandas as pd
import pytest
import torch

from tests.contract.samples import tiny, waves
from tests.nn.plans import plan
from tests.nn.test_networks import network, walk
from tsrnn import ParameterError
from tsrnn.calendars import TimeAxis
from tsrnn.lanes import walk_lanes
from tsrnn.learning.loss import training_loss, truncated_loss
from tsrnn.nn.networks import ForecastNetwork
from tsrnn.nn.reader import Rows
from tsrnn.panel import Panel
from tsrnn.windows import WindowSampler


@pytest.mark.parametrize("patch", [1, 3])
@pytest.mark.parametrize("lanes", [1, 4])
def test_a_walk_reads_every_row_once_before_any_again(lanes, patch):
    stop = np.array([40, 1, 7, 22])
    chunk = 2 * patch
    seen = [np.zeros(n, dtype=int) for n in stop]

    for series, start, fresh in islice(
        walk_lanes(stop, lanes=lanes, chunk=chunk, patch=patch, rng=np.random.default_rng(0)), 400
    ):
        for i, first in zip(series, start, strict=True):
            seen[i][max(first, 0) : first + chunk] += 1
        assert fresh.shape == (lanes,)

    counts = np.concatenate([seen[i] for i in (0, 2, 3)])
    assert seen[1].sum() == 0  # a single row has no next one
    assert counts.min() > 3
    assert counts.max() - counts.min() <= 1 + lanes


def test_a_lane_goes_on_where_it_was_or_begins_anew():
    stop = np.array([50, 30])
    walk = walk_lanes(stop, lanes=2, chunk=4, patch=2, rng=np.random.default_rng(1))
    before = None

    for series, start, fresh in islice(walk, 60):
        if before is None:
            assert fresh.all()
        else:
            on = ~fresh
            np.testing.assert_array_equal(series[on], before[0][on])
            np.testing.assert_array_equal(start[on], before[1][on] + 4)
        before = series, start


def gradients(network):
    return [p.grad.clone() for p in network.parameters() if p.grad is not None]


def network_and_rows(**changes):
    network = ForecastNetwork.build(plan(**changes), torch.Generator().manual_seed(0))
    with torch.no_grad():  # no part of the network is silent
        for weight in network.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    rows = np.random.default_rng(0).normal(size=(3, 60)).cumsum(1)
    panel = Panel(
        rows.ravel(), np.array([0, 60, 120, 180]), pd.Index(list("abc")), np.tile(np.arange(60), 3), TimeAxis("integer", "1")
    )  # fmt: skip

    def gather(start, context):
        sampler = WindowSampler(
            panel, panel.lengths, look_back=network.plan.look_back, context=context,
            horizon=network.plan.horizon, patch=network.plan.patch,
        )  # fmt: skip
        return torch.from_numpy(sampler.gather(np.arange(3), np.full(3, start))[0])

    return network, gather


@pytest.mark.parametrize("changes", [{}, {"patch": 2, "cell": "lstm", "num_layers": 2}])
def test_one_chunk_that_covers_everything_is_whole_backpropagation(changes):
    network, gather = network_and_rows(**changes)
    values = gather(0, 60)
    whole = copy.deepcopy(network)
    training_loss(whole, values, None).backward()

    loss, _ = truncated_loss(network, values, None, None, torch.ones(3, dtype=torch.bool))
    loss.backward()

    for own, expected in zip(gradients(network), gradients(whole), strict=True):
        torch.testing.assert_close(own, expected)


@pytest.mark.parametrize("changes", [{}, {"patch": 2, "cell": "lstm", "num_layers": 2}])
def test_short_chunks_have_the_gradient_of_the_plain_truncated_loop(changes):
    network, gather = network_and_rows(**changes)
    patch, chunk = network.plan.patch, 10 * network.plan.patch
    plain = copy.deepcopy(network)

    state = None
    for start in range(0, 60, chunk):
        fresh = torch.full((3,), start == 0)
        loss, state = truncated_loss(network, gather(start, chunk), None, state, fresh)
        loss.backward()

    carried = None
    for start in range(0, 60, chunk):
        values = gather(start, chunk)
        rows = values[:, : values.shape[1] - plain.plan.horizon]
        represented, scale = plain.view.represent(rows)
        positions = plain.positions(chunk)
        features = plain.features(represented, scale, positions)
        hidden = []
        for step in range(chunk // patch):
            out, carried = plain.encoder(features[:, step : step + 1], carried)
            hidden.append(out)
        seen = Rows(features, represented, scale, positions, None)
        head = plain.head(plain._head_inputs(torch.cat(hidden, 1), seen, None))
        target = plain.view.relative_target(
            values[:, positions[:, None] + torch.arange(1, plain.plan.horizon + 1)], head
        )
        known = ~target.isnan()
        loss = plain.output.loss(head, target.nan_to_num(0.0))
        ((loss * known).sum() / known.sum()).backward()
        carried = tuple(part.detach() for part in carried)

    for own, expected in zip(gradients(network), gradients(plain), strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("decoder", ["direct", "recurrent", "attention"])
@pytest.mark.parametrize("patch", [1, 2])
def test_going_on_in_chunks_says_what_reading_at_once_says(decoder, patch):
    made = network(decoder=decoder, patch=patch, context=6 * patch)
    ahead = made.plan.look_back
    values = walk(2, ahead + 20 * patch)
    at_once = made(values)

    state, said = None, []
    for start in range(0, 20 * patch, 4 * patch):
        chunk = values[:, start : start + ahead + 4 * patch]
        head, state = made.go_on(chunk, state)
        said.append(head)

    for one, other in zip(zip(*said, strict=True), at_once, strict=True):
        torch.testing.assert_close(torch.cat(one, 1), other, rtol=1e-4, atol=1e-5)


def test_a_lane_that_begins_anew_forgets_and_the_others_do_not():
    network, gather = network_and_rows(cell="lstm")
    _, state = truncated_loss(network, gather(0, 20), None, None, torch.ones(3, dtype=torch.bool))
    fresh = torch.tensor([False, True, False])

    _, mixed = truncated_loss(network, gather(20, 20), None, state, fresh)

    _, on = truncated_loss(network, gather(20, 20), None, state, torch.zeros(3, dtype=torch.bool))
    _, anew = truncated_loss(network, gather(20, 20), None, None, torch.ones(3, dtype=torch.bool))
    for part, went_on, began in zip(mixed, on, anew, strict=True):
        torch.testing.assert_close(part[:, [0, 2]], went_on[:, [0, 2]])
        torch.testing.assert_close(part[:, [1]], began[:, [1]])
        assert not part.requires_grad


@pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")
@pytest.mark.parametrize("settings", [{}, {"patch": 2}, {"decoder": "shift"}])
def test_truncated_training_learns(settings):
    model = tiny(truncated_bptt=8, max_steps=16, batch_size=8, **settings).fit(waves(rows=200))

    first, best = model.history_["val_score"].iloc[0], model.history_["val_score"].min()

    assert best < first
    assert np.isfinite(model.predict()["forecast"]).all()


def test_a_chunk_needs_a_step():
    with pytest.raises(ParameterError, match="truncated_bptt"):
        tiny(truncated_bptt=0).fit(waves())
