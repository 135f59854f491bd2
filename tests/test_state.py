"""The state: moved on by new rows as if the whole history had been read again, kept, and put back."""

from __future__ import annotations

import copy
import pickle
import threading
import warnings

import numpy as np
import pandas as pd
import pytest
import torch

from tests.contract.samples import fit_tiny, tiny, waves
from tsrnn import DataError, ParameterError, load

pytestmark = [
    pytest.mark.usefixtures("few_paths"),
    pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning"),
    pytest.mark.filterwarnings("ignore::tsrnn.exceptions.DataWarning"),
]

START = 60


def fit(frame, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        steps = 20 if "n_members" in settings else 1  # members of which nothing is kept are one
        small = {"max_steps": steps, "hidden_size": 4, "context_length": 24, **settings}
        model = fit_tiny(frame, **small)
    assert len(model.network_.members) == settings.get("n_members", 1)
    # whatever training found: the network is heard, or nothing but the references would be compared
    draw = torch.Generator().manual_seed(0)
    for network in model.network_.members:
        network.head.share.fill_(1.0)
        network.head.out.weight.data.normal_(std=0.1, generator=draw)
    return model


def cut(frame, known):
    """Return the first rows of each series, ``known`` of them, and the rest."""
    number = frame.groupby("unique_id").cumcount()
    first = number < frame["unique_id"].map(known)
    return frame[first], frame[~first]


def same(model, whole, *, future_df=None, level=None):
    """Assert that the state forecasts like the whole history read again, to 1e-5 of the series' size."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again = model.predict(whole, level=level, future_df=future_df)
        paths = model.simulate(3, whole, future_df=future_df)
    said = model.predict(level=level, future_df=future_df)
    pd.testing.assert_frame_equal(said, again, rtol=1e-5, atol=1e-5)
    said = model.simulate(3, future_df=future_df)
    pd.testing.assert_frame_equal(said, paths, rtol=1e-5, atol=1e-5)


def one_by_one(model, rows):
    for _, row in rows.groupby("ds", sort=True):
        model.update(row)


def goes_on_raggedly(model, first, rest, count):
    """Compare after ``count`` rows, one and nine of three series, and after the rest of the second."""
    more, later = cut(rest, {"s0": count, "s1": 1, "s2": 9})
    later = later[later["unique_id"] == "s1"]

    model.update(more)
    same(model, pd.concat([first, more]))
    model.update(later)

    same(model, pd.concat([first, more, later]))


def same_backtest(model, frame, *, step, targets):
    """Compare a backtest from one pass with a forecast at each of its cutoffs."""
    known = model.future_covariates is not None

    result = model.backtest(frame, n_windows=9, step=step, refit="never", level=80)

    assert result.forecasts["cutoff"].nunique() > 8
    for cutoff, said in result.forecasts.groupby("cutoff"):
        future = frame[frame["ds"] > cutoff].drop(columns=targets) if known else None
        alone = model.predict(frame[frame["ds"] <= cutoff], level=80, future_df=future)
        alone = alone.merge(said[["unique_id", "ds"]], on=["unique_id", "ds"])
        numbers = alone.columns[2:]
        np.testing.assert_allclose(
            said.sort_values(["unique_id", "ds"])[numbers],
            alone.sort_values(["unique_id", "ds"])[numbers],
            rtol=1e-5, atol=1e-5,
        )  # fmt: skip


def gappy(frame, seed=0):
    """Return the frame with missing values and missing rows."""
    rng = np.random.default_rng(seed)
    frame = frame.assign(y=frame["y"].where(rng.random(len(frame)) > 0.2))
    keep = (rng.random(len(frame)) > 0.1) | (frame.groupby("unique_id").cumcount() == 0)
    return frame[keep].reset_index(drop=True)


# ---- equal to reading everything again ----------------------------------------------------------


@pytest.mark.parametrize("patch", [1, 3])
@pytest.mark.parametrize(
    "cell",
    ["gru", "lstm", "rnn", "rnn_relu", "mut1", "mut2", "mut3", "nas", "mingru", "minlstm", "slstm"],
)
def test_rows_one_at_a_time_lead_where_the_whole_history_does(cell, patch):
    frame = waves(rows=START + 8)
    first, rest = cut(frame, {"s0": START, "s1": START})
    model = fit(first, cell=cell, patch=patch, num_layers=2)

    for stamp, rows in rest.groupby("ds"):
        model.update(rows)
        same(model, frame[frame["ds"] <= stamp], level=[80])


@pytest.mark.parametrize("count", [2, 4, 7])
@pytest.mark.parametrize("settings", [{"patch": 4}, {"patch": 1}, {"decoder": "shift"}])
def test_several_rows_at_once_and_ragged_series(settings, count):
    frame = waves(series=3, rows=START + 8)
    first, rest = cut(frame, {"s0": START, "s1": 2, "s2": START - 9})

    goes_on_raggedly(fit(first, **settings), first, rest, count)


@pytest.mark.parametrize(
    "settings",
    [
        {"patch": 1},
        {"patch": 3, "season": 6},
        {"n_members": 2},
        {
            "patch": 2,
            "num_layers": 2,
            "dilations": [1, 2],
            "skip": "residual",
            "initial_state": "learned",
        },
        {"convolution": 3, "recurrent_dropout": 0.1},
    ],
)
def test_missing_values_and_missing_rows(settings):
    frame = gappy(waves(series=3, rows=90))
    stamps = frame["ds"].sort_values().unique()
    first, rest = frame[frame["ds"] <= stamps[60]], frame[frame["ds"] > stamps[60]]
    model = fit(first, **settings)

    one_by_one(model, rest)

    same(model, frame)


@pytest.mark.parametrize("patch", [1, 2, 3])
@pytest.mark.parametrize("silent", [10, 29, 30, 31, 64, 200])
def test_a_silence_of_any_length_and_the_first_value_after_it(silent, patch):
    frame = cut(waves(rows=START + 202), dict.fromkeys(("s0", "s1"), START + silent + 2))[0]
    first, rest = cut(frame, {"s0": START, "s1": START})
    rest = rest.copy()
    quiet = (rest["unique_id"] == "s0") & (rest.groupby("unique_id").cumcount() < silent)
    rest.loc[quiet, "y"] = np.nan
    more, last = cut(rest, {"s0": silent, "s1": silent})
    model = fit(first, patch=patch)

    for part in cut(more, {"s0": silent // 3, "s1": silent // 3}):
        model.update(part)
    same(model, pd.concat([first, more]))
    model.update(last)

    same(model, pd.concat([first, rest]))


def test_a_fit_that_ends_in_a_silence_goes_on():
    frame = waves(rows=110)
    frame.loc[(frame["unique_id"] == "s0") & (frame.index >= 55) & (frame.index < 105), "y"] = (
        np.nan
    )
    first, rest = cut(frame, {"s0": 100, "s1": 100})
    model = fit(first, patch=3)
    same(model, first)

    one_by_one(model, rest)

    same(model, frame)


def test_a_series_without_any_value_so_far():
    frame = waves(rows=START + 40)
    frame.loc[(frame["unique_id"] == "s0") & (frame.index < START + 38), "y"] = np.nan
    first, rest = cut(frame, {"s0": START, "s1": START})
    model = fit(first)
    more, last = cut(rest, {"s0": 38, "s1": 38})

    model.update(more)
    model.update(last)

    same(model, frame)


def test_logarithms():
    frame = waves(rows=START + 5).assign(y=lambda df: np.exp(df["y"] / 10))
    first, rest = cut(frame, {"s0": START, "s1": START})
    model = fit(first, representation="log_return")

    one_by_one(model, rest)

    same(model, frame)
    with pytest.raises(DataError, match=r"positive.*'s0' at 2024-03-06"):
        model.update(rest.tail(1).assign(unique_id="s0", ds=pd.Timestamp("2024-03-06"), y=-1.0))


def with_covariates(rows):
    frame = waves(rows=rows)
    step = np.arange(len(frame))
    return frame.assign(
        heat=np.cos(step / 3), kind=np.where(step % 5 == 0, "a", "b"), flow=step % 7, size=[1.0] * rows + [2.0] * rows
    )  # fmt: skip


NAMED = {
    "future_covariates": ["heat", "kind"],
    "past_covariates": ["flow"],
    "static_covariates": ["size"],
}


@pytest.mark.parametrize("patch", [1, 3])
def test_covariates_of_the_past_and_the_future(patch):
    frame = with_covariates(80)
    first, rest = cut(frame, {"s0": START, "s1": START})
    model = fit(first, patch=patch, **NAMED)
    more, later = cut(rest, {"s0": 7, "s1": 9})

    one_by_one(model, more.drop(columns="size"))

    same(model, pd.concat([first, more]), future_df=later)


def test_the_known_future_moves_on_with_the_rows():
    frame = with_covariates(80)
    known = frame.assign(y=frame["y"].where(frame.groupby("unique_id").cumcount() < START))
    model = fit(known, **NAMED)
    more = cut(frame, {"s0": START, "s1": START})[1]
    arrived = cut(more, {"s0": 3, "s1": 5})[0]
    lost = arrived["ds"].iloc[1]  # a step without a row, of which the past covariate stays unknown

    model.update(arrived[arrived["ds"] != lost])

    merged = known.set_index(["unique_id", "ds"])
    merged.update(arrived.set_index(["unique_id", "ds"])[["y"]])
    merged = merged.reset_index()
    merged.loc[merged["ds"] == lost, ["y", "flow"]] = np.nan
    same(model, merged)


def test_rows_behind_the_newest_value_are_the_known_future():
    frame = with_covariates(80)
    first, rest = cut(frame, {"s0": START, "s1": START})
    model = fit(first, **NAMED)
    rest = rest.assign(y=rest["y"].where(rest.groupby("unique_id").cumcount() < 1))

    model.update(rest[rest["unique_id"] == "s0"])
    model.update(rest[rest["unique_id"] == "s1"].assign(y=np.nan))

    same(
        model,
        pd.concat(
            [
                first,
                rest[(rest["unique_id"] == "s0")],
                rest[rest["unique_id"] == "s1"].assign(y=np.nan),
            ]
        ),
    )


def test_covariates_through_a_long_silence():
    frame = with_covariates(160)
    quiet = (frame["unique_id"] == "s1") & (frame.groupby("unique_id").cumcount() >= START)
    frame = frame.assign(y=frame["y"].where(~quiet))
    first, rest = cut(frame, {"s0": START, "s1": START})
    model = fit(first, patch=2, past_covariates=["flow"])

    one_by_one(model, rest)

    same(model, frame)


def axes():
    days = pd.date_range("2024-01-01", periods=70)
    sessions = pd.bdate_range("2024-01-01", periods=75, freq="C", holidays=["2024-03-29"])
    return {
        "integer": (np.arange(5, 5 + 3 * 70, 3), {}),
        "period": (pd.period_range("2018-01", periods=70, freq="M"), {}),
        "month end": (pd.date_range("2018-01-31", periods=70, freq="ME"), {}),
        "hours in Berlin": (
            pd.date_range("2024-03-29", periods=70, freq="h", tz="Europe/Berlin"),
            {},
        ),
        "days at nine": (days + pd.Timedelta("9h"), {}),
        "business days seen": (sessions.delete(20)[:70], {}),
        "exchange": (sessions[:70], {"calendar": ["2024-03-29"]}),
        "text": (days.strftime("%Y-%m-%d"), {}),
    }


@pytest.mark.parametrize("kind", list(axes()))
def test_every_time_axis(kind):
    stamps, settings = axes()[kind]
    frame = pd.DataFrame({"ds": stamps, "y": np.sin(np.arange(70) / 3)})
    model = fit(frame[:START], **settings)

    for i in range(START, 65):
        model.update(frame[i : i + 1])
    model.update(frame[65:])

    same(model, frame)


@pytest.mark.parametrize("kind", ["wide", "indexed", "series", "polars", "arrow"])
def test_every_kind_of_frame(kind):
    long = waves(rows=START + 3)
    single = long[long["unique_id"] == "s0"].set_index("ds")["y"]

    def of(frame):
        if kind == "wide":
            return frame.pivot(index="ds", columns="unique_id", values="y")
        if kind == "indexed":
            return frame.set_index(["unique_id", "ds"])
        if kind == "polars":
            return pytest.importorskip("polars").from_pandas(frame)
        if kind == "arrow":
            return pytest.importorskip("pyarrow").Table.from_pandas(frame, preserve_index=False)
        return frame

    first, rest = cut(long, {"s0": START, "s1": START})
    whole = single if kind == "series" else of(long)
    model = fit(single[:START] if kind == "series" else of(first))
    model.update(single[START:] if kind == "series" else of(rest))

    said, again = model.predict(), model.predict(whole)

    assert type(said) is type(again)
    if kind in {"polars", "arrow"}:
        said, again = said.to_pandas(), again.to_pandas()
    if kind == "series":
        pd.testing.assert_series_equal(said, again, rtol=1e-5)
    else:
        pd.testing.assert_frame_equal(said, again, rtol=1e-5)


def test_score_and_plot_start_from_the_newest_row():
    frame = waves(rows=START + 12)
    first, rest = cut(frame, {"s0": START, "s1": START})
    more, truth = cut(rest, {"s0": 8, "s1": 8})
    model = fit(first).update(more)

    later = fit(first)
    later.memory_ = later._remember(later._read(pd.concat([first, more]), fitted=True)[0])

    assert model.score(truth) == pytest.approx(later.score(truth), rel=1e-5)
    drawn, expected = model.plot().axes[0].lines, later.plot().axes[0].lines
    for line, other in zip(drawn, expected, strict=True):
        np.testing.assert_allclose(line.get_ydata(), other.get_ydata(), rtol=1e-5)


# ---- what does not follow is refused -----------------------------------------------------------


def row(ds, y=1.0, unique_id="s0"):
    return pd.DataFrame({"unique_id": [unique_id], "ds": pd.to_datetime([ds]), "y": [y]})


@pytest.fixture(scope="module")
def fitted():
    return fit(waves(rows=START))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (row("2024-02-29"), r"follow the newest row of series 's0', 2024-02-29.*Leave out"),
        (row("2024-01-05"), r"Got series 's0' at 2024-01-05"),
        (row("2024-03-01 12:00"), r"'s0' at 2024-03-01 12:00"),
        (row("2024-03-01", unique_id="new"), r"series that were fitted. Got 'new'.*predict\(df\)"),
        (row("2024-03-01", np.inf), r"infinite"),
        (pd.concat([row("2024-03-01")] * 2), r"one row per time.*2024-03-01"),
        (row("2024-03-01")[:0], r"at least one row"),
        (row("2030-03-01"), r"'s0' must have rows on most steps"),
    ],
)
def test_rows_that_do_not_follow_are_refused_and_change_nothing(fitted, rows, message):
    before = fitted.get_state()
    said = fitted.predict()

    with pytest.raises(DataError, match=message):
        fitted.update(rows)

    assert fitted.get_state() is before
    pd.testing.assert_frame_equal(fitted.predict(), said)


def test_an_update_that_fails_halfway_changes_nothing(fitted, monkeypatch):
    before = fitted.get_state()
    monkeypatch.setattr(type(fitted.network_), "read", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        fitted.update(row("2024-03-01"))

    assert fitted.get_state() is before


# ---- keeping a state, and going back -------------------------------------------------------------


def test_a_state_that_is_put_back_forecasts_as_before(fitted):
    model = copy.deepcopy(fitted)
    snapshot, said = model.get_state(), model.predict(level=[80])

    moved = model.update(row("2024-03-01", 5.0)).predict(level=[80])
    model.set_state(snapshot)

    pd.testing.assert_frame_equal(model.predict(level=[80]), said)
    pd.testing.assert_frame_equal(model.update(row("2024-03-01", 5.0)).predict(level=[80]), moved)


def test_a_state_of_another_fit_is_refused(fitted):
    other = fit(waves(rows=START), random_state=1)

    with pytest.raises(ParameterError, match="same fit"):
        fitted.set_state(other.get_state())
    with pytest.raises(ParameterError, match=r"get_state returned\. Got str"):
        fitted.set_state("before")


@pytest.mark.parametrize("settings", [{}, {"patch": 3}])
def test_a_loaded_or_copied_forecaster_goes_on(settings, tmp_path):
    frame = gappy(with_covariates(130), seed=1)
    frame.loc[(frame["unique_id"] == "s1") & (frame["ds"] > "2024-03-01"), "y"] = np.nan
    first, rest = frame[frame["ds"] < "2024-04-20"], frame[frame["ds"] >= "2024-04-20"]
    model = fit(first, past_covariates=["flow"], **settings)
    snapshot = model.get_state()
    model.save(tmp_path / "model")
    others = [load(tmp_path / "model"), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
    said = model.predict()
    moved = model.update(rest).predict()

    for other in others:
        pd.testing.assert_frame_equal(other.predict(), said)
        pd.testing.assert_frame_equal(other.update(rest).predict(), moved)
        pd.testing.assert_frame_equal(other.set_state(snapshot).predict(), said)


def test_a_forecast_while_rows_arrive_is_of_one_state():
    frame = waves(series=1, rows=START + 60)
    model = fit(frame[:START])
    start = model.get_state()
    expected = {}
    for i in range(START, len(frame)):
        said = model.update(frame[i : i + 1]).predict()
        expected[said["ds"].iloc[0]] = said["forecast"].to_numpy()
    expected[frame["ds"].iloc[START]] = model.set_state(start).predict()["forecast"].to_numpy()
    done, wrong = threading.Event(), []

    def look():
        while not done.is_set():
            said = model.predict()
            wrong.append(not np.array_equal(said["forecast"], expected[said["ds"].iloc[0]]))

    thread = threading.Thread(target=look)
    thread.start()
    for i in range(START, len(frame)):
        model.update(frame[i : i + 1])
    done.set()
    thread.join()

    assert len(wrong) > 3
    assert not any(wrong)


# ---- one pass for all cutoffs --------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"patch": 1},
        {"patch": 3, "n_members": 2},
        {"patch": 4, "cell": "lstm", "num_layers": 2},
        {"decoder": "shift"},
        {"patch": 2, **NAMED},
    ],
)
@pytest.mark.parametrize("step", [1, 4])
def test_a_backtest_from_one_pass_is_that_of_every_cutoff_alone(settings, step):
    frame = with_covariates(120)
    frame = frame[(frame["unique_id"] == "s0") | (frame.groupby("unique_id").cumcount() >= 13)]
    rng = np.random.default_rng(0)
    some = (rng.random(len(frame)) > 0.1) | (frame["ds"] > "2024-04-01")
    frame = frame.assign(y=frame["y"].where(some))
    silent = (frame["unique_id"] == "s1") & frame["ds"].between("2024-02-20", "2024-03-28")
    if "future_covariates" not in settings:  # with them, a history ends with its newest value
        frame = frame.assign(y=frame["y"].where(~silent))
    model = fit(frame[frame["ds"] < "2024-03-01"], **settings)

    same_backtest(model, frame, step=step, targets=["y"])


def test_a_backtest_without_a_fit_needs_a_fitted_forecaster_and_leaves_it_as_it_is(fitted):
    before = fitted.get_state()

    result = fitted.backtest(waves(rows=90), n_windows=3, refit="never")

    assert fitted.get_state() is before
    assert len(result.forecasts) == 2 * 3 * 4
    with pytest.raises(Exception, match="not fitted"):
        tiny().backtest(waves(rows=90), refit="never")


def test_rows_that_may_not_be_written_to():
    frame = waves(series=1, rows=START + 2)
    model = fit(frame[:START])
    frame["y"].to_numpy(copy=False).flags.writeable = False

    for i in (START, START + 1):
        model.update(frame[i : i + 1])

    same(model, frame)


def test_a_bidirectional_network_has_no_state_to_move_and_backtests_cutoff_by_cutoff():
    frame = waves(rows=80)
    model = fit(frame[frame["ds"] < "2024-03-01"], bidirectional=True)

    with pytest.raises(ParameterError, match="bidirectional=False"):
        model.update(frame[frame["ds"] == "2024-03-01"])
    result = model.backtest(frame, n_windows=3, refit="never")
    with pytest.raises(ParameterError, match="truncated_bptt"):
        tiny(bidirectional=True, truncated_bptt=4).fit(frame)

    assert len(result.forecasts) == 2 * 3 * 4
