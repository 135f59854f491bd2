"""The scripts of benchmarks/ import each other by bare names, as they do when run."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
