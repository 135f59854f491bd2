"""MLflow's pages on the store that runs are written to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

__all__ = ["experiment_page", "serve", "server_command"]

HOST, PORT = "127.0.0.1", 5000


def experiment_page(uri: str, experiment_id: str) -> str:
    """Return the address at which the runs of an experiment are compared in charts."""
    server = uri if uri.startswith(("http://", "https://")) else f"http://{HOST}:{PORT}"
    return (
        f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs"
        "?workflowType=machine_learning&compareRunsMode=CHART"
    )


def server_command(uri: str, *, host: str, port: int) -> list[str]:
    """Return the command that serves the store ``uri``: one worker is plenty for one person."""
    return [
        *(sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri),
        *("--host", host, "--port", str(port), "--workers", "1"),
    ]


def serve(*, host: str, port: int, announce: Callable[[str], None]) -> int:
    """Serve the embedded store until Ctrl-C, or name the page of a remote one.

    Parameters
    ----------
    host, port
        Where to listen; ``127.0.0.1`` is seen by this machine only.
    announce : callable
        Gets the address to open.

    Returns
    -------
    int
        Exit code of the server.
    """
    from tsrnn.tracking import resolve_uri
    from tsrnn.tracking.store import create_store

    uri = resolve_uri()
    if uri.startswith(("http://", "https://")):
        announce(f"The runs are on the server {uri}. Open it in a browser.")
        return 0
    create_store(uri)
    announce(
        f"Runs of {uri}\nOpen http://{host}:{port}/#/experiments?workflowType=machine_learning "
        "when the server is up (about 10 s). Ctrl-C ends it."
    )
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    server = subprocess.Popen(server_command(uri, host=host, port=port), env=environment)
    try:
        return server.wait()
    finally:
        server.terminate()  # Ctrl-C and SIGTERM end the server with us
        server.wait()
