"""The forecasting network: causal features, a recurrent encoder, and a head at every step."""

from __future__ import annotations

from collections.abc import Generator, Mapping

import torch
from torch import Tensor

from tsrnn.nn.cells import Cell
from tsrnn.nn.covariates import Covariates
from tsrnn.nn.decoders import (
    AttentionHead,
    HeadInputs,
    HeadSizes,
    MixtureHead,
    StepwiseHead,
    make_head,
    newest_steps,
    recall,
)
from tsrnn.nn.encoder import State
from tsrnn.nn.hindsight import LOOKED_BACK, outcomes, recent_error
from tsrnn.nn.inputs import feature_count, newest_rows
from tsrnn.nn.linear_response import LinearResponse
from tsrnn.nn.outputs import HeadValues, make_output
from tsrnn.nn.plan import NetworkPlan
from tsrnn.nn.reader import ReadingNetwork, Rows
from tsrnn.nn.reference import reference_names
from tsrnn.nn.response import RESPONSES, FutureResponse
from tsrnn.nn.view import FARTHEST
from tsrnn.nn.watch import Watch

__all__ = ["ForecastNetwork"]

LOOKED_AT_ONCE = 400_000  # values of one look back: bounds memory, changes nothing else


class ForecastNetwork(ReadingNetwork):
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
    response: FutureResponse | None
    linear_response: LinearResponse | None
    head: MixtureHead

    def __init__(
        self, plan: NetworkPlan, custom_cells: Mapping[str, type[Cell]] | None = None
    ) -> None:
        super().__init__(plan, custom_cells)
        inputs, features = self.covariates, feature_count(plan)
        features += 0 if inputs is None else inputs.size
        named = 0 if self.channels is None else plan.channels
        self.response = self.linear_response = None
        if inputs is not None and plan.covariates is not None and plan.covariates.future:
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
        self.hindsight = Watch()
        self.output = make_output(plan.output, quantiles=plan.quantiles, horizon=plan.horizon)
        # Cholesky factors of the copula that joins the margins to paths: over steps, over channels
        # (filled by build and by loading: torch.eye of no device loads torch's compiler, a second)
        for name, size in (("path_factor", plan.horizon), ("channel_factor", plan.channels)):
            self.register_buffer(name, torch.zeros(size, size, dtype=torch.float64))

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
        network.hindsight.reset()
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

    @property
    def slots(self) -> int:
        """See :class:`~tsrnn.nn.reader.ReadingNetwork`."""
        return self.head.slots

    # ---- from raw rows to what the head says ----------------------------------------------

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
        inputs, after = self._inputs_at(values, state, generator, steps, covariates, fresh)
        relative = None
        if fed is not None:
            anchor, unit = inputs.anchor.unsqueeze(-1), inputs.scale.unsqueeze(-1)
            relative = self.view.relative_to(fed, anchor=anchor, scale=unit)
        answer: HeadValues = self.head(inputs, generator, relative)
        return answer, after

    def _inputs_at(
        self,
        values: Tensor,
        state: State | None,
        generator: torch.Generator | None,
        steps: Tensor | None,
        covariates: Covariates | None,
        fresh: Tensor | None = None,
        *,
        judged_now: bool = False,
    ) -> tuple[HeadInputs, State]:
        """Return what the head knows at recurrent steps, and the state after the rows; see :meth:`go_on`.

        With ``judged_now`` the track record at each step is that of the newest row.
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
        judged = positions[-1:] if judged_now else None
        if steps is not None:
            features, positions = features[:, steps], positions[steps]
        at = Rows(features, represented, scale, positions, columns)
        return self._head_inputs(hidden, at, memory, judged), after

    def _memory(
        self, said: Tensor, state: State | None, fresh: Tensor | None, steps: Tensor | None
    ) -> tuple[Tensor, Tensor] | None:
        """Return what an attention decoder looks back at, and which of it each position sees."""
        slots = self.slots
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

    def say(
        self,
        values: Tensor,
        state: State,
        covariates: Covariates | None = None,
        widths: Tensor | None = None,
    ) -> HeadValues:
        """Say the horizon after the newest row, given the state there.

        Parameters
        ----------
        values : Tensor of shape (batch, step), float64
            At least ``plan.look_back + plan.patch`` newest rows.
        state : tuple of Tensor
        covariates : Covariates, optional
            Of the same rows, and of the horizon after them.
        widths : Tensor of shape (batch,), optional
            Factors on spreads; those of :meth:`widths` when not given, which asks for
            ``plan.look_back + plan.context`` rows.

        Returns
        -------
        HeadValues of shape (batch, horizon)
        """
        head = self._after_newest(state, self._newest_inputs(values, covariates))
        if widths is None:
            widths = self.widths(values, covariates)
        return head._replace(unit=head.unit * widths.unsqueeze(-1).to(head.unit.dtype))

    @property
    def watches(self) -> tuple[Watch, Watch]:
        """What makes spreads follow recent errors: those of the references, and the network's own."""
        return self.head.watch, self.hindsight

    def recent_error(
        self, values: Tensor, state: State, covariates: Covariates | None = None
    ) -> Tensor | None:
        """Return what the head's watch heeds after the newest row, (batch, 2); arguments as in :meth:`say`."""
        inputs = self._inputs_at_newest(state, self._newest_inputs(values, covariates))
        recent = self.head.recent_error(inputs)
        return None if recent is None else recent.squeeze(1)

    def own_error(self, values: Tensor, covariates: Covariates | None = None) -> Tensor:
        """Return what hindsight heeds, (batch, 2): the error of what it would have said before.

        Said is from the newest steps of the newest window, so that an outcome is known, and by the track
        record of today, which is a fraction of the work of one for each step; see
        :func:`~tsrnn.nn.hindsight.recent_error`. Arguments as in :meth:`say`.
        """
        plan = self.plan
        rows = plan.look_back + plan.context
        values = newest_rows(values, rows)
        positions = self.positions(plan.context)[:-1]
        steps = torch.arange(len(positions), device=positions.device)[-LOOKED_BACK:]
        together = max(1, LOOKED_AT_ONCE // (len(steps) * plan.horizon * plan.channels))
        together *= plan.channels
        errors = []
        for first in range(0, len(values), together):
            some = slice(first, first + together)
            beside = None if covariates is None else covariates.newest(rows).take(some)
            inputs, _ = self._inputs_at(values[some], None, None, steps, beside, judged_now=True)
            head: HeadValues = self.head(inputs)
            truth = outcomes(values[some], positions[steps], plan.horizon)
            errors.append(recent_error(head.sizes(self.view.relative_target(truth, head))))
        return torch.cat(errors)

    def widths(self, values: Tensor, covariates: Covariates | None = None) -> Tensor:
        """Return the factors on spreads that follow the network's own errors, (batch,); arguments as in :meth:`say`."""
        if not self.hindsight.power:
            return values.new_ones(len(values))
        return self.hindsight(self.own_error(values, covariates))

    def advance(
        self, values: Tensor, state: State, covariates: Covariates | None = None
    ) -> tuple[HeadValues, State]:
        """Read the newest patch, given the state before it, and say the horizon after it.

        The same as :meth:`read` of that patch and :meth:`say`, in one computation, for a network that
        does not look back at its own errors.
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

    def _after_newest(self, state: State, newest: Rows) -> HeadValues:
        said: HeadValues = self.head(self._inputs_at_newest(state, newest))
        return HeadValues(*(part.squeeze(1) for part in said))

    def _inputs_at_newest(self, state: State, newest: Rows) -> HeadInputs:
        memory = recall(*state[-2:]) if self.slots else None
        return self._head_inputs(self._newest(state), newest, memory)

    def _head_inputs(
        self,
        hidden: Tensor,
        at: Rows,
        memory: tuple[Tensor, Tensor] | None,
        judged: Tensor | None = None,
    ) -> HeadInputs:
        """Return what the head knows at some positions, by the track record at ``judged``, or at each."""
        positions, scale = at.positions, at.scale
        features = at.features if self.channels is None else self.channels.named(at.features)
        rows = response = None
        if self.response is not None and at.columns is not None:
            rows = self.response.rows(at.columns.future, positions)
            response = self.response(torch.cat([hidden, features], -1), rows)
            if self.linear_response is not None and self.head.share[0] < 1:
                level = self.view.level(scale, positions)
                linear = self.linear_response(at.columns.future, positions, level)
                response = torch.addcmul(response, 1 - self.head.share[0], linear)
        anchor, unit = scale.anchor[:, positions], scale.scale[:, positions]
        last = self.view.relative_move(scale.last[:, positions], anchor, unit).nan_to_num(0.0)
        observed = ~at.represented[:, positions].isnan()
        record = None
        if self.head.learned_alone:
            references = self.view.relative_references(at.represented, scale, positions)
        elif judged is None:
            references, record = self.view.references_and_record(at.represented, scale, positions)
        else:
            references = self.view.relative_references(at.represented, scale, positions)
            record = self.view.track_record(at.represented, scale, judged)
        inputs = HeadInputs(
            hidden,
            features,
            references,
            torch.stack([last.clamp(-FARTHEST, FARTHEST), observed.to(last.dtype)], -1),
            anchor,
            unit,
            rows,
            response,
            *(memory or ()),
        )
        if record is None:
            return inputs
        return inputs._replace(record=record.relative, recent=record.recent)

    def quantiles(
        self, head: HeadValues, probability: Tensor, *, step: int | None = None
    ) -> Tensor:
        """Return quantiles in the units of the data, shape (..., horizon, quantile).

        With ``step``, what is said is of this step of the horizon alone: (..., 1).
        """
        return self.view.restore(self.output.quantile(head, probability, step), head)
