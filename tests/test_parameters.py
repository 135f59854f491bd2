"""Checks of parameters: what passes, and the sentence for what does not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tsrnn.exceptions import ParameterError
from tsrnn.parameters import check_flag, check_integer, check_option, check_real


@pytest.mark.parametrize("value", [1, 7, np.int64(7), np.uint8(7)])
def test_integers_of_any_kind_pass_as_int(value):
    checked = check_integer("horizon", value, low=1)

    assert checked == value
    assert type(checked) is int


@pytest.mark.parametrize("value", [0, -1, 1.5, 2.0, "7", True, np.True_, math.nan, [1], None])
def test_what_is_no_integer_of_at_least_one_is_named(value):
    with pytest.raises(ParameterError) as caught:
        check_integer("horizon", value, low=1)

    assert str(caught.value) == (
        f"The 'horizon' parameter must be an integer of at least 1. Got {value!r}."
    )


def test_none_passes_where_it_is_optional():
    assert check_integer("patch", None, low=1, optional=True) is None
    assert check_real("max_time", None, low=0, optional=True) is None
    with pytest.raises(ParameterError, match=r"at least 1 or None\. Got 0"):
        check_integer("patch", 0, low=1, optional=True)


@pytest.mark.parametrize(
    ("closed", "passing", "refused"),
    [
        ("both", (0, 0.5, 1), (-0.1, 1.1)),
        ("left", (0, 0.5), (1, -1e-9)),
        ("right", (0.5, 1), (0, 2)),
        ("neither", (1e-9, 0.5), (0, 1)),
    ],
)
def test_a_real_number_lies_in_its_range(closed, passing, refused):
    for value in passing:
        assert check_real("dropout", value, low=0, high=1, closed=closed) == value
    for value in (*refused, math.nan, math.inf, "0.5", True, None):
        with pytest.raises(
            ParameterError, match=r"'dropout' parameter must be a number in [\[(]0, 1[\])]"
        ):
            check_real("dropout", value, low=0, high=1, closed=closed)


def test_an_option_that_is_nearly_right_is_suggested():
    with pytest.raises(ParameterError) as caught:
        check_option("cell", "ltsm", ("gru", "lstm", "rnn"))

    assert str(caught.value) == (
        "The 'cell' parameter must be one of 'gru', 'lstm', 'rnn'. Got 'ltsm'. Did you mean 'lstm'?"
    )


@pytest.mark.parametrize("value", [1, None, ["gru"], np.array(["gru", "rnn"])])
def test_an_option_of_another_type_is_refused(value):
    with pytest.raises(ParameterError, match="must be one of 'gru', 'rnn'"):
        check_option("cell", value, ("gru", "rnn"))


def test_a_flag_is_true_or_false():
    assert check_flag("deep", value=True) is True
    with pytest.raises(ParameterError, match=r"must be True or False\. Got 1"):
        check_flag("deep", value=1)
