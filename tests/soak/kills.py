"""Kill a pipeline with SIGKILL, at every step or at random, and see that nothing comes of it.

    python tests/soak/kills.py                    # every point of the dates
    python tests/soak/kills.py --points 5         # five of them, evenly spread
    python tests/soak/kills.py --random 100       # at random moments

A trial runs three dates of a small pipeline on a store of its own: the second replaces the champion,
on the third its state is moved on. It is killed once, looked at, run again and looked at: after the kill nothing may be half
there; after the second run everything must be there, once, and equal to that of a run that was not
killed. Exit code 0 where all trials hold.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TSRNN_TRACKING_TIMEOUT"] = "300"  # a busy machine is no dead store

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from tsrnn.pipelines import files, ledger, run, steps
from tsrnn.pipelines.spec import read_spec

import tsrnn.forecaster
import tsrnn.learning.training
import tsrnn.tracking
from tsrnn.exceptions import TrackingWarning
from tsrnn.tracking import recorder, store

DATES = {"2024-02-10": [], "2024-02-17": [], "2024-02-19": ["fit.when=due"]}
SPEC = """
name: shop
data: {path: sales.csv}
model: {horizon: 2, max_steps: 1, hidden_size: 2, context_length: 8}
backtest: {n_windows: 2}
output: {figures: false, table: forecasts, url: "sqlite:///forecasts.db"}
"""
_LOGGED = (
    *("metrics.backtest/model/mase", "metrics.backtest/naive/mase"),
    *("tags.tsrnn.gate", "tags.tsrnn.model"),
)
CALLS = {
    ledger.Ledger: ["write", "begin", "close"],
    tsrnn.forecaster.RNNForecaster: ["fit", "save"],
    pd.DataFrame: ["to_sql"],
    MlflowClient: [
        *(
            "create_run",
            "create_logged_model",
            "log_model_artifacts",
            "log_outputs",
            "log_artifact",
        ),
        *("finalize_logged_model", "create_registered_model", "create_model_version"),
        *("set_registered_model_alias", "log_batch", "update_run"),
    ],
    recorder: ["terminate"],
    files.os: ["fsync"],
    steps: ["publish"],
    run: ["_result"],
}


# ---- what is killed ------------------------------------------------------------------------------


def furnish(place: Path, template: Path | None) -> None:
    """Make a project folder with data, spec and, from ``template``, an empty store."""
    place.mkdir(exist_ok=True)
    if template is not None:
        (place / "mlruns").mkdir()
        shutil.copy(template, place / "mlruns" / "mlflow.db")
    steps_ = np.arange(60)
    wave = 20 + np.cumsum(np.random.default_rng(3).normal(size=60)) + 3 * np.sin(steps_ / 2)
    days = pd.date_range("2024-01-01", periods=60)
    pd.DataFrame({"ds": days, "y": wave}).to_csv(place / "sales.csv", index=False)
    (place / "shop.yaml").write_text(SPEC)


def work(place: Path, *, count: Callable[[str], None] | None = None) -> None:
    """Run the dates in ``place``, in this process."""
    os.chdir(place)
    os.environ["TSRNN_HOME"] = str(place)
    mlflow.set_tracking_uri(None)  # that of state()
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", TrackingWarning)
    if count is not None:
        for owner, names in CALLS.items():
            for name in names:
                setattr(owner, name, counted(getattr(owner, name), name, count))
    for as_of, changes in DATES.items():
        run.run_pipeline(read_spec("shop.yaml", changes), as_of=as_of)


def counted(
    call: Callable[..., Any], name: str, count: Callable[[str], None]
) -> Callable[..., Any]:
    def between(*arguments: Any, **options: Any) -> Any:
        count(f"before {name}")
        answer = call(*arguments, **options)
        count(f"after {name}")
        return answer

    return between


def in_child(job: Callable[[], None], *, after: float | None = None) -> int:
    """Do ``job`` in a forked process, kill it ``after`` seconds, and return its exit status."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setsid()
            job()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    if after is not None:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# ---- what must hold ------------------------------------------------------------------------------


def state(place: Path) -> dict[str, Any]:
    """Return what can be seen from outside; reading it proves that it is whole."""
    uri = f"sqlite:///{place}/mlruns/mlflow.db"
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(uri)
    found = {"forecast": None, "rows": {}, "versions": [], "champion": None, "models": []}
    newest = place / "runs/shop/forecast.csv"
    if newest.is_file():
        found["forecast"] = pd.read_csv(newest)
    if (place / "forecasts.db").is_file():
        address = f"sqlite:///{place}/forecasts.db"
        if pd.read_sql("SELECT name FROM sqlite_master", address)["name"].eq("forecasts").any():
            table = pd.read_sql("SELECT * FROM forecasts", address)
            found["rows"] = table.groupby("as_of").size().to_dict()
    every = tsrnn.tracking.runs("shop", tracking_uri=uri)
    runs = tsrnn.tracking.runs("shop", nested=False, tracking_uri=uri)
    found["folds"] = []
    if "tags.tsrnn.fold" in every:
        dates = every.set_index("run_id")["tags.tsrnn.as_of"]
        below = every[every["tags.tsrnn.fold"].notna()]
        whose = below["tags.mlflow.parentRunId"].map(dates)
        found["folds"] = sorted(zip(whose, below["tags.tsrnn.fold"], below["status"], strict=True))
    found["runs"] = runs[["run_id", "status"]] if len(runs) else runs
    found["finished"] = runs[runs["status"] == "FINISHED"] if len(runs) else runs
    for version in client.search_model_versions("name='shop'"):
        found["versions"].append(version.tags["tsrnn.as_of"])
        model = tsrnn.tracking.load_model(version.source)
        assert np.isfinite(model.predict()["forecast"]).all(), "a version does not forecast"
        if "champion" in client.get_model_version(version.name, version.version).aliases:
            found["champion"] = version.tags["tsrnn.as_of"]
    experiment = client.get_experiment_by_name("shop")
    if experiment is not None:
        models = client.search_logged_models([experiment.experiment_id])
        found["models"] = [str(model.status) for model in models]
    found["litter"] = [
        str(path)
        for path in (place / "runs").rglob(".*")
        if path.name not in {".lock", ".holder.json"}
    ]
    return found


def check_killed(place: Path) -> None:
    """Assert that nothing is half there."""
    seen = state(place)
    assert seen["forecast"] is None or len(seen["forecast"]) == 2, "half a forecast file"
    assert set(seen["rows"].values()) <= {2}, f"half a forecast in the table: {seen['rows']}"
    assert len(set(seen["versions"])) == len(seen["versions"]), "a version is registered twice"


def check_done(place: Path, expected: dict[str, Any]) -> None:
    """Assert that all is there, once, and as it is without a kill."""
    seen = state(place)
    pd.testing.assert_frame_equal(seen["forecast"], expected["forecast"])
    for key in ("rows", "versions", "champion", "models", "litter", "folds"):
        assert seen[key] == expected[key], f"{key}: {seen[key]} instead of {expected[key]}"
    statuses = seen["runs"]["status"].tolist()
    assert "RUNNING" not in statuses, f"a run is left open: {statuses}"
    assert statuses.count("FINISHED") == len(DATES), f"runs: {statuses}"
    for key in _LOGGED:
        wanted = expected["finished"][key].astype(str).tolist()
        assert seen["finished"][key].astype(str).tolist() == wanted, f"{key} differs"


# ---- the trials ----------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, help="kill at so many points, evenly spread")
    parser.add_argument("--random", type=int, default=0, help="kill so often at random moments")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="tsrnn-kills-"))
    template = root / "mlruns" / "mlflow.db"
    in_child(lambda: store.create_store(f"sqlite:///{template}"))
    clean, log = root / "clean", root / "points.txt"
    furnish(clean, template)
    began = time.monotonic()
    if in_child(lambda: work(clean, count=lambda name: note(log, name))):
        return 1
    seconds = time.monotonic() - began
    expected = state(clean)
    points = log.read_text().splitlines()
    print(f"{len(points)} points in {seconds:.1f} s; champion {expected['champion']}", flush=True)
    assert expected["versions"], "the scenario registers nothing"
    assert len(expected["folds"]) == 4, "each backtest has two folds"
    draw = random.Random(arguments.seed)
    chosen: list[tuple[str, float]] = [("point", k) for k in spread(len(points), arguments.points)]
    if arguments.random:
        chosen = [("moment", draw.uniform(0.05, seconds)) for _ in range(arguments.random)]
    failed, landed = 0, 0
    for number, (kind, k) in enumerate(chosen):
        place = root / f"trial-{number}"
        furnish(place, template)
        if kind == "point":
            status = in_child(partial(work, place, count=killer(int(k))))
        else:
            status = in_child(partial(work, place), after=k)
        landed += status == -signal.SIGKILL
        where = points[int(k)] if kind == "point" else f"{k:.2f} s"
        problem = trial(place, expected)
        failed += problem is not None
        print(f"{number + 1:4d}  {where:<32}  {problem or 'holds'}", flush=True)
        if problem is None:
            shutil.rmtree(place)
    print(f"{landed} of {len(chosen)} kills landed, {failed} left something wrong")
    if not failed:
        shutil.rmtree(root)
    return int(failed > 0)


def trial(place: Path, expected: dict[str, Any]) -> str | None:
    try:
        check_killed(place)
        assert in_child(lambda: work(place)) == 0, "the next run fails"
        check_done(place, expected)
    except AssertionError as error:
        return f"WRONG in {place}: {' '.join(str(error).split())[:300]}"
    return None


def spread(total: int, asked: int | None) -> list[int]:
    if asked is None or asked >= total:
        return list(range(total))
    return [int((k + 0.5) * total / asked) for k in range(asked)]


def note(file: Path, name: str) -> None:
    with file.open("a") as lines:
        lines.write(f"{name}\n")


def killer(point: int) -> Callable[[str], None]:
    seen = iter(range(point, -1, -1))

    def count(name: str) -> None:
        if next(seen) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return count


if __name__ == "__main__":
    sys.exit(main())
