"""What the words say is true: examples run, outputs agree, links lead somewhere, lists match the tree."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import pkgutil
import re
import warnings
from pathlib import Path
from types import ModuleType

import pytest

import tsrnn

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(#[^)\s]*)?\)")


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    importlib.sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


pages = _load(DOCS / "pages.py")
MODULES = sorted(
    each.name
    for each in pkgutil.walk_packages(tsrnn.__path__, "tsrnn.")
    if "__main__" not in each.name
    and each.name != "tsrnn.sktime"  # its examples run beside sktime: make check-sktime
)
WRITTEN = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")], key=lambda page: page.name)


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    """A fresh current folder, and no MLflow store but one in it."""
    for name in ("TRACKING_URI", "EXPERIMENT_ID", "EXPERIMENT_NAME"):
        monkeypatch.delenv(f"MLFLOW_{name}", raising=False)
    monkeypatch.setenv("TSRNN_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", pages.pages(), ids=lambda page: page.name)
def test_examples_run_and_print_what_is_shown(page, empty_folder):
    for block, printed in pages.run(page):
        assert pages.agree(block.text, printed), (
            f"{page.name}, line {block.line}: it prints\n{printed}\n"
            "Run `python docs/pages.py --write` if that is right."
        )


@pytest.mark.parametrize("name", MODULES)
def test_doctests_of_the_library_hold(name, empty_folder):
    module = importlib.import_module(name)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tsrnn.SkillWarning)  # a handful of rows proves no skill
        result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)

    assert result.failed == 0


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_links_lead_to_files_that_exist(page):
    for target, _ in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_architecture_names_every_module_and_no_other():
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `([\w/]+\.py)`", page, re.MULTILINE))

    tree = {
        path.relative_to(ROOT).as_posix()
        for folder in ("tsrnn", "datasets", "pipelines")
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "__init__.py"
    }

    assert named == tree


def test_navigation_holds_every_page():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")

    assert set(re.findall(r": ([\w-]+\.md)$", text, re.MULTILINE)) == {
        p.name for p in DOCS.glob("*.md")
    }


def _documented() -> list[str]:
    """Names of the reference; the folder ``datasets`` is installed as ``tsrnn.datasets``."""
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    names = re.findall(r"^::: ([\w.]+)$", page, re.MULTILINE)
    return [f"tsrnn.{name}" if name.startswith("datasets.") else name for name in names]


def test_reference_names_every_public_name_of_the_package():
    named = {name.rpartition(".")[2] for name in _documented()}

    assert set(tsrnn.__all__) - {"__version__"} <= named


@pytest.mark.parametrize("name", _documented())
def test_reference_names_only_what_exists(name):
    module, _, attribute = name.rpartition(".")

    assert name in MODULES or hasattr(importlib.import_module(module), attribute)


def test_table_of_frequencies_is_that_of_the_time_axis():
    from tsrnn.calendars import TimeAxis

    page = (DOCS / "frames.md").read_text(encoding="utf-8")
    rows = re.findall(r"^    (\S.*?)  +(\S.*?)  +(\S.*?)$", TimeAxis.__doc__, re.MULTILINE)
    rows = [row for row in rows if not set(row[0]) <= set("= ")]

    assert len(rows) > 10
    for row in rows:
        assert f"| {' | '.join(row)} |" in page


def test_outputs_agree_within_five_percent_and_word_for_word():
    assert pages.agree("MAE 1.00 in 12 steps", "MAE  1.04 in 12 steps")
    assert not pages.agree("MAE 1.00 in 12 steps", "MAE 1.10 in 12 steps")
    assert not pages.agree("beats naive", "does not beat naive")
