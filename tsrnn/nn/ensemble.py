"""What inference asks of a network, and several networks that forecast as one."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from tsrnn.nn.covariates import Covariates
from tsrnn.nn.encoder import State
from tsrnn.nn.networks import ForecastNetwork
from tsrnn.nn.outputs import HeadValues, Output
from tsrnn.nn.plan import NetworkPlan

__all__ = ["Network", "NetworkEnsemble"]

Said = list[HeadValues]


class Network(Protocol):
    """What reads histories and forecasts: a ForecastNetwork, or several as one."""

    @property
    def plan(self) -> NetworkPlan:
        """What the network is."""

    @property
    def output(self) -> Output:
        """Family of distributions."""

    @property
    def path_factor(self) -> Tensor:
        """Cholesky factor of the copula of paths."""

    @property
    def channel_factor(self) -> Tensor:
        """The same over channels that share a state."""

    def read(
        self,
        values: Tensor,
        state: State | None = None,
        covariates: Covariates | None = None,
        before: Tensor | None = None,
    ) -> State:
        """Return the state after reading the rows."""

    def states(
        self,
        values: Tensor,
        counts: Sequence[int],
        state: State | None = None,
        covariates: Covariates | None = None,
        before: Tensor | None = None,
    ) -> list[State]:
        """Return the states after so many recurrent steps."""

    def say(
        self,
        values: Tensor,
        state: State,
        covariates: Covariates | None = None,
        widths: Tensor | None = None,
    ) -> Any:
        """Return what is said after the newest row, spreads multiplied by ``widths``."""

    def widths(self, values: Tensor, covariates: Covariates | None = None) -> Tensor:
        """Return factors on spreads that follow the network's own errors, (batch, ...)."""

    def advance(
        self, values: Tensor, state: State, covariates: Covariates | None = None
    ) -> tuple[Any, State]:
        """Read the newest patch, and say what comes after it."""

    def unroll(
        self,
        values: Tensor,
        state: State,
        covariates: Covariates | None = None,
        *,
        paths: int = 1,
    ) -> Generator[Any, Tensor, None]:
        """Say the horizon step after step, each sent what came true."""

    def quantiles(self, said: Any, probability: Tensor, /, *, step: int | None = None) -> Tensor:
        """Return quantiles in the units of the data."""


class NetworkEnsemble(nn.Module):
    """Networks of one plan, each with a state of its own, whose quantiles are averaged.

    The average of quantile functions keeps the shape of its members, where the mixture of their
    distributions would be wider the more they disagree (Lichtendahl, Grushka-Cockayne and Winkler
    2013). It reads and forecasts through the same methods as a single
    :class:`~tsrnn.nn.networks.ForecastNetwork`; the states of the members lie behind each other in the
    layer dimension.

    Parameters
    ----------
    members : sequence of ForecastNetwork
    """

    def __init__(self, members: list[ForecastNetwork]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.eval()

    @property
    def plan(self) -> NetworkPlan:
        """What every member is."""
        return self.networks[0].plan

    @property
    def output(self) -> Output:
        """The first member's output: the family of distributions is the same for all."""
        return self.networks[0].output

    @property
    def path_factor(self) -> Tensor:
        """Cholesky factor of the copula that joins the margins to paths, common to all members."""
        return self.networks[0].path_factor

    @property
    def channel_factor(self) -> Tensor:
        """The same over channels that share a state."""
        return self.networks[0].channel_factor

    @property
    def share(self) -> tuple[float, float]:
        """Shares of what was learned that are said; see :class:`~tsrnn.nn.decoders.MixtureHead`."""
        of_locations, of_spreads = self.networks[0].head.share.tolist()
        return of_locations, of_spreads

    @property
    def networks(self) -> list[ForecastNetwork]:
        """The members."""
        return list(self.members)  # type: ignore[arg-type]

    def read(
        self,
        values: Tensor,
        state: State | None = None,
        covariates: Covariates | None = None,
        before: Tensor | None = None,
    ) -> State:
        """Return the members' states after reading the rows; see :meth:`ForecastNetwork.read`."""
        after = [
            network.read(values, own, covariates, before)
            for network, own in zip(self.networks, self._begun(state), strict=True)
        ]
        return _joined(after)

    def states(
        self,
        values: Tensor,
        counts: Sequence[int],
        state: State | None = None,
        covariates: Covariates | None = None,
        before: Tensor | None = None,
    ) -> list[State]:
        """Return the members' states after so many steps; see :meth:`ForecastNetwork.states`."""
        each = [
            network.states(values, counts, own, covariates, before)
            for network, own in zip(self.networks, self._begun(state), strict=True)
        ]
        return [_joined(list(after)) for after in zip(*each, strict=True)]

    def say(
        self,
        values: Tensor,
        state: State,
        covariates: Covariates | None = None,
        widths: Tensor | None = None,
    ) -> Said:
        """Return what each member says; see :meth:`ForecastNetwork.say`."""
        each = [None] * len(self.members) if widths is None else widths.unbind(-1)
        return [
            network.say(values, own, covariates, wide)
            for network, own, wide in zip(self.networks, self._split(state), each, strict=True)
        ]

    def widths(self, values: Tensor, covariates: Covariates | None = None) -> Tensor:
        """Return the members' factors on spreads, (batch, member)."""
        return torch.stack([network.widths(values, covariates) for network in self.networks], -1)

    def advance(
        self, values: Tensor, state: State, covariates: Covariates | None = None
    ) -> tuple[Said, State]:
        """Read the newest patch and say the horizon after it; see :meth:`ForecastNetwork.advance`."""
        states = self._split(state)
        both = [
            network.advance(values, own, covariates)
            for network, own in zip(self.networks, states, strict=True)
        ]
        return [head for head, _ in both], _joined([after for _, after in both])

    def unroll(
        self,
        values: Tensor,
        state: State,
        covariates: Covariates | None = None,
        *,
        paths: int = 1,
    ) -> Generator[Said, Tensor, None]:
        """Say the horizon step after step, each member; see :meth:`ForecastNetwork.unroll`."""
        each = [
            network.unroll(values, own, covariates, paths=paths)
            for network, own in zip(self.networks, self._split(state), strict=True)
        ]
        said = [next(steps) for steps in each]
        for _ in range(1, self.plan.horizon):
            value = yield said
            said = [steps.send(value) for steps in each]
        yield said

    def quantiles(self, said: Said, probability: Tensor, *, step: int | None = None) -> Tensor:
        """Return the mean over members of their quantiles, shape (..., horizon, quantile)."""
        each = [
            network.quantiles(head, probability, step=step)
            for network, head in zip(self.networks, said, strict=True)
        ]
        return each[0] if len(each) == 1 else torch.stack(each).mean(0)

    def _begun(self, state: State | None) -> Sequence[State | None]:
        return [None] * len(self.members) if state is None else self._split(state)

    def _split(self, state: State) -> list[State]:
        chunks = [part.chunk(len(self.members)) for part in state]
        return list(zip(*chunks, strict=True))


def _joined(states: list[State]) -> State:
    return tuple(torch.cat(parts) for parts in zip(*states, strict=True))
