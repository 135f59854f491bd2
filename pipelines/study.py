"""What fitting again is worth: how often, from which weights, or only the state moved on; accuracy against CPU time.

Every strategy forecasts the folds of the spec's backtest, oldest first, as the pipeline would have done
as of each cutoff. What is measured is what the model costs: its fits and forecasts, not the baselines.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
from sklearn.base import clone

from tsrnn.backtesting import BacktestResult, backtest
from tsrnn.base import Forecast
from tsrnn.exceptions import SkillWarning, SpecError

from . import steps
from .files import write_table, write_text
from .load import load
from .report import MEASURES, aligned, decimals, nobody, number
from .wrapped import Wrapped

if TYPE_CHECKING:
    from pathlib import Path

    from tsrnn.backtesting.folds import Window
    from tsrnn.panel import Panel

    from .spec import PipelineSpec

__all__ = ["EVERY", "Strategy", "Study", "run_study", "strategies"]

EVERY = (1, 5)


@dataclass(frozen=True)
class Strategy:
    """When a model is fitted again, and from which weights.

    Parameters
    ----------
    every : int or None
        Dates from one fit to the next; None fits at the first one alone.
    warm : bool
        Go on from the weights of the fit before.
    """

    every: int | None = None
    warm: bool = False

    @property
    def name(self) -> str:
        """The strategy in words."""
        if self.every is None:
            return "update only"
        often = "refit every date" if self.every == 1 else f"refit every {self.every} dates"
        return f"{often}, warm" if self.warm else often


def strategies(every: Sequence[int]) -> list[Strategy]:
    """Return what is compared: fits at each of these intervals, cold and warm, and none after the first."""
    return [
        *(Strategy(k, warm) for k in sorted(set(every)) for warm in (False, True)),
        Strategy(),
    ]


@dataclass(frozen=True)
class Study:
    """What a study found.

    Parameters
    ----------
    table : pandas.DataFrame
        By strategy: ``fits``, ``cpu_seconds``, the gate's measure first, then the other scores.
    text : str
        The table, and what it was measured on.
    folder : Path
        With ``study.csv`` and ``study.md``.
    runs : list of str
        The runs in MLflow, in the order of the table; empty where it could not be reached.
    """

    table: pd.DataFrame
    text: str
    folder: Path
    runs: list[str]


def run_study(
    spec: PipelineSpec,
    *,
    every: Sequence[int] = EVERY,
    as_of: str | None = None,
    announce: Callable[[str], None] | None = None,
) -> Study:
    """Compare strategies on the folds of ``spec``, print nothing, write and log everything.

    Parameters
    ----------
    spec : PipelineSpec
        Data, model, and the folds of its backtest; ``backtest.refit`` is what is studied.
    every : sequence of int
        Dates from one fit to the next.
    as_of : str, optional
        Last time to use.
    announce : callable, optional
        Gets a line per strategy.

    Raises
    ------
    SpecError
        An interval is none, or is longer than the backtest.
    """
    import tsrnn
    from tsrnn.tracking import untracked

    for k in every:
        if not 1 <= k <= max(spec.backtest.n_windows - 1, 1):
            raise SpecError(
                f"study needs intervals from 1 to below backtest.n_windows={spec.backtest.n_windows}. "
                f"Got {k}. Ask for a shorter one, or more windows."
            )
    say = announce or nobody
    forecaster, frame = steps.make_forecaster(spec), load(spec.data, as_of=as_of)
    data = steps.check(forecaster, frame)
    rows, runs = {}, []
    with tsrnn.track(
        experiment=spec.experiment_name,
        run_name=f"{spec.name} study",
        tags={"tsrnn.task": "study", **{k: v for k, v in data.tags.items() if k != "tsrnn.task"}},
        log_models=False,
    ) as parent:
        for strategy in strategies(every):
            with tsrnn.track(
                experiment=spec.experiment_name,
                run_name=f"{spec.name} {strategy.name}",
                tags={"tsrnn.task": "strategy", "tsrnn.data": data.tags["tsrnn.data"]},
                log_models=False,
            ) as run:
                with untracked():
                    result, costs = _measure(forecaster, frame, spec, strategy)
                found = {**costs, **result.scores.loc["model"].to_dict()}
                run.log_params({"strategy": strategy.name})
                run.log_metrics(costs)
                run.log_backtest(result)
                if run.run_id is not None:
                    runs.append(run.run_id)
            rows[strategy.name] = found
            say(f"{strategy.name:<28}{costs['cpu_seconds']:8.1f} CPU s")
        table = _table(rows, spec.gate.metric)
        text = _describe(spec, table, data)
        folder = spec.folder / "study"
        write_table(folder / "study.csv", table, index=True)
        write_text(folder / "study.md", f"```text\n{text}\n```\n")
        parent.log_artifact(folder / "study.csv")
        parent.log_artifact(folder / "study.md")
    return Study(table, text, folder, runs)


class _Measured(Wrapped):
    """A forecaster that a backtest fits as a strategy says, with the CPU seconds that it took.

    Parameters
    ----------
    model : Forecaster
        Not fitted.
    warm : bool
        Fit it again and again, rather than a new one each time.
    """

    def __init__(self, model: Any, *, warm: bool) -> None:
        super().__init__(model)
        self.warm = warm
        self.fits = 0
        self.seconds = 0.0

    def set_params(self, **params: Any) -> _Measured:
        for name, value in params.items():
            setattr(self, name, value)
        self.model.set_params(**params)
        return self

    @contextmanager
    def _clock(self) -> Iterator[None]:
        began = time.process_time()
        try:
            yield
        finally:
            self.seconds += time.process_time() - began

    def _fit_panel(self, panel: Panel, notify: Callable[..., None]) -> None:
        del notify
        with self._clock():
            fresh = self.model if self.warm else clone(self.model)
            self.model = fresh._fit_read(panel, self.format_)  # noqa: SLF001
        self.fits += 1

    def _forecast_panel(
        self, panel: Panel | None, horizon: int, probabilities: tuple[float, ...], ahead: Any = None
    ) -> Forecast:
        with self._clock():
            return self.model._say(panel, horizon, probabilities, ahead)  # noqa: SLF001

    def _forecast_each(
        self,
        panel: Panel,
        windows: Sequence[Window],
        horizon: int,
        probabilities: tuple[float, ...],
    ) -> Iterator[Forecast]:
        with self._clock():
            each = self.model._forecast_each(panel, windows, horizon, probabilities)  # noqa: SLF001
            said = list(each)
        yield from said

    def _history_tail(self) -> Panel:
        return self.model._history_tail()  # noqa: SLF001


def _measure(
    forecaster: Any, frame: pd.DataFrame, spec: PipelineSpec, strategy: Strategy
) -> tuple[BacktestResult, dict[str, float]]:
    """Return the backtest of a strategy, its fits and CPU seconds."""
    model = clone(forecaster).set_params(warm_start=strategy.warm)
    measured = _Measured(model, warm=strategy.warm)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkillWarning)  # the study has a verdict of its own
        result = backtest(
            measured,
            frame,
            n_windows=spec.backtest.n_windows,
            step=spec.backtest.step,
            refit=strategy.every or False,
            level=spec.forecast.level,
        )
    return result, {"fits": float(measured.fits), "cpu_seconds": measured.seconds}


def _table(rows: dict[str, dict[str, float]], metric: str) -> pd.DataFrame:
    table = pd.DataFrame(rows).T.rename_axis("strategy").astype({"fits": int})
    first = ["fits", "cpu_seconds", metric]
    return table[[*first, *(name for name in table if name not in first)]]


def _describe(spec: PipelineSpec, table: pd.DataFrame, data: steps.DataSummary) -> str:
    """Return the table as text: cost and scores, and in words what they say."""
    shown = [name for name in table if name in MEASURES]
    inside = [name for name in table if str(name).startswith("coverage_")]
    titles = [MEASURES[str(name)] for name in shown]
    levels = [f"in {str(name).removeprefix('coverage_')} %" for name in inside]
    lines = [["", "fits", "CPU s", "of CPU", *titles, *levels]]
    digits = {score: decimals(table[score]) for score in shown}
    most = float(table["cpu_seconds"].max())
    for name, row in table.iterrows():
        share = f"{100 * row['cpu_seconds'] / most:.0f} %" if most else "-"
        cost = [f"{row['fits']:.0f}", f"{row['cpu_seconds']:.1f}", share]
        scores = [number(row[score], digits[score]) for score in shown]
        lines.append([str(name), *cost, *scores, *(f"{row[level]:.1%}" for level in inside)])
    best, cheap = table.iloc[:, 2].idxmin(), table["cpu_seconds"].idxmin()
    metric = str(table.columns[2])
    loss = 100 * (table.loc[cheap, metric] / table.loc[best, metric] - 1)
    words = (
        f"Best by {metric}: {best}. Cheapest: {cheap}, {loss:.2f} % worse"
        if best != cheap
        else f"Best by {metric}, and cheapest: {best}"
    )
    windows, step = spec.backtest.n_windows, spec.backtest.step or data.horizon
    return (
        f"{spec.name}: {windows} dates, {step} steps apart, up to {data.end}; {data.n_series} series, "
        f"horizon {data.horizon}\n\n{aligned(lines)}\n\n{words}."
    )
