"""What was run, as lines of JSON: a run that was cut goes on where it was."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tables import machine

from classic.suites import Case
from classic.training import Learnt

__all__ = ["Result", "append", "key", "read"]


@dataclass(frozen=True)
class Result:
    """One training of one network on one case.

    Parameters
    ----------
    key : dict
        Task with its sizes, network, budget and seed.
    learnt : Learnt
    machine : str
    """

    key: dict[str, Any]
    learnt: Learnt
    machine: str

    @classmethod
    def of(cls, key: dict[str, Any], learnt: Learnt) -> Result:
        """Return what is kept of a training."""
        return cls(key, learnt, machine())

    @property
    def score(self) -> float:
        """The last score."""
        return self.learnt.curve[-1][1]


def key(case: Case, model: str, seed: int) -> dict[str, Any]:
    """Return what tells one training from another."""
    return {
        "task": asdict(case.task),  # type: ignore[call-overload]
        "model": model,
        "budget": asdict(case.budget),
        "seed": seed,
    }


def append(path: Path, result: Result) -> None:
    """Write a result at the end of a file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(result)) + "\n")


def read(path: Path) -> list[Result]:
    """Return the results of a file; a last line that was cut off is left out."""
    results = []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    for line in lines:
        if not line.endswith("\n"):
            break
        values = json.loads(line)
        learnt = values["learnt"]
        pairs = {name: list(map(tuple, learnt[name])) for name in ("curve", "gradients")}
        results.append(Result(values["key"], Learnt(**{**learnt, **pairs}), values["machine"]))
    return results
