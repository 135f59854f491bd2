"""Public sets: fetched once, checked always, kept as parquet in the cache folder.

The checksum is of the content, not of the file: the same values give the same fingerprint whatever
wrote the file, and any other value, row or column gives another one.
"""

from __future__ import annotations

import hashlib
import http.client
import importlib.util
import os
import re
import sys
import urllib.error
import urllib.request
import uuid
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd

from .entries import DatasetError, PublicSet

__all__ = ["cache_folder", "fingerprint", "read_public"]

_TIMEOUT = 60  # seconds without an answer
_LARGEST = 512 * 2**20  # bytes of one source file


def cache_folder() -> Path:
    """Return the folder of the cache: ``TSRNN_DATA``, else the platform's cache folder."""
    chosen = os.environ.get("TSRNN_DATA")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "tsrnn"


def fingerprint(frame: pd.DataFrame) -> str:
    """Return the checksum of a tidy frame: names, texts, times and numbers, row by row.

    Numbers count to 40 bits (12 decimal digits), so that two parsers of the same decimal text,
    which may differ in the last bit, agree; times count in microseconds.
    """
    state = hashlib.blake2b(digest_size=16)
    for name in frame.columns:
        column = frame[name]
        state.update(f"{name}\n".encode())
        if pd.api.types.is_datetime64_any_dtype(column):
            state.update(column.to_numpy().astype("datetime64[us]").astype("<i8").tobytes())
        elif pd.api.types.is_numeric_dtype(column):
            numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
            missing = np.isnan(numbers)
            mantissa, exponent = np.frexp(np.where(missing, 0.0, numbers))
            rounded = np.ldexp(np.rint(mantissa * 2.0**40), exponent - 40) + 0.0  # -0 is 0
            state.update(missing.tobytes() + rounded.astype("<f8").tobytes())
        else:
            codes, texts = pd.factorize(column)
            state.update(codes.astype("<i8").tobytes() + "\n".join(map(str, texts)).encode())
    return state.hexdigest()


def read_public(entry: PublicSet) -> pd.DataFrame:
    """Return the tidy frame of a public set, from the cache or, the first time, from its address.

    Raises
    ------
    DatasetError
        It is not cached and can't be fetched, or its content is not what the catalogue says.
    """
    folder = cache_folder() / entry.folder
    files = [folder / name for name in entry.files]
    if all(file.is_file() for file in files):
        frame = _join([_read_parquet(file) for file in files])
        if fingerprint(frame) != entry.fingerprint:
            raise DatasetError(
                f"{' and '.join(map(str, files))} must hold the set {entry.name!r} unchanged "
                f"(fingerprint {entry.fingerprint}). Got {fingerprint(frame)}, {len(frame)} rows. "
                "Delete it to fetch it again."
            )
        return frame
    parts = _fetch(entry, files)
    frame = _join(parts)
    if fingerprint(frame) != entry.fingerprint:
        raise DatasetError(
            f"{entry.addresses[0]} must give the set {entry.name!r} with {entry.rows} rows "
            f"(fingerprint {entry.fingerprint}). Got {len(frame)} rows ({fingerprint(frame)}): "
            "the source has changed or the download was tampered with. Nothing was kept."
        )
    for part, file in zip(parts, files, strict=True):
        _write_parquet(part, file)
    return frame


def _fetch(entry: PublicSet, files: list[Path]) -> list[pd.DataFrame]:
    if entry.convert is None:
        raise DatasetError(
            f"The set {entry.name!r} is read only from the cache: its source ({entry.source}) is in a "
            f"form that needs other software. Put {', '.join(map(str, files))} there (parquet with "
            "unique_id, ds, y), or set TSRNN_DATA to the folder that has it."
        )
    contents = [_download(address, entry, files) for address in entry.addresses]
    try:
        return entry.convert(contents)
    except (ValueError, KeyError, IndexError, EOFError, OSError) as error:
        raise DatasetError(
            f"{entry.addresses[0]} is not the file expected for the set {entry.name!r} ({error}). "
            "The source has changed or the download was damaged. Nothing was kept."
        ) from error


def _download(address: str, entry: PublicSet, files: list[Path]) -> bytes:
    try:
        content, expected = _get(address)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise DatasetError(
            f"The set {entry.name!r} is not in the cache ({files[0]}) and can't be fetched from "
            f"{address}: {error}. Connect to the network, or set TSRNN_DATA to a folder that has it."
        ) from error
    if len(content) > _LARGEST or (expected is not None and len(content) != int(expected)):
        raise DatasetError(
            f"{address} must send {expected} bytes, at most {_LARGEST}. Got {len(content)}. Try again."
        )
    return content


def _get(address: str) -> tuple[bytes, str | None]:
    """Return the content and its declared length; a file gone from its commit is sought in the newest.

    That is safe, because only the known content is accepted, wherever it comes from.
    """
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT) as response:
            return response.read(_LARGEST + 1), response.headers.get("Content-Length")
    except urllib.error.HTTPError as error:
        error.close()
        newest = re.sub(
            r"(githubusercontent\.com/[^/]+/[^/]+)/[0-9a-f]{12,40}/", r"\1/HEAD/", address
        )
        if error.code != http.HTTPStatus.NOT_FOUND or newest == address:
            raise
        return _get(newest)


def _join(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the parts as one frame, each series together, in the order of the first part."""
    if len(parts) == 1:
        return parts[0]
    frame = pd.concat(parts, ignore_index=True)
    order = np.argsort(pd.factorize(frame["unique_id"])[0], kind="stable")
    return frame.iloc[order].reset_index(drop=True)


def _read_parquet(file: Path) -> pd.DataFrame:
    _need_pyarrow()
    try:
        return pd.read_parquet(file)
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{file} is not a readable parquet file ({error}). Delete it to fetch it again."
        ) from error


def _write_parquet(frame: pd.DataFrame, file: Path) -> None:
    """Put the frame at ``file`` at once: written beside, then renamed."""
    _need_pyarrow()
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.{uuid.uuid4().hex}.tmp")
    try:
        frame.to_parquet(beside, index=False, compression="zstd")
        beside.replace(file)
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def _need_pyarrow() -> None:
    """Raise the ImportError that says what to install, where pyarrow is missing."""
    if importlib.util.find_spec("pyarrow") is None:
        raise ImportError(
            "Public data sets are kept as parquet, which needs pyarrow. "
            "Install it with: pip install 'tsrnn[datasets]'"
        )
