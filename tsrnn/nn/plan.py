"""What a network is, as plain values: everything that is needed to build it again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tsrnn.nn.covariates import CovariatePlan
from tsrnn.nn.reference import look_back
from tsrnn.nn.track_record import REMEMBERED

__all__ = ["EncoderPlan", "NetworkPlan"]

SAID_AT_ONCE = 64  # steps: a longer horizon is said in segments
SEGMENT = 24


@dataclass(frozen=True)
class EncoderPlan:
    """What reads the past.

    Parameters
    ----------
    cell : str
        Recurrent cell: one of :data:`tsrnn.nn.cells.CELLS`, or the name of the user's own class.
    hidden_size, num_layers : int
    dropout : float
        Share of each layer's output that is dropped before the next layer, in training.
    skip : {"none", "residual", "highway"}
        Around each layer that reads what the network made itself; see :mod:`tsrnn.nn.skips`.
    dilations : tuple of int
        How many steps back each layer goes on from; empty: one.
    recurrent_dropout : float
        Share of each layer's inputs and recurrent weights that is dropped for a whole sequence, in
        training; see :mod:`tsrnn.nn.dropout`.
    initial_state : {"zero", "learned", "static"}
        See :mod:`tsrnn.nn.initial_state`.
    bidirectional : bool
        Read windows of the past in both directions.
    convolution : int, optional
        Steps whose inputs are seen together; see :mod:`tsrnn.nn.convolution`.
    precision : {"float32", "bfloat16"}
        What the layers' matrix products round their operands to, in training.
    """

    cell: str
    hidden_size: int
    num_layers: int
    dropout: float
    skip: str = "none"
    dilations: tuple[int, ...] = ()
    recurrent_dropout: float = 0.0
    initial_state: str = "zero"
    bidirectional: bool = False
    convolution: int | None = None
    precision: str = "float32"

    @property
    def output_size(self) -> int:
        """Values that the encoder says at each step."""
        return self.hidden_size * (2 if self.bidirectional else 1)

    def skips_layer(self, i: int) -> bool:
        """Whether layer ``i`` has a skip connection: it reads as many values as it says, and no raw features."""
        return self.skip != "none" and (
            i > 0 or (self.convolution is not None and not self.bidirectional)
        )

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> EncoderPlan:
        """Return the plan of plain values."""
        return cls(**{**values, "dilations": tuple(values.get("dilations", ()))})


@dataclass(frozen=True)
class NetworkPlan:
    """Everything that is needed to build a network again.

    Parameters
    ----------
    horizon : int
        Steps said at each position: the forecast horizon, or 1 ("shift").
    patch : int
        Rows that one recurrent step reads.
    seasons : tuple of int
        Season lengths, shortest first; (1,) where there is none.
    window : int
        Rows that the causal scale remembers.
    anchor : {"level", "last"}
    log : bool
        Work on logarithms.
    encoder : EncoderPlan
    decoder : {"direct", "shift", "recurrent", "attention"}
    context : int
        Rows of a training window; attention reaches as far back.
    output : str
        See :func:`~tsrnn.nn.outputs.make_output`.
    quantiles : tuple of float
    covariates : CovariatePlan, optional
        Columns beside the target.
    loss_at : {"every", "last"}
        Steps of a training window that it is taught at.
    teacher_forcing : {"never", "scheduled", "always"}
        How a decoder that is a recurrent network is trained; see
        :class:`~tsrnn.nn.decoders.teaching.Teacher`.
    channels : int
        Neighbouring series that share a state; see :class:`~tsrnn.nn.joint.Channels`.
    """

    horizon: int
    patch: int
    seasons: tuple[int, ...]
    window: int
    anchor: str
    log: bool
    encoder: EncoderPlan
    decoder: str
    context: int
    output: str
    quantiles: tuple[float, ...]
    covariates: CovariatePlan | None = None
    loss_at: str = "every"
    teacher_forcing: str = "never"
    channels: int = 1

    @property
    def is_causal(self) -> bool:
        """Whether what is said at a step depends on nothing after it, so that reading can go on from a state.

        A bidirectional encoder is not: it reads the newest ``context`` rows anew for each forecast.
        """
        return not self.encoder.bidirectional

    @property
    def stepwise(self) -> bool:
        """Whether the decoder is a recurrent network of its own over the horizon."""
        return self.decoder in {"recurrent", "attention"}

    @property
    def conditional(self) -> bool:
        """Whether each step is said given the values before it: quantiles then come from sample paths."""
        return self.decoder == "shift" or (self.stepwise and self.teacher_forcing == "always")

    @property
    def looks_back(self) -> bool:
        """Whether spreads may follow the network's own recent errors.

        Where a step reads many rows, what references did one row ahead says little. Most of a long horizon
        is not known yet, and saying it many times takes long.
        """
        short = self.horizon <= SAID_AT_ONCE
        rolls = self.conditional or not self.is_causal
        return short and not rolls and self.context > self.patch > 1

    @property
    def segment(self) -> int:
        """Steps of the horizon that the head says together: all of a short one."""
        return self.horizon if self.horizon <= SAID_AT_ONCE else SEGMENT

    @property
    def look_back(self) -> int:
        """Rows before a recurrent step's patch that its inputs read."""
        return look_back(self.seasons, self.window, self.horizon) + REMEMBERED

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> NetworkPlan:
        """Undo :meth:`to_dict`."""
        read: dict[str, Any] = {name: tuple(values[name]) for name in ("seasons", "quantiles")}
        read["encoder"] = EncoderPlan.from_dict(values["encoder"])
        if values.get("covariates") is not None:
            read["covariates"] = CovariatePlan.from_dict(values["covariates"])
        return cls(**{**values, **read})
