"""Forecasters fitted once for all tests that only look at them."""

from __future__ import annotations

import warnings

import pytest

from tests.contract.samples import baseline, fit_tiny, tiny, waves


@pytest.fixture
def frame():
    return waves()


@pytest.fixture(scope="session", params=["direct", "shift", "recurrent", "attention"])
def network(request):
    """A fitted network forecaster of each decoder, whose training was kept."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = fit_tiny(waves(), decoder=request.param)
    assert model.best_step_ > 0  # else the tests that use it would look at the references alone
    return model


@pytest.fixture(scope="session")
def direct():
    model = fit_tiny(waves())
    assert model.best_step_ > 0
    return model


@pytest.fixture(params=["network", "baseline"])
def forecaster(request):
    """An unfitted forecaster of each class."""
    return {"network": tiny, "baseline": baseline}[request.param]()
