"""Requests a second of a served model: `mlflow models serve` with a worker per core, asked by sixteen clients.

    python benchmarks/serving.py

Each request posts the newest 120 rows of a series and gets a forecast of ten steps with an 80 % interval. Every answer is
compared with what the model in this process says. Beside the rate over the wall clock stands the processor time
that the server and its workers spent on a request, and the rate that two cores of a quiet machine would reach by it.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from tables import machine, table, write_between
from tsrnn.datasets import garch_price

from tsrnn import RNNForecaster
from tsrnn.tracking import save_model

WORKERS = 2
CLIENTS = 16  # a request waits 40 ms on the way, whatever the model takes
ROWS, HORIZON = 120, 10
GOAL = 100.0  # requests a second on two cores


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=400, help="of each client")
    parser.add_argument("--write", type=Path, help="markdown file with the markers of this table")
    options = parser.parse_args(arguments)
    df = garch_price(n=1000, n_series=4)[["unique_id", "ds", "y"]]
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        model = RNNForecaster(horizon=HORIZON, max_steps=200).fit(df)
        save_model(model, Path(folder) / "model")
        histories = [part.tail(ROWS) for _, part in df.groupby("unique_id", sort=False)]
        said = [model.predict(history, level=[80])["forecast"].to_numpy() for history in histories]
        bodies = [_body(history) for history in histories]
        with _server(Path(folder) / "model") as (port, server):
            _ask(port, bodies, said, 20 * WORKERS)  # each worker has answered
            before, started = _cpu(server), time.perf_counter()
            clients = [
                threading.Thread(target=_ask, args=(port, bodies, said, options.requests))
                for _ in range(CLIENTS)
            ]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
            wall, cpu = time.perf_counter() - started, _cpu(server) - before
    count = CLIENTS * options.requests
    rate, two_cores = count / wall, 2 * count / cpu
    rows = [
        ["requests answered, all as in memory", f"{count}", ""],
        ["requests a second, clients on the same cores", f"{rate:.0f}", f"{GOAL:.0f}"],
        ["processor time of a request", f"{1000 * cpu / count:.1f} ms", f"{2000 / GOAL:.0f} ms"],
        ["requests a second by it, two cores", f"{two_cores:.0f}", f"{GOAL:.0f}"],
    ]
    text = f"{table(['what', 'measured', 'goal'], rows)}\n\n{machine()}"
    print(text)
    if options.write is not None:
        write_between(options.write, "serving", text)


def _body(history: pd.DataFrame) -> str:
    text = history.to_json(orient="split", index=False, date_format="iso", double_precision=15)
    return json.dumps(
        {"dataframe_split": json.loads(text), "params": {"horizon": HORIZON, "level": [80.0]}}
    )


def _ask(port: int, bodies: list[str], said: list[np.ndarray], count: int) -> None:
    """Post so many requests over one connection; raise where an answer is not the model's."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for i in range(count):
        which = i % len(bodies)
        connection.request(
            "POST", "/invocations", bodies[which], {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"The server answered {answer.status}: {text[:300]!r}")
        got = [row["forecast"] for row in json.loads(text)["predictions"]]
        np.testing.assert_allclose(got, said[which], rtol=1e-6)
    connection.close()


@contextmanager
def _server(model: Path) -> Iterator[tuple[int, int]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(model)),
        *("--port", str(port), "--workers", str(WORKERS), "--env-manager", "local"),
    ]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # MLflow calls uvicorn by name
    quiet = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": path}
    process = subprocess.Popen(
        command, env=quiet, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(180):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
                connection.request("GET", "/ping")
                if connection.getresponse().status == 200:
                    break
            except OSError:
                if process.poll() is not None:
                    raise RuntimeError(f"{' '.join(command)} ended at once.") from None
                time.sleep(1)
        yield port, process.pid
    finally:
        for pid in _family(process.pid):
            os.kill(pid, signal.SIGTERM)
        process.wait(30)


def _family(pid: int) -> list[int]:
    """Return a process and all below it (Linux)."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in _family(int(child)))]


def _cpu(server: int) -> float:
    """Return the processor seconds of the server and all its workers."""
    stats = (Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1] for pid in _family(server))
    ticks = sum(sum(map(int, stat.split()[11:13])) for stat in stats)
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
