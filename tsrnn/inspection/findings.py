"""What a diagnosis found, in words, and what to try."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from tsrnn.inspection.diagnosis import Diagnosis

__all__ = ["Finding", "find"]

LOST = 0.01  # of a change: less than this is forgotten
EXPLODED = 10.0
MANY = 0.25  # of the units of a gate or layer
CLIPPED = 10.0  # times gradient_clip


@dataclass(frozen=True)
class Finding:
    """Something worth knowing about a fitted network.

    Parameters
    ----------
    kind : {"nothing kept", "vanishing", "exploding", "saturated gate", "dead units", "saturated units", "clipped"}
    text : str
        What was found.
    advice : str
        What to try, in the names of RNNForecaster's parameters.
    """

    kind: str
    text: str
    advice: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}\n  try: {self.advice}"


def find(diagnosis: Diagnosis) -> list[Finding]:
    """Return what there is to say about the numbers of a diagnosis, the weightiest first."""
    return [
        *_kept(diagnosis),
        *_exploding(diagnosis),
        *_vanishing(diagnosis),
        *_gates(diagnosis),
        *_units(diagnosis),
        *_clipped(diagnosis),
    ]


def remembered(gradients: pd.DataFrame) -> int | None:
    """Return the last lag at which the median norm is not yet lost; None: it never is."""
    lags, held = gradients.index.to_numpy(), gradients["median"].to_numpy() >= LOST
    if not len(lags) or held[-1]:
        return None
    return int(lags[held][-1]) if held.any() else 0


def _kept(diagnosis: Diagnosis) -> list[Finding]:
    if diagnosis.best_step:
        return []
    return [
        Finding(
            "nothing kept",
            "training did not improve the mixture of reference forecasts beyond doubt, and none of it is "
            "said; what follows describes weights as they were drawn.",
            "more rows or series, a smaller hidden_size, a lower learning_rate, covariates that know more; "
            "or take it as the answer: these rows have no more in them.",
        )
    ]


def _exploding(diagnosis: Diagnosis) -> list[Finding]:
    norms, lags = diagnosis.gradients["median"].to_numpy(), diagnosis.gradients.index.to_numpy()
    if not norms.max(initial=0.0) > EXPLODED:
        return []
    wide = max(diagnosis.spectra.to_dict("records"), key=lambda row: row["radius"], default=None)
    weights = (
        ""
        if wide is None
        else f" The recurrent weights reach a spectral radius of {wide['radius']:.2f} "
        f"(layer {wide['layer']}, {wide['gate']})."
    )
    return [
        Finding(
            "exploding",
            f"|dh_t/dh_(t-k)| grows to {norms.max():.3g} at lag {lags[norms.argmax()]}: a small change in the "
            f"past turns the state over.{weights}",
            f"a lower learning_rate, gradient_clip at 1 or below (now {diagnosis.gradient_clip}), "
            + _gated(diagnosis.cell)
            + "fewer recurrent steps (a larger patch, a shorter context_length).",
        )
    ]


def _vanishing(diagnosis: Diagnosis) -> list[Finding]:
    lag = remembered(diagnosis.gradients)
    if lag is None:
        return []
    rows = f" ({lag * diagnosis.patch} rows)" if diagnosis.patch > 1 else ""
    return [
        Finding(
            "vanishing",
            f"beyond lag {lag}{rows} of the {diagnosis.steps} steps read, less than {LOST:.0%} of a change "
            "still reaches the state: what came before is forgotten.",
            f"where more should be remembered: {_gated(diagnosis.cell)}a larger patch (fewer steps for the "
            "same rows). Where not: a shorter context_length trains faster and loses nothing.",
        )
    ]


def _gated(cell: str) -> str:
    return "cell='gru' or 'lstm', " if cell.startswith("rnn") else ""


def _gates(diagnosis: Diagnosis) -> list[Finding]:
    return [
        Finding(
            "saturated gate",
            f"gate {row['gate']} of layer {row['layer']} is {word} (within 0.01 of {end}) at nearly every "
            f"step for {row[word]:.0%} of its units: it passes no gradient and decides nothing.",
            "a lower learning_rate, a smaller hidden_size, or optimizer='adamw', which lets weights decay; "
            "extreme inputs do it, too: look for spikes, or take representation='log'.",
        )
        for row in diagnosis.gates.to_dict("records")
        for word, end in (("closed", 0), ("open", 1))
        if row[word] > MANY
    ]


def _units(diagnosis: Diagnosis) -> list[Finding]:
    found = []
    for row in diagnosis.units.to_dict("records"):
        of = f"of {row['units']} units of layer {row['layer']}"
        if row["dead"]:
            other = " a cell that is not off for good ('rnn', 'gru')," * (
                diagnosis.cell == "rnn_relu"
            )
            found.append(
                Finding(
                    "dead units",
                    f"{row['dead']} {of} never move.",
                    f"a smaller hidden_size, a lower learning_rate,{other} another random_state.",
                )
            )
        if row["saturated"] > MANY * row["units"]:
            found.append(
                Finding(
                    "saturated units",
                    f"{row['saturated']} {of} sit at an end of the tanh at nearly every step.",
                    "a lower learning_rate or a smaller hidden_size; look for extreme values in the inputs.",
                )
            )
    return found


def _clipped(diagnosis: Diagnosis) -> list[Finding]:
    clip, history = diagnosis.gradient_clip, diagnosis.training
    if clip is None or "gradient_norm" not in history or history.empty:
        return []
    typical = float(history["gradient_norm"].median())
    if not typical > CLIPPED * clip:
        return []
    return [
        Finding(
            "clipped",
            f"gradients in training have a typical norm of {typical:.3g} and are cut to {clip:g}: nearly every "
            "step goes the same length.",
            f"gradient_clip near {typical:.2g}, or a lower learning_rate.",
        )
    ]
