"""A forecaster at one moment: what another thread changes meanwhile is not seen."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

__all__ = ["at_one_moment"]

Method = TypeVar("Method", bound=Callable[..., Any])


def at_one_moment(method: Method) -> Method:
    """Let a method that only looks work on the attributes as they are when it is called.

    An update of the state by another thread replaces an attribute: such a method sees the old state or
    the new one, never some of each.
    """

    @wraps(method)
    def looks(self: Any, *args: Any, **how: Any) -> Any:
        still = object.__new__(type(self))
        still.__dict__.update(self.__dict__)
        return method(still, *args, **how)

    return cast(Method, looks)
