"""Files that are whole or not there: written beside, flushed to the disk, renamed."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

__all__ = ["write_bytes", "write_figure", "write_table", "write_text"]


def write_bytes(path: Path, content: bytes) -> Path:
    """Replace the file ``path`` by ``content``; a reader sees the old file or the new one.

    Raises
    ------
    OSError
        The disk is full or the folder can't be written; the old file is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path


def write_text(path: Path, text: str) -> Path:
    """Write ``text`` as UTF-8."""
    return write_bytes(path, text.encode())


def write_table(path: Path, frame: pd.DataFrame, *, index: bool = False) -> Path:
    """Write ``frame`` as CSV or parquet, whichever ``path`` ends in. CSV keeps every digit."""
    buffer = io.BytesIO()
    if path.suffix == ".parquet":
        frame.to_parquet(buffer, index=index)
    else:
        frame.to_csv(buffer, index=index)
    return write_bytes(path, buffer.getvalue())


def write_figure(path: Path, figure: Any) -> Path:
    """Write a matplotlib figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return write_bytes(path, buffer.getvalue())
