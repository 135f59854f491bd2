"""sktime's own checks of the adapter, and what they don't ask; run by ``make check-sktime``."""

from __future__ import annotations

import doctest
import sys

import numpy as np
import pandas as pd
import pytest
from sktime.forecasting.base import ForecastingHorizon
from sktime.utils.estimator_checks import check_estimator

import tsrnn.sktime
from tsrnn import RNNForecaster
from tsrnn.sktime import TsrnnForecaster

pytestmark = pytest.mark.filterwarnings("default")


def tiny(**changes) -> RNNForecaster:
    small = {"hidden_size": 2, "context_length": 8, "max_steps": 5, "season": 1}
    return RNNForecaster(**{**small, **changes})


def walk(rows: int, seed: int = 0) -> np.ndarray:
    return 50 + np.random.default_rng(seed).normal(size=rows).cumsum()


def sales(rows: int = 60) -> pd.Series:
    return pd.Series(walk(rows), index=pd.date_range("2024-01-01", periods=rows), name="sales")


def test_check_estimator_passes(capsys):
    found = check_estimator(TsrnnForecaster, raise_exceptions=False, verbose=False)

    assert {name: said for name, said in found.items() if said != "PASSED"} == {}
    with capsys.disabled():
        sys.stdout.write(f"\n{len(found)} of {len(found)} checks of check_estimator passed\n")


def test_examples_run():
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.testmod(tsrnn.sktime, optionflags=flags).failed == 0


def test_forecasts_are_those_of_the_forecaster_inside():
    y, own = sales(), tiny(horizon=4)

    adapted = TsrnnForecaster(tiny()).fit(y, fh=[2, 4])

    expected = own.fit(y).predict(level=80)
    pd.testing.assert_series_equal(
        adapted.predict(), expected["forecast"].iloc[[1, 3]].rename("sales"), check_freq=False
    )
    low, high = adapted.predict_interval(coverage=0.8).to_numpy().T
    np.testing.assert_array_equal(low, expected["forecast-lo-80"].iloc[[1, 3]])
    np.testing.assert_array_equal(high, expected["forecast-hi-80"].iloc[[1, 3]])


def test_each_series_is_forecast_from_its_own_end():
    ends = {"a": 50, "b": 40}
    parts = {name: sales(rows).to_frame() for name, rows in ends.items()}
    y = pd.concat(parts, names=["shop", "day"])

    adapted = TsrnnForecaster(tiny()).fit(y)

    said = adapted.predict(fh=[1, 3])
    days = pd.date_range("2024-01-01", periods=60)
    assert said.index.names == ["shop", "day"]
    assert said.loc["a"].index.tolist() == [days[50], days[52]]
    assert said.loc["b"].index.tolist() == [days[40], days[42]]
    same_day = adapted.predict(fh=ForecastingHorizon(days[[50]], is_relative=False, freq="D"))
    assert same_day.index.tolist() == [("a", days[50]), ("b", days[50])]


def test_an_update_of_the_state_is_reading_the_whole_history():
    y = sales(60)
    adapted = TsrnnForecaster(tiny(horizon=2)).fit(y[:50])

    adapted.update(y[45:], update_params=False)

    expected = tiny(horizon=2).fit(y[:50]).predict(y)
    np.testing.assert_allclose(adapted.predict(fh=[1, 2]), expected, rtol=1e-6)
    assert adapted.predict(fh=[1]).index[0] == y.index[-1] + pd.Timedelta(days=1)


def test_an_update_of_the_parameters_is_a_fit_to_all_rows():
    y = sales(60)
    adapted = TsrnnForecaster(tiny(horizon=2)).fit(y[:50])

    adapted.update(y[50:])

    expected = tiny(horizon=2).fit(y).predict()
    np.testing.assert_array_equal(adapted.predict(fh=[1, 2]), expected)


def test_exogenous_columns_are_known_in_advance_or_where_the_forecaster_says():
    y = sales(63)
    X = pd.DataFrame({"price": walk(63, 1), "kind": "a", "seen": walk(63, 2)}, index=y.index)
    inside = tiny(past_covariates=["seen"], static_covariates=["kind"])

    adapted = TsrnnForecaster(inside).fit(y[:60], X[:60], fh=[1, 2, 3])

    assert adapted.forecaster_.future_covariates == ["price"]
    long = X.assign(sales=y).reset_index(names="day")
    expected = tiny(
        horizon=3,
        target_col="sales",
        future_covariates=["price"],
        past_covariates=["seen"],
        static_covariates=["kind"],
    ).fit(long[:60])
    said = expected.predict(future_df=long[["day", "price"]][60:])["forecast"]
    np.testing.assert_allclose(adapted.predict(X=X[60:]), said, rtol=1e-6)


def test_missing_values_are_masked():
    y = sales()
    y.iloc[[5, 6, 30]] = np.nan

    assert np.isfinite(TsrnnForecaster(tiny()).fit(y, fh=[1, 2]).predict()).all()
