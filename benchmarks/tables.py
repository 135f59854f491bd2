"""Markdown tables of the benchmarks, and the place in the docs where they stand."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["machine", "table", "write_between"]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a markdown table; the first column is text, the others are numbers.

    >>> print(table(["set", "MASE"], [["air", "0.71"]]))
    | set | MASE |
    |---|---:|
    | air | 0.71 |
    """
    rule = "|---|" + "---:|" * (len(head) - 1)
    lines = [head, *rows]
    first, *others = ("| " + " | ".join(line) + " |" for line in lines)
    return "\n".join([first, rule, *others])


def machine() -> str:
    """Return one sentence on what measured: versions, date and kind of processor."""
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("tsrnn", "torch", "pandas")
    )
    day = datetime.now(UTC).date().isoformat()
    return f"Measured on {day} with {versions}, Python {platform.python_version()}, one thread of one {platform.machine()} core."


def write_between(path: Path, name: str, text: str) -> None:
    """Replace what stands between the markers of ``name`` in a markdown file.

    Parameters
    ----------
    path : Path
    name : str
        The markers are ``<!-- name:start -->`` and ``<!-- name:end -->``.
    text : str

    Raises
    ------
    ValueError
        The file lacks the markers.
    """
    start, end = f"<!-- {name}:start -->", f"<!-- {name}:end -->"
    page = path.read_text(encoding="utf-8")
    if page.count(start) != 1 or page.count(end) != 1:
        raise ValueError(f"{path} must hold {start} and {end} once each. Add them.")
    before, rest = page.split(start)
    after = rest.split(end)[1]
    path.write_text(f"{before}{start}\n{text}\n{end}{after}", encoding="utf-8")
