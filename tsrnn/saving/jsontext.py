"""Python values as strict JSON and back, without loss.

JSON has no NaN, no infinity and no tuple. They are written as objects with one reserved key,
``{"$float": "nan"}``, ``{"$tuple": [...]}``; a dict that happens to use such a key becomes
``{"$dict": [[key, value], ...]}``. Only plain data is made on the way back: nothing is named,
imported or called by the text.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tsrnn.exceptions import ModelFileError, ParameterError

__all__ = ["decode", "encode"]

_RESERVED = {"$float", "$tuple", "$dict"}
_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def encode(value: Any, where: str) -> Any:
    """Return ``value`` in terms of strict JSON; ``where`` names it in errors.

    >>> encode({"bounds": (0, float("inf"))}, "config")
    {'bounds': {'$tuple': [0, {'$float': 'inf'}]}}
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": str(float(value))}
    if isinstance(value, (list, tuple)):
        items = [encode(item, f"{where}[{i}]") for i, item in enumerate(value)]
        return {"$tuple": items} if isinstance(value, tuple) else items
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        pairs = [[key, encode(item, f"{where}[{key!r}]")] for key, item in value.items()]
        return {"$dict": pairs} if _RESERVED & value.keys() else dict(pairs)
    raise ParameterError(
        f"{where} must be text, a number, a boolean, None, or a list, tuple or dict (with text keys) "
        f"of these to be saved. Got {value!r} of type {type(value).__name__}."
    )


def decode(value: Any) -> Any:
    """Return what :func:`encode` was given.

    >>> decode({'bounds': {'$tuple': [0, {'$float': 'inf'}]}})
    {'bounds': (0, inf)}
    """
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    try:
        match value:
            case {"$float": name, **rest} if not rest:
                return _FLOATS[name]
            case {"$tuple": list(items), **rest} if not rest:
                return tuple(decode(item) for item in items)
            case {"$dict": list(pairs), **rest} if not rest:
                return {str(key): decode(item) for key, item in pairs}
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"The text {value!r} stands for no value.") from error
    return {key: decode(item) for key, item in value.items()}
