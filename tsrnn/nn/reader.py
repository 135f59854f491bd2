"""The half of the forecasting network that reads: raw rows to features to the state of a recurrent encoder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tsrnn.nn.cells import Cell
from tsrnn.nn.covariates import CovariateInputs, Covariates, Encoded
from tsrnn.nn.decoders import remember
from tsrnn.nn.encoder import RecurrentEncoder, State
from tsrnn.nn.inputs import causal_features, feature_count, newest_rows
from tsrnn.nn.joint import Channels
from tsrnn.nn.plan import NetworkPlan
from tsrnn.nn.scaling import CausalScale, last_observed
from tsrnn.nn.view import View

__all__ = ["ReadingNetwork", "Rows"]

READ_AT_ONCE = 4096  # recurrent steps of one pass over a long history


class Rows(NamedTuple):
    """What the network sees of the rows at some positions."""

    features: Tensor
    represented: Tensor
    scale: CausalScale
    positions: Tensor
    columns: Encoded | None


class ReadingNetwork(nn.Module, ABC):
    """Reads rows with a recurrent encoder, from the beginning or on from a state.

    Parameters
    ----------
    plan : NetworkPlan
    custom_cells : mapping of str to type, optional
        Cells of the user's own, by the names that the plan knows them by.
    """

    channels: Channels | None
    covariates: CovariateInputs | None

    def __init__(
        self, plan: NetworkPlan, custom_cells: Mapping[str, type[Cell]] | None = None
    ) -> None:
        super().__init__()
        self.plan = plan
        self.view = View(plan)
        read = plan.channels * feature_count(plan)
        self.channels = self.covariates = None
        if plan.channels > 1:
            self.channels = Channels(plan.channels, plan.encoder.output_size)
        static_size = 0
        if plan.covariates is not None:
            inputs = CovariateInputs(plan.covariates, patch=plan.patch, horizon=plan.horizon)
            self.covariates = inputs
            read += inputs.size
            if plan.encoder.initial_state == "static":
                static_size = inputs.static.complete_size
        self.encoder = RecurrentEncoder(
            read, plan.encoder, static_size=static_size, custom_cells=custom_cells
        )

    @property
    @abstractmethod
    def slots(self) -> int:
        """Steps of which the state keeps what the encoder said, beside its newest."""

    def positions(self, steps: int) -> Tensor:
        """Return the rows at which recurrent steps end, in ``steps`` rows after the look-back."""
        start = self.plan.look_back + self.plan.patch - 1
        stop = self.plan.look_back + steps
        device = next(self.encoder.parameters()).device
        return torch.arange(start, stop, self.plan.patch, device=device)

    def features(
        self,
        values: Tensor,
        scale: CausalScale,
        positions: Tensor,
        columns: Encoded | None = None,
    ) -> Tensor:
        """Return what the encoder reads at each position, shape (batch, position, feature)."""
        own = causal_features(values, scale, positions, self.plan)
        if self.covariates is None or columns is None:
            return own
        return torch.cat([own, self.covariates(columns, positions)], -1)

    def encode(self, covariates: Covariates | None) -> Encoded | None:
        """Return covariates as inputs; None where the network has none."""
        if self.covariates is None:
            return None
        if covariates is None:
            raise ValueError("a network with covariates needs those of the rows it reads")
        return self.covariates.encode(covariates)

    def initial_inputs(self, columns: Encoded | None) -> Tensor | None:
        """Return what the encoder's initial state is made of, where that is static covariates."""
        if self.covariates is None or columns is None:
            return None
        return self.covariates.static.complete(columns.static)

    def read(
        self,
        values: Tensor,
        state: State | None = None,
        covariates: Covariates | None = None,
        before: Tensor | None = None,
    ) -> State:
        """Return the state after reading the rows behind the look-back, a whole number of patches.

        Parameters
        ----------
        values : Tensor of shape (batch, look_back + step), float64
        state : tuple of Tensor, optional
            The state before the first of these rows.
        covariates : Covariates, optional
            Of the same rows.
        before : Tensor of shape (batch,), optional
            The newest value observed before all these rows, where reading goes on; NaN where there is none.

        Notes
        -----
        A bidirectional encoder reads the newest ``context`` rows, missing ones before the first, and can't
        go on from a state.
        """
        plan = self.plan
        if not plan.is_causal:
            rows = plan.look_back + plan.context
            values = newest_rows(values, rows)
            covariates = None if covariates is None else covariates.newest(rows)
        steps = values.shape[1] - plan.look_back
        most = READ_AT_ONCE * plan.patch if plan.is_causal else steps
        for start in range(0, steps, most):
            stop = min(start + most, steps)
            chunk = values[:, start : plan.look_back + stop]
            some = None if covariates is None else covariates.between(start, plan.look_back + stop)
            if start:
                before = last_observed(values[:, :start], before)[:, -1]
            (state,) = self.states(chunk, [(stop - start) // plan.patch], state, some, before)
        if state is None:
            raise ValueError("read needs at least one row behind the look-back")
        return state

    def states(
        self,
        values: Tensor,
        counts: Sequence[int],
        state: State | None = None,
        covariates: Covariates | None = None,
        before: Tensor | None = None,
    ) -> list[State]:
        """Return the states after so many recurrent steps, ascending; otherwise as :meth:`read`."""
        represented, scale = self.view.represent(values, before)
        positions = self.positions(counts[-1] * self.plan.patch)
        columns = self.encode(covariates)
        features = self.features(represented, scale, positions, columns)
        reached, start = [], 0
        for stop in counts:
            _, state = self._read(
                features[:, start:stop], state, static=self.initial_inputs(columns)
            )
            reached.append(state)
            start = stop
        return reached

    def _read_on(
        self,
        features: Tensor,
        state: State | None,
        fresh: Tensor | None,
        generator: torch.Generator | None,
        static: Tensor | None,
    ) -> tuple[Tensor, State]:
        """Read features on from a state, or where ``fresh`` from the beginning."""
        if fresh is not None and bool(fresh.all()):
            state = None
        if state is None or fresh is None or not fresh.any():
            return self._read(features, state, generator, static)
        old, new = torch.nonzero(~fresh).squeeze(1), torch.nonzero(fresh).squeeze(1)
        own = [None if static is None else static[which] for which in (old, new)]
        carried = tuple(part[:, old] for part in state)
        went_on = self._read(features[old], carried, generator, own[0])
        began = self._read(features[new], None, generator, own[1])
        back = torch.argsort(torch.cat([old, new]))
        hidden = torch.cat([went_on[0], began[0]])[back]
        joined = zip(went_on[1], began[1], strict=True)
        return hidden, tuple(torch.cat(parts, 1)[:, back] for parts in joined)

    def _read(
        self,
        features: Tensor,
        state: State | None,
        generator: torch.Generator | None = None,
        static: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Return what the encoder says at every step, and the state: with attention what it keeps, too."""
        if not self.slots:
            return self._encoded(features, state, generator, static)
        own, kept = (None, None) if state is None else (state[:-2], state[-2:])
        hidden, after = self._encoded(features, own, generator, static)
        return hidden, (*after, *remember(kept, hidden, self.slots))

    def _encoded(
        self,
        features: Tensor,
        state: State | None = None,
        generator: torch.Generator | None = None,
        static: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Read features at every position; return the state there as each row sees it, and the last one."""
        if self.channels is None:
            read: tuple[Tensor, State] = self.encoder(features, state, generator, static)
            return read
        count = self.plan.channels
        if state is not None:
            state = tuple(part[:, ::count].contiguous() for part in state)
        together, static = self.together(features, static)
        hidden, state = self.encoder(together, state, generator, static)
        return self.channels.each(hidden), tuple(part.repeat_interleave(count, 1) for part in state)

    def together(self, features: Tensor, static: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return what the encoder reads and its initial state is made of: of channels, side by side."""
        if self.channels is None:
            return features, static
        own = feature_count(self.plan)
        common = features[..., own:] if features.shape[-1] > own else None
        static = None if static is None else static[:: self.plan.channels]
        return self.channels.together(features[..., :own], common), static

    def _newest(self, state: State) -> Tensor:
        """Return what the encoder says at the newest step, as each row sees it, (batch, 1, output)."""
        hidden = state[0][-1].unsqueeze(1)
        return (
            hidden if self.channels is None else self.channels.each(hidden[:: self.plan.channels])
        )

    def _newest_inputs(self, values: Tensor, covariates: Covariates | None) -> Rows:
        rows = self.plan.look_back + self.plan.patch
        represented, scale = self.view.represent(values[:, -rows:])
        position = torch.tensor([represented.shape[1] - 1], device=values.device)
        columns = self.encode(
            None if covariates is None else covariates.newest(represented.shape[1])
        )
        features = self.features(represented, scale, position, columns)
        return Rows(features, represented, scale, position, columns)
