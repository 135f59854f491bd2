"""What a rule is: a sentence, and a function that raises where a forecaster breaks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from tsrnn.contract.case import Case

__all__ = ["RULES", "Broken", "NotAsked", "Rule", "must", "must_be_close", "must_equal", "rule"]


class Broken(AssertionError):  # noqa: N818 - said of a rule
    """A forecaster breaks a rule; the message says what was got."""


class NotAsked(Exception):  # noqa: N818 - no error: the rule has no say here
    """The rule does not concern this forecaster, such as one of saving where there is no ``save``."""


@dataclass(frozen=True)
class Rule:
    """One rule of the contract.

    Parameters
    ----------
    name : str
        Its name, for skipping it.
    says : str
        The rule as a sentence.
    check : callable
        Called with a :class:`~tsrnn.contract.case.Case`; raises where the rule is broken.
    """

    name: str
    says: str
    check: Callable[[Case], None]

    def __str__(self) -> str:
        return self.name


RULES: list[Rule] = []
"""All rules, in the order in which they are checked."""


def rule(check: Callable[[Case], None]) -> Callable[[Case], None]:
    """Add a function to the rules: its name is the rule's, its docstring the sentence."""
    says = " ".join((check.__doc__ or "").split())
    RULES.append(Rule(check.__name__, says, check))
    return check


def must(holds: object, got: str) -> None:
    """Raise Broken with ``got`` unless ``holds``."""
    if not holds:
        raise Broken(got)


def must_equal(got: Any, expected: Any, what: str) -> None:
    """Raise Broken unless two frames or arrays are equal in every bit, name and type."""
    try:
        if isinstance(expected, pd.DataFrame):
            pd.testing.assert_frame_equal(got, expected, check_exact=True, check_freq=False)
        elif isinstance(expected, pd.Series):
            pd.testing.assert_series_equal(got, expected, check_exact=True, check_freq=False)
        else:
            np.testing.assert_array_equal(got, expected)
    except AssertionError as error:
        raise Broken(f"{what} differs: {_short(error)}") from None


def must_be_close(got: Any, expected: Any, what: str, *, tolerance: float = 1e-5) -> None:
    """Raise Broken unless two arrays of forecasts agree to ``tolerance`` of a typical move of the data."""
    try:
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=tolerance)
    except AssertionError as error:
        raise Broken(f"{what} differs: {_short(error)}") from None


def _short(error: AssertionError) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else text[:297] + "..."
