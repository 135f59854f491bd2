"""Resident memory of this process, as Linux tells it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

__all__ = ["added_memory", "resident"]


def resident(what: str) -> float:
    """Return resident memory in MB: ``VmRSS`` now, ``VmHWM`` at its peak since it was reset."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith(what))
    return int(line.split()[1]) / 1024


def added_memory(work: Callable[[], object]) -> float:
    """Return the MB that a call needs at its peak, with what it returns, beyond what there was before."""
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak begins anew
    kept = work()
    peak = resident("VmHWM")
    del kept
    return peak - before
