"""The rows of a set that benchmarks forecast."""

from __future__ import annotations

import pandas as pd

from tsrnn import datasets

__all__ = ["long_frame"]


def long_frame(source: str, *, ids: str | None = None, first: int | None = None) -> pd.DataFrame:
    """Return unique_id, ds, y of a set of the catalogue, of one series or the ``first`` ones if asked."""
    frame = datasets.load(source, ids=ids)[["unique_id", "ds", "y"]]
    if first is not None:
        frame = frame[frame["unique_id"].isin(frame["unique_id"].unique()[:first])]
    return frame.reset_index(drop=True)
