"""The model folder: JSON and safetensors, with checksums, replaced as a whole.

    model/
      config.json                       what the model is; names its weights by their checksum
      weights-<16 hex>.safetensors      the arrays; the name comes from the content

The weights are written first, under their own name, and one rename of ``config.json`` then makes them
the model. So a reader, or a writer killed at any moment, finds the old model or the new one, never a
mixture and never none. Nothing in a folder is ever executed, unpickled or imported.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from tsrnn import __version__
from tsrnn.exceptions import ModelFileError, ParameterError
from tsrnn.saving.jsontext import decode, encode

try:
    import fcntl
except ImportError:  # Windows: concurrent writers of one folder are then not kept apart
    fcntl = None  # type: ignore[assignment]

__all__ = ["FORMAT_VERSION", "read_folder", "write_folder"]

FORMAT_VERSION = 1
_CONFIG = "config.json"
_OURS = re.compile(r"config\.json\.tmp|weights-[0-9a-f]{16}\.safetensors(\.tmp)?")
_UNSEALED = "0" * 64
_DTYPES = {
    np.dtype(name)
    for name in ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?")
}
_LARGEST_CONFIG = 256 * 2**20  # bytes


# ---- writing ------------------------------------------------------------------------------


def write_folder(
    path: str | os.PathLike[str], config: dict[str, Any], tensors: dict[str, np.ndarray]
) -> None:
    """Write a model folder, or replace the model in one, all or nothing.

    Parameters
    ----------
    path : path-like
        The folder. It and its parents are made where they are missing; files of others in it stay.
    config : dict
        Strings, numbers (NaN and infinities too), booleans, None, lists, tuples and dicts with string
        keys, nested. Comes back equal and with the same types; numpy scalars come back as Python's.
    tensors : dict of str to ndarray
        Arrays of any shape, of float, integer or boolean dtype.

    Raises
    ------
    ParameterError
        ``config`` or ``tensors`` hold something that can't be stored.
    ModelFileError
        ``path`` holds a ``config.json`` that is not tsrnn's.
    OSError
        The disk is full or the folder can't be written; names the path. The old model is untouched
        and no file is left over.
    """
    folder = Path(path)
    weights = safetensors.numpy.save({name: _storable(name, tensors[name]) for name in tensors})
    digest = hashlib.sha256(weights).hexdigest()
    sealed = _seal(
        {
            "format": "tsrnn",
            "format_version": FORMAT_VERSION,
            "checksum": _UNSEALED,
            "tsrnn_version": __version__,
            "weights": {"sha256": digest, "bytes": len(weights)},
            "config": encode(config, "config"),
        }
    )
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            _refuse_foreign(folder)
            try:
                _replace(folder / _weights_name(digest), weights)
                _replace(folder / _CONFIG, sealed)  # from here on it is the new model
            finally:
                _sweep(folder)
    except OSError as error:
        for parent in missing:
            with suppress(OSError):
                parent.rmdir()
        raise OSError(
            error.errno, f"Could not save the model: {error.strerror}", str(folder)
        ) from error


def _storable(name: str, array: np.ndarray) -> np.ndarray:
    array = np.asarray(array)
    native = array.dtype.newbyteorder("=")
    if not isinstance(name, str) or native not in _DTYPES:
        raise ParameterError(
            f"A tensor needs a text name and a float, integer or boolean dtype. "
            f"Got {name!r} of dtype {array.dtype}."
        )
    return array.astype(native, order="C", copy=False)


def _weights_name(digest: str) -> str:
    return f"weights-{digest[:16]}.safetensors"


def _seal(document: dict[str, Any]) -> bytes:
    """Return the JSON bytes with the checksum of themselves, taken while its digits are zeros."""
    raw = json.dumps(document, indent=1, allow_nan=False).encode("ascii")
    checksum = hashlib.sha256(raw).hexdigest()
    return raw.replace(_UNSEALED.encode(), checksum.encode(), 1)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder against other writers; the lock is no file, and ends with the process."""
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _refuse_foreign(folder: Path) -> None:
    config = folder / _CONFIG
    if config.is_file() and not re.search(rb'"format":\s*"tsrnn"', config.read_bytes()[:200]):
        raise ModelFileError(
            f"{config} was not written by tsrnn and is not replaced. Save to another folder."
        )


def _replace(file: Path, content: bytes) -> None:
    """Put ``content`` at ``file`` at once: written beside, on the disk, then renamed."""
    beside = file.with_name(file.name + ".tmp")
    with beside.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    beside.replace(file)
    _sync_folder(file.parent)


def _sync_folder(folder: Path) -> None:
    if fcntl is None:
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system that can't sync folders
            os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(folder: Path) -> None:
    """Remove what earlier, interrupted or replaced saves left: all but the weights config.json names."""
    config = folder / _CONFIG
    named = config.read_bytes() if config.is_file() else b""
    for file in folder.iterdir():
        stale = file.suffix == ".tmp" or file.stem.removeprefix("weights-").encode() not in named
        if stale and _OURS.fullmatch(file.name):
            with suppress(OSError):
                file.unlink()


# ---- reading ------------------------------------------------------------------------------


def read_folder(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read what :func:`write_folder` wrote, checked to the last bit.

    Parameters
    ----------
    path : path-like
        The folder. It may be replaced by a save while it is read.

    Returns
    -------
    config : dict
    tensors : dict of str to ndarray
        Fresh arrays with the shapes and dtypes that were saved.

    Raises
    ------
    ModelFileError
        A file is missing, damaged, not tsrnn's, or of a newer format; names the file.
    """
    config_file = Path(path) / _CONFIG
    raw = _read_config(config_file)
    while True:
        document = _open_seal(config_file, raw)
        try:
            tensors = _read_weights(Path(path), document["weights"])
        except ModelFileError:
            newest = _read_config(config_file)
            if newest == raw:  # else a save took these weights away meanwhile
                raise
            raw = newest
        else:
            try:
                return decode(document["config"]), tensors
            except RecursionError as error:
                raise _damaged(config_file, "is nested too deeply") from error


def _read_config(file: Path) -> bytes:
    if not file.is_file():
        raise ModelFileError(
            f"{file.parent} is no saved model: {file.name} is missing. "
            "Give the folder that was given to save()."
        )
    if file.stat().st_size > _LARGEST_CONFIG:
        raise _damaged(file, f"is larger than {_LARGEST_CONFIG} bytes")
    return file.read_bytes()


def _open_seal(file: Path, raw: bytes) -> dict[str, Any]:
    """Return the document of config.json if it is ours, of a version we read, and undamaged."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _damaged(file, "is not valid JSON") from error
    if not isinstance(document, dict) or document.get("format") != "tsrnn":
        raise ModelFileError(
            f"{file} does not describe a tsrnn model (its 'format' is not 'tsrnn'). "
            "Give the folder that was given to save()."
        )
    version = document.get("format_version")
    if type(version) is int and version > FORMAT_VERSION:
        raise ModelFileError(
            f"{file} has format {version}, this tsrnn ({__version__}) reads {FORMAT_VERSION}. "
            "Upgrade tsrnn to load it."
        )
    checksum = document.get("checksum")
    if not _is_digest(checksum):
        raise _damaged(file, "has no checksum")
    unsealed = raw.replace(checksum.encode(), _UNSEALED.encode(), 1)
    if hashlib.sha256(unsealed).hexdigest() != checksum:
        raise _damaged(file, "does not match its checksum")
    weights = document.get("weights")
    if (
        version != FORMAT_VERSION
        or not isinstance(document.get("config"), dict)
        or not isinstance(weights, dict)
        or not _is_digest(weights.get("sha256"))
        or type(weights.get("bytes")) is not int
    ):
        raise _damaged(file, "lacks an entry, or has one of another type")
    return document


def _read_weights(folder: Path, entry: dict[str, Any]) -> dict[str, np.ndarray]:
    # The name is made of hex digits that have been checked, so it can't leave the folder.
    file = folder / _weights_name(entry["sha256"])
    try:
        size = file.stat().st_size if file.is_file() else None
        if size != entry["bytes"]:
            found = "is missing" if size is None else f"has {size} bytes, not {entry['bytes']}"
            raise _damaged(file, found)
        raw = file.read_bytes()
    except FileNotFoundError as error:  # a save removed it between two lines
        raise _damaged(file, "is missing") from error
    if hashlib.sha256(raw).hexdigest() != entry["sha256"]:
        raise _damaged(file, "does not match its checksum")
    try:
        return safetensors.numpy.load(raw)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise _damaged(file, "is not a safetensors file") from error


def _damaged(file: Path, what: str) -> ModelFileError:
    return ModelFileError(
        f"The saved model is damaged: {file} {what}. "
        "Copy the folder again from where it was saved, or fit and save the model again."
    )


def _is_digest(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None
