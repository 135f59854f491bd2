"""What may be tried: plain Python values as distributions of Optuna."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from tsrnn.base import Forecaster
from tsrnn.exceptions import ParameterError

__all__ = ["Space"]

_PLAIN = (type(None), bool, int, float, str)
_NOT_SEARCHED = {
    "horizon": "scores of other horizons can't be compared",
    "target_col": "scores of other targets can't be compared",
}


class Space:
    """The parameters that may be tried.

    Parameters
    ----------
    space : mapping of str to list, tuple or optuna distribution
        See :func:`tsrnn.tune`.
    forecaster : Forecaster
        Whose parameters they are.
    """

    def __init__(self, space: Mapping[str, Any], forecaster: Forecaster) -> None:
        if not isinstance(space, Mapping) or not space:
            raise ParameterError(
                "The 'space' parameter must be a dict of parameters and what to try for each, such as "
                f"{{'hidden_size': (8, 64), 'cell': ['gru', 'lstm']}}. Got {space!r}."
            )
        known = forecaster.get_params()
        self.distributions: dict[str, BaseDistribution] = {}
        self._choices: dict[str, dict[Any, Any]] = {}
        for name, tried in space.items():
            if name not in known:
                raise ParameterError(
                    f"'space' must hold parameters of {type(forecaster).__name__}. Got {name!r}."
                )
            if name in _NOT_SEARCHED:
                raise ParameterError(f"'space' can't hold {name!r}: {_NOT_SEARCHED[name]}.")
            self.distributions[name] = self._distribution(name, tried)

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Return the parameters of a trial."""
        said = {name: trial._suggest(name, d) for name, d in self.distributions.items()}  # noqa: SLF001
        return self.values(said)

    def values(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """Return what Optuna's values stand for."""
        return {
            name: self._choices[name][value] if name in self._choices else value
            for name, value in said.items()
        }

    def __repr__(self) -> str:
        return ", ".join(f"{name}: {d}" for name, d in sorted(self.distributions.items()))

    def _distribution(self, name: str, tried: Any) -> BaseDistribution:
        if isinstance(tried, BaseDistribution):
            return tried
        if isinstance(tried, list) and tried:
            # a study keeps plain values; others by what they print
            labels = {v if isinstance(v, _PLAIN) else repr(v): v for v in tried}
            self._choices[name] = labels
            return CategoricalDistribution(list(labels))
        if isinstance(tried, tuple) and _is_range(tried):
            low, high, log = tried[0], tried[1], len(tried) == 3
            if isinstance(low, int) and isinstance(high, int):
                return IntDistribution(low, high, log=log)
            return FloatDistribution(float(low), float(high), log=log)
        raise ParameterError(
            f"'space' must hold for {name!r} a list of choices, a range (low, high) or (low, high, 'log') "
            f"with low <= high (above 0 for 'log'), or an optuna distribution. Got {tried!r}."
        )


def _is_range(tried: Sequence[Any]) -> bool:
    numbers = [v for v in tried[:2] if isinstance(v, (int, float)) and not isinstance(v, bool)]
    if len(numbers) != 2 or len(tried) not in {2, 3} or not numbers[0] <= numbers[1]:
        return False
    return len(tried) == 2 or (tried[2] == "log" and numbers[0] > 0)
