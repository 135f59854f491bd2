"""Training: ``fit_network`` (Lightning, windows, kernels) against a bare PyTorch loop.

The bare loop trains the same network with torch's layers, over batches that lie ready. The library's default
takes the loss at every step of a window; other libraries train the last one alone, which is measured, too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from tables import table
from torch import nn

from speed.pairs import Work, paired
from speed.series import prices
from tsrnn import RNNForecaster
from tsrnn.learning.loss import training_loss
from tsrnn.learning.planning import plan_data
from tsrnn.learning.training import fit_network
from tsrnn.nn.networks import ForecastNetwork
from tsrnn.planned import plan_network, plan_training
from tsrnn.windows import WindowSampler

__all__ = ["scaling", "steps"]

WINDOW, HORIZON, HIDDEN, BATCH = 64, 16, 64, 256
STEPS = 16  # of a round
STEPS_OF_TINY = 256  # the same where a step is so short that starting Lightning would weigh


def steps(rounds: int) -> str:
    """Return the table of training steps: the bare loop, the library, what is not the network."""
    rows = []
    for cell, loss_at, hidden, batch, window in (
        ("gru", "every", HIDDEN, BATCH, WINDOW),
        ("lstm", "every", HIDDEN, BATCH, WINDOW),
        ("gru", "last", HIDDEN, BATCH, WINDOW),
        ("lstm", "last", HIDDEN, BATCH, WINDOW),
        ("gru", "every", 8, 8, 12),
    ):
        theirs, network_alone, ours = _step(
            cell, rounds, batch=batch, hidden=hidden, window=window, loss_at=loss_at
        )
        taught = "" if loss_at == "every" else ", loss at the last step alone"
        rows.append(
            [
                f"{cell.upper()} {hidden}, {batch} windows of {window} steps{taught}",
                f"{1e3 * theirs:.1f}",
                f"{1e3 * ours:.1f}",
                f"{theirs / ours:.2f}",
                f"{max(ours - network_alone, 0) / ours:.0%}",
            ]
        )
    return table(
        ["a training step", "bare loop, ms", "tsrnn, ms", "ratio", "not the network"], rows
    )


def scaling(rounds: int) -> str:
    """Return the table of a GRU's training step by batch, hidden size and window, one varied at a time."""
    sizes = (
        [(batch, HIDDEN, WINDOW) for batch in (32, 128, 512)]
        + [(BATCH, hidden, WINDOW) for hidden in (16, 64, 256)]
        + [(BATCH, HIDDEN, window) for window in (16, 64, 256)]
    )
    rows = []
    for batch, hidden, window in sizes:
        theirs, _, ours = _step("gru", rounds, batch=batch, hidden=hidden, window=window)
        rows.append(
            [
                f"{batch} windows of {window} steps, {hidden} units",
                f"{1e3 * theirs:.1f}",
                f"{1e3 * ours:.1f}",
                f"{theirs / ours:.2f}",
            ]
        )
    return table(["a GRU's training step", "bare loop, ms", "tsrnn, ms", "ratio"], rows)


def _step(
    cell: str,
    rounds: int,
    *,
    batch: int = BATCH,
    hidden: int = HIDDEN,
    window: int = WINDOW,
    loss_at: str = "every",
) -> list[float]:
    """Return the seconds of a step: of the bare loop, of the same with our kernels, of the library."""
    count = STEPS if batch * window * hidden > 10_000 else STEPS_OF_TINY
    model = RNNForecaster(
        cell=cell,
        context_length=window,
        horizon=HORIZON,
        hidden_size=hidden,
        batch_size=batch,
        loss_at=loss_at,
        max_steps=count,
    )
    panel, model.format_ = model._read(prices(200, 984))  # noqa: SLF001
    model.plan_, model.seed_ = plan_data(panel, HORIZON, model), 0
    plan = plan_network(model, panel)
    network = ForecastNetwork.build(plan, torch.Generator().manual_seed(0))
    network.head.share.fill_(1.0)  # all that is said is learned, as in training
    sampler = WindowSampler(
        panel,
        panel.lengths,
        look_back=plan.look_back,
        context=plan.context,
        horizon=plan.horizon,
        patch=plan.patch,
        at_end=loss_at == "last",
    )
    how = replace(plan_training(model), check_every=count)
    rng = np.random.default_rng(0)
    places = [sampler.places(batch, rng) for _ in range(count)]
    batches = [torch.from_numpy(sampler.gather(*each)[0]) for each in places]

    def library() -> None:
        fit_network(network, sampler, how, validate=None, notify=_ignore)

    works = [*_loops(network, batches), library]
    return [seconds / count for seconds in paired(works, rounds)]


def _loops(network: ForecastNetwork, batches: list[torch.Tensor]) -> list[Work]:
    """Return the bare loop with torch's layers, and with the kernels."""
    # as many origins a window as the library forecasts from
    drawn = torch.arange(min(16, network.plan.context // network.plan.patch))
    if network.plan.loss_at == "last":
        drawn = torch.tensor([network.plan.context // network.plan.patch - 1])
    optimizer = torch.optim.AdamW(network.parameters(), 1e-4, fused=True)

    def loop() -> None:
        for values in batches:
            optimizer.zero_grad()
            training_loss(network, values, None, None, drawn).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()

    def bare() -> None:
        network.encoder.eval()  # torch's own layers
        loop()

    def same() -> None:
        network.encoder.train()
        loop()

    return [bare, same]


def _ignore(step: int, metrics: dict[str, float]) -> None:
    """Listen to nothing."""
