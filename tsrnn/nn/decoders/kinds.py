"""Which decoders there are."""

from __future__ import annotations

from tsrnn.nn.decoders.attention import AttentionHead
from tsrnn.nn.decoders.direct import DirectHead
from tsrnn.nn.decoders.mixture import HeadSizes, MixtureHead
from tsrnn.nn.decoders.recurrent import RecurrentHead
from tsrnn.nn.plan import NetworkPlan

__all__ = ["DECODERS", "make_head"]

DECODERS = ("direct", "shift", "recurrent", "attention")


def make_head(plan: NetworkPlan, sizes: HeadSizes) -> MixtureHead:
    """Return the head of ``plan.decoder``; that of "shift" is the direct one, over a single step."""
    cell = plan.encoder.cell
    if plan.decoder == "recurrent":
        return RecurrentHead(sizes, cell=cell)
    if plan.decoder == "attention":
        return AttentionHead(sizes, cell=cell, slots=plan.context // plan.patch)
    return DirectHead(sizes, segment=plan.segment)
