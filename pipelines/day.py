"""The work of one date, step by step; what its ledger says is done is not done again."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

import tsrnn
from tsrnn.exceptions import TrackingWarning

from . import judge, sql, steps
from .contest import backtest_with_twin
from .files import write_figure, write_table
from .ledger import Ledger, dates, order
from .load import load
from .report import describe_data, describe_scores
from .ui import experiment_page

if TYPE_CHECKING:
    from tsrnn.tracking import TrackedRun
    from tsrnn.tracking.registry import Version

    from .spec import PipelineSpec

__all__ = ["Day"]

PIPELINE, ORDER = "tsrnn.pipeline", "tsrnn.order"


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
        self.uri = ""
        self.page: str | None = None

    def work(self) -> None:
        """Do every step that is not done; the ledger knows the results."""
        self._ingest()
        with self._tracked() as run:
            champion = self._champion(run)
            looked = self._step("monitor", lambda: self._look_back(champion))
            if looked["due"] or champion is None:
                self._step("backtest", self._backtest)
                verdict = self._step("gate", lambda: self._judge(champion))
                if verdict["forecaster"] == "own":
                    self._step("fit", lambda: self._fit(run))
                    self._register(run, promoted=verdict["outcome"] == "promoted")
            else:
                verdict = self._step("gate", lambda: asdict(judge.without_challenger(champion)))
            if verdict["forecaster"] != "none":
                self._step("forecast", lambda: self._forecast(champion))
                self._step("deliver", lambda: self._deliver(champion))
            self._log(run)
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
        write_table(self.folder / "backtest.parquet", result.forecasts)
        write_table(self.folder / "scores.csv", result.scores, index=True)
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

    def _register(self, run: TrackedRun, *, promoted: bool) -> None:
        """Keep the model in MLflow and, promoted, make it champion. Without MLflow it still forecasts."""
        from tsrnn.tracking import registry

        spec = self.spec
        try:
            kept = self.ledger.read("upload")
            if kept is None or kept["run"] != run.run_id:
                self._needs(run)
                beside = {"twin": self.folder / "twin"}
                model = registry.upload(self.own, run, beside=beside, probe=self._ahead)
                kept = self.ledger.write("upload", run=run.run_id, model=model)
            if not promoted or not spec.register or self.ledger.read("register") is not None:
                return
            self._needs(run)
            as_of, verdict = self.ledger.as_of, self.ledger.read("gate") or {}
            version = registry.register(
                kept["model"],
                run,
                spec.name,
                tags={
                    PIPELINE: spec.name,
                    ORDER: order(as_of),
                    judge.AS_OF: as_of,
                    judge.END: self.data.end,
                    judge.MAE: verdict["mae"],
                    "tsrnn.data": self.data.tags["tsrnn.data"],
                },
                newest=ORDER,
            )
        except ConnectionError as error:
            message = f"The model was not registered: {error} It forecasts all the same."
            warnings.warn(message, TrackingWarning, stacklevel=2)
            return
        self.ledger.write("register", version=version.version)
        self._say("register", f"{spec.name} v{version.version} is the champion")

    def _forecast(self, champion: Version | None) -> dict[str, Any]:
        model = self._model(champion)
        if "own" in self.__dict__:
            forecast = self._ahead(model)
        else:
            forecast = model.predict(self.frame, level=self.spec.forecast.level)
        if self.spec.output.figures:
            figure = steps.draw_forecast(self.frame, forecast, self.data, unit=self.spec.data.unit)
            write_figure(self.folder / "forecast.png", figure)
        write_table(self.folder / "forecast.parquet", forecast)
        self._say("forecast", f"{self.data.horizon} steps of {self.data.n_series} series")
        return {"rows": len(forecast)}

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
            model=self._model(champion),
        )
        return {"files": {name: str(path) for name, path in files.items()}}

    def _log(self, run: TrackedRun) -> None:
        """Log what the ledger knows beside what the fit has logged: ``backtest/model/mase`` and so on."""
        from tsrnn.tracking.record import fit_params

        spec, looked = self.spec, self.ledger.read("monitor") or {}
        verdict = self.ledger.read("gate") or {}
        run.set_tags(self.data.tags)
        if self.ledger.read("fit") is None:  # the fit has logged its own
            run.log_params(fit_params(steps.make_forecaster(spec)))
        for section in ("backtest", "gate"):
            settings = asdict(getattr(spec, section))
            run.log_params({f"{section}/{name}": value for name, value in settings.items()})
        tags = {"tsrnn.gate": verdict["words"], "tsrnn.outcome": verdict["outcome"]}
        if self.scores is not None:
            for method, row in self.scores.iterrows():
                run.log_metrics({f"backtest/{method}/{name}": value for name, value in row.items()})
            tags["tsrnn.backtest"] = (self.ledger.read("backtest") or {})["verdict"]
        inside = {f"coverage_{level}": share for level, share in looked["coverage"].items()}
        found = {"mae": looked["mae"], "expected_mae": looked["expected"], **inside}
        found |= {f"drift_{name}": value for name, value in looked["drift"].items()}
        run.log_metrics({f"monitor/{name}": value for name, value in found.items()})
        run.set_tags({**tags, "tsrnn.monitor": looked["words"]})
        for path in sorted(self.folder.glob("*.*")):
            if path.is_file() and path.name != "rows.parquet":
                run.log_artifact(path, "pipeline")

    # ---- inside -----------------------------------------------------------------------------

    def _step(self, name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        done = self.ledger.read(name)
        return self.ledger.write(name, **work()) if done is None else done

    @contextmanager
    def _tracked(self) -> Iterator[TrackedRun]:
        from tsrnn.tracking import registry

        spec, as_of = self.spec, self.ledger.as_of
        opened = self.ledger.read("run") or {"run_id": None}
        with tsrnn.track(
            experiment=spec.experiment_name,
            run_name=f"{spec.name} {as_of}",
            tags={PIPELINE: spec.name, judge.AS_OF: as_of},
            log_models=False,
            resume=opened["run_id"],
        ) as run:
            if run.run_id is not None:
                self.ledger.write("run", run_id=run.run_id)
            if run.is_on:
                try:  # the lock is ours: whatever is still open was killed
                    registry.close_runs(
                        run.uri, spec.experiment_name, tags={PIPELINE: spec.name}, but=run.run_id
                    )
                except ConnectionError as error:
                    warnings.warn(str(error), TrackingWarning, stacklevel=2)
            yield run

    def _champion(self, run: TrackedRun) -> Version | None:
        """Return the champion; where it has changed since the date was begun, the gate decides anew."""
        from tsrnn.tracking import registry

        champion, self.uri = None, run.uri
        if self.spec.register and run.is_on:
            with suppress(ConnectionError):
                champion = registry.find(self.spec.name, uri=run.uri)
        if champion is not None and champion.run_id == run.run_id:
            return None  # this date's own: the gate has decided
        looked, known = self.ledger.read("monitor"), champion and champion.version
        if looked and looked["champion"] != known and not self.ledger.read("register"):
            for step in ("monitor", "gate", "forecast", "deliver"):
                self.ledger.forget(step)
        return champion

    def _needs(self, run: TrackedRun) -> None:
        if not run.is_on:
            raise ConnectionError("MLflow can't be reached.")

    def _files(self, champion: Version) -> Path:
        from tsrnn.tracking import registry

        return registry.fetch(champion, uri=self.uri, folder=self.folder / "champion")

    def _model(self, champion: Version | None) -> Any:
        if champion is None or (self.ledger.read("gate") or {})["forecaster"] == "own":
            return self.own
        return tsrnn.load(self._files(champion) / "forecaster")

    def _ahead(self, model: Any) -> pd.DataFrame:
        """Return the forecast after the rows that ``model`` was trained on."""
        return model.predict(level=self.spec.forecast.level)

    def _say(self, word: str, text: str) -> None:
        self._announce(f"{word:<9} {text}  ({time.monotonic() - self.began:.0f} s)")
