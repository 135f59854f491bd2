"""The table of the cells' times: a row a cell, the yardstick at 1."""

import re

import cells
import pytest
import torch

from tsrnn.nn.cells import CELLS


@pytest.fixture
def torchs_settings():
    """The benchmark sets threads and denormals for its own process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)


def test_table_has_a_row_for_every_cell_and_is_written(tmp_path, capsys, torchs_settings):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- cells:start -->\n<!-- cells:end -->\nafter\n")

    cells.main(
        ["--hidden", "4", "--steps", "3", "--batch", "2", "--rounds", "2", "--write", str(page)]
    )

    written = page.read_text()
    rows = re.findall(
        r"^\| (\w+) \| ([\d,]+) \| [\d.]+ \| \**([\d.]+)\** \|$", written, re.MULTILINE
    )
    assert [name for name, _, _ in rows] == list(CELLS)
    assert {name: speed for name, _, speed in rows}["lstm"] == "1.00"
    assert {name: count for name, count, _ in rows}["lstm"] == f"{4 * 4 * (16 + 4 + 2)}"
    assert (
        written
        in f"before\n<!-- cells:start -->\n{capsys.readouterr().out}<!-- cells:end -->\nafter\n"
    )
