"""What a network is, as plain values: everything that is needed to build it again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tsrnn.nn.covariates import CovariatePlan
from tsrnn.nn.reference import look_back

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
    """

    cell: str
    hidden_size: int
    num_layers: int
    dropout: float


@dataclass(frozen=True)
class NetworkPlan:
    """Everything that is needed to build a network again.

    Parameters
    ----------
    horizon : int
        Steps said at each position: the forecast horizon ("direct"), or 1 ("shift").
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
    decoder : {"direct", "shift"}
    context : int
        Rows of a training window.
    output : str
        See :func:`~tsrnn.nn.outputs.make_output`.
    quantiles : tuple of float
    covariates : CovariatePlan, optional
        Columns beside the target.
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

    @property
    def segment(self) -> int:
        """Steps of the horizon that the head says together: all of a short one."""
        return self.horizon if self.horizon <= SAID_AT_ONCE else SEGMENT

    @property
    def look_back(self) -> int:
        """Rows before a recurrent step's patch that its inputs read."""
        return look_back(self.seasons, self.window)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> NetworkPlan:
        """Undo :meth:`to_dict`."""
        read: dict[str, Any] = {name: tuple(values[name]) for name in ("seasons", "quantiles")}
        read["encoder"] = EncoderPlan(**values["encoder"])
        if values.get("covariates") is not None:
            read["covariates"] = CovariatePlan.from_dict(values["covariates"])
        return cls(**{**values, **read})
