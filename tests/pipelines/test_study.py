"""What refitting is worth: strategies on the same folds, their scores, what they cost, and their runs."""

import pandas as pd
import pytest
from tsrnn.pipelines import study
from tsrnn.pipelines.spec import read_spec
from tsrnn.pipelines.study import Strategy, run_study, strategies

from tests.pipelines.conftest import rows
from tsrnn import BaselineForecaster, backtest, tracking
from tsrnn.cli import main
from tsrnn.exceptions import SpecError

pytestmark = pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")


class Clock:
    """CPU time that a fit moves on by 10 seconds, and a forecast by 1."""

    def __init__(self):
        self.now = 0.0

    def process_time(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()

    def slow(call, seconds):
        def work(*arguments, **how):
            clock.now += seconds
            return call(*arguments, **how)

        return work

    monkeypatch.setattr(study, "time", clock)
    for name, seconds in (("_fit_panel", 10.0), ("_forecast_panel", 1.0)):
        call = slow(getattr(BaselineForecaster, name), seconds)
        monkeypatch.setattr(BaselineForecaster, name, call)
    return clock


class Warmable(BaselineForecaster):
    """A baseline that takes ``warm_start``, and does nothing with it."""

    def set_params(self, **params):
        params.pop("warm_start", None)
        return super().set_params(**params)


def test_strategies_are_each_interval_cold_and_warm_and_no_fit_after_the_first():
    names = [strategy.name for strategy in strategies([5, 1, 5])]

    assert names == [
        *("refit every date", "refit every date, warm"),
        *("refit every 5 dates", "refit every 5 dates, warm", "update only"),
    ]


@pytest.mark.parametrize(
    ("strategy", "refit", "fits"),
    [(Strategy(1), True, 6), (Strategy(3), 3, 2), (Strategy(), False, 1)],
    ids=["every", "third", "never"],
)
def test_a_strategy_has_the_scores_of_its_backtest_and_the_time_of_its_calls(
    strategy, refit, fits, place, clock
):
    spec = read_spec("shop.yaml", ["backtest.n_windows=6"])
    model = Warmable("drift", horizon=2)

    result, costs = study._measure(model, rows(), spec, strategy)

    plain = backtest(model, rows(), n_windows=6, refit=refit, level=[80, 95])
    pd.testing.assert_frame_equal(result.scores, plain.scores)
    assert costs == {"fits": fits, "cpu_seconds": 10.0 * fits + 6}


def test_a_warm_strategy_fits_the_same_model_again_and_a_cold_one_another(place, monkeypatch):
    fitted = []

    def fit(self, panel, notify):
        fitted.append(id(self))
        return plain(self, panel, notify)

    plain = BaselineForecaster._fit_panel
    monkeypatch.setattr(BaselineForecaster, "_fit_panel", fit)
    spec = read_spec("shop.yaml", ["backtest.n_windows=3"])
    kept = Warmable("drift", horizon=2)

    study._measure(kept, rows(), spec, Strategy(1, warm=True))
    warm, fitted = fitted[:], fitted.clear() or fitted
    study._measure(kept, rows(), spec, Strategy(1))

    assert len(warm) == len(fitted) == 3
    assert len(set(warm)) == 1


@pytest.mark.parametrize("every", [0, 2])
def test_an_interval_that_the_folds_can_not_tell_is_refused(every, place):
    with pytest.raises(SpecError, match=f"below backtest.n_windows=2. Got {every}"):
        run_study(read_spec("shop.yaml"), every=[every])


@pytest.mark.slow
def test_the_command_prints_writes_and_logs_runs_that_can_be_compared(place, store_uri, capsys):
    command = ["pipeline", "study", "shop.yaml", "--every", "1", "--as-of", "2024-02-20"]

    assert main(command) == 0

    said = capsys.readouterr()
    table = pd.read_csv(place / "runs/shop/study/study.csv", index_col=0)
    assert table.index.tolist() == ["refit every date", "refit every date, warm", "update only"]
    assert table["fits"].tolist() == [2, 2, 1]
    assert (table["cpu_seconds"] > 0).all()
    assert list(table)[:3] == ["fits", "cpu_seconds", "mase"]
    assert "up to 2024-02-20" in said.out
    assert (place / "runs/shop/study/study.md").read_text() == f"```text\n{said.out}```\n"
    runs = tracking.runs("shop", tracking_uri=store_uri).set_index("run_id")
    (parent,) = runs.index[runs["tags.tsrnn.task"] == "study"]
    below = runs[runs["tags.tsrnn.task"] == "strategy"]
    assert set(below["tags.mlflow.parentRunId"]) == {parent}
    assert runs["status"].eq("FINISHED").all()

    compare = said.err.splitlines()[-1].split()[2:]
    assert main(compare) == 0

    shown = capsys.readouterr().out
    assert "cpu_seconds" in shown
    assert all(name in shown for name in table.index)
