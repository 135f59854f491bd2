"""A sample of `make soak`: kill -9 within each of two dates, and four processes on a fresh store."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parent.parent / "soak"


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [["kills.py", "--points", "2"], ["fresh.py", "--processes", "4"]], ids=" ".join
)
def test_nothing_is_lost_doubled_or_half_done(arguments, tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}

    done = subprocess.run(
        [sys.executable, str(SOAK / arguments[0]), *arguments[1:]],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
