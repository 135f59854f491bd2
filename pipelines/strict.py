"""Mappings from YAML to frozen dataclasses, where every key and type must be right."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from tsrnn.exceptions import SpecError

__all__ = ["build", "changed", "hint", "parse"]

Section = TypeVar("Section")


def parse(text: str, where: str) -> Any:
    """Return the content of YAML ``text``; ``where`` names it in the error."""
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        words = re.sub(r"\s+", " ", str(error)).strip().rstrip(".")
        raise SpecError(f"{where} is no YAML: {words}.") from error


class _StrictLoader(yaml.SafeLoader):
    """YAML without tags that make objects, in which a key may be given once only."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is given twice", key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


# Dates stay text: the data decides what kind of time they are.
_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def changed(content: Any, change: str) -> Any:
    """Return ``content`` with one value replaced: ``change`` is "model.max_steps=200"."""
    key, equals, text = change.partition("=")
    if not equals or not all(key.split(".")):
        raise SpecError(
            f"--set must be key=value, as in --set model.max_steps=200. Got {change!r}."
        )
    value = parse(text, f"The value of --set {change}")
    for part in reversed(key.split(".")):
        value = {part: value}
    return _merged(content, value)


def _merged(old: Any, new: Any) -> Any:
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return new
    return {**old, **{key: _merged(old.get(key), value) for key, value in new.items()}}


def build(section: type[Section], content: Any, where: str) -> Section:
    """Return the dataclass ``section`` made from ``content``, every key and type checked."""
    here = f"{where!r}" if where else "A spec"
    if not isinstance(content, Mapping):
        raise SpecError(f"{here} must be a mapping of keys to values. Got {content!r}.")
    known = {part.name: part for part in fields(section)}  # type: ignore[arg-type]
    hints = get_type_hints(section)
    made = {}
    for key, value in content.items():
        name = f"{where}.{key}" if where else f"{key}"
        if key not in known:
            raise SpecError(
                f"Unknown key {name!r}.{hint(str(key), list(known))} Known keys: {', '.join(known)}."
            )
        hint_type = hints[key]
        inner = next((t for t in (hint_type, *get_args(hint_type)) if is_dataclass(t)), None)
        if inner is not None and (value is not None or inner is hint_type):
            made[key] = build(inner, value, name)  # type: ignore[type-var]
        elif _fits(value, hint_type):
            made[key] = value
        else:
            raise SpecError(f"{name!r} must be {_words(hint_type)}. Got {value!r}.")
    for key, part in known.items():
        if key not in made and part.default is MISSING and part.default_factory is MISSING:
            raise SpecError(f"{here} needs the key {key!r}.")
    return section(**made)


def _fits(value: Any, hint: Any) -> bool:
    """Return whether ``value`` is of the type ``hint`` (plain types, unions, lists and dicts of them)."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in {Union, types.UnionType}:
        return any(_fits(value, option) for option in inner)
    if origin is list:
        return isinstance(value, list) and all(_fits(item, inner[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(isinstance(key, str) for key in value)
    return type(value) is hint  # True is no int here


def _words(hint: Any) -> str:
    names = {str: "text", int: "an integer", float: "a number", bool: "true or false"}
    if get_origin(hint) in {Union, types.UnionType}:
        return " or ".join(_words(option) for option in get_args(hint))
    if get_origin(hint) is list:
        return f"a list (of {_words(get_args(hint)[0])})"
    return "a mapping" if get_origin(hint) is dict else names.get(hint, "empty")


def hint(word: str, known: list[str]) -> str:
    """Return " Did you mean ...?" with the nearest of ``known``, or nothing."""
    near = get_close_matches(word, known, 1)
    return f" Did you mean {near[0]!r}?" if near else ""
