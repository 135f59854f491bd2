"""Backtest: no look-ahead, cutoffs where they belong, scores that are the metrics of the forecasts."""

import importlib

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.model_selection import GridSearchCV

import tsrnn
from tsrnn import (
    BaselineForecaster,
    DataError,
    DataWarning,
    ParameterError,
    RollingOriginSplit,
    backtest,
    metrics,
)
from tsrnn.base import Forecast, Forecaster
from tsrnn.baselines import METHODS

H = 4


def frame(lengths=(40, 33), seed=0):
    rng = np.random.default_rng(seed)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "unique_id": f"s{i}",
                    "ds": pd.date_range("2024-01-01", periods=n, freq="h"),
                    "y": 10 * (i + 1) + rng.normal(size=n).cumsum(),
                }
            )
            for i, n in enumerate(lengths)
        ],
        ignore_index=True,
    )


class Spy(Forecaster):
    """Forecasts ``value``, or the truth it was given; remembers in ``log`` what it was shown."""

    def __init__(
        self, *, value=0.0, log=None, horizon=H, id_col=None, time_col=None, target_col=None,
        freq=None, calendar=None, season=None,
    ):  # fmt: skip
        self.value, self.log, self.horizon, self.season = value, log, horizon, season
        self.id_col, self.time_col, self.target_col = id_col, time_col, target_col
        self.freq, self.calendar = freq, calendar

    def __sklearn_clone__(self):
        return Spy(**self.get_params())

    def _check_parameters(self):
        pass

    def _fit_panel(self, panel, notify):
        self.panel_ = panel
        self._note("fit", panel)

    def _forecast_panel(self, panel, horizon, probabilities):
        panel = self.panel_ if panel is None else panel
        self._note("forecast", panel)
        if isinstance(self.value, dict):
            stamps = panel.axis.future(panel.last_times, horizon)
            point = np.array(
                [[self.value[i, t] for t in row] for i, row in zip(panel.ids, stamps, strict=True)]
            )
        else:
            point = np.full((len(panel), horizon), self.value)
        return Forecast(point, np.repeat(point[..., None], len(probabilities), axis=2))

    def _history_tail(self):
        return self.panel_

    def _note(self, what, panel):
        if self.log is not None:
            self.log.append((what, dict(zip(panel.ids, panel.lengths.tolist(), strict=True))))


# ---- windows ------------------------------------------------------------------------------


def test_the_function_stays_a_function_after_its_module_was_loaded():
    importlib.import_module("tsrnn.backtesting")

    assert callable(tsrnn.backtest)


def test_cutoffs_are_counted_from_the_end_of_each_series():
    log = []

    backtest(Spy(log=log), frame(), n_windows=3, step=2)

    shown = [rows for what, rows in log if what == "fit"]
    assert shown == [{"s0": 32, "s1": 25}, {"s0": 34, "s1": 27}, {"s0": 36, "s1": 29}]


@pytest.mark.parametrize(
    ("refit", "fits"), [(True, [0, 1, 2, 3]), (False, [0]), (2, [0, 2]), (3, [0, 3]), (9, [0])]
)
def test_refit_says_at_which_windows_a_clone_is_fitted(refit, fits):
    log = []

    backtest(Spy(log=log), frame(), n_windows=4, refit=refit)

    cutoffs = [24, 28, 32, 36]
    assert [rows["s0"] for what, rows in log if what == "fit"] == [cutoffs[k] for k in fits]
    assert [rows["s0"] for what, rows in log if what == "forecast"] == cutoffs


@pytest.mark.parametrize(
    ("old", "new"), [("ds", "cutoff"), ("unique_id", "actual"), ("unique_id", "forecast-lo-80")]
)
def test_columns_that_the_result_would_overwrite_are_refused_before_any_fit(old, new):
    log = []
    df = frame().rename(columns={old: new})
    id_col, time_col, target_col = df.columns
    model = Spy(log=log, id_col=id_col, time_col=time_col, target_col=target_col)

    with pytest.raises(DataError, match=f"Got '{new}'. Rename it"):
        backtest(model, df, level=80)

    assert not log


def test_a_series_that_begins_after_the_only_fit_is_forecast_too():
    df = frame((40, 13))

    with pytest.warns(DataWarning, match="Series 's1' with 13 rows is in 2 of 5 windows"):
        result = backtest(BaselineForecaster(horizon=H), df, refit=False)

    late = result.forecasts[result.forecasts["unique_id"] == "s1"]
    known = df[df["unique_id"] == "s1"]["y"].to_numpy()
    np.testing.assert_array_equal(late["forecast"], np.repeat(known[[4, 8]], H))


def test_the_forecaster_itself_stays_as_it_was():
    model = BaselineForecaster()
    before = dict(vars(model))

    backtest(model, frame(), n_windows=2, horizon=3)

    assert vars(model) == before


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("refit", [True, False, 2])
def test_what_comes_after_a_cutoff_never_moves_its_forecast(method, refit):
    df = frame()
    model = BaselineForecaster(method, horizon=H, season=3)
    forecasts = backtest(model, df, n_windows=3, refit=refit, level=[80]).forecasts
    edited = df.copy()
    rows = edited.groupby("unique_id").cumcount(ascending=False) < 2 * H
    edited.loc[rows, "y"] = edited.loc[rows, "y"] * 40 + 1000

    again = backtest(model, edited, n_windows=3, refit=refit, level=[80]).forecasts

    first = forecasts.groupby("unique_id")["cutoff"].transform("min") == forecasts["cutoff"]
    untouched = [name for name in forecasts if name.startswith("forecast")]
    pd.testing.assert_frame_equal(again.loc[first, untouched], forecasts.loc[first, untouched])
    assert not again.loc[~first, "forecast"].equals(forecasts.loc[~first, "forecast"])


def test_a_short_series_is_left_out_of_its_windows_and_named():
    df = frame((40, 14, 30))

    with pytest.warns(DataWarning, match="'s1' with 14 rows is in 2 of 4 windows .the first of 1 "):
        result = backtest(BaselineForecaster(horizon=H), df, n_windows=4)

    counts = result.forecasts.groupby("unique_id").size()
    assert counts.to_dict() == {"s0": 4 * H, "s1": 2 * H, "s2": 4 * H}


def test_more_windows_than_rows_are_refused_with_the_number_that_fits():
    with pytest.raises(
        DataError, match=r"at least 44 rows\. Got at most 40\. Ask for at most n_windows=9"
    ):
        backtest(BaselineForecaster(horizon=H), frame(), n_windows=10)
    with pytest.raises(DataError, match="Shorten the horizon"):
        backtest(BaselineForecaster(horizon=25), frame(), n_windows=1)


@pytest.mark.parametrize("wrong", [{"n_windows": 0}, {"step": 0}, {"horizon": 1.5}, {"refit": 0}])
def test_wrong_parameters_are_refused(wrong):
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        backtest(BaselineForecaster(), frame(), **wrong)


# ---- result -------------------------------------------------------------------------------


def test_forecasts_lie_beside_what_came_true():
    df = frame()

    forecasts = backtest(BaselineForecaster(horizon=H), df, n_windows=2).forecasts

    assert forecasts.columns.tolist() == ["unique_id", "cutoff", "ds", "actual", "forecast"]
    truth = df.rename(columns={"y": "actual"})
    pd.testing.assert_frame_equal(
        forecasts[["unique_id", "ds", "actual"]],
        forecasts[["unique_id", "ds"]].merge(truth, how="left"),
    )
    last = forecasts.merge(
        df, left_on=["unique_id", "cutoff"], right_on=["unique_id", "ds"], suffixes=("", "_last")
    )
    assert (last["forecast"] == last["y"]).all()
    assert (forecasts["ds"] > forecasts["cutoff"]).all()


def test_scores_are_the_metrics_of_the_forecasts():
    df = frame((60,)).drop(columns="unique_id")
    model = BaselineForecaster("drift", horizon=H, season=3)

    result = backtest(model, df, n_windows=4, level=[80], quantiles=[0.3])

    f, y = result.forecasts, result.forecasts["actual"]
    row = result.scores.loc["model"]
    scale = [
        np.abs(df["y"][3 : 60 - k * H] - df["y"].shift(3)[3 : 60 - k * H]).mean()
        for k in (4, 3, 2, 1)
    ]
    asked = ["forecast-lo-80", "forecast-q30", "forecast-hi-80"]
    assert row["mae"] == pytest.approx(np.abs(y - f["forecast"]).mean())
    assert row["rmse"] == pytest.approx(np.sqrt(((y - f["forecast"]) ** 2).mean()))
    assert row["smape"] == pytest.approx(metrics.smape(y, f["forecast"]))
    assert row["mase"] == pytest.approx((np.abs(y - f["forecast"]) / np.repeat(scale, H)).mean())
    assert row["pinball"] == pytest.approx(metrics.pinball(y, f[asked].to_numpy(), [0.1, 0.3, 0.9]))
    assert row["coverage_80"] == y.between(f["forecast-lo-80"], f["forecast-hi-80"]).mean()
    four = f[["forecast-lo-80", "forecast-q30", "forecast", "forecast-hi-80"]].to_numpy()
    assert row["crps"] == pytest.approx(metrics.crps_quantiles(y, four, [0.1, 0.3, 0.5, 0.9]))


def test_errors_are_told_by_step_series_and_window():
    result = backtest(BaselineForecaster("mean", horizon=H), frame(), n_windows=3)
    f = result.forecasts.assign(error=lambda d: (d["actual"] - d["forecast"]).abs())
    f["step"] = f.groupby(["unique_id", "cutoff"]).cumcount() + 1
    f["window"] = f.groupby("unique_id")["cutoff"].rank("dense").astype(int)

    for table, key in (
        (result.by_horizon, "step"),
        (result.by_series, "unique_id"),
        (result.by_window, "window"),
    ):
        expected = f.groupby(key)["error"].mean()
        np.testing.assert_allclose(table["model"], expected, rtol=1e-12)
        assert table.index.tolist() == expected.index.tolist()
        assert table.index.name == key


@pytest.mark.parametrize("method", ["naive", "seasonal_naive", "drift", "theta"])
def test_a_baseline_as_the_model_scores_as_its_own_row(method):
    result = backtest(BaselineForecaster(method, horizon=H, season=3), frame(), level=[80])

    scores = result.scores
    pd.testing.assert_series_equal(scores.loc["model"], scores.loc[method], check_names=False)
    assert result.skill[method] == 0


def test_a_perfect_forecast_has_no_error_and_beats_naive():
    df = frame()
    truth = dict(
        zip(zip(df["unique_id"], df["ds"].astype("int64"), strict=True), df["y"], strict=True)
    )

    result = backtest(Spy(value=truth), df, n_windows=5)

    assert (result.scores.loc["model", ["mae", "rmse", "smape", "mase"]] == 0).all()
    assert (result.skill == 1).all()
    assert result.verdict.startswith("Beats the best naive forecast")
    assert result.dm_test.statistic < 0
    assert result.dm_test.p_value < 0.05
    assert not result.lag_copy.is_copy


def test_naive_is_found_out_as_a_copy_of_the_last_value():
    result = backtest(BaselineForecaster(horizon=1), frame((200,)), n_windows=40)

    assert result.lag_copy.is_copy
    assert result.dm_test.against == "naive"
    assert result.verdict.startswith("Does not beat")


def test_missing_values_are_forecast_and_not_scored():
    df = frame((40,))
    df.loc[38, "y"] = np.nan

    with pytest.warns(DataWarning, match="missing"):
        result = backtest(BaselineForecaster(horizon=H), df, n_windows=2)

    f = result.forecasts
    assert f["forecast"].notna().all()
    assert f["actual"].isna().sum() == 1
    assert result.scores.loc["model", "mae"] == pytest.approx(
        (f["actual"] - f["forecast"]).abs().mean()
    )
    assert "7 held-out steps" in result.verdict


def test_the_unit_of_a_series_does_not_decide_between_several():
    df = frame()
    large = df.assign(y=df["y"].where(df["unique_id"] == "s0", df["y"] * 1024))

    one, other = (backtest(BaselineForecaster("mean", horizon=H), d) for d in (df, large))

    assert one.metric == other.metric == "mase"
    assert one.skill.tolist() == pytest.approx(other.skill.tolist())
    assert one.dm_test.p_value == pytest.approx(other.dm_test.p_value)


def test_constant_series_have_scores_and_a_verdict():
    df = frame().assign(y=5.0)

    result = backtest(BaselineForecaster("mean", horizon=H), df)

    assert (result.scores["mae"] == 0).all()
    assert result.scores["mase"].isna().all()
    assert "the same MAE" in result.verdict


def test_every_kind_of_frame_gives_the_same_scores():
    df = frame((40, 40))
    wide = df.pivot(index="ds", columns="unique_id", values="y")
    kinds = [
        df,
        df.sample(frac=1, random_state=0),
        pl.from_pandas(df),
        wide,
        df.set_index(["unique_id", "ds"]),
    ]

    scores = [backtest(BaselineForecaster(horizon=H), kind).scores for kind in kinds]

    for other in scores[1:]:
        pd.testing.assert_frame_equal(other, scores[0])


def test_the_result_reads_at_a_glance():
    result = backtest(BaselineForecaster(horizon=H), frame(), n_windows=2)

    lines = repr(result).splitlines()

    assert lines[0] == "Backtest: 2 windows, 2 series, 4 steps"
    assert lines[2].split() == ["mae", "rmse", "smape", "mase"]
    assert [line.split()[0] for line in lines[3:8]] == list(result.scores.index)
    assert lines[-1] == result.verdict


# ---- scikit-learn -------------------------------------------------------------------------


def test_splits_are_the_rows_up_to_each_cutoff_and_the_next_ones():
    df = frame((12, 9)).sample(frac=1, random_state=1).reset_index(drop=True)

    folds = list(RollingOriginSplit(2, n_windows=3, step=1).split(df))

    assert len(folds) == RollingOriginSplit(2, n_windows=3).get_n_splits() == 3
    for (train, test), ago in zip(folds, (2, 1, 0), strict=True):
        assert df.iloc[train].groupby("unique_id").size().tolist() == [10 - ago, 7 - ago]
        assert df.iloc[test].groupby("unique_id").size().tolist() == [2, 2]
        ends = df.iloc[train].groupby("unique_id")["ds"].max()
        starts = df.iloc[test].groupby("unique_id")["ds"].min()
        assert (starts - ends == pd.Timedelta("1h")).all()


@pytest.mark.parametrize("kind", ["wide", "series", "indexed"])
def test_indexed_frames_are_split_too(kind):
    df = frame((12, 12))
    wide = df.pivot(index="ds", columns="unique_id", values="y")
    given = {"wide": wide, "series": wide["s0"], "indexed": df.set_index(["unique_id", "ds"])}[kind]

    train, test = next(RollingOriginSplit(3, n_windows=2).split(given))

    each = 2 if kind == "indexed" else 1
    assert (len(train), len(test)) == (6 * each, 3 * each)


def test_a_series_too_short_for_a_window_has_no_rows_in_it():
    df = frame((12, 4))

    train, test = next(RollingOriginSplit(2, n_windows=3).split(df))

    assert set(df.iloc[train]["unique_id"]) == set(df.iloc[test]["unique_id"]) == {"s0"}
    with pytest.raises(DataError, match="at most n_windows=5"):
        list(RollingOriginSplit(2, n_windows=6).split(df))


def seasonal_frame():
    rng = np.random.default_rng(0)
    y = np.tile(rng.normal(size=7) * 10, 20) + rng.normal(size=140)
    return pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=140), "y": y})


def walk_frame():
    y = np.random.default_rng(1).normal(size=(140, 8)).cumsum(axis=0)
    days = pd.date_range("2024-01-01", periods=140, name="ds")
    return pd.DataFrame(y, index=days, columns=list("abcdefgh"))


@pytest.mark.parametrize(
    ("df", "best"), [(seasonal_frame(), "seasonal_naive"), (walk_frame(), "naive")]
)
def test_grid_search_finds_the_method_that_is_right(df, best):
    grid = {"method": ["mean", "drift", "naive", "seasonal_naive"]}
    search = GridSearchCV(
        BaselineForecaster(horizon=7, season=7), grid, cv=RollingOriginSplit(7, n_windows=8)
    )

    search.fit(df)

    assert search.best_params_ == {"method": best}
    assert len(search.predict(None)) == 7


@pytest.mark.parametrize("forecaster", [pd.DataFrame({"y": [1.0]}), BaselineForecaster])
def test_what_is_no_forecaster_is_refused_by_name(forecaster):
    df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=9), "y": np.arange(9.0)})

    with pytest.raises(ParameterError, match="'forecaster' parameter must be a forecaster such as"):
        tsrnn.backtest(forecaster, df)
