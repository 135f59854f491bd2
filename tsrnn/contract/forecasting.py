"""What a forecast is: its rows, stamps and columns, intervals, scores, updates, files."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from tsrnn.contract.case import Case, quietly, values
from tsrnn.contract.rules import Broken, NotAsked, must, must_be_close, must_equal, rule
from tsrnn.exceptions import NotFittedError

_QUANTILES = [0.1, 0.25, 0.5, 0.75, 0.9]


# ---- rows and columns ---------------------------------------------------------------------


@rule
def a_forecast_has_the_columns_of_the_frame(case: Case) -> None:
    """A forecast holds id, time and ``forecast``, in the names and types of the frame."""
    frame, forecast = case.frame(), case.fitted().predict()
    must(list(forecast.columns) == ["unique_id", "ds", "forecast"], f"{list(forecast.columns)}")
    for name in ("unique_id", "ds"):
        got, expected = forecast[name].dtype, frame[name].dtype
        must(got == expected, f"column {name!r} of type {got}, not {expected}")


@rule
def a_forecast_covers_the_horizon_of_every_series(case: Case) -> None:
    """A forecast has exactly ``horizon`` rows for each series, and no other."""
    sizes = case.fitted().predict().groupby("unique_id").size().to_dict()
    must(sizes == dict.fromkeys(["s0", "s1"], case.horizon), f"rows by series: {sizes}")


@rule
def a_forecast_starts_one_step_after_the_last_time(case: Case) -> None:
    """A forecast starts one step after the last time of its own series, also where series end apart."""
    frame = case.frame()
    ragged = frame.drop(frame.index[-5:])
    forecast = case.fit(ragged).predict()
    for name, one in forecast.groupby("unique_id"):
        last = ragged.loc[ragged["unique_id"] == name, "ds"].max()
        expected = pd.date_range(last, periods=case.horizon + 1, freq="D")[1:]
        must_equal(one["ds"].to_numpy(), expected.to_numpy(), f"the time of series {name!r}")


@rule
def a_forecast_is_finite(case: Case) -> None:
    """A forecast of finite data is finite."""
    must(np.isfinite(values(case.fitted().predict(level=case.level))).all(), "missing or infinite")


@rule
def a_shorter_horizon_is_the_beginning_of_a_longer_one(case: Case) -> None:
    """Asked for fewer or more steps than fitted, it says the same of the steps they share."""
    fitted = case.fitted()
    whole = fitted.predict(horizon=2 * case.horizon)
    must(len(whole) == 4 * case.horizon, f"{len(whole)} rows for twice the horizon of two series")
    for horizon in {1, case.horizon}:
        part = whole.groupby("unique_id").head(horizon).reset_index(drop=True)
        must_equal(fitted.predict(horizon=horizon), part, f"the forecast of horizon={horizon}")


@rule
def predict_is_predict_of_the_training_frame(case: Case) -> None:
    """Without a frame, predict forecasts what it forecasts from the training frame."""
    fitted = case.fitted()
    must_be_close(
        values(fitted.predict(case.frame())),
        values(fitted.predict()),
        "predict(df)",
        tolerance=1e-6,
    )


@rule
def series_that_were_not_fitted_are_forecast(case: Case) -> None:
    """predict(df) takes series that were not fitted."""
    forecast = case.fitted().predict(case.frame(series=4))
    must(set(forecast["unique_id"]) == {"s0", "s1", "s2", "s3"}, "series are missing")
    must(np.isfinite(forecast["forecast"]).all(), "missing or infinite values")


@rule
def predicting_changes_nothing(case: Case) -> None:
    """Predict is pure: nothing that is asked of it moves what it says next."""
    fitted = case.fitted()
    before, state = fitted.predict(level=case.level), dict(fitted.__dict__)
    fitted.predict(case.frame(series=3, seed=8))
    fitted.predict(horizon=case.horizon + 3)
    fitted.score(case.later())
    must_equal(fitted.predict(level=case.level), before, "the forecast")
    changed = sorted(k for k in fitted.__dict__ if fitted.__dict__[k] is not state.get(k))
    must(not changed, f"attributes {changed} were replaced")


@rule
def the_steps_to_forecast_are_those_of_make_future(case: Case) -> None:
    """make_future returns the series and times of the forecast."""
    fitted = case.fitted()
    must_equal(
        fitted.make_future()[["unique_id", "ds"]], fitted.predict()[["unique_id", "ds"]], "rows"
    )


# ---- intervals ----------------------------------------------------------------------------


@rule
def intervals_have_their_names(case: Case) -> None:
    """level=80 adds ``forecast-lo-80`` and ``forecast-hi-80``, quantiles=[0.1] ``forecast-q10``."""
    case.needs_intervals()
    got = list(case.fitted().predict(level=80, quantiles=[0.1]).columns[3:])
    must(got == ["forecast-lo-80", "forecast-hi-80", "forecast-q10"], f"columns {got}")


@rule
def intervals_do_not_move_the_forecast(case: Case) -> None:
    """Asking for intervals moves no forecast."""
    case.needs_intervals()
    plain, wide = case.fitted().predict(), case.fitted().predict(level=80)
    must_equal(wide["forecast"], plain["forecast"], "the forecast")


@rule
def quantiles_never_cross(case: Case) -> None:
    """Quantiles ascend with their probabilities, and a wider interval holds a narrower one."""
    case.needs_intervals()
    fitted, far = case.fitted(), 2 * case.horizon
    said = fitted.predict(quantiles=_QUANTILES, horizon=far).iloc[:, 3:].to_numpy()
    must((np.diff(said, axis=1) >= 0).all(), "quantiles that descend")
    both = fitted.predict(level=[50, 80], horizon=far)
    must((both["forecast-lo-80"] <= both["forecast-lo-50"]).all(), "80 inside of 50 below")
    must((both["forecast-hi-80"] >= both["forecast-hi-50"]).all(), "80 inside of 50 above")


@rule
def an_interval_is_two_quantiles(case: Case) -> None:
    """The interval of 80 percent reaches from the quantile 0.1 to 0.9, whatever the order asked."""
    case.needs_intervals()
    said = case.fitted().predict(level=80, quantiles=[0.9, 0.1])
    must_equal(
        said[["forecast-lo-80", "forecast-hi-80"]].to_numpy(),
        said[["forecast-q10", "forecast-q90"]].to_numpy(),
        "the interval",
    )


# ---- scores and backtests -----------------------------------------------------------------


@rule
def a_score_is_one_where_the_forecast_came_true(case: Case) -> None:
    """Score is 1 where the forecast came true to the last digit, and no higher where it did not."""
    fitted = case.fitted()
    truth = fitted.predict().rename(columns={"forecast": "y"})
    off = truth.assign(y=truth["y"] + 3)
    exact, worse = fitted.score(truth), fitted.score(off)
    must(isinstance(exact, float), f"score returned {type(exact).__name__}")
    must(worse < exact or exact == 0, f"{worse} for errors of 3, {exact} without an error")
    # 0 where it says what seasonal naive says, which then is perfect, too
    must(abs(exact - 1) < 1e-9 or exact == 0, f"score {exact} without an error")


@rule
def a_backtest_sees_no_future_and_changes_nothing(case: Case) -> None:
    """In a backtest rows after a cutoff move no forecast from it, and the forecaster stays as it is."""
    from tsrnn.backtesting import backtest

    frame, fitted = case.frame(), case.fitted()
    place = frame.groupby("unique_id").cumcount()
    poisoned = frame.assign(y=frame["y"].where(place < case.rows - case.horizon, 1e6))
    before = fitted.predict()
    clean, dirty = (
        backtest(fitted, f, n_windows=2, refit=False).forecasts for f in (frame, poisoned)
    )
    must_equal(dirty["forecast"], clean["forecast"], "a forecast, with later rows poisoned,")
    must(
        (dirty["actual"] != clean["actual"]).sum() == 2 * case.horizon, "other rows judge than said"
    )
    must_equal(fitted.predict(), before, "the forecast after a backtest")


# ---- going on, and files ------------------------------------------------------------------


@rule
def an_update_equals_reading_everything_again(case: Case) -> None:
    """After update(rows) the forecast is that from the whole history."""
    case.needs("update")
    moved = case.fitted()
    before = case.fitted().predict()
    moved.update(case.later())
    whole = case.fitted().predict(pd.concat([case.frame(), case.later()]))
    must_be_close(values(moved.predict()), values(whole), "the forecast after update")
    must_equal(case.fitted().predict(), before, "the forecast of a copy made before update")


@rule
def a_saved_forecaster_forecasts_the_same(case: Case) -> None:
    """What was saved is loaded with the same parameters and forecasts the same bits."""
    case.needs("save", "load")
    fitted = case.fitted()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model")
        fitted.save(path)
        loaded = type(fitted).load(path)
        pickled = [file.name for file in path.rglob("*") if file.suffix in {".pkl", ".pickle"}]
    must(not pickled, f"pickles in the folder: {pickled}")
    must(repr(loaded.get_params()) == repr(fitted.get_params()), "other parameters")
    must_equal(loaded.predict(level=case.level), fitted.predict(level=case.level), "the forecast")


@rule
def an_unfitted_forecaster_is_not_saved(case: Case) -> None:
    """Before fit, save raises NotFittedError and writes nothing."""
    case.needs("save")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model")
        try:
            case.fresh().save(path)
        except NotFittedError:
            must(not path.exists(), "a folder was left behind")
            return
    raise Broken("save raised no NotFittedError")


@rule
def paths_are_drawn_as_rows_of_id_path_time_and_value(case: Case) -> None:
    """simulate(n) draws n paths of each series over the horizon, the same ones every time."""
    case.needs("simulate")
    fitted = case.fitted()
    try:
        with quietly():
            paths = fitted.simulate(3)
    except ValueError as error:  # an output of points draws none
        raise NotAsked(str(error)) from None
    must(len(paths) == 2 * 3 * case.horizon, f"{len(paths)} rows for 3 paths of two series")
    must(np.isfinite(paths["value"]).all(), "missing or infinite values")
    must_equal(fitted.simulate(3), paths, "the second draw")
