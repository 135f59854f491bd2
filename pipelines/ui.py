"""MLflow's pages on the store that runs are written to, and the server that shows them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import webbrowser
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from tsrnn.exceptions import ParameterError

if TYPE_CHECKING:
    import pandas as pd

    from .spec import PipelineSpec

__all__ = ["experiment_page", "find_page", "runs_page", "serve", "server_command"]

HOST, PORT = "127.0.0.1", 5000
NEWEST = 8
"""Runs of a pipeline that are compared."""
_KIND = "workflowType=machine_learning"
_STARTS_WITHIN = 120.0


# ---- addresses -----------------------------------------------------------------------------------


def experiment_page(uri: str, experiment_id: str, *, charts: bool = True) -> str:
    """Return the address at which the runs of an experiment are listed, or compared in charts."""
    mode = "&compareRunsMode=CHART" if charts else ""
    return f"{_server(uri)}/#/experiments/{experiment_id}/runs?{_KIND}{mode}"


def runs_page(uri: str, runs: pd.DataFrame) -> str:
    """Return the address at which ``runs`` are compared; that of the run itself where it is one."""
    if len(runs) == 1:
        run = runs.iloc[0]
        return f"{_server(uri)}/#/experiments/{run['experiment_id']}/runs/{run['run_id']}?{_KIND}"
    asked = {
        "runs": runs["run_id"].tolist(),
        "experiments": runs["experiment_id"].drop_duplicates().tolist(),
    }
    words = "&".join(
        f"{key}={quote(json.dumps(ids, separators=(',', ':')))}" for key, ids in asked.items()
    )
    return f"{_server(uri)}/#/compare-runs?{words}&{_KIND}"


def find_page(uri: str, *, names: Sequence[str] = (), pipeline: PipelineSpec | None = None) -> str:
    """Return the address to open.

    Parameters
    ----------
    uri : str
        The store, or the address of its server.
    names : sequence of str
        Runs to compare: their names, or the beginnings of their ids.
    pipeline : PipelineSpec, optional
        Compare its newest finished runs.

    Returns
    -------
    str
        Without either, the runs of the experiment with the newest run.

    Raises
    ------
    ParameterError
        A run is not there, or the pipeline has none.
    """
    from tsrnn.tracking import runs
    from tsrnn.tracking.comparing import place_of

    if pipeline is not None:
        table = runs(pipeline.experiment_name, nested=False)
        if len(table):
            mine = table.get("tags.tsrnn.pipeline") == pipeline.name
            table = table[mine & (table["status"] == "FINISHED")]
        if table.empty:
            raise ParameterError(
                f"The pipeline {pipeline.name!r} has no finished run in {uri}. Run it first."
            )
        return runs_page(uri, table.head(NEWEST))
    table = runs()
    if names:
        return runs_page(uri, table.loc[[place_of(table, name) for name in names]])
    if table.empty:
        return f"{_server(uri)}/#/experiments?{_KIND}"
    return experiment_page(uri, table.iloc[0]["experiment_id"], charts=False)


def _server(uri: str) -> str:
    server = uri if uri.startswith(("http://", "https://")) else f"http://{HOST}:{PORT}"
    return server.rstrip("/")


# ---- the server ----------------------------------------------------------------------------------


def server_command(uri: str, *, host: str, port: int) -> list[str]:
    """Return the command that serves the store ``uri``: one worker is plenty for one person."""
    return [
        *(sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri),
        *("--host", host, "--port", str(port), "--workers", "1"),
    ]


def serve(
    *,
    host: str,
    port: int,
    announce: Callable[[str], None],
    names: Sequence[str] = (),
    pipeline: PipelineSpec | None = None,
    browser: bool = True,
) -> int:
    """Open the page of some runs: of the embedded store, which is served until Ctrl-C, or of a remote one.

    Parameters
    ----------
    host, port
        Where to listen; ``127.0.0.1`` is seen by this machine only.
    announce : callable
        Gets the address to open.
    names, pipeline : optional
        What to show; see :func:`find_page`.
    browser : bool, default True
        Open the page in a browser, where there is a screen.

    Returns
    -------
    int
        Exit code of the server.

    Raises
    ------
    OSError
        The port is taken.
    """
    from tsrnn.tracking import resolve_uri
    from tsrnn.tracking.store import create_store

    uri = resolve_uri()
    if uri.startswith(("http://", "https://")):
        page = find_page(uri, names=names, pipeline=pipeline)
        announce(f"The runs are on the server {uri}. Open\n{page}")
        if browser and _has_screen():
            webbrowser.open(page)
        return 0
    create_store(uri)
    address = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"
    page = find_page(uri, names=names, pipeline=pipeline)
    page = page.replace(f"http://{HOST}:{PORT}", address, 1)
    with socket.socket() as probe:
        if probe.connect_ex((address.removeprefix("http://").rpartition(":")[0], port)) == 0:
            raise OSError(f"Port {port} of {host} is taken. Name another one with --port.")
    announce(f"Runs of {uri}\nOpen\n{page}\nwhen the server is up (about 10 s). Ctrl-C ends it.")
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    server = subprocess.Popen(server_command(uri, host=host, port=port), env=environment)
    if browser and _has_screen():
        wait = threading.Thread(target=_open_when_up, args=(server, address, page), daemon=True)
        wait.start()
    try:
        return server.wait()
    finally:
        server.terminate()  # Ctrl-C and SIGTERM end the server with us
        server.wait()


def _open_when_up(server: subprocess.Popen[bytes], address: str, page: str) -> None:
    """Open ``page`` as soon as the server answers."""
    until = time.monotonic() + _STARTS_WITHIN
    while server.poll() is None and time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2):
                webbrowser.open(page)
                return
        except OSError:
            time.sleep(0.5)


def _has_screen() -> bool:
    """Return whether a browser would open beside the terminal, and not in it."""
    if sys.platform in {"win32", "darwin"}:
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
