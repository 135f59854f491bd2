"""``summary()``: what a fitted forecaster decided and is made of, as text."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING

from tsrnn.inspection.blocks import blocks_of
from tsrnn.nn.reference import reference_names

if TYPE_CHECKING:
    from tsrnn.forecaster import RNNForecaster
    from tsrnn.nn.plan import NetworkPlan

__all__ = ["summarise"]


def summarise(forecaster: RNNForecaster) -> str:
    """Return plan, blocks with their parameters, training and verdict, one line each."""
    plan, network = forecaster.plan_, forecaster.network_
    panel, axis = forecaster.memory_.panel, forecaster.axis_
    rows = [
        ("series", f"{len(panel)}, frequency {axis.freq}"),
        (
            "horizon",
            f"{plan.horizon} steps, decoder {network.plan.decoder}, output {network.plan.output}",
        ),
        ("seasons", ", ".join(str(s) for s in plan.seasons if s > 1) or "none"),
        ("representation", f"{plan.representation}, scale over {plan.window} rows"),
        (
            "window",
            f"{plan.context} rows read {plan.patch} at a time, {network.plan.look_back} rows before them",
        ),
        ("references", ", ".join(reference_names(plan.seasons))),
    ]
    low, high = forecaster.forecasting_.bounds
    limits = [f"{word} {at:g}" for word, at in (("from", low), ("to", high)) if at is not None]
    if limits:
        rows.append(("bounds", " ".join(limits)))
    if network.networks[0].head.stays:
        rows.append(("without training", "the last value: no mixture of them forecast better"))
    whose = ("recent errors of the references", "the model's own recent errors")
    powers = [float(watch.power) for watch in network.networks[0].watches]
    followed = [f"{who} to {p:.2f}" for who, p in zip(whose, powers, strict=True) if p]
    if followed:
        rows.append(("spreads", f"follow, to a power: {', '.join(followed)}"))
    chosen = _chosen(network.plan)
    if chosen:
        rows.append(("stack", ", ".join(chosen)))
    columns = forecaster.format_.covariates
    for kind, some in (
        ("future", columns.future),
        ("past", columns.past),
        ("static", columns.static),
    ):
        if some:
            rows.append((f"{kind} covariates", ", ".join(str(column.name) for column in some)))
    if forecaster.cold_ is not None:
        count = sum(p.numel() for p in forecaster.cold_.parameters())
        rows.append(("cold start", f"a network of its own, {count:,} parameters"))
    total = 0
    for name, block in network.members[0].named_children():
        count = sum(p.numel() for p in block.parameters())
        if not count:  # nothing of it is learned by gradients
            continue
        total += count
        rows.append((f"block {name}", f"{count:,} parameters"))
        rows += [(f"  {each.name}", str(each)) for each in blocks_of(block)]
    if len(network.members) > 1:
        total *= len(network.members)
        rows.append(("members", f"{len(network.members)}, quantiles averaged"))
    rows += [
        ("parameters", f"{total:,}"),
        (
            "training",
            f"best of {len(forecaster.history_)} validations at step {forecaster.best_step_} of at most {plan.steps}"
            + (_kept(*network.share) if forecaster.best_step_ else ""),
        ),
        (
            "verdict",
            "not enough rows to judge" if forecaster.skill_ is None else forecaster.skill_.verdict,
        ),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {text}" for name, text in rows]
    return "\n".join([f"RNNForecaster, cell {network.plan.encoder.cell}", *lines])


def _kept(of_locations: float, of_spreads: float) -> str:
    """Return how much of what was learned is said, in words."""
    return f", {of_locations:.0%} of what it says of medians and {of_spreads:.0%} of spreads kept"


def _chosen(plan: NetworkPlan) -> list[str]:
    """Return what of the encoder is not as by default, in words."""
    encoder = plan.encoder
    words = [f"{encoder.num_layers} layers"] if encoder.num_layers > 1 else []
    for field in fields(encoder):
        value = getattr(encoder, field.name)
        if field.default not in {MISSING, value}:
            name = field.name.replace("_", " ")
            words.append(name if value is True else f"{name} {value}")
    return words + (["loss at the last step"] if plan.loss_at == "last" else [])
