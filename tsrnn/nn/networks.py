"""The forecasting network: causal features, a recurrent encoder, and a head at every step."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tsrnn.nn.cells import Cell
from tsrnn.nn.covariates import CovariateInputs, Covariates, Encoded
from tsrnn.nn.decoders import (
    AttentionHead,
    HeadInputs,
    HeadSizes,
    MixtureHead,
    StepwiseHead,
    make_head,
    newest_steps,
    recall,
    remember,
)
from tsrnn.nn.encoder import RecurrentEncoder, State
from tsrnn.nn.inputs import causal_features, feature_count, newest_rows
from tsrnn.nn.joint import Channels
from tsrnn.nn.linear_response import LinearResponse
from tsrnn.nn.outputs import HeadValues, make_output
from tsrnn.nn.plan import NetworkPlan
from tsrnn.nn.reference import reference_names
from tsrnn.nn.response import RESPONSES, FutureResponse
from tsrnn.nn.scaling import CausalScale, last_observed
from tsrnn.nn.view import FARTHEST, View

__all__ = ["ForecastNetwork"]

READ_AT_ONCE = 4096  # recurrent steps of one pass over a long history


class _Rows(NamedTuple):
    """What the network sees of the rows at some positions."""

    features: Tensor
    represented: Tensor
    scale: CausalScale
    positions: Tensor
    columns: Encoded | None


class ForecastNetwork(nn.Module):
    """A recurrent network that says, at every step it reads, what comes next.

    All methods take rows of raw values, float64, NaN where nothing was observed, of which the first
    ``plan.look_back`` only serve as the past of the others, and with ``plan.covariates`` the covariates
    of these rows. With ``plan.channels``, neighbours in a batch are channels that share their state, which
    is handed around once for each of them.

    Parameters
    ----------
    plan : NetworkPlan
    custom_cells : mapping of str to type, optional
        Cells of the user's own, by the names that the plan knows them by.
    """

    path_factor: Tensor
    channel_factor: Tensor
    channels: Channels | None
    covariates: CovariateInputs | None
    response: FutureResponse | None
    linear_response: LinearResponse | None
    head: MixtureHead

    def __init__(
        self, plan: NetworkPlan, custom_cells: Mapping[str, type[Cell]] | None = None
    ) -> None:
        super().__init__()
        self.plan = plan
        self.view = View(plan)
        features = feature_count(plan)
        read = plan.channels * features
        self.channels = self.covariates = self.response = self.linear_response = None
        named = 0
        if plan.channels > 1:
            self.channels = Channels(plan.channels, plan.encoder.output_size)
            named = plan.channels
        if plan.covariates is not None:
            inputs = CovariateInputs(plan.covariates, patch=plan.patch, horizon=plan.horizon)
            self.covariates = inputs
            features += inputs.size
            read += inputs.size
            if plan.covariates.future:
                self.response = FutureResponse(
                    inputs.future,
                    inner_size=plan.encoder.output_size + features + named,
                    hidden_size=plan.encoder.hidden_size,
                    horizon=plan.horizon,
                    seasons=plan.seasons,
                )
                self.linear_response = LinearResponse(
                    len(inputs.future.numbers), seasons=plan.seasons, horizon=plan.horizon
                )
        static_size = 0
        if self.covariates is not None and plan.encoder.initial_state == "static":
            static_size = self.covariates.static.complete_size
        self.encoder = RecurrentEncoder(
            read,
            plan.encoder,
            static_size=static_size,
            custom_cells=custom_cells,
        )
        sizes = HeadSizes(
            state=plan.encoder.output_size,
            features=features + named,
            response=0 if self.response is None else RESPONSES,
            hidden=plan.encoder.hidden_size,
            horizon=plan.horizon,
            references=len(reference_names(plan.seasons)),
            dropout=plan.encoder.dropout,
        )
        self.head = make_head(plan, sizes)
        self.output = make_output(plan.output, quantiles=plan.quantiles, horizon=plan.horizon)
        # Cholesky factors of the copula that joins the margins to paths: over steps, over channels
        self.register_buffer("path_factor", torch.eye(plan.horizon, dtype=torch.float64))
        self.register_buffer("channel_factor", torch.eye(plan.channels, dtype=torch.float64))

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
        if network.channels is not None:
            network.channels.initialise()
        if network.linear_response is not None:
            network.linear_response.weight.zero_()
        network._take_missing_as_average()
        with torch.device("cpu"):
            fresh = make_output(plan.output, quantiles=plan.quantiles, horizon=plan.horizon)
        network.output.load_state_dict(fresh.state_dict())
        network.path_factor.copy_(torch.eye(plan.horizon))
        network.channel_factor.copy_(torch.eye(plan.channels))
        return network.eval()  # training switches its own way of computing on

    @torch.no_grad()
    def _take_missing_as_average(self) -> None:
        """Set weights of inputs that tell of missing covariates to zero: training has to find them of use."""
        if self.covariates is None:
            return
        flags = torch.nonzero(self.covariates.flags).squeeze(1)
        behind = self.encoder.input_size - self.covariates.size  # those of the targets
        for weight in self.encoder.input_weights():
            weight[..., behind + flags] = 0.0
        said = self.plan.encoder.output_size + feature_count(self.plan)
        self.head.ignore(said + flags)
        if self.response is not None:
            self.response.hidden.weight[:, said + flags] = 0.0

    # ---- from raw rows to what the head says ----------------------------------------------

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
        fed: Tensor | None = None,
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
        fed : Tensor of shape (batch, position, horizon), float64, optional
            Values that a recurrent decoder goes on from instead of its own; NaN: its own.

        Returns
        -------
        HeadValues of shape (batch, position, horizon)
        """
        return self.go_on(values, None, generator, steps, covariates, fed)[0]

    def go_on(
        self,
        values: Tensor,
        state: State | None,
        generator: torch.Generator | None = None,
        steps: Tensor | None = None,
        covariates: Covariates | None = None,
        fed: Tensor | None = None,
        fresh: Tensor | None = None,
    ) -> tuple[HeadValues, State]:
        """Do as :meth:`forward`, going on from a state, and return the state after the rows, too.

        Where ``fresh``, bool of shape (batch,), holds, reading begins instead of going on.
        """
        represented, scale = self.view.represent(values)
        positions = self.positions(values.shape[1] - self.plan.look_back)
        columns = self.encode(covariates)
        features = self.features(represented, scale, positions, columns)
        said, after = self._read_on(features, state, fresh, generator, self.initial_inputs(columns))
        hidden = said
        if not self.plan.is_causal:
            steps = torch.tensor([said.shape[1] - 1], device=said.device)
            hidden = self._newest(after)
        elif (
            steps is not None
        ):  # chosen step by step, as the layers read: the gradient stays in that order
            hidden = said.transpose(0, 1)[steps].transpose(0, 1)
        memory = self._memory(said, state, fresh, steps)
        if steps is not None:
            features, positions = features[:, steps], positions[steps]
        inputs = self._head_inputs(
            hidden, _Rows(features, represented, scale, positions, columns), memory
        )
        relative = None
        if fed is not None:
            anchor, unit = inputs.anchor.unsqueeze(-1), inputs.scale.unsqueeze(-1)
            relative = self.view.relative_to(fed, anchor=anchor, scale=unit)
        answer: HeadValues = self.head(inputs, generator, relative)
        return answer, after

    def _memory(
        self, said: Tensor, state: State | None, fresh: Tensor | None, steps: Tensor | None
    ) -> tuple[Tensor, Tensor] | None:
        """Return what an attention decoder looks back at, and which of it each position sees."""
        slots = self.head.slots
        if not slots:
            return None
        every = torch.arange(said.shape[1], device=said.device)
        at = every if steps is None else steps
        if state is None:
            return said, newest_steps(at, len(every), slots)
        kept, count = state[-2:]
        count = count if fresh is None else count * ~fresh[None, :, None]
        before, visible = recall(kept, count)
        sees = newest_steps(at + slots, slots + len(every), slots)
        seen = torch.cat([visible, visible.new_ones(len(said), 1, len(every))], -1)
        return torch.cat([before, said], 1), sees & seen

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
        if not self.head.slots:
            return self._encoded(features, state, generator, static)
        own, kept = (None, None) if state is None else (state[:-2], state[-2:])
        hidden, after = self._encoded(features, own, generator, static)
        return hidden, (*after, *remember(kept, hidden, self.head.slots))

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
        _, state = self._read(inputs.features, state)
        return self._after_newest(state, inputs), state

    def unroll(
        self,
        values: Tensor,
        state: State,
        covariates: Covariates | None = None,
        *,
        paths: int = 1,
    ) -> Generator[HeadValues, Tensor, None]:
        """Say the horizon after the newest row step after step; each waits to be sent what came true.

        For a decoder that is a recurrent network. Yields what is said of a step, HeadValues of shape
        (batch, path, 1), and is sent its raw values (batch, path).
        """
        head = self.head
        if not isinstance(head, StepwiseHead):
            raise TypeError(
                "only decoder='recurrent' and 'attention' say a horizon step after step. "
                f"Got {self.plan.decoder!r}."
            )
        at_newest = self._inputs_at_newest(state, self._newest_inputs(values, covariates))
        inputs = at_newest.repeat(paths)
        steps = head.unroll(inputs)
        said = head.said([next(steps)], inputs)
        for step in range(1, self.plan.horizon):
            value = yield said
            relative = self.view.relative_to(value, anchor=inputs.anchor, scale=inputs.scale)
            said = head.said([steps.send(relative)], inputs, first=step)
        yield said

    def attention(
        self, values: Tensor, state: State, covariates: Covariates | None = None
    ) -> Tensor:
        """Return where the attention decoder looks as it says the horizon after the newest row.

        Returns
        -------
        Tensor of shape (batch, horizon, slot)
            The weight of each of the newest recurrent steps, in order; those before the first have 0.
        """
        if not isinstance(self.head, AttentionHead):
            raise TypeError(f"only decoder='attention' attends. Got {self.plan.decoder!r}.")
        inputs = self._inputs_at_newest(state, self._newest_inputs(values, covariates))
        return self.head.attended(inputs).squeeze(1)

    def initial_inputs(self, columns: Encoded | None) -> Tensor | None:
        """Return what the encoder's initial state is made of, where that is static covariates."""
        if self.covariates is None or columns is None:
            return None
        return self.covariates.static.complete(columns.static)

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

    def _newest_inputs(self, values: Tensor, covariates: Covariates | None) -> _Rows:
        rows = self.plan.look_back + self.plan.patch
        represented, scale = self.view.represent(values[:, -rows:])
        position = torch.tensor([represented.shape[1] - 1], device=values.device)
        columns = self.encode(
            None if covariates is None else covariates.newest(represented.shape[1])
        )
        features = self.features(represented, scale, position, columns)
        return _Rows(features, represented, scale, position, columns)

    def _after_newest(self, state: State, newest: _Rows) -> HeadValues:
        said: HeadValues = self.head(self._inputs_at_newest(state, newest))
        return HeadValues(*(part.squeeze(1) for part in said))

    def _inputs_at_newest(self, state: State, newest: _Rows) -> HeadInputs:
        memory = recall(*state[-2:]) if self.head.slots else None
        return self._head_inputs(self._newest(state), newest, memory)

    def _head_inputs(
        self, hidden: Tensor, at: _Rows, memory: tuple[Tensor, Tensor] | None
    ) -> HeadInputs:
        positions, scale = at.positions, at.scale
        features = at.features if self.channels is None else self.channels.named(at.features)
        rows = response = None
        if self.response is not None and at.columns is not None:
            rows = self.response.rows(at.columns.future, positions)
            response = self.response(torch.cat([hidden, features], -1), rows)
            if self.linear_response is not None and self.head.share < 1:
                level = self.view.level(scale, positions)
                linear = self.linear_response(at.columns.future, positions, level)
                response = torch.addcmul(response, 1 - self.head.share, linear)
        anchor, unit = scale.anchor[:, positions], scale.scale[:, positions]
        last = self.view.relative_move(scale.last[:, positions], anchor, unit).nan_to_num(0.0)
        observed = ~at.represented[:, positions].isnan()
        inputs = HeadInputs(
            hidden,
            features,
            self.view.relative_references(at.represented, scale, positions),
            torch.stack([last.clamp(-FARTHEST, FARTHEST), observed.to(last.dtype)], -1),
            anchor,
            unit,
            rows,
            response,
            *(memory or ()),
        )
        if self.head.share >= 1:
            return inputs
        return inputs._replace(record=self.view.track_record(at.represented, scale, positions))

    def quantiles(
        self, head: HeadValues, probability: Tensor, *, step: int | None = None
    ) -> Tensor:
        """Return quantiles in the units of the data, shape (..., horizon, quantile).

        With ``step``, what is said is of this step of the horizon alone: (..., 1).
        """
        return self.view.restore(self.output.quantile(head, probability, step), head)
