"""The figures show the numbers they are given, and nothing outside them changes."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from tsrnn.exceptions import DataError
from tsrnn.plotting import (
    plot_backtest,
    plot_calibration,
    plot_forecast,
    plot_residuals,
    plot_skill,
)


@pytest.fixture
def history():
    days = pd.bdate_range("2020-01-01", periods=100)
    return pd.concat(
        [
            pd.DataFrame({"id": name, "ds": days, "y": np.arange(100.0) * k})
            for k, name in enumerate("abcdef", 1)
        ],
        ignore_index=True,
    )


@pytest.fixture
def forecast(history):
    days = pd.bdate_range(history["ds"].max(), periods=6)[1:]
    frames = []
    for name in "abcdef":
        middle = np.arange(5.0)
        columns = {"forecast": middle}
        for level, half in ((80, 1.0), (95, 2.0)):
            columns |= {
                f"forecast-lo-{level}": middle - half,
                f"forecast-hi-{level}": middle + half,
            }
        frames.append(pd.DataFrame({"id": name, "ds": days} | columns))
    return pd.concat(frames, ignore_index=True)


def line(axes, label):
    return next(drawn for drawn in axes.get_lines() if drawn.get_label() == label)


def test_forecast_line_starts_at_the_newest_observation_and_holds_the_forecast(history, forecast):
    figure = plot_forecast(history, forecast, id_col="id", ids=["b"])

    drawn = line(figure.axes[0], "forecast").get_ydata()

    np.testing.assert_array_equal(drawn, [198.0, 0, 1, 2, 3, 4])


def test_bands_lie_between_the_low_and_the_high_column(history, forecast):
    figure = plot_forecast(history, forecast, id_col="id", ids=["a"])

    wide, narrow = figure.axes[0].collections

    assert wide.get_label() == "95 % interval"
    for band, half in ((wide, 2.0), (narrow, 1.0)):
        y = band.get_paths()[0].vertices[:, 1]
        assert {-half, 4 + half} <= set(y)


def test_first_four_series_are_drawn_unless_ids_are_given(history, forecast):
    few = plot_forecast(history, forecast, id_col="id")
    asked = plot_forecast(history, forecast, id_col="id", ids=["f", "a"])

    assert [axes.get_title("left") for axes in few.axes] == ["a", "b", "c", "d"]
    assert [axes.get_title("left") for axes in asked.axes] == ["f", "a"]


@pytest.mark.parametrize(
    "convert",
    [
        lambda t: t.dt.tz_localize("America/New_York"),
        lambda t: t.dt.to_period("D"),
        lambda t: t.astype("datetime64[s]"),
        lambda t: (t - pd.Timestamp("2020-01-01")).dt.days,
    ],
    ids=["zone", "period", "seconds", "integer"],
)
def test_any_kind_of_time_is_drawn(history, forecast, convert, tmp_path):
    history = history.assign(ds=convert(history["ds"]))
    forecast = forecast.assign(ds=convert(forecast["ds"]))

    plot_forecast(history, forecast, id_col="id", ids=["a"]).savefig(tmp_path / "plot.png", dpi=30)

    assert (tmp_path / "plot.png").stat().st_size > 1000


def test_missing_newest_value_leaves_the_forecast_on_its_own(history, forecast):
    history.loc[99, "y"] = np.nan

    figure = plot_forecast(history, forecast, id_col="id", ids=["a"])

    np.testing.assert_array_equal(line(figure.axes[0], "forecast").get_ydata(), np.arange(5.0))


def test_callers_frames_are_unchanged(history, forecast):
    before = history.copy(), forecast.copy()

    plot_forecast(history, forecast, id_col="id")

    pd.testing.assert_frame_equal(history, before[0])
    pd.testing.assert_frame_equal(forecast, before[1])


def test_missing_column_and_unknown_series_are_named(history, forecast):
    with pytest.raises(DataError, match="history needs a column 'close'"):
        plot_forecast(history, forecast, id_col="id", target_col="close")
    with pytest.raises(DataError, match="Series 'z' has no forecast"):
        plot_forecast(history, forecast, id_col="id", ids=["z"])


def test_backtest_draws_one_forecast_and_one_dotted_line_per_cutoff():
    days = pd.bdate_range("2020-01-01", periods=30)
    folds = [
        pd.DataFrame(
            {
                "sensor": "s1",
                "cutoff": days[c - 1],
                "when": days[c : c + 5],
                "actual": 1.0,
                "forecast": float(c),
            }
        )
        for c in (10, 15, 20)
    ]

    axes = plot_backtest(SimpleNamespace(forecasts=pd.concat(folds))).axes[0]

    drawn = [x.get_ydata()[0] for x in axes.get_lines() if x.get_label() == "forecast"]
    cutoffs = [
        x
        for x in axes.get_lines()
        if len(x.get_xdata()) == 2 and x.get_xdata()[0] == x.get_xdata()[1]
    ]
    assert drawn == [10, 15, 20]
    assert len(cutoffs) == 3
    assert len(line(axes, "observed").get_ydata()) == 15


def test_backtest_of_a_single_series_with_integer_times_is_drawn():
    frame = pd.DataFrame({"cutoff": 9, "t": [10, 11], "actual": [1.0, 2.0], "forecast": [1.5, 1.5]})

    axes = plot_backtest(SimpleNamespace(forecasts=frame)).axes[0]

    np.testing.assert_array_equal(line(axes, "observed").get_xdata(), [10, 11])


def test_autocorrelation_bars_match_the_formula():
    rng = np.random.default_rng(0)
    actual = rng.normal(size=200)

    figure = plot_residuals(actual, np.zeros(200))

    drawn = next(x for x in figure.axes[2].get_lines() if x.get_marker() == "o")
    centred = actual - actual.mean()
    expected = [np.sum(centred[k:] * centred[:-k]) / np.sum(centred**2) for k in range(1, 24)]
    np.testing.assert_array_equal(drawn.get_xdata(), np.arange(1, 24))
    np.testing.assert_allclose(drawn.get_ydata(), expected, rtol=1e-12)


def test_histogram_counts_every_finite_residual():
    actual = np.arange(50.0)
    actual[3] = np.nan

    figure = plot_residuals(actual, np.zeros(50))

    assert sum(bar.get_height() for bar in figure.axes[1].patches) == 49


@pytest.mark.parametrize("actual", [[1.0], [np.nan, np.nan, 1.0]])
def test_residuals_of_fewer_than_two_steps_are_refused(actual):
    with pytest.raises(DataError, match="at least 2 finite steps"):
        plot_residuals(actual, np.zeros(len(actual)))


def test_calibration_band_is_the_binomial_one_and_points_are_the_observed():
    figure = plot_calibration([0.95, 0.8], [0.9, 0.82], n=400)

    axes = figure.axes[0]
    band = axes.collections[0].get_paths()[0].vertices
    width = np.ptp(band[np.isclose(band[:, 0], 0.8), 1])
    points = axes.get_lines()[-1]
    np.testing.assert_allclose(width, 2 * 1.96 * np.sqrt(0.8 * 0.2 / 400))
    np.testing.assert_array_equal(points.get_xydata(), [[0.8, 0.82], [0.95, 0.9]])


def test_percent_where_a_fraction_is_meant_is_refused():
    with pytest.raises(DataError, match="fractions of 1"):
        plot_calibration([80], [0.8], n=10)


def test_skill_draws_every_method_with_the_model_on_top():
    table = pd.DataFrame(
        {"naive": [1.0, 2.0], "model": [0.5, 1.0], "seasonal_naive": [3.0, 3.0]}, index=[1, 2]
    )

    figure = plot_skill(table)

    drawn = {x.get_label(): x.get_ydata().tolist() for x in figure.axes[0].get_lines()}
    assert drawn == {"naive": [1, 2], "seasonal naive": [3, 3], "model": [0.5, 1]}
    assert figure.legends[0].get_texts()[0].get_text() == "model"


def test_legend_and_heading_lie_outside_the_panels(history, forecast):
    figure = plot_forecast(history, forecast, id_col="id")

    figure.draw_without_rendering()

    legend = figure.legends[0].get_window_extent()
    assert not any(axes.get_tightbbox().overlaps(legend) for axes in figure.axes)


@pytest.mark.slow
def test_drawing_loads_no_pyplot_and_shows_in_a_notebook():
    program = (
        "import sys; from tsrnn.plotting import plot_skill; import pandas as pd; "
        "figure = plot_skill(pd.DataFrame({'model': [1.0, 2.0]}, index=[1, 2])); "
        "assert figure._repr_png_()[:4] == b'\\x89PNG'; assert 'matplotlib.pyplot' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", program], check=True)
