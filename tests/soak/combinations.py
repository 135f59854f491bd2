"""Fit, forecast, save and reload every legal combination of the choices that make a network.

    python tests/soak/combinations.py [--seed 0]

The architecture's combinations are all taken, with the other choices drawn. Prints those that fail.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.combinations import FRAME, Combination, build, every
from tsrnn import load


def find_fault(combination: Combination, folder: str) -> str:
    """Return what goes wrong; nothing, where nothing does."""
    forecaster = build(combination).fit(FRAME)
    said = forecaster.predict()["forecast"]
    forecaster.save(folder)
    if not np.isfinite(said).all():
        return "it forecasts no numbers"
    again = load(folder).predict()["forecast"]
    return "" if np.array_equal(said, again) else "the reloaded model forecasts otherwise"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stride", type=int, default=1, help="every so many combinations")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    failed = done = 0
    with tempfile.TemporaryDirectory() as folder:
        for i, combination in enumerate(every(options.seed)):
            if i % options.stride:
                continue
            done += 1
            try:
                fault = find_fault(combination, folder)
            except Exception as error:  # each failure is reported, none ends the run
                fault = f"{type(error).__name__}: {error}"
            if fault:
                failed += 1
                print(f"{combination}: {fault}", flush=True)
    print(f"{done} combinations, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
