"""Every pair of choices that make a network fits, forecasts, saves and reloads, or is refused with the reason."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest

from tests.combinations import CHOICES, FRAME, build, covering, is_legal
from tsrnn import ParameterError, load

pytestmark = pytest.mark.usefixtures("few_paths")

COVERING = covering()


def name(combination):
    """Return a short name for a test's id: what differs from the first choices."""
    return "-".join(str(v) for k, v in combination.items() if v != CHOICES[k][0]) or "defaults"


@pytest.mark.parametrize("combination", COVERING, ids=name)
def test_legal_choices_fit_forecast_save_and_reload(combination, tmp_path):
    forecaster = build(combination)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        forecast = forecaster.fit(FRAME).predict()
    forecaster.save(tmp_path / "model")
    again = load(tmp_path / "model").predict()

    assert np.isfinite(forecast["forecast"]).all()
    assert forecast["ds"].tolist() == again["ds"].tolist()
    np.testing.assert_array_equal(forecast["forecast"], again["forecast"])


def test_the_list_holds_every_legal_pair():
    held = {pair for c in COVERING for pair in ((a, b) for a in c.items() for b in c.items())}
    draw = random.Random(1)
    for _ in range(300):
        combination = {k: draw.choice(v) for k, v in CHOICES.items()}
        if is_legal(combination):
            assert all((a, b) in held for a in combination.items() for b in combination.items())


def test_illegal_choices_are_refused_before_any_work():
    draw, refused = random.Random(2), 0
    while refused < 60:
        combination = {k: draw.choice(v) for k, v in CHOICES.items()}
        if is_legal(combination):
            continue
        refused += 1
        with pytest.raises(ParameterError, match=r"\. |Use|Leave|Name"):
            build(combination).fit(FRAME)
