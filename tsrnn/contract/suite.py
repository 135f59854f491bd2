"""``check_forecaster``: every rule of the contract on one forecaster, and the broken ones in words."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Sequence
from typing import Any

from tsrnn.base import Forecaster
from tsrnn.contract.case import Case, quietly
from tsrnn.contract.rules import RULES, Broken, NotAsked, Rule
from tsrnn.exceptions import ParameterError, TsrnnError

__all__ = ["ContractError", "check_forecaster", "contract_rules"]

_CHAPTERS = ("estimating", "forecasting", "kinds", "invariance", "refusing", "outside")


class ContractError(TsrnnError, AssertionError):
    """A forecaster breaks rules of the contract.

    Attributes
    ----------
    broken : dict of str to str
        Name of each broken rule, and what was got.
    """

    def __init__(self, message: str, broken: dict[str, str]) -> None:
        super().__init__(message)
        self.broken = broken


def contract_rules() -> tuple[Rule, ...]:
    """Return all rules; each is checked by ``rule.check(tsrnn.contract.case.Case(forecaster))``."""
    for chapter in _CHAPTERS:  # each adds its rules when it is imported
        importlib.import_module(f"tsrnn.contract.{chapter}")
    return tuple(RULES)


def check_forecaster(forecaster: Any, *, skip: Collection[str] = ()) -> list[str]:
    """Check that a forecaster keeps the contract of :class:`tsrnn.base.Forecaster`.

    Each rule works on clones and on small frames of its own: two daily series, and what can be made
    of them. Columns, frequency, calendar and covariates of the forecaster are left out of account;
    every other parameter is kept, so make it small. Rules of what the forecaster does not have
    (``save``, ``update``, intervals) are passed by.

    Parameters
    ----------
    forecaster : Forecaster
        An instance, fitted or not; it is not changed.
    skip : collection of str
        Names of rules to leave out.

    Returns
    -------
    list of str
        Names of the rules that hold.

    Raises
    ------
    ContractError
        Rules are broken: each one in words, with what was got; its ``broken`` has them by name.

    Examples
    --------
    >>> from tsrnn import BaselineForecaster, check_forecaster
    >>> len(check_forecaster(BaselineForecaster("drift", horizon=4))) > 60
    True
    """
    if not isinstance(forecaster, Forecaster):
        raise ParameterError(
            "check_forecaster needs an instance of a subclass of tsrnn.base.Forecaster. Got "
            f"{forecaster!r}."
        )
    rules = contract_rules()
    unknown = sorted(set(skip) - {rule.name for rule in rules})
    if unknown:
        raise ParameterError(f"'skip' must hold names of rules. Got {unknown[0]!r}.")
    case, held, broken = Case(forecaster), [], []
    for rule in rules:
        if rule.name in skip:
            continue
        try:
            with quietly():
                rule.check(case)
            held.append(rule.name)
        except NotAsked:
            continue
        except Broken as fault:
            broken.append((rule, str(fault)))
        except Exception as error:  # noqa: BLE001 - whatever a forecaster raises is the finding
            text = " ".join(str(error).split())
            broken.append((rule, f"{type(error).__name__}: {text[:300]}"))
    if broken:
        raise ContractError(
            _words(forecaster, broken, len(held)), {rule.name: got for rule, got in broken}
        )
    return held


def _words(forecaster: Forecaster, broken: Sequence[tuple[Rule, str]], held: int) -> str:
    lines = [f"{rule.says} ({rule.name})\n    Got: {got}" for rule, got in broken]
    head = f"{type(forecaster).__name__} breaks {len(broken)} of {held + len(broken)} rules."
    return "\n- ".join([head, *lines])
