"""Data sets: real prices and sensors, public benchmarks, and generators with known answers.

>>> from tsrnn import datasets
>>> datasets.load("sine").head(2)
  unique_id                  ds         y
0        s0 2020-01-01 00:00:00  0.000000
1        s0 2020-01-01 01:00:00  0.258819

Every set is a long frame ``unique_id, ds, y`` and, where the source has them, covariates.
``catalogue()`` lists them with source, licence, unit and frequency. Sets that come with a package need
the extra: ``pip install 'tsrnn[datasets]'``. Public sets are fetched once into the folder
``TSRNN_DATA`` (default: the platform's cache folder) and checked against a checksum at every load.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from difflib import get_close_matches

import pandas as pd

from .cache import cache_folder, fingerprint, read_public
from .entries import DatasetError, Entry, PublicSet
from .generators import (
    GENERATED,
    ar1,
    counts,
    garch_price,
    random_walk,
    seasonal_trend,
    sensor_with_gaps,
    sine,
)
from .packaged import PACKAGED, read_packaged
from .public import PUBLIC

__all__ = [
    "DatasetError",
    "ar1",
    "cache_folder",
    "catalogue",
    "counts",
    "fingerprint",
    "garch_price",
    "load",
    "random_walk",
    "seasonal_trend",
    "sensor_with_gaps",
    "sine",
]

_ENTRIES: dict[str, Entry] = {entry.name: entry for entry in (*PACKAGED, *PUBLIC, *GENERATED)}


def catalogue() -> pd.DataFrame:
    """Return one row per data set; nothing is loaded.

    Returns
    -------
    pandas.DataFrame
        Columns name, title, source, licence, unit (of ``y``), freq (pandas offset alias, or "step"),
        horizon and season (customary, in steps), n_series, rows, comes_from ("arch", "statsmodels",
        "download", "cache" for sets that can't be downloaded in a form we read, "generator").
    """
    columns = [field.name for field in fields(Entry)]
    rows = [{name: getattr(entry, name) for name in columns} for entry in _ENTRIES.values()]
    return pd.DataFrame(rows)


def load(name: str, *, ids: str | Sequence[str] | None = None) -> pd.DataFrame:
    """Return a data set as a long frame.

    Parameters
    ----------
    name : str
        A name of :func:`catalogue`.
    ids : str or sequence of str, optional
        Keep these series only, in the order of the set. Default: all.

    Returns
    -------
    pandas.DataFrame
        ``unique_id`` (text), ``ds`` (datetime64[us] without zone, or integer steps where the source
        has no dates), ``y`` (float64), then covariates; ordered by series, then time. Yours to change.

    Raises
    ------
    DatasetError
        The name or an id is unknown, the set can't be fetched, or it fails its checksum.
    ImportError
        The set comes with a package that is not installed; names the pip command.

    Examples
    --------
    >>> load("random_walk").shape
    (500, 3)
    """
    if name not in _ENTRIES:
        near = get_close_matches(str(name), _ENTRIES, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise DatasetError(
            f"The data set must be one of {', '.join(map(repr, sorted(_ENTRIES)))}. Got {name!r}.{hint}"
        )
    entry = _ENTRIES[name]
    if isinstance(entry, PublicSet):
        frame = read_public(entry)
    elif entry.comes_from == "generator":
        frame = GENERATED[entry]()
    else:
        frame = read_packaged(name)
    return (
        frame if ids is None else _select(frame, name, [ids] if isinstance(ids, str) else list(ids))
    )


def _select(frame: pd.DataFrame, name: str, ids: list[str]) -> pd.DataFrame:
    known = frame["unique_id"].unique()
    unknown = [one for one in ids if one not in known]
    if unknown:
        raise DatasetError(
            f"The series of {name!r} are {', '.join(map(repr, known[:8]))}{', ...' * (len(known) > 8)}. "
            f"Got ids={unknown[0]!r}, first of {len(unknown)} unknown."
        )
    return frame[frame["unique_id"].isin(ids)].reset_index(drop=True)
