"""What tests of several folders use."""

from __future__ import annotations

import pytest


@pytest.fixture
def few_paths(monkeypatch):
    """Draw few sample paths: what they are worth is tested elsewhere."""
    monkeypatch.setattr("tsrnn.planned.PATHS", 8)
    monkeypatch.setattr("tsrnn.learning.learner.VALIDATION_PATHS", 4)
