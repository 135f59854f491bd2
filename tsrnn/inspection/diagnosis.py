"""``diagnose()``: a look inside a fitted network, as numbers, a picture and words."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tsrnn.inference import Reading, torch_settings
from tsrnn.inspection.activity import (
    Activity,
    dead_units,
    observe,
    saturated_gates,
    saturated_units,
)
from tsrnn.inspection.findings import Finding, find, remembered
from tsrnn.inspection.gradients import EXACT, gradient_by_lag, spread_lags
from tsrnn.inspection.weights import spectra
from tsrnn.nn.networks import ForecastNetwork
from tsrnn.windows import of_channels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tsrnn.forecaster import RNNForecaster

__all__ = ["Diagnosis", "diagnose"]

HISTORIES = 8
LONGEST = 512  # steps: as far back as gradients are followed


@dataclass(frozen=True)
class Diagnosis:
    """What is going on inside a fitted recurrent network: of several members, the first.

    ``print`` says what was found and what to try; :meth:`plot` draws it.

    Parameters
    ----------
    gradients : pandas.DataFrame
        Index ``lag`` in recurrent steps; ``median``, ``smallest`` and ``largest`` over histories of the norm
        of dh_t/dh_(t-k) (:func:`~tsrnn.inspection.gradient_by_lag`).
    spectra : pandas.DataFrame
        Of each block of recurrent weights: ``layer``, ``gate``, ``singular_value`` (the largest), ``radius``
        (largest absolute eigenvalue).
    gates : pandas.DataFrame
        Of each gate: ``layer``, ``gate``, ``mean``, and the shares of its units that are ``closed`` (below
        0.01) or ``open`` (above 0.99) at 95 % of the steps or more.
    gates_by_step : pandas.DataFrame
        Over time: ``layer``, ``gate``, ``step``, and over units and histories the ``mean`` and the deciles
        ``low`` and ``high``.
    units : pandas.DataFrame
        Of each layer: ``layer``, ``units``, how many are ``dead`` (never move) or ``saturated`` (at an end of
        the tanh at 95 % of the steps or more).
    training : pandas.DataFrame
        ``history_`` of the fit, with ``gradient_norm`` before clipping.
    cell : str
    patch : int
        Rows that one step reads.
    histories, steps : int
        How many were read, and recurrent steps of each.
    best_step : int
        Of the weights kept; 0: nothing of the training.
    gradient_clip : float or None
    """

    gradients: pd.DataFrame
    spectra: pd.DataFrame
    gates: pd.DataFrame
    gates_by_step: pd.DataFrame
    units: pd.DataFrame
    training: pd.DataFrame
    cell: str
    patch: int
    histories: int
    steps: int
    best_step: int
    gradient_clip: float | None

    @cached_property
    def findings(self) -> list[Finding]:
        """What is worth knowing, the weightiest first; empty where all is well."""
        return find(self)

    def plot(self) -> Figure:
        """Draw gradients by lag, gates over time, and gradient norms during training."""
        from tsrnn.plotting.diagnosis import plot_diagnosis  # loads matplotlib

        return plot_diagnosis(
            self.gradients,
            self.gates_by_step,
            self.training,
            clip=self.gradient_clip,
            title=f"Inside the network: {self.cell}",
        )

    def __str__(self) -> str:
        rows = "row" if self.patch == 1 else "rows"
        read = "1 history" if self.histories == 1 else f"{self.histories} histories"
        said = [str(finding) for finding in self.findings] or ["found      nothing to worry about"]
        lines = [
            f"{self.cell}: {read} of {self.steps} steps, {self.patch} {rows} a step",
            f"gradient   {_gradient_words(self.gradients)}",
            *_weight_words(self.spectra),
            *(
                f"gate {row['gate']:<6}layer {row['layer']}, mean {row['mean']:.2f}, closed {row['closed']:.0%}, "
                f"open {row['open']:.0%}"
                for row in self.gates.to_dict("records")
            ),
            *(
                f"units      layer {row['layer']}, {row['units']} of them, {row['dead']} dead, "
                f"{row['saturated']} saturated"
                for row in self.units.to_dict("records")
            ),
        ]
        return "\n".join([*lines, *said])


def diagnose(forecaster: RNNForecaster, reading: Reading) -> Diagnosis:
    """Look inside the first network of a fitted forecaster while it reads some of the histories."""
    network = cast(ForecastNetwork, forecaster.network_.members[0])
    hidden = network.plan.encoder.hidden_size
    with torch_settings():
        x, static = _inputs(network, reading, HISTORIES if hidden <= EXACT else HISTORIES // 4)
        encoder = copy.deepcopy(network.encoder).double().requires_grad_(requires_grad=False)
        carries = not network.plan.encoder.bidirectional
        lags = spread_lags(min(x.shape[1] - 1, LONGEST)) if carries else []
        norms = np.empty((len(x), 0))
        if lags:
            norms = gradient_by_lag(encoder, x, lags, static).numpy()
        seen = observe(encoder, x, static)
        weights = spectra(encoder)
    return Diagnosis(
        gradients=pd.DataFrame(
            {
                "median": np.median(norms, 0),
                "smallest": norms.min(0),
                "largest": norms.max(0),
            },
            index=pd.Index(lags, name="lag"),
        ),
        spectra=pd.DataFrame(weights, columns=["layer", "gate", "singular_value", "radius"]),
        gates=_gates(seen),
        gates_by_step=_gates_by_step(seen),
        units=_units(seen),
        training=forecaster.history_,
        cell=network.plan.encoder.cell,
        patch=network.plan.patch,
        histories=len(x),
        steps=x.shape[1],
        best_step=forecaster.best_step_,
        gradient_clip=forecaster.gradient_clip,
    )


@torch.no_grad()
def _inputs(network: ForecastNetwork, reading: Reading, most: int) -> tuple[Tensor, Tensor | None]:
    """Return what the encoder reads of the fullest histories, and what its initial state is made of, in float64.

    Of shape (series, step, feature) and (series, static); None where the initial state is made of nothing.
    """
    channels = network.plan.channels
    observed = (~reading.rows[:, network.plan.look_back :].isnan()).sum(1)
    together = observed.reshape(-1, channels).sum(1)
    fullest = torch.argsort(together, descending=True, stable=True)[:most]
    chosen = reading[torch.from_numpy(of_channels(fullest.numpy(), channels)).clone()]
    values = chosen.rows.clone()  # rows of inference mode can't take part in autograd
    steps = values.shape[1] - network.plan.look_back
    values = values[:, steps % network.plan.patch :]
    covariates = None if chosen.covariates is None else chosen.covariates.newest(values.shape[1])
    represented, scale = network.view.represent(values)
    positions = network.positions(values.shape[1] - network.plan.look_back)
    columns = network.encode(covariates)
    said = network.features(represented, scale, positions, columns)
    said, static = network.together(said, network.initial_inputs(columns))
    return said.clone().double(), None if static is None else static.clone().double()


def _gates(seen: list[Activity]) -> pd.DataFrame:
    rows = [
        (number, name, gate.mean().item(), *saturated_gates(gate))
        for number, activity in enumerate(seen, start=1)
        for name, gate in activity.gates.items()
    ]
    return pd.DataFrame(rows, columns=["layer", "gate", "mean", "closed", "open"])


def _gates_by_step(seen: list[Activity]) -> pd.DataFrame:
    ends = torch.tensor([0.1, 0.9], dtype=torch.float64)
    parts = [pd.DataFrame(columns=["layer", "gate", "step", "mean", "low", "high"])]
    for number, activity in enumerate(seen, start=1):
        for name, gate in activity.gates.items():
            values = gate.transpose(0, 1).flatten(1)  # (step, series * unit)
            low, high = torch.quantile(values, ends, dim=1)
            parts.append(
                pd.DataFrame(
                    {
                        "layer": number,
                        "gate": name,
                        "step": np.arange(1, len(values) + 1),
                        "mean": values.mean(1).numpy(),
                        "low": low.numpy(),
                        "high": high.numpy(),
                    }
                )
            )
    return pd.concat(parts[1:] or parts, ignore_index=True)


def _units(seen: list[Activity]) -> pd.DataFrame:
    rows = [
        (
            number,
            activity.hidden.shape[-1],
            int(dead_units(activity).sum()),
            int(saturated_units(activity).sum()),
        )
        for number, activity in enumerate(seen, start=1)
    ]
    return pd.DataFrame(rows, columns=["layer", "units", "dead", "saturated"])


def _gradient_words(gradients: pd.DataFrame) -> str:
    if gradients.empty:
        return "nothing is carried from step to step"
    lags, norms = gradients.index.to_numpy(), gradients["median"].to_numpy()
    shown = sorted({0, len(lags) // 2, len(lags) - 1})
    said = ", ".join(f"{norms[i]:.2g} at lag {lags[i]}" for i in shown)
    lag = remembered(gradients)
    return f"|dh_t/dh_(t-k)| is {said}" + ("" if lag is None else f"; below 1 % beyond lag {lag}")


def _weight_words(weights: pd.DataFrame) -> list[str]:
    rows = weights.to_dict("records")
    if not rows:
        return []
    said = []
    for name, column in (
        ("largest singular value", "singular_value"),
        ("spectral radius", "radius"),
    ):
        top = max(rows, key=lambda row: row[column])
        said.append(f"{name} {top[column]:.2f} (layer {top['layer']}, {top['gate']})")
    return [f"weights    {', '.join(said)}"]
