"""Checks of parameters, each with one sentence: what must hold, what was got."""

from __future__ import annotations

import math
from collections.abc import Iterable
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any

from tsrnn.exceptions import ParameterError

__all__ = ["check_flag", "check_integer", "check_option", "check_real"]


def check_integer(name: str, value: Any, *, low: int, optional: bool = False) -> Any:
    """Return ``value`` as int if it is an integer of at least ``low`` (or None where optional)."""
    if value is None and optional:
        return None
    if isinstance(value, bool) or not isinstance(value, Integral) or value < low:
        none = " or None" if optional else ""
        raise ParameterError(
            f"The {name!r} parameter must be an integer of at least {low}{none}. Got {value!r}."
        )
    return int(value)


def check_real(
    name: str,
    value: Any,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    closed: str = "both",
    optional: bool = False,
) -> Any:
    """Return ``value`` if it is a finite number between ``low`` and ``high``.

    ``closed`` says which ends belong to the range: "both", "left", "right" or "neither".
    """
    if value is None and optional:
        return None
    left, right = (
        ("[" if closed in {"both", "left"} else "("),
        ("]" if closed in {"both", "right"} else ")"),
    )
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    number = float(value) if is_number else math.nan
    inside = (
        math.isfinite(number)
        and (low <= number if left == "[" else low < number)
        and (number <= high if right == "]" else number < high)
    )
    if not inside:
        none = " or None" if optional else ""
        raise ParameterError(
            f"The {name!r} parameter must be a number in {left}{low:g}, {high:g}{right}{none}. Got {value!r}."
        )
    return number


def check_option(name: str, value: Any, options: Iterable[Any]) -> Any:
    """Return ``value`` if it is one of ``options``; the error names the nearest one."""
    allowed = list(options)
    if not any(
        value is option or (isinstance(value, type(option)) and value == option)
        for option in allowed
    ):
        listed = ", ".join(repr(option) for option in allowed)
        near = (
            get_close_matches(value, [o for o in allowed if isinstance(o, str)], 1)
            if isinstance(value, str)
            else []
        )
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ParameterError(
            f"The {name!r} parameter must be one of {listed}. Got {value!r}.{hint}"
        )
    return value


def check_flag(name: str, value: Any) -> bool:
    """Return ``value`` if it is True or False."""
    if not isinstance(value, bool):
        raise ParameterError(f"The {name!r} parameter must be True or False. Got {value!r}.")
    return value
