"""One MLflow run, written to without ever waiting for or failing with the store."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from tsrnn.tracking import leases
from tsrnn.tracking.courier import OPENING, Courier, is_remote, patience
from tsrnn.tracking.journal import Journal, log_in_batches
from tsrnn.tracking.quiet import warn
from tsrnn.tracking.record import metric_name
from tsrnn.tracking.store import create_store, experiment_id, terminate

if TYPE_CHECKING:
    from tsrnn.backtesting import BacktestResult
    from tsrnn.inspection import Diagnosis
    from tsrnn.tracking.folds import Judged

__all__ = ["TrackedRun"]

_BYTES_PER_SECOND = 1e6
"""The slowest upload that is waited for."""


class TrackedRun:
    """A run of MLflow: what :func:`tsrnn.track` hands out, and what a fit logs to.

    Every method returns at once and none raises when the store fails: one TrackingWarning tells
    what happened, and metrics, parameters and tags go on into a local file that it names.

    Attributes
    ----------
    run_id : str or None
        MLflow's id of the run; None while or where the store has not answered.
    uri : str
        The store.
    experiment : str or None
        Name of the experiment; None where MLflow chose it by id.
    """

    def __init__(
        self,
        uri: str,
        *,
        experiment: str | None = None,
        experiment_id: str | None = None,
        name: str | None = None,
        tags: Mapping[str, object] | None = None,
        parent: str | None = None,
        join: str | None = None,
        resume: str | None = None,
        log_models: bool = True,
    ) -> None:
        self.uri = uri
        self.experiment = experiment
        self.run_id = join
        self.log_models = log_models
        self.experiment_id = experiment_id
        self.entity: Run | None = None
        self.joined = join is not None
        self.model_id: str | None = None
        self.dataset: tuple[str, str] | None = None
        self._name = name
        self._parent = parent
        self._resume = resume
        self._tags = {metric_name(key): str(value)[:5000] for key, value in (tags or {}).items()}
        self._courier = Courier(uri)
        self._journal = Journal()
        self._buffer: list[tuple[str, float, int, int]] = []
        self._flushed = time.monotonic()
        self._told: set[str] = set()
        self._started = _now()
        self._scratch = tempfile.TemporaryDirectory(prefix="tsrnn-", ignore_cleanup_errors=True)
        self._journal.add(
            "run", name=name, experiment=experiment, uri=uri, joined=self.joined, time=self._started
        )
        if self._tags:
            self._journal.add("tags", tags=list(self._tags.items()))
        self._courier.send(self._open, seconds=None if is_remote(uri) else OPENING)

    # ---- what users call ------------------------------------------------------------------

    def log_params(self, params: Mapping[str, object]) -> None:
        """Log parameters. One that the run already has with another value goes to ``tsrnn.<name>``."""
        items = [(metric_name(key), str(value)[:6000]) for key, value in params.items()]
        self._journal.add("params", params=items)
        self._send(lambda client: self._log_params(client, items))

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Set tags."""
        items = [(metric_name(key), str(value)[:5000]) for key, value in tags.items()]
        self._journal.add("tags", tags=items)
        self._send(
            lambda client: log_in_batches(
                client, self._id(), tags=[RunTag(*item) for item in items]
            )
        )

    def log_metrics(self, metrics: Mapping[str, object], step: int = 0) -> None:
        """Log numbers; what is not a finite number is left out. They travel in batches."""
        now = _now()
        for key, value in metrics.items():
            if isinstance(value, (int, float, np.number)) and math.isfinite(value):
                self._buffer.append((metric_name(key), float(value), now, int(step)))
        if time.monotonic() - self._flushed >= 2.0:
            self.flush()

    def log_table(self, frame: Any, name: str) -> None:
        """Log a pandas frame as ``<name>.parquet``, and its first 1000 rows as ``<name>.csv``."""
        file = self._place(name)
        frame.to_parquet(file.with_suffix(".parquet"))
        frame.head(1000).to_csv(file.with_suffix(".csv"))
        for suffix in (".parquet", ".csv"):
            self.log_artifact(file.with_suffix(suffix), _folder(name))

    def log_figure(self, figure: Any, name: str) -> None:
        """Log a matplotlib figure as ``<name>.png``."""
        file = self._place(name).with_suffix(".png")
        figure.savefig(file, dpi=120, bbox_inches="tight")
        self.log_artifact(file, _folder(name))

    def log_text(self, text: str, name: str) -> None:
        """Log a text as the file ``name``."""
        file = self._place(name)
        file.write_text(text, encoding="utf-8")
        self.log_artifact(file, _folder(name))

    def log_backtest(
        self, result: BacktestResult | Judged, name: str = "backtest", *, figures: bool = True
    ) -> None:
        """Log a backtest, its folds as runs below this one.

        ``backtest/model/mase`` is the model's score, ``backtest/naive/mase`` that of the naive
        forecast, ``backtest/model/mae_by_step`` and ``coverage_80_by_step`` are curves over the steps
        ahead, ``backtest/series/<id>/mae`` is the error of a series. The tag ``tsrnn.backtest`` has the
        verdict, ``tsrnn.backtest_data``, ``_cutoffs`` and ``_horizon`` what judged. Files: tables of
        forecasts and errors and, with ``figures``, pictures of folds, errors, residuals and
        calibration. Of several targets, each is a series of its own.
        """
        from tsrnn.tracking.folds import log_backtest

        log_backtest(self, result, name, figures=figures)

    def log_diagnosis(self, diagnosis: Diagnosis, name: str = "diagnosis") -> None:
        """Log what :meth:`~tsrnn.RNNForecaster.diagnose` found: words, picture, tables.

        ``diagnosis/gradient_by_lag`` is a curve over lags, ``diagnosis/findings`` their number.
        """
        norms = diagnosis.gradients["median"]
        for lag, norm in zip(norms.index.tolist(), norms.tolist(), strict=True):
            self.log_metrics({f"{name}/gradient_by_lag": norm}, lag)
        self.log_metrics({f"{name}/findings": len(diagnosis.findings)})
        self.log_text(str(diagnosis), f"{name}/diagnosis.txt")
        self.log_figure(diagnosis.plot(), f"{name}/diagnosis")
        for table in ("gradients", "spectra", "gates", "units"):
            self.log_text(getattr(diagnosis, table).to_csv(), f"{name}/{table}.csv")

    def log_artifact(self, path: str | Path, folder: str | None = None) -> None:
        """Log a file, or every file of a folder, under ``folder`` of the run's artifacts."""
        path = Path(path)
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        for file in files:
            inner = [] if path.is_file() else [path.name, *file.parent.relative_to(path).parts]
            target = "/".join([*([folder] if folder else []), *inner]) or None
            self._upload(file, target)

    # ---- what a fit and track() call ------------------------------------------------------

    @property
    def is_on(self) -> bool:
        """Whether the store has answered everything so far."""
        return self._courier.failure is None

    @property
    def scratch(self) -> Path:
        """A folder for files on their way, removed when the run ends."""
        return Path(self._scratch.name)

    def flush(self) -> None:
        """Send the metrics that have gathered."""
        batch, self._buffer = self._buffer, []
        self._flushed = time.monotonic()
        if batch:
            self._journal.add("metrics", metrics=batch)
            model, dataset = self.model_id, self.dataset or (None, None)
            self._send(
                lambda client: log_in_batches(
                    client,
                    self._id(),
                    metrics=[
                        Metric(*point, model, *(dataset if model else (None, None)))
                        for point in batch
                    ],
                )
            )
        self._tell()

    def wait(self) -> bool:
        """Wait until everything is delivered or it is clear that it won't be; return which."""
        self.flush()
        self._courier.drain()
        self._tell()
        return self.is_on

    def call(
        self,
        run: Callable[[MlflowClient], object],
        *,
        files: Path | None = None,
        optional: bool = False,
    ) -> None:
        """Deliver ``run(client)`` in order with the rest."""
        self._send(
            run, seconds=None if files is None else self._upload_seconds(files), optional=optional
        )

    def end(self, status: str) -> None:
        """Close the run as "FINISHED", "FAILED" or "KILLED" if it was opened here; wait for it."""
        self.flush()
        if not self.joined:
            self._journal.add("end", status=status, time=_now())
            self._send(lambda client: terminate(client, self._id(), status, _now()))
        ended = self.wait()
        if not self.joined and self.run_id is not None:
            if not ended:
                last = Courier(self.uri)  # the store may answer again, and no run should stay open
                last.send(lambda: terminate(MlflowClient(self.uri), self._id(), status, _now()))
                ended = last.drain()
                last.close()
            if ended:
                leases.release(self.uri, self.run_id)
        self._courier.close()
        self._scratch.cleanup()

    # ---- inside ---------------------------------------------------------------------------

    def _open(self) -> None:
        create_store(self.uri)
        client = MlflowClient(self.uri)
        if self.run_id is not None:
            self.entity = client.get_run(self.run_id)
            self.experiment_id = self.entity.info.experiment_id
        else:
            if self.experiment_id is None:
                self.experiment_id = experiment_id(client, self.uri, self.experiment or "tsrnn")
            self.entity = self._reopened(client) or client.create_run(
                self.experiment_id,
                start_time=self._started,
                tags={**_context_tags(self._parent), **self._tags},
                run_name=self._name,
            )
            self.run_id = self.entity.info.run_id
            with suppress(OSError):
                leases.hold(self.uri, self.entity.info.run_id)
            self._close_abandoned(client)
        self._journal.add("opened", run_id=self.run_id)

    def _reopened(self, client: MlflowClient) -> Run | None:
        """Return the run to go on with, open again; None where there is none any more."""
        if self._resume is None:
            return None
        try:
            client.set_tag(self._resume, "tsrnn.resumed", "true")
            client.update_run(self._resume, status="RUNNING")
            return client.get_run(self._resume)
        except MlflowException:  # deleted since, or another store
            return None

    def _close_abandoned(self, client: MlflowClient) -> None:
        for run_id in leases.abandoned(self.uri):
            with suppress(MlflowException):  # deleted since
                if run_id != self.run_id and client.get_run(run_id).info.status == "RUNNING":
                    client.set_tag(
                        run_id, "tsrnn.error", "the process ended without closing this run"
                    )
                    terminate(client, run_id, "KILLED", _now())

    def _log_params(self, client: MlflowClient, items: list[tuple[str, str]]) -> None:
        run_id = self._id()
        if self.joined:
            known = client.get_run(run_id).data.params
            items = [(f"tsrnn.{k}" if known.get(k, v) != v else k, v) for k, v in items]
        log_in_batches(client, run_id, params=[Param(*item) for item in items])

    def _id(self) -> str:
        assert self.run_id is not None, "the first call of the courier opens the run"
        return self.run_id

    def _send(
        self,
        run: Callable[[MlflowClient], object],
        *,
        seconds: float | None = None,
        optional: bool = False,
    ) -> None:
        self._courier.send(lambda: run(MlflowClient(self.uri)), seconds=seconds, optional=optional)

    def _upload(self, file: Path, target: str | None) -> None:
        self._send(
            lambda client: client.log_artifact(self._id(), str(file), target),
            seconds=self._upload_seconds(file),
            optional=True,
        )

    def _upload_seconds(self, path: Path) -> float:
        files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
        return patience(self.uri) + sum(p.stat().st_size for p in files) / _BYTES_PER_SECOND

    def _place(self, name: str) -> Path:
        file = Path(self._scratch.name, *name.split("/"))
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    def _tell(self) -> None:
        failure, mishap = self._courier.failure, self._courier.mishap
        if failure is not None and "failure" not in self._told:
            self._told.add("failure")
            warn(
                f"MLflow tracking is off for the rest of this run: {failure}. The computation goes on; its "
                f"metrics are kept in {str(self._journal.spill())!r}, and tsrnn.tracking.replay(path) logs "
                "them later."
            )
        elif mishap is not None and not self._told:
            self._told.add("mishap")
            warn(f"MLflow has the metrics of this run, but not all of its files: {mishap}.")


def _context_tags(parent: str | None) -> dict[str, str]:
    from mlflow.tracking.context.registry import resolve_tags

    return dict(resolve_tags({} if parent is None else {"mlflow.parentRunId": parent}))


def _folder(name: str) -> str | None:
    return name.rpartition("/")[0] or None


def _now() -> int:
    return int(time.time() * 1000)
