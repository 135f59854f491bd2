"""The state where a series has several channels, or features of its calendar: as if all had been read again."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch

from tests.contract.samples import tiny, waves
from tests.nn.plans import plan
from tests.test_state import (
    NAMED,
    cut,
    fit,
    goes_on_raggedly,
    one_by_one,
    same,
    same_backtest,
    with_covariates,
)
from tsrnn import DataError, load
from tsrnn.calendars import TimeAxis
from tsrnn.inspection.diagnosis import _inputs
from tsrnn.lanes import walk_lanes
from tsrnn.learning.loss import training_loss, truncated_loss
from tsrnn.learning.validation import Validation
from tsrnn.nn.networks import ForecastNetwork
from tsrnn.panel import Panel
from tsrnn.windows import WindowSampler

pytestmark = [
    pytest.mark.usefixtures("few_paths"),
    pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning"),
    pytest.mark.filterwarnings("ignore::tsrnn.exceptions.DataWarning"),
]

START = 60
TARGETS = ["y", "z", "w"]
CALENDAR = ["weekday", "day_of_year"]


def joint(frame, seed=0):
    """Return the frame with two more targets."""
    noise = np.random.default_rng(seed).normal(0, 0.1, len(frame))
    step = frame.groupby("unique_id").cumcount()
    late = frame.groupby("unique_id")["y"].shift(2).fillna(0.0)
    return frame.assign(z=100 + 5 * late + noise, w=np.cos(step / 4) - noise)


def fit_joint(frame, **settings):
    return fit(frame, **{"target_col": TARGETS, **settings})


def holes(frame, seed=0):
    """Return the frame with values missing in one channel alone, in all, and rows missing."""
    rng = np.random.default_rng(seed)
    lost = {name: frame[name].where(rng.random(len(frame)) > 0.25) for name in TARGETS}
    frame = frame.assign(**lost)
    keep = (rng.random(len(frame)) > 0.1) | (frame.groupby("unique_id").cumcount() == 0)
    return frame[keep].reset_index(drop=True)


def silent(frame, series, name, start, stop):
    number = frame.groupby("unique_id").cumcount()
    quiet = (frame["unique_id"] == series) & (number >= start) & (number < stop)
    return frame.assign(**{name: frame[name].where(~quiet)})


def same_state(model, frame):
    """Compare the remembered state itself: a forecast after a long silence may hardly feel it."""
    again = model._read_histories(model._read(frame, fitted=True)[0]).state
    for own, other in zip(model.memory_.reading.state, again, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-6)


# ---- equal to reading everything again ----------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"patch": 1},
        {"patch": 3, "cell": "lstm", "num_layers": 2},
        {"n_members": 2, "target_col": ["y", "z"]},
        {"decoder": "shift"},
        {"decoder": "attention", "patch": 2},
        {"decoder": "recurrent"},
        {"calendar_features": CALENDAR},
        {"cell": "minlstm", "num_layers": 2, "dilations": [1, 2], "initial_state": "learned"},
        {"target_col": ["y"]},
    ],
)
def test_rows_one_at_a_time_lead_where_the_whole_history_does(settings):
    frame = joint(waves(rows=START + 6))
    first, rest = cut(frame, {"s0": START, "s1": START})
    model = fit_joint(first, **settings)

    for stamp, rows in rest.groupby("ds"):
        model.update(rows)
        same(model, frame[frame["ds"] <= stamp], level=[80])


@pytest.mark.parametrize("count", [2, 7])
@pytest.mark.parametrize("patch", [1, 4])
def test_several_rows_at_once_and_ragged_series(patch, count):
    frame = joint(waves(series=3, rows=START + 9))
    first, rest = cut(frame, {"s0": START, "s1": 2, "s2": START - 9})

    goes_on_raggedly(fit_joint(first, patch=patch), first, rest, count)


@pytest.mark.parametrize(
    "settings",
    [
        {"patch": 1},
        {"patch": 3, "season": 6, "calendar_features": CALENDAR},
        {"decoder": "attention"},
    ],
)
@pytest.mark.parametrize("at_once", [1, 5])
def test_missing_values_of_single_channels_and_missing_rows(settings, at_once):
    frame = holes(joint(waves(series=3, rows=90)))
    stamps = np.sort(frame["ds"].unique())
    first, rest = frame[frame["ds"] <= stamps[60]], frame[frame["ds"] > stamps[60]]
    model = fit_joint(first, **settings)

    for i in range(61, len(stamps), at_once):
        model.update(rest[rest["ds"].isin(stamps[i : i + at_once])])

    same(model, frame)


@pytest.mark.parametrize(
    "settings",
    [
        {"patch": 1, "season": 2},
        {"patch": 3},
        {"decoder": "attention", "season": 2, "calendar_features": CALENDAR},
    ],
)
@pytest.mark.parametrize("together", [0, 25, 40, 80])
def test_silences_of_one_channel_and_of_all(settings, together):
    frame = joint(waves(rows=START + 90))
    end = START + 85
    frame = silent(frame, "s0", "z", START - 5, end)
    for name in ("y", "w"):
        frame = silent(frame, "s0", name, end - together, end - (name == "w"))
    first, rest = cut(frame, {"s0": START, "s1": START})
    model = fit_joint(first, **settings)
    stamps = np.sort(rest["ds"].unique())

    for start in range(0, len(stamps), 13):
        some = stamps[start : start + 13]
        model.update(rest[rest["ds"].isin(some)])
        same(model, frame[frame["ds"] <= some[-1]])
        same_state(model, frame[frame["ds"] <= some[-1]])


@pytest.mark.parametrize("settings", [{}, {"decoder": "attention"}])
def test_a_fit_that_ends_in_silences_goes_on(settings):
    frame = joint(waves(rows=110))
    frame = silent(frame, "s0", "y", 50, 104)
    frame = silent(frame, "s0", "z", 60, 110)
    frame = silent(frame, "s0", "w", 64, 103)
    first, rest = cut(frame, {"s0": 100, "s1": 100})
    model = fit_joint(first, **settings)
    same(model, first)

    for stamp, rows in rest.groupby("ds"):
        model.update(rows)
        same(model, frame[frame["ds"] <= stamp])
        same_state(model, frame[frame["ds"] <= stamp])


@pytest.mark.parametrize("mute", [["y"], ["z", "w"], TARGETS])
def test_channels_without_any_value_so_far(mute):
    frame = joint(waves(rows=START + 45))
    for name in mute:
        frame = silent(frame, "s0", name, 0, START + 40 + (name == "w"))
    first, rest = cut(frame, {"s0": START, "s1": START})
    model = fit_joint(first)
    more, last = cut(rest, {"s0": 38, "s1": 38})

    model.update(more)
    same(model, pd.concat([first, more]))
    one_by_one(model, last)

    same(model, frame)


@pytest.mark.parametrize("settings", [{}, {"patch": 3, "calendar_features": CALENDAR}])
def test_covariates_of_the_past_and_the_future(settings):
    frame = joint(with_covariates(80))
    first, rest = cut(frame, {"s0": START, "s1": START})
    model = fit_joint(first, **NAMED, **settings)
    more, later = cut(rest, {"s0": 7, "s1": 9})

    one_by_one(model, more.drop(columns="size"))

    same(model, pd.concat([first, more]), future_df=later)


@pytest.mark.parametrize("targets", ["y", TARGETS])
def test_the_known_future_moves_on_with_the_rows(targets):
    frame = joint(with_covariates(80))
    number = frame.groupby("unique_id").cumcount()
    known = frame.assign(**{name: frame[name].where(number < START) for name in TARGETS})
    model = fit_joint(known, target_col=targets, calendar_features=CALENDAR, **NAMED)
    more = cut(frame, {"s0": START, "s1": START})[1]
    arrived = cut(more, {"s0": 3, "s1": 5})[0]
    lost = arrived["ds"].iloc[1]  # a step without a row, of which the past covariate stays unknown

    model.update(arrived[arrived["ds"] != lost])

    merged = known.set_index(["unique_id", "ds"])
    merged.update(arrived.set_index(["unique_id", "ds"])[TARGETS])
    merged = merged.reset_index()
    merged.loc[merged["ds"] == lost, [*TARGETS, "flow"]] = np.nan
    same(model, merged)


def test_logarithms_of_each_channel():
    frame = joint(waves(rows=START + 5))
    frame = frame.assign(**{name: np.exp(frame[name] / 50) for name in TARGETS})
    first, rest = cut(frame, {"s0": START, "s1": START})
    model = fit_joint(first, representation="log_return")

    one_by_one(model, rest)

    same(model, frame)
    wrong = rest.tail(1).assign(unique_id="s0", ds=pd.Timestamp("2024-03-06"), z=-1.0)
    with pytest.raises(DataError, match=r"positive.*'z'"):
        model.update(wrong)


@pytest.mark.parametrize("kind", ["indexed", "polars", "without ids", "time in the index"])
def test_every_kind_of_frame(kind):
    long = joint(waves(rows=START + 3))

    def of(frame):
        one = frame[frame["unique_id"] == "s0"].drop(columns="unique_id")
        return {
            "indexed": lambda: frame.set_index(["unique_id", "ds"]),
            "polars": lambda: pytest.importorskip("polars").from_pandas(frame),
            "without ids": lambda: one,
            "time in the index": lambda: one.set_index("ds"),
        }[kind]()

    first, rest = cut(long, {"s0": START, "s1": START})
    model = fit_joint(of(first))
    model.update(of(rest))

    said, again = model.predict(), model.predict(of(long))

    assert type(said) is type(again)
    if kind == "polars":
        said, again = said.to_pandas(), again.to_pandas()
    pd.testing.assert_frame_equal(said, again, rtol=1e-5)


def test_score_starts_from_the_newest_row():
    frame = joint(waves(rows=START + 12))
    first, rest = cut(frame, {"s0": START, "s1": START})
    more, truth = cut(rest, {"s0": 8, "s1": 8})

    model = fit_joint(first, calendar_features=CALENDAR).update(more)
    later = fit_joint(first, calendar_features=CALENDAR)
    later.memory_ = later._remember(later._read(pd.concat([first, more]), fitted=True)[0])

    assert model.score(truth) == pytest.approx(later.score(truth), rel=1e-5)


# ---- the calendar -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings", [{"patch": 1}, {"patch": 3}, {"decoder": "shift"}, {"past_covariates": ["flow"]}]
)
def test_features_of_the_calendar_go_on_through_gaps_and_silences(settings):
    frame = silent(with_covariates(120), "s1", "y", START + 5, 118)
    rng = np.random.default_rng(0)
    first, rest = cut(frame, {"s0": START, "s1": START})
    rest = rest[(rng.random(len(rest)) > 0.1) | (rest["ds"] == rest["ds"].max())]
    model = fit(first, calendar_features=CALENDAR, **settings)

    for stamp, rows in rest.groupby("ds"):
        model.update(rows)
        if stamp.day % 5 == 0:
            same(model, pd.concat([first, rest[rest["ds"] <= stamp]]))

    same(model, pd.concat([first, rest]))


def test_the_time_of_day_in_a_time_zone():
    stamps = pd.date_range("2024-03-29", periods=70, freq="h", tz="Europe/Berlin")
    frame = pd.DataFrame({"ds": stamps, "y": np.sin(np.arange(70) / 3)})
    model = fit(frame[:START], calendar_features=["hour"])

    for i in range(START, 65):
        model.update(frame[i : i + 1])
    model.update(frame[65:])

    same(model, frame)


# ---- kept, refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings", [{}, {"patch": 3, "calendar_features": CALENDAR}, {"target_col": "y", "calendar_features": CALENDAR}]
)  # fmt: skip
@pytest.mark.parametrize("covariates", [{}, {"past_covariates": ["flow"]}])
def test_a_loaded_or_copied_forecaster_goes_on(settings, covariates, tmp_path):
    frame = holes(joint(with_covariates(130)), seed=1)
    frame = silent(frame, "s1", "z", 50, 130)
    first, rest = frame[frame["ds"] < "2024-04-20"], frame[frame["ds"] >= "2024-04-20"]
    model = fit_joint(first, **settings, **covariates)
    snapshot = model.get_state()
    model.save(tmp_path / "model")
    others = [load(tmp_path / "model"), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
    said = model.predict()
    moved = model.update(rest).predict()
    model.save(tmp_path / "later")

    pd.testing.assert_frame_equal(load(tmp_path / "later").predict(), moved)
    for other in others:
        pd.testing.assert_frame_equal(other.predict(), said)
        pd.testing.assert_frame_equal(other.update(rest).predict(), moved)
        pd.testing.assert_frame_equal(other.set_state(snapshot).predict(), said)


def test_rows_that_do_not_follow_are_refused_and_change_nothing():
    frame = joint(waves(rows=START + 1))
    first, rest = cut(frame, {"s0": START, "s1": START})
    model = fit_joint(first)
    before = model.get_state()

    for rows, message in (
        (first.tail(1), r"follow the newest row of series 's1', 2024-02-29"),
        (rest.tail(1).assign(unique_id="new"), r"series that were fitted. Got 'new'"),
        (rest.drop(columns="z"), r"'z'"),
        (rest.assign(w=np.inf), r"'w'.*infinite"),
    ):
        with pytest.raises(DataError, match=message):
            model.update(rows)

    assert model.get_state() is before


def test_what_is_looked_at_inside_is_what_is_read():
    model = fit_joint(joint(waves(rows=START)), calendar_features=CALENDAR)
    network, reading = model.network_.members[0], model.get_state().reading

    read, _ = _inputs(network, reading, 8)
    _, state = network.encoder(read.float())

    assert model.diagnose().histories == len(read) == 2
    expected = network.read(reading.rows.clone(), None, reading.covariates.take(slice(None)))
    torch.testing.assert_close(state[0], expected[0][:, :: len(TARGETS)])


# ---- one pass for all cutoffs ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"patch": 1, "n_members": 2},
        {"patch": 3, "calendar_features": CALENDAR},
        {"decoder": "attention"},
        {"decoder": "shift", "target_col": ["y", "z"]},
        {"target_col": "y", "calendar_features": CALENDAR},
        {"patch": 2, "calendar_features": CALENDAR, **NAMED},
    ],
)
@pytest.mark.parametrize("step", [1, 4])
def test_a_backtest_from_one_pass_is_that_of_every_cutoff_alone(settings, step, monkeypatch):
    monkeypatch.setattr(Validation, "evidence", lambda *_: 1.9)  # what was learned is kept
    frame = joint(with_covariates(120))
    frame = frame[(frame["unique_id"] == "s0") | (frame.groupby("unique_id").cumcount() >= 13)]
    rng = np.random.default_rng(0)
    known = "future_covariates" in settings  # with them, a history ends with its newest value
    for name in TARGETS:
        some = (rng.random(len(frame)) > 0.2) | known & (frame["ds"] > "2024-04-01")
        frame = frame.assign(**{name: frame[name].where(some)})
    if not known:
        frame = silent(frame, "s1", "y", 40, 82)
        frame = silent(frame, "s1", "z", 35, 100)
        frame = silent(frame, "s1", "w", 44, 90)
    model = fit_joint(frame[frame["ds"] < "2024-03-01"], **settings)

    same_backtest(model, frame, step=step, targets=TARGETS)


# ---- truncated backpropagation --------------------------------------------------------------------


def test_a_lane_holds_all_channels_of_a_series():
    stop = np.repeat([40, 7, 22], 3)
    walk = walk_lanes(stop, lanes=2, chunk=4, patch=2, rng=np.random.default_rng(0), channels=3)

    for _, (series, start, fresh) in zip(range(30), walk, strict=False):
        assert series.shape == start.shape == fresh.shape == (6,)
        np.testing.assert_array_equal(series.reshape(2, 3) % 3, [[0, 1, 2]] * 2)
        for each in (series // 3, start, fresh):
            assert (each.reshape(2, 3) == each[::3, None]).all()


@pytest.mark.parametrize("changes", [{}, {"patch": 2, "cell": "lstm", "num_layers": 2}])
def test_chunks_of_channels_have_the_loss_and_the_state_of_one_reading(changes):
    network = ForecastNetwork.build(plan(channels=2, **changes), torch.Generator().manual_seed(0))
    with torch.no_grad():  # no part of the network is silent
        for weight in network.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    patch = network.plan.patch
    rows = np.random.default_rng(0).normal(size=(4, 60)).cumsum(1)
    panel = Panel(
        rows.ravel(), np.arange(5) * 60, pd.Index(list("abcd")), np.tile(np.arange(60), 4), TimeAxis("integer", "1"), channels=2
    )  # fmt: skip

    def gather(start, context):
        sampler = WindowSampler(
            panel, panel.lengths, look_back=network.plan.look_back, context=context,
            horizon=network.plan.horizon, patch=patch,
        )  # fmt: skip
        return torch.from_numpy(sampler.gather(np.arange(4), np.full(4, start))[0])

    whole = training_loss(network, gather(0, 60), None)
    at_once, end = truncated_loss(
        network, gather(0, 60), None, None, torch.ones(4, dtype=torch.bool)
    )
    state = None
    for start in range(0, 60, 10 * patch):
        fresh = torch.full((4,), start == 0)
        _, state = truncated_loss(network, gather(start, 10 * patch), None, state, fresh)
    mixed = torch.tensor([True, True, False, False])
    _, after = truncated_loss(network, gather(0, 20), None, state, mixed)
    _, anew = truncated_loss(network, gather(0, 20), None, None, torch.ones(4, dtype=torch.bool))

    torch.testing.assert_close(at_once, whole)
    for part, other in zip(state, end, strict=True):
        torch.testing.assert_close(part, other, rtol=1e-4, atol=1e-6)
    for part, other in zip(after, anew, strict=True):
        torch.testing.assert_close(part[:, :2], other[:, :2])
        assert (part[:, 2:] != other[:, 2:]).any()


@pytest.mark.parametrize(
    "settings", [{}, {"patch": 2, "calendar_features": CALENDAR}, {"decoder": "attention"}]
)
def test_truncated_training_learns(settings):
    frame = joint(waves(rows=200))
    model = tiny(target_col=TARGETS, truncated_bptt=8, max_steps=16, batch_size=8, **settings)
    model.fit(frame)

    first, best = model.history_["val_score"].iloc[0], model.history_["val_score"].min()

    assert best < first
    assert model.predict().notna().all(axis=None)
