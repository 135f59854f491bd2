"""Data: a long frame read, as multiples of copying its values to float32; windows gathered."""

from __future__ import annotations

import numpy as np
import pandas as pd
from memory import added_memory
from tables import table

from speed.pairs import paired, said_by
from tsrnn.frames import read_panel
from tsrnn.windows import WindowSampler

__all__ = ["added_by_reading", "reading", "reading_scales"]

ROWS = 10_000_000
KINDS = {"integers": "int", "categories": "category", "text": "str"}


def reading(rounds: int) -> str:
    """Return the table of 1e7 rows by kind of id: seconds, copies, memory; and of 256 windows of them."""
    frames = {kind: frame(ROWS // 1000, 1000, ids) for kind, ids in KINDS.items()}
    seconds, copied = _timed(list(frames.values()), rounds)
    size = 8 * ROWS / 2**20
    rows = []
    for (kind, ids), spent in zip(KINDS.items(), seconds, strict=True):
        added = said_by("speed.data", "added_by_reading", ROWS // 1000, 1000, ids)
        rows.append(
            [
                f"1e7 rows, ids are {kind}",
                f"{spent:.3f} s",
                f"{spent / copied:.1f}",
                f"{added:.0f} MB, {added / size:.1f} x the values",
            ]
        )
    panel, _ = read_panel(frames["integers"])
    sampler = WindowSampler(panel, panel.lengths, look_back=0, context=64, horizon=16, patch=1)
    rng = np.random.default_rng(0)
    places = [sampler.places(256, rng) for _ in range(100)]
    (gathered,) = paired([lambda: [sampler.gather(*each) for each in places]], rounds)
    rows.append(["256 windows of 80 rows", f"{10 * gathered:.3f} ms", "", ""])
    return table(["what", "CPU time", "float32 copies", "memory beyond the frame"], rows)


def reading_scales(rounds: int) -> str:
    """Return the table of reading by rows and by series, ids as text."""
    shapes = [(100, 1000), (1000, 1000), (10_000, 1000), (100, 100_000), (100_000, 100)]
    rows = []
    for series, each in shapes:
        (seconds,), copied = _timed([frame(series, each, "str")], rounds)
        rows.append(
            [
                f"{series:,} x {each:,}",
                f"{1e3 * seconds:.1f}",
                f"{1e9 * seconds / (series * each):.1f}",
                f"{seconds / copied:.1f}",
            ]
        )
    return table(["series x rows, ids as text", "ms", "ns a row", "float32 copies"], rows)


def frame(series: int, rows: int, ids: str) -> pd.DataFrame:
    """Return a sorted long frame of noise with ids of a dtype."""
    codes = np.repeat(np.arange(series), rows)
    names = pd.Series([f"series {i:06d}" for i in range(series)], dtype="str")
    made = {
        "int": lambda: codes,
        "category": lambda: pd.Categorical.from_codes(codes, names),
        "str": lambda: names.repeat(rows).reset_index(drop=True),
    }
    return pd.DataFrame(
        {
            "unique_id": made[ids](),
            "ds": np.tile(pd.date_range("2000-01-01", periods=rows, freq="h"), series),
            "y": np.random.default_rng(0).normal(size=series * rows),
        }
    )


def added_by_reading(series: int, rows: int, ids: str) -> float:
    """Return the MB that reading a frame needs beyond it, the panel included."""
    read_panel(frame(series, 2, ids))  # imports
    whole = frame(series, rows, ids)
    return added_memory(lambda: read_panel(whole))


def _timed(frames: list[pd.DataFrame], rounds: int) -> tuple[list[float], float]:
    """Return the seconds of reading each frame, and of copying the values of the first."""
    values = frames[0]["y"].to_numpy()
    copied, *read = paired(
        [
            lambda: values.astype(np.float32),
            *(lambda f=each: read_panel(f) for each in frames),
        ],
        rounds,
    )
    return read, copied
