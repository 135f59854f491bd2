"""Start many processes at once where there is no store yet, and see that all succeed.

    python tests/soak/fresh.py --stores 20        # 20 fresh stores, 8 processes each

Half of the processes run pipelines of their own, half the same date of one pipeline, which must be
run once. Exit code 0 where every process of every store succeeds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

from kills import DATES, furnish  # also loads what the children need
from mlflow import MlflowClient
from tsrnn.pipelines.run import run_pipeline
from tsrnn.pipelines.spec import read_spec

import tsrnn.tracking


def start(place: Path, name: str) -> int:
    """Fork a process that runs the pipeline ``name``, and return its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.chdir(place)
        os.environ["TSRNN_HOME"] = str(place)
        warnings.simplefilter("ignore")
        result = run_pipeline(read_spec("shop.yaml", [f"name={name}"]), as_of=next(iter(DATES)))
        code = 0 if result.outcome == "promoted" else 3
    finally:
        os._exit(code)


def trial(place: Path, processes: int) -> str | None:
    """Run ``processes`` at once in ``place``; return what is wrong, or None."""
    names = [f"own-{k}" if k % 2 else "same" for k in range(processes)]
    children = [start(place, name) for name in names]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if any(codes):
        return f"exit codes {codes}"
    uri = f"sqlite:///{place}/mlruns/mlflow.db"
    runs = tsrnn.tracking.runs(tracking_uri=uri, nested=False)
    if sorted(runs["tags.tsrnn.pipeline"]) != sorted(set(names)):
        return f"runs of {sorted(runs['tags.tsrnn.pipeline'])}"
    if set(runs["status"]) != {"FINISHED"}:
        return f"runs {runs['status'].tolist()}"
    versions = [(v.name, str(v.version)) for v in MlflowClient(uri).search_model_versions()]
    return None if sorted(versions) == [(n, "1") for n in sorted(set(names))] else f"{versions}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stores", type=int, default=1)
    parser.add_argument("--processes", type=int, default=8)
    arguments = parser.parse_args()
    failed = 0
    for number in range(arguments.stores):
        place = Path(tempfile.mkdtemp(prefix="tsrnn-fresh-"))
        furnish(place, None)
        problem = trial(place, arguments.processes)
        failed += problem is not None
        print(f"{number + 1:4d}  {problem or 'all succeed'}", flush=True)
        if problem is None:
            shutil.rmtree(place)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
