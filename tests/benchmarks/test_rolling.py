"""Rolling protocols: what is known at a cutoff, what judges, and sums that need no memory."""

import numpy as np
import pandas as pd
import pytest
import rolling
from longrun import HORIZONS, LONGRUN, channels
from rolling import ROLLING, Rolling, Tally
from trial import Trial

from tsrnn import BaselineForecaster

ROWS, JUDGED = 60, 20


def daily(series=2):
    rng = np.random.default_rng(0)
    walks = 100 + rng.normal(size=(series, ROWS)).cumsum(1)
    return pd.DataFrame(
        {
            "unique_id": np.repeat([f"s{i}" for i in range(series)], ROWS),
            "ds": np.tile(pd.date_range("2024-01-01", periods=ROWS), series),
            "y": walks.ravel(),
            "load": np.arange(series * ROWS, dtype=float),
        }
    )


def case(**changes):
    settings = {
        "horizon": 3, "season": 7, "judged": JUDGED, "step": 1, "lag": 7, "measures": ("mae", "mse", "rmae", "mase"),
    }  # fmt: skip
    return Rolling(daily, **(settings | changes))


@pytest.fixture
def simple(monkeypatch):
    """The model is a simple method."""

    def use(method):
        monkeypatch.setattr(
            Trial, "model", lambda _, horizon: BaselineForecaster(method, horizon=horizon, season=7)
        )

    return use


@pytest.mark.parametrize("method", ["naive", "seasonal_naive"])
@pytest.mark.parametrize("how", [{}, {"look_back": 14}, {"whole": False}, {"step": 4}])
@pytest.mark.parametrize("at_once", [30, 2_000_000])
def test_a_simple_method_as_the_model_scores_what_its_column_says(
    simple, monkeypatch, method, how, at_once
):
    monkeypatch.setattr(rolling, "AT_ONCE", at_once)  # one cutoff a call, and all of them
    simple(method)

    scores = case(**how).run(Trial(0)).scores

    for measure in ("mae", "mse", "rmae", "mase"):
        assert scores[measure]["tsrnn"] == pytest.approx(scores[measure][method], rel=1e-12)


@pytest.mark.parametrize(("split", "end"), [("test", ROWS), ("validation", ROWS - JUDGED)])
def test_scores_are_means_over_all_windows_in_the_judged_rows(simple, split, end):
    simple("naive")
    walks = daily()["y"].to_numpy().reshape(2, ROWS)

    outcome = case().run(Trial(0, split))

    cutoffs = range(end - JUDGED, end - 3 + 1)
    errors = [walks[:, known : known + 3] - walks[:, known - 1 : known] for known in cutoffs]
    scale = np.abs(walks[:, 7 : end - JUDGED] - walks[:, : end - JUDGED - 7]).mean(1)
    each = np.abs(errors).mean((0, 2))
    assert outcome.sizes == {"series": 2, "windows": JUDGED - 2, "horizon": 3}
    assert outcome.scores["mae"]["tsrnn"] == pytest.approx(each.mean())
    assert outcome.scores["mase"]["tsrnn"] == pytest.approx((each / scale).mean())
    assert outcome.per_series["mae"].tolist() == pytest.approx(each.tolist())


def test_windows_that_reach_beyond_the_end_are_scored_as_far_as_they_go(simple):
    simple("naive")
    walks = daily()["y"].to_numpy().reshape(2, ROWS)

    scores = case(whole=False, measures=("mse_1", "mse_3")).run(Trial(0)).scores

    first = ROWS - JUDGED - 1  # the last day known at the first cutoff
    for n in (1, 3):
        change = walks[:, first + n :] - walks[:, first : ROWS - n]
        assert change.shape[1] == JUDGED + 1 - n
        assert scores[f"mse_{n}"]["tsrnn"] == pytest.approx((change**2).mean())


def test_a_stride_and_the_first_series_thin_what_is_run(simple):
    simple("naive")

    outcome = case().run(Trial(0, first=1, stride=5))

    assert outcome.sizes == {"series": 1, "windows": 4, "horizon": 3}
    assert outcome.per_series["unique_id"].tolist() == ["s0"]


def test_covariates_of_the_future_end_with_the_horizon_and_the_target_with_the_cutoff(monkeypatch):
    asked = []

    class Listener(BaselineForecaster):
        def fit(self, df):
            return super().fit(df.drop(columns="load"))

        def predict(self, df, *, future_df, level):
            asked.append((df, future_df))
            return super().predict(df.drop(columns="load"), level=level)

    monkeypatch.setattr(Trial, "model", lambda _, horizon: Listener(horizon=horizon))

    case(look_back=14).run(Trial(0, stride=9, settings={"future_covariates": ["load"]}))

    history, future = asked[0]
    whole = daily()
    last = ROWS - JUDGED + 9 - 1  # of the second cutoff of the first series
    history, future = (each[each["unique_id"] == 1] for each in (history, future))
    assert history["y"].tolist() == whole["y"][last - 13 : last + 1].tolist()
    assert history["load"].tolist() == list(range(last - 13, last + 1))
    assert list(future.columns) == ["unique_id", "ds", "load"]
    assert future["load"].tolist() == [last + 1, last + 2, last + 3]


def test_sums_in_parts_are_the_scores_of_the_whole():
    rng = np.random.default_rng(1)
    truth, point = rng.normal(size=(2, 2, 9, 5))
    truth[:, -1, 2:] = np.nan
    said = {"forecast": point}
    for level, width in ((80, 1.0), (95, 2.0)):
        said |= {f"forecast-lo-{level}": point - width, f"forecast-hi-{level}": point + width}
    tally = Tally(2, 5)

    for part in (slice(0, 4), slice(4, 9)):
        tally.add(truth[:, part], {name: values[:, part] for name, values in said.items()})

    scores, error = tally.scores(np.array([2.0, 4.0])), np.abs(point - truth)
    np.testing.assert_allclose(scores["mae"], np.nanmean(error, axis=(1, 2)))
    np.testing.assert_allclose(scores["mase"], np.nanmean(error, axis=(1, 2)) / [2, 4])
    np.testing.assert_allclose(scores["mse_3"], np.nanmean(error[:, :, 2] ** 2, axis=1))
    np.testing.assert_allclose(scores["in_80"], (error <= 1).sum((1, 2)) / 42)
    np.testing.assert_allclose(scores["in_95"], (error <= 2).sum((1, 2)) / 42)
    missed = np.where(np.isnan(truth), 0, np.maximum(error - 2, 0)).sum((1, 2)) / 42
    np.testing.assert_allclose(scores["msis"], (4 + 2 / 0.05 * missed) / [2, 4])


def test_channels_are_standardised_by_the_first_twelve_of_twenty_months():
    rng = np.random.default_rng(2)
    rows = 25 * 30 * 2  # two rows a day
    frame = pd.DataFrame(
        {"unique_id": "x", "ds": pd.date_range("2016-07-01", periods=rows, freq="12h")}
    )
    frame["y"], frame["HUFL"] = 5 + rng.normal(size=(2, rows)).cumsum(1)

    long = channels(frame, steps_a_day=2)

    assert long["unique_id"].unique().tolist() == ["OT", "HUFL"]
    for name, series in long.groupby("unique_id")["y"]:
        assert len(series) == 20 * 30 * 2
        learnt = series[: 12 * 30 * 2]
        assert (learnt.mean(), learnt.std(ddof=0)) == pytest.approx((0, 1), abs=1e-9)
        assert np.corrcoef(series, frame["y" if name == "OT" else name][:1200])[0, 1] > 0.999999


def test_the_protocols_have_the_windows_of_the_papers():
    def cutoffs(case):
        return len(case._cutoffs(100_000, 1))

    assert {h: cutoffs(LONGRUN[f"etth1_{h}"]) for h in HORIZONS} == {
        h: 2880 - h + 1 for h in HORIZONS
    }
    assert cutoffs(LONGRUN["ettm1_96"]) == 11520 - 96 + 1
    assert (cutoffs(ROLLING["epf_np"]), cutoffs(ROLLING["epf_pjm"])) == (728, 728)
    assert cutoffs(ROLLING["stocks_kdd17"]) == 252 - 1  # one day ahead; 252 - n for n
    assert cutoffs(ROLLING["vic_elec"]) == 364
