"""The forecasting network: causal features, a recurrent encoder, and a head at every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tsrnn.nn.cells import Cell
from tsrnn.nn.covariates import CovariateInputs, Covariates, Encoded
from tsrnn.nn.decoder import MixtureHead
from tsrnn.nn.encoder import RecurrentEncoder, State
from tsrnn.nn.inputs import causal_features, feature_count, newest_rows
from tsrnn.nn.outputs import HeadValues, make_output
from tsrnn.nn.plan import NetworkPlan
from tsrnn.nn.reference import reference_forecasts, reference_names
from tsrnn.nn.response import FutureResponse
from tsrnn.nn.scaling import (
    CausalScale,
    causal_scale,
    last_observed,
    relative_move,
    represent,
    restore,
    safe_ratio,
)

__all__ = ["ForecastNetwork"]

FARTHEST = 1e4  # units of the scale: a reference forecast farther away says no more
READ_AT_ONCE = 4096  # recurrent steps of one pass over a long history


class _Newest(NamedTuple):
    """What the network sees at the newest row."""

    features: Tensor
    represented: Tensor
    scale: CausalScale
    position: Tensor
    columns: Encoded | None


class ForecastNetwork(nn.Module):
    """A recurrent network that says, at every step it reads, what comes next.

    All methods take rows of raw values, float64, NaN where nothing was observed, of which the first
    ``plan.look_back`` only serve as the past of the others, and with ``plan.covariates`` the covariates
    of these rows.

    Parameters
    ----------
    plan : NetworkPlan
    custom_cells : mapping of str to type, optional
        Cells of the user's own, by the names that the plan knows them by.
    """

    path_factor: Tensor
    covariates: CovariateInputs | None
    response: FutureResponse | None

    def __init__(
        self, plan: NetworkPlan, custom_cells: Mapping[str, type[Cell]] | None = None
    ) -> None:
        super().__init__()
        self.plan = plan
        references = len(reference_names(plan.seasons))
        features = feature_count(plan)
        seen_ahead = 0
        self.covariates = self.response = None
        if plan.covariates is not None:
            inputs = CovariateInputs(plan.covariates, patch=plan.patch, horizon=plan.horizon)
            self.covariates = inputs
            features += inputs.size
            if plan.covariates.future:
                self.response = FutureResponse(
                    inputs.future,
                    inner_size=plan.encoder.output_size + features,
                    hidden_size=plan.encoder.hidden_size,
                    horizon=plan.horizon,
                    seasons=plan.seasons,
                )
                seen_ahead = self.response.seen_size
        static_size = 0
        if self.covariates is not None and plan.encoder.initial_state == "static":
            static_size = self.covariates.static.complete_size
        self.encoder = RecurrentEncoder(
            features,
            plan.encoder,
            static_size=static_size,
            custom_cells=custom_cells,
        )
        self.head = MixtureHead(
            state_size=plan.encoder.output_size,
            feature_size=features + seen_ahead,
            hidden_size=plan.encoder.hidden_size,
            horizon=plan.horizon,
            references=references,
            segment=plan.segment,
            dropout=plan.encoder.dropout,
        )
        self.output = make_output(plan.output, quantiles=plan.quantiles, horizon=plan.horizon)
        # Cholesky factor of the copula that joins the margins of a direct forecast to paths
        self.register_buffer("path_factor", torch.eye(plan.horizon, dtype=torch.float64))

    @classmethod
    def build(
        cls,
        plan: NetworkPlan,
        generator: torch.Generator,
        custom_cells: Mapping[str, type[Cell]] | None = None,
    ) -> ForecastNetwork:
        """Return a fresh network whose weights come from ``generator`` alone.

        Torch's global random state is neither read nor moved.
        """
        with torch.device("meta"):
            network = cls(plan, custom_cells)
        network.to_empty(device="cpu")
        network.encoder.initialise(generator)
        network.head.initialise(generator)
        for block in (network.covariates, network.response):
            if block is not None:
                block.initialise(generator)
        network._take_missing_as_average()
        with torch.device("cpu"):
            fresh = make_output(plan.output, quantiles=plan.quantiles, horizon=plan.horizon)
        network.output.load_state_dict(fresh.state_dict())
        network.path_factor.copy_(torch.eye(plan.horizon))
        return network.eval()  # training switches its own way of computing on

    @torch.no_grad()
    def _take_missing_as_average(self) -> None:
        """Set weights of inputs that tell of missing covariates to zero: training has to find them of use."""
        if self.covariates is None:
            return
        flags = torch.nonzero(self.covariates.flags).squeeze(1)
        flags += self.encoder.input_size - self.covariates.size  # behind those of the target
        said = self.plan.encoder.output_size
        for weight in self.encoder.input_weights():
            weight[..., flags] = 0.0
        self.head.known.weight[:, said + flags] = 0.0
        if self.response is not None:
            self.response.hidden.weight[:, said + flags] = 0.0

    # ---- from raw rows to what the head says ----------------------------------------------

    def represent(self, values: Tensor, before: Tensor | None = None) -> tuple[Tensor, CausalScale]:
        """Return represented values and their causal scale, both of shape (batch, step)."""
        plan = self.plan
        represented = represent(values, log=plan.log)
        scale = causal_scale(
            represented,
            season=plan.seasons[0],
            window=plan.window,
            anchor=plan.anchor,
            before=None if before is None else represent(before, log=plan.log),
        )
        return represented, scale

    def positions(self, steps: int) -> Tensor:
        """Return the rows at which recurrent steps end, in ``steps`` rows after the look-back."""
        start = self.plan.look_back + self.plan.patch - 1
        stop, device = self.plan.look_back + steps, self.path_factor.device
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

    def relative_references(self, values: Tensor, scale: CausalScale, positions: Tensor) -> Tensor:
        """Return the reference forecasts, relative, shape (batch, position, reference, horizon)."""
        plan = self.plan
        said = reference_forecasts(
            values, scale, positions, horizon=plan.horizon, seasons=plan.seasons, window=plan.window
        )
        anchor, unit = scale.anchor[:, positions, None], scale.scale[:, positions, None]
        share = safe_ratio(torch.ones_like(unit), unit)
        moves = [relative_move(forecast - anchor, log=plan.log) for forecast in said]
        relative = [(move * share).clamp(-FARTHEST, FARTHEST).float() for move in moves]
        return torch.stack(relative, -2).nan_to_num(0.0)

    def encode(self, covariates: Covariates | None) -> Encoded | None:
        """Return covariates as inputs; None where the network has none."""
        if self.covariates is None:
            return None
        if covariates is None:
            raise ValueError("a network with covariates needs those of the rows it reads")
        return self.covariates.encode(covariates)

    def forward(
        self,
        values: Tensor,
        generator: torch.Generator | None = None,
        steps: Tensor | None = None,
        covariates: Covariates | None = None,
    ) -> HeadValues:
        """Read rows and say the horizon at every recurrent step.

        Parameters
        ----------
        values : Tensor of shape (batch, look_back + step), float64
        generator : torch.Generator, optional
            Source of dropout in training.
        steps : Tensor of int64, optional
            Say it at these recurrent steps only (all when not given). A bidirectional encoder knows what
            to say at the last one only.
        covariates : Covariates, optional
            Of the same rows, and of the horizon after them.

        Returns
        -------
        HeadValues of shape (batch, position, horizon)
        """
        return self.unroll(values, None, generator, steps, covariates)[0]

    def unroll(
        self,
        values: Tensor,
        state: State | None,
        generator: torch.Generator | None = None,
        steps: Tensor | None = None,
        covariates: Covariates | None = None,
        fresh: Tensor | None = None,
    ) -> tuple[HeadValues, State]:
        """Do as :meth:`forward`, going on from a state, and return the state after the rows, too.

        Where ``fresh``, bool of shape (batch,), holds, reading begins instead of going on.
        """
        represented, scale = self.represent(values)
        positions = self.positions(values.shape[1] - self.plan.look_back)
        columns = self.encode(covariates)
        features = self.features(represented, scale, positions, columns)
        hidden, state = self._go_on(features, state, fresh, generator, self._static(columns))
        if not self.plan.is_causal:
            hidden, features, positions = _newest_output(state), features[:, -1:], positions[-1:]
        elif steps is not None:
            hidden, features, positions = hidden[:, steps], features[:, steps], positions[steps]
        references = self.relative_references(represented, scale, positions)
        said = self._say(hidden, features, references, scale, positions, generator, columns)
        return said, state

    def _go_on(
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
            return self.encoder(features, state, generator, static)
        old, new = torch.nonzero(~fresh).squeeze(1), torch.nonzero(fresh).squeeze(1)
        own = [None if static is None else static[which] for which in (old, new)]
        carried = tuple(part[:, old] for part in state)
        went_on = self.encoder(features[old], carried, generator, own[0])
        began = self.encoder(features[new], None, generator, own[1])
        back = torch.argsort(torch.cat([old, new]))
        hidden = torch.cat([went_on[0], began[0]])[back]
        joined = zip(went_on[1], began[1], strict=True)
        return hidden, tuple(torch.cat(parts, 1)[:, back] for parts in joined)

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
        represented, scale = self.represent(values, before)
        positions = self.positions(counts[-1] * self.plan.patch)
        columns = self.encode(covariates)
        features = self.features(represented, scale, positions, columns)
        reached, start = [], 0
        for stop in counts:
            _, state = self.encoder(features[:, start:stop], state, static=self._static(columns))
            reached.append(state)
            start = stop
        return reached

    def say(self, values: Tensor, state: State, covariates: Covariates | None = None) -> HeadValues:
        """Say the horizon after the newest row, given the state there.

        Parameters
        ----------
        values : Tensor of shape (batch, step), float64
            At least ``plan.look_back + plan.patch`` newest rows.
        state : tuple of Tensor
        covariates : Covariates, optional
            Of the same rows, and of the horizon after them.

        Returns
        -------
        HeadValues of shape (batch, horizon)
        """
        return self._after_newest(state, self._newest_inputs(values, covariates))

    def advance(
        self, values: Tensor, state: State, covariates: Covariates | None = None
    ) -> tuple[HeadValues, State]:
        """Read the newest patch, given the state before it, and say the horizon after it.

        The same as :meth:`read` of that patch and :meth:`say`, in one computation.
        """
        inputs = self._newest_inputs(values, covariates)
        _, state = self.encoder(inputs.features, state)
        return self._after_newest(state, inputs), state

    def _static(self, columns: Encoded | None) -> Tensor | None:
        """Return what the encoder's initial state is made of, where that is static covariates."""
        if self.covariates is None or columns is None:
            return None
        return self.covariates.static.complete(columns.static)

    def _newest_inputs(self, values: Tensor, covariates: Covariates | None) -> _Newest:
        rows = self.plan.look_back + self.plan.patch
        represented, scale = self.represent(values[:, -rows:])
        position = torch.tensor([represented.shape[1] - 1], device=values.device)
        columns = self.encode(
            None if covariates is None else covariates.newest(represented.shape[1])
        )
        features = self.features(represented, scale, position, columns)
        return _Newest(features, represented, scale, position, columns)

    def _after_newest(self, state: State, newest: _Newest) -> HeadValues:
        features, represented, scale, position, columns = newest
        references = self.relative_references(represented, scale, position)
        said = self._say(
            _newest_output(state), features, references, scale, position, None, columns
        )
        return HeadValues(*(part.squeeze(1) for part in said))

    def _say(
        self,
        hidden: Tensor,
        features: Tensor,
        references: Tensor,
        scale: CausalScale,
        positions: Tensor,
        generator: torch.Generator | None,
        columns: Encoded | None,
    ) -> HeadValues:
        seen = features
        if self.response is not None and columns is not None:
            inner = torch.cat([hidden, features], -1)
            rows = self.response.rows(columns.future, positions)
            seen = torch.cat([features, self.response.seen(rows)], -1)
        said: HeadValues = self.head(
            hidden,
            seen,
            references,
            anchor=scale.anchor[:, positions],
            scale=scale.scale[:, positions],
            generator=generator,
        )
        if self.response is None:
            return said
        return said._replace(location=said.location + said.unit * self.response(inner, rows))

    # ---- back to the units of the data ----------------------------------------------------

    def relative_target(self, target: Tensor, head: HeadValues) -> Tensor:
        """Return raw targets (..., horizon) relative to the head's anchor and scale, NaN kept."""
        return self.relative_to(target, anchor=head.anchor, scale=head.scale)

    def relative_to(self, target: Tensor, *, anchor: Tensor, scale: Tensor) -> Tensor:
        """Return raw targets (..., horizon) relative to anchor and scale (..., 1), NaN kept."""
        log = self.plan.log
        difference = relative_move(represent(target, log=log) - anchor, log=log)
        usable = scale > 0
        ratio = difference / torch.where(usable, scale, torch.ones_like(scale))
        return torch.where(usable, ratio, torch.full_like(ratio, torch.nan)).float()

    def restore(self, relative: Tensor, head: HeadValues) -> Tensor:
        """Return relative values (..., horizon) or (..., horizon, n) in the units of the data."""
        extra = (1,) * (relative.dim() - head.location.dim())
        anchor = head.anchor.reshape(*head.anchor.shape, *extra)
        scale = head.scale.reshape(*head.scale.shape, *extra)
        return restore(anchor, scale * relative.double(), log=self.plan.log)

    def quantiles(self, head: HeadValues, probability: Tensor) -> Tensor:
        """Return quantiles in the units of the data, shape (..., horizon, quantile)."""
        return self.restore(self.output.quantile(head, probability), head)


def _newest_output(state: State) -> Tensor:
    """Return what the encoder says at the newest step, shape (batch, 1, output)."""
    return state[0][-1].unsqueeze(1)
