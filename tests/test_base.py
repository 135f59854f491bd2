"""What every forecaster shares: columns of intervals, listeners, and the score."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.contract.samples import HORIZON, baseline, waves
from tsrnn import BaselineForecaster
from tsrnn.exceptions import DataError, ParameterError
from tsrnn.intervals import interval_columns
from tsrnn.listeners import add_listener, remove_listener

# ---- columns ------------------------------------------------------------------------------


def test_intervals_are_named_low_high_and_quantiles_by_percent():
    columns = interval_columns([80, 99.5], [0.025, 0.5])

    assert columns == {
        "forecast-lo-80": 0.1,
        "forecast-hi-80": 0.9,
        "forecast-lo-99.5": 0.0025,
        "forecast-hi-99.5": 0.9975,
        "forecast-q2.5": 0.025,
        "forecast-q50": 0.5,
    }
    assert next(iter(columns)) == "forecast-lo-80"


def test_a_single_level_or_quantile_needs_no_list():
    assert interval_columns(90, 0.1) == interval_columns([90], [0.1])
    assert interval_columns(None, None) == {}
    assert interval_columns(np.array([50.0]), (0.9,)) == interval_columns([50], [0.9])


def test_a_level_given_as_a_share_is_refused():
    with pytest.raises(ParameterError, match=r"Got 0\.8\. For an 80 % interval give 80"):
        interval_columns(0.8, None)


@pytest.mark.parametrize(
    ("level", "quantiles", "which"),
    [([80, 80.00001], None, "level"), (None, [1 / 3, 0.3333333], "quantiles")],
)
def test_two_columns_of_one_name_are_refused(level, quantiles, which):
    with pytest.raises(
        ParameterError, match=rf"'{which}' parameter.*is taken. Ask for them in two"
    ):
        interval_columns(level, quantiles)

    assert len(interval_columns([80, 80], [0.1, 0.1])) == 3


@pytest.mark.parametrize("level", [0, 100, -5, 180, "80", True, [80, None], np.nan])
def test_a_level_is_a_percent(level):
    with pytest.raises(
        ParameterError, match="'level' parameter must hold percents between 0 and 100"
    ):
        interval_columns(level, None)


@pytest.mark.parametrize("quantiles", [0, 1, 80, "0.5", [0.1, 1.5], True, np.nan])
def test_a_quantile_is_a_probability(quantiles):
    with pytest.raises(ParameterError, match="must hold probabilities between 0 and 1"):
        interval_columns(None, quantiles)


# ---- horizons -----------------------------------------------------------------------------


@pytest.mark.parametrize("horizon", [0, -1, 1.5, "7", True])
def test_a_horizon_is_a_whole_number_from_one_at_fit_and_at_predict(horizon, forecaster):
    expected = rf"The 'horizon' parameter must be an integer of at least 1.*Got {horizon!r}\."

    with pytest.raises(ParameterError, match=expected):
        type(forecaster)(horizon=horizon).fit(waves())
    with pytest.raises(ParameterError, match=expected):
        baseline().fit(waves()).predict(horizon=horizon)


@pytest.fixture(params=["network", "baseline"])
def forecaster(request):
    from tests.contract.samples import tiny

    return {"network": tiny, "baseline": baseline}[request.param]()


def test_none_is_the_horizon_of_the_frequency():
    model = BaselineForecaster().fit(waves())

    assert model.horizon is None
    assert model.horizon_ == 14
    assert len(model.predict()) == 2 * 14
    assert len(model.predict(horizon=None)) == 2 * 14


# ---- listeners ----------------------------------------------------------------------------


class Journal:
    def __init__(self):
        self.heard = []

    def on_fit_start(self, forecaster, panel):
        self.heard.append(("start", len(panel)))

    def on_epoch_end(self, forecaster, step, metrics):
        self.heard.append(("epoch", step, sorted(metrics)))

    def on_fit_end(self, forecaster):
        self.heard.append(("end", len(forecaster.predict())))

    def on_fit_error(self, forecaster, error):
        self.heard.append(("error", type(error).__name__))


@pytest.fixture
def journal():
    journal = Journal()

    def factory(_):
        return journal

    add_listener(factory)
    yield journal
    remove_listener(factory)


@pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")
def test_a_listener_hears_the_start_each_stretch_and_an_end_that_can_predict(journal):
    from tests.contract.samples import tiny

    tiny(max_steps=4).fit(waves())

    curve = ["gradient_norm", "learning_rate", "train_loss", "val_score"]
    assert journal.heard == [
        ("start", 2),
        *(("epoch", step, curve) for step in (1, 2, 3, 4)),
        ("end", 2 * HORIZON),
    ]


def test_a_listener_hears_of_no_fit_whose_frame_was_refused(journal):
    with pytest.raises(DataError):
        baseline().fit(waves().assign(y=np.inf))

    assert journal.heard == []


def test_a_factory_that_is_not_interested_costs_nothing():
    def factory(_):
        return None

    add_listener(factory)
    try:
        baseline().fit(waves())
    finally:
        remove_listener(factory)


# ---- the score ----------------------------------------------------------------------------


def later(values, start="2024-03-01") -> pd.DataFrame:
    return pd.DataFrame({"ds": pd.date_range(start, periods=len(values)), "y": values})


@pytest.fixture
def line() -> pd.DataFrame:
    return later(2.0 * np.arange(60), start="2024-01-01")  # ends on 29 February at 118


def test_the_score_is_one_minus_the_error_over_that_of_seasonal_naive(line):
    drift = baseline().fit(line)
    naive = baseline(method="naive").fit(line)
    truth = later([120.0, 122.0, 124.0, 126.0])

    assert drift.score(truth) == 1.0
    # naive errs by 2, 4, 6, 8; seasonal naive, a week back on a line of slope 2, by 14 each
    assert naive.score(truth) == pytest.approx(1 - 5 / 14)
    assert baseline(method="seasonal_naive").fit(line).score(truth) == 0.0


def test_missing_truths_and_rows_before_the_end_are_not_scored(line):
    naive = baseline(method="naive").fit(line)
    rows = pd.concat([line.tail(3), later([120.0, 122.0])])

    assert naive.score(rows) == pytest.approx(1 - 3 / 14)


def test_a_score_without_any_row_to_score_is_refused(line):
    with pytest.raises(DataError, match="needs rows that follow the training data"):
        baseline().fit(line).score(line)


def test_a_series_that_was_never_fitted_is_not_scored_in_silence():
    model = baseline().fit(waves())
    rows = waves(series=3, rows=80)

    with pytest.raises(
        DataError, match=r"needs series that were fitted. Got 's2' \(the first of 1\)"
    ):
        model.score(rows)


def test_where_seasonal_naive_is_perfect_only_perfection_scores_zero():
    flat = later(np.full(60, 5.0), start="2024-01-01")

    assert baseline().fit(flat).score(later([5.0, 5.0])) == 0.0
    bent = flat.assign(y=[*flat["y"][:-1], 6.0])
    assert baseline().fit(bent).score(later([5.0, 5.0])) == -1.0
