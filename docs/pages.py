"""Runs the examples of the documentation: each ```python block of a page, in order, in one namespace.

    python docs/pages.py            # compare
    python docs/pages.py --write    # write the outputs anew, after a change that moves them

An HTML comment before a block says what is special about it:

- ``<!-- output -->`` before a ```text block: it is what the python block above printed. Words must agree
  exactly, numbers to 5 % (another processor rounds otherwise, and training magnifies it).
- ``<!-- warns: DataWarning; may warn: SkillWarning -->`` before a ```python block: it must warn of the first
  and may of the second; any other warning is an error in the tests.
- ``<!-- not run -->`` before a ```python block: it is not run.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tsrnn

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(
    r"(?:^<!-- ([^\n]*) -->\n)?^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?")
TOLERANCE = 0.05


@dataclass(frozen=True)
class Block:
    """A marked piece of a page: its language, its mark, its text and where that stands."""

    language: str
    mark: str
    text: str
    start: int
    line: int


def pages() -> list[Path]:
    """Return the README and every page of the docs that has examples."""
    every = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [page for page in every if "```python" in page.read_text(encoding="utf-8")]


def blocks(text: str) -> list[Block]:
    """Return the python and text blocks of a page, in order."""
    return [
        Block(
            found[2], found[1] or "", found[3], found.start(3), text[: found.start(3)].count("\n")
        )
        for found in BLOCK.finditer(text)
    ]


def run(page: Path) -> Iterator[tuple[Block, str]]:
    """Run a page in the current folder; yield each output block with what was printed in its place.

    Raises
    ------
    AssertionError
        A block warns of other things than its mark says.
    """
    namespace = {"__name__": "__main__"}
    printed = ""
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.language == "text":
            if block.mark == "output":
                yield block, printed
        elif block.mark != "not run":
            code = compile("\n" * block.line + block.text, str(page), "exec")
            stream = io.StringIO()
            with contextlib.redirect_stdout(stream), _warns(block, page):
                exec(code, namespace)
            printed = stream.getvalue()


@contextlib.contextmanager
def _warns(block: Block, page: Path) -> Iterator[None]:
    """Let the block warn of what its mark says, and only of that; other warnings go their way."""
    told = dict(part.split(": ") for part in block.mark.split("; ")) if block.mark else {}
    must, may = (set(told.get(word, "").split()) for word in ("warns", "may warn"))
    with warnings.catch_warnings(record=True) as caught:
        for name in must | may:
            warnings.simplefilter("always", getattr(tsrnn, name))
        yield
    got = {each.category.__name__ for each in caught}
    for each in caught:
        if each.category.__name__ not in must | may:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    assert must <= got, f"{page.name}, line {block.line}: does not warn of {sorted(must - got)}"


def agree(shown: str, printed: str) -> bool:
    """Return whether two outputs have the same words, and numbers that differ by at most 5 %.

    >>> agree("MASE 0.712 of naive", "MASE  0.709 of naive"), agree("1 better", "1 worse")
    (True, False)
    """
    if NUMBER.sub("#", shown).split() != NUMBER.sub("#", printed).split():
        return False
    pairs = zip(_numbers(shown), _numbers(printed), strict=True)
    return all(math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE) for a, b in pairs)


def _numbers(text: str) -> list[float]:
    return [float(number.replace(",", "").rstrip(".")) for number in NUMBER.findall(text)]


def write(page: Path) -> bool:
    """Replace the outputs of a page by what is printed now; return whether any disagreed."""
    text = page.read_text(encoding="utf-8")
    fresh, end, moved = "", 0, False
    for block, printed in run(page):
        lines = "\n".join(line.rstrip() for line in printed.strip("\n").split("\n")) + "\n"
        moved |= not agree(block.text, printed)
        fresh += text[end : block.start] + lines
        end = block.start + len(block.text)
    page.write_text(fresh + text[end:], encoding="utf-8")
    return moved


def main() -> None:
    for page in pages():
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            os.environ["TSRNN_HOME"] = folder
            if "--write" in sys.argv:
                print(page.name, "written anew" if write(page) else "as it was")
            else:
                wrong = [
                    block.line for block, printed in run(page) if not agree(block.text, printed)
                ]
                print(page.name, f"differs at lines {wrong}" if wrong else "agrees")


if __name__ == "__main__":
    main()
