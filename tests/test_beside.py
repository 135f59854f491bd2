"""What stands beside the library says which extra it needs, and nothing of it is loaded by itself."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from tsrnn.exceptions import MissingDependencyError


@pytest.mark.parametrize(
    ("module", "package"),
    [("tsrnn.sktime", "sktime"), ("tsrnn.pipelines.dagster", "dagster")],
)
def test_without_its_package_a_module_names_the_extra(module, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, module, raising=False)

    with pytest.raises(MissingDependencyError, match=rf"pip install 'tsrnn\[{package}\]'"):
        importlib.import_module(module)


def test_a_fit_loads_neither():
    words = "import sys, tsrnn.forecaster, tsrnn.learning.training\n"
    words += "print({'sktime', 'dagster', 'torch.distributed.run'} & set(sys.modules))"

    said = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "set()"
