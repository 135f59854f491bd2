"""What is known about every data set: one entry each, and nothing is loaded here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

__all__ = ["DatasetError", "Entry", "PublicSet"]


class DatasetError(ValueError):
    """A data set is unknown, can't be fetched, or is not what its checksum says."""


@dataclass(frozen=True)
class Entry:
    """One row of the catalogue.

    Parameters
    ----------
    name : str
        What ``load`` is called with.
    title, source, licence : str
        What it is, where it is from, and the licence as stated there.
    unit : str
        Unit of ``y``.
    freq : str
        Step as a pandas offset alias (of the M competitions by name only: their ``ds`` counts steps), or
        "step" where the source says nothing.
    horizon, season : int
        Customary steps to forecast, and steps of one season.
    n_series, rows : int
        Size of what ``load`` returns.
    comes_from : str
        "arch", "statsmodels", "download", "cache" (can't be downloaded in a form we read) or
        "generator".
    """

    name: str
    title: str
    source: str
    licence: str
    unit: str
    freq: str
    horizon: int
    season: int
    n_series: int
    rows: int
    comes_from: str


@dataclass(frozen=True)
class PublicSet(Entry):
    """A public set: where its files are, how they become a frame, and the frame's fingerprint.

    Parameters
    ----------
    folder, files : str, tuple of str
        Its place in the cache: ``<cache>/<folder>/<file>``; several files continue each other.
    addresses : tuple of str
        Where the source files are, in the order ``convert`` wants them.
    convert : callable or None
        Turns the bytes of the source files into one tidy frame per cache file.
    fingerprint : str
        Checksum of the tidy frame (see :func:`datasets.cache.fingerprint`).
    """

    folder: str
    files: tuple[str, ...]
    addresses: tuple[str, ...]
    convert: Callable[[list[bytes]], list[pd.DataFrame]] | None
    fingerprint: str
