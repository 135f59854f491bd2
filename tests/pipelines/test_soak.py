"""A sample of `make soak`: kill -9 within each of two dates, and four processes on a fresh store."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parent.parent / "soak"

# Both in one process: half of their time would go into loading the same libraries twice.
BOTH = """
import sys, fresh, kills
sys.argv = ["fresh.py", "--processes", "4"]
failed = fresh.main()
sys.argv = ["kills.py", "--points", "2"]
sys.exit(kills.main() or failed)
"""


@pytest.mark.slow
def test_nothing_is_lost_doubled_or_half_done(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(SOAK)}

    done = subprocess.run(
        [sys.executable, "-c", BOTH],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
