"""The work of one date, step by step; what its ledger says is done is not done again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

import tsrnn
from tsrnn.exceptions import DataError, ParameterError

from . import judge, shelf, sql, steps
from .contest import backtest_with_twin
from .files import write_figure, write_table
from .kept import keep
from .ledger import Ledger, dates, order
from .load import load
from .ready import Ready, bring_up
from .report import describe_data, describe_scores
from .ui import experiment_page

if TYPE_CHECKING:
    from tsrnn.tracking import TrackedRun
    from tsrnn.tracking.registry import Version

    from .spec import PipelineSpec

__all__ = ["Day"]


class Day:
    """One date of a pipeline.

    Parameters
    ----------
    spec : PipelineSpec
        What is run.
    ledger : Ledger
        Begun, and held by this process.
    frame : pandas.DataFrame or None
        The rows, where they have been read already.
    announce : callable
        Gets one line per step.
    """

    def __init__(
        self,
        spec: PipelineSpec,
        ledger: Ledger,
        frame: pd.DataFrame | None,
        announce: Callable[[str], None],
    ) -> None:
        self.spec, self.ledger, self.folder = spec, ledger, ledger.folder
        self.began = time.monotonic()
        self._read, self._announce = frame, announce
        self._ready: Ready | None = None
        self.uri = ""
        self.page: str | None = None

    def work(self) -> None:
        """Do every step that is not done; the ledger knows the results."""
        self._ingest()
        with shelf.tracked(self.spec, self.ledger) as run:
            champion, self.uri = shelf.meet_champion(self.spec, self.ledger, run), run.uri
            looked = self._step("monitor", lambda: self._look_back(champion))
            if looked["due"] or champion is None or not self._carries_on(champion):
                self._step("backtest", self._backtest)
                verdict = self._step("gate", lambda: self._judge(champion))
                if verdict["forecaster"] == "own":
                    self._step("fit", lambda: self._fit(run))
                    self._register(run)
            else:
                verdict = self._step("gate", lambda: asdict(judge.without_challenger(champion)))
            if verdict["forecaster"] != "none":
                self._step("forecast", lambda: self._forecast(champion))
                self._step("deliver", lambda: self._deliver(champion))
            shelf.log(self.spec, self.ledger, run, self.data)
        if run.is_on and run.experiment_id is not None:
            self.page = experiment_page(run.uri, run.experiment_id)

    # ---- what is known ----------------------------------------------------------------------

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The rows, as they were when the date was begun."""
        return pd.read_parquet(self.folder / "rows.parquet")

    @cached_property
    def data(self) -> steps.DataSummary:
        """What the gate found in them."""
        return steps.DataSummary(**(self.ledger.read("ingest") or {}))

    @cached_property
    def own(self) -> Any:
        """The model trained on this date's rows."""
        return tsrnn.load(self.folder / "model")

    @property
    def scores(self) -> pd.DataFrame | None:
        """Model and baselines in the backtest."""
        file = self.folder / "scores.csv"
        return pd.read_csv(file, index_col=0) if self.ledger.read("backtest") else None

    # ---- the steps --------------------------------------------------------------------------

    def _ingest(self) -> None:
        if self.ledger.read("ingest") is None:
            forecaster = steps.make_forecaster(self.spec)
            frame = self._read
            if frame is None:
                frame = load(self.spec.data, as_of=self.ledger.as_of)
            data = steps.check(forecaster, frame)
            write_table(self.folder / "rows.parquet", frame)
            self.ledger.write("ingest", **asdict(data))
        self._say("data", describe_data(self.spec.name, self.data))

    def _look_back(self, champion: Version | None) -> dict[str, Any]:
        looked = judge.look_back(self.spec, self.ledger, self.frame, self.data, champion)
        self._say("monitor", looked["words"])
        return {**looked, "champion": None if champion is None else champion.version}

    def _backtest(self) -> dict[str, Any]:
        from tsrnn.tracking import untracked

        spec = self.spec
        with untracked():
            result, twin, folds = backtest_with_twin(
                steps.make_forecaster(spec), self.frame, spec.backtest, level=spec.forecast.level
            )
        keep(self.folder, result)
        if spec.output.figures:
            for name, figure in steps.draw_backtest(result, unit=spec.data.unit).items():
                write_figure(self.folder / f"{name}.png", figure)
        twin.save(self.folder / "twin")
        self._say("backtest", describe_scores(result.scores))
        return {
            "verdict": str(result.verdict),
            "twin": {name: float(value) for name, value in folds.scores.loc["model"].items()},
        }

    def _judge(self, champion: Version | None) -> dict[str, Any]:
        from tsrnn.tracking import untracked

        scores, done = self.scores, self.ledger.read("backtest")
        assert scores is not None
        assert done is not None
        with untracked():
            verdict = judge.judge(
                self.spec,
                self.ledger,
                self.frame,
                scores,
                tsrnn.load(self.folder / "twin"),
                twin_scores=done["twin"],
                champion=champion,
                files=None if champion is None else self._files(champion),
            )
        self._say("gate", verdict.words)
        return asdict(verdict)

    def _fit(self, run: TrackedRun) -> dict[str, Any]:
        model = steps.make_forecaster(self.spec).fit(self.frame)
        run.wait()
        model.save(self.folder / "model")
        self.own = model
        self._say("fit", "on all rows")
        return {}

    def _register(self, run: TrackedRun) -> None:
        version = shelf.register(self.spec, self.ledger, run, self.data, self.own)
        if version is not None:
            self._say("register", f"{self.spec.name} v{version} is the champion")

    def _carries_on(self, champion: Version) -> bool:
        """Return whether the champion, which nobody challenges, can forecast these rows."""
        return bool(self._step("update", lambda: self._update(champion))["works"])

    def _update(self, champion: Version) -> dict[str, Any]:
        try:
            ready = self._bring_up(champion)
            ready.forecast(horizon=self.data.horizon, level=self.spec.forecast.level)
        except (DataError, ParameterError) as error:
            words = f"the champion can't forecast these rows, so a fit is due: {error}"
            self._say("update", words)
            return {"works": False, "words": words}
        self._say("update", ready.words)
        return {"works": True, "words": ready.words}

    def _forecast(self, champion: Version | None) -> dict[str, Any]:
        ready = self._model(champion)
        forecast = ready.forecast(horizon=self.data.horizon, level=self.spec.forecast.level)
        if self.spec.output.figures:
            figure = steps.draw_forecast(self.frame, forecast, self.data, unit=self.spec.data.unit)
            write_figure(self.folder / "forecast.png", figure)
        write_table(self.folder / "forecast.parquet", forecast)
        self._say("forecast", f"{self.data.horizon} steps of {self.data.n_series} series")
        return {"rows": len(forecast), "model": ready.how, "words": ready.words}

    def _deliver(self, champion: Version | None) -> dict[str, Any]:
        """Write the forecast to where it is read: the newest one to the folder, each to the table."""
        spec, as_of = self.spec, self.ledger.as_of
        if spec.output.table is not None:
            forecast = pd.read_parquet(self.folder / "forecast.parquet")
            sql.write_rows(spec.output, forecast, pipeline=spec.name, as_of=as_of)
        if any(order(day.as_of) > order(as_of) for day in dates(spec.folder)):
            return {"files": {}}
        files = steps.publish(
            self.folder,
            spec.folder,
            table_format=spec.output.format,
            model=self._model(champion).model,
        )
        return {"files": {name: str(path) for name, path in files.items()}}

    # ---- inside -----------------------------------------------------------------------------

    def _step(self, name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        done = self.ledger.read(name)
        return self.ledger.write(name, **work()) if done is None else done

    def _files(self, champion: Version) -> Path:
        from tsrnn.tracking import registry

        return registry.fetch(champion, uri=self.uri, folder=self.folder / "champion")

    def _model(self, champion: Version | None) -> Ready:
        """Return the model that forecasts, at the end of the rows."""
        if champion is None or (self.ledger.read("gate") or {})["forecaster"] == "own":
            return Ready(self.own)
        return self._bring_up(champion)

    def _bring_up(self, champion: Version) -> Ready:
        if self._ready is None:
            model = tsrnn.load(self._files(champion) / "forecaster")
            self._ready = bring_up(model, self.frame, fitted=champion.tags.get(shelf.DATA))
        return self._ready

    def _say(self, word: str, text: str) -> None:
        self._announce(f"{word:<9} {text}  ({time.monotonic() - self.began:.0f} s)")
