"""What a run has done, step by step, in files: after a kill the next one goes on from there.

Each date has a folder. A step writes its results there first and its record last, in one rename;
what has a record is whole and is not done again. The record ``done`` closes the date.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from .files import write_text

__all__ = ["Ledger", "dates", "order"]

_RECORDS = "steps"
_FIRST, _LAST = "begun", "done"
_FOLDER = "dates"


class Ledger:
    """The records of one date of a pipeline.

    Parameters
    ----------
    root : Path
        Folder of the pipeline.
    as_of : str
        The date; its folder is ``dates/<as_of>``.
    """

    def __init__(self, root: Path, as_of: str) -> None:
        self.as_of = as_of
        self.folder = root / _FOLDER / _slug(as_of)

    def begin(self, digest: str, *, again: bool = False) -> None:
        """Start the date, or go on with it where it was begun with the same spec.

        Parameters
        ----------
        digest : str
            Of the spec; records of another one are dropped.
        again : bool
            Drop the records in any case.
        """
        begun = self.read(_FIRST)
        if begun is None or begun["digest"] != digest or again:
            (self._records / f"{_FIRST}.json").unlink(missing_ok=True)  # a kill in here starts anew
            shutil.rmtree(self.folder, ignore_errors=True)
            self.write(_FIRST, digest=digest, as_of=self.as_of)
        for litter in sorted(self.folder.rglob(".*")):  # of a killed run
            if litter.is_file():
                litter.unlink()
            elif litter.exists():  # not in a folder that is swept already
                shutil.rmtree(litter)

    def read(self, step: str) -> dict[str, Any] | None:
        """Return what ``step`` recorded, or None where it is not done."""
        try:
            return json.loads((self._records / f"{step}.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    def write(self, step: str, **content: Any) -> dict[str, Any]:
        """Record that ``step`` is done, with what is to be known of it."""
        text = json.dumps(content, indent=1)
        write_text(self._records / f"{step}.json", text + "\n")
        return json.loads(text)

    def forget(self, step: str) -> None:
        """Have ``step`` done again."""
        (self._records / f"{step}.json").unlink(missing_ok=True)

    def finished(self, digest: str) -> dict[str, Any] | None:
        """Return the closing record where the date was finished with the same spec."""
        begun = self.read(_FIRST)
        return self.read(_LAST) if begun is not None and begun["digest"] == digest else None

    def close(self, **content: Any) -> None:
        """Close the date."""
        self.write(_LAST, **content)

    @property
    def _records(self) -> Path:
        return self.folder / _RECORDS


def dates(root: Path) -> list[Ledger]:
    """Return the finished dates of a pipeline, oldest first."""
    found = []
    for path in (root / _FOLDER).glob(f"*/{_RECORDS}/{_LAST}.json"):
        first = path.with_name(f"{_FIRST}.json")
        if first.is_file():  # else it was killed while it was dropped
            found.append(Ledger(root, json.loads(first.read_text(encoding="utf-8"))["as_of"]))
    return sorted(found, key=lambda ledger: order(ledger.as_of))


def _slug(as_of: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", as_of).strip(".-") or "date"


def order(as_of: str) -> str:
    """Return a text that sorts dates and integers by time."""
    return f"{int(as_of):020d}" if as_of.isdigit() else as_of
