"""The pinball loss of all quantiles: its value and its gradient by the definition."""

import torch
from torch.autograd import gradcheck

from tsrnn.nn.pinball import pinball

LEVELS = torch.tensor([0.05, 0.3, 0.5, 0.6, 0.9, 0.99], dtype=torch.float64)


def problem():
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    below, above = -drawn(4, 2).abs(), drawn(4, 3).abs()
    return [
        each.requires_grad_() for each in (drawn(3, 2, 4), drawn(3, 2, 2, 4).exp(), below, above)
    ]


def test_it_is_twice_the_pinball_loss_summed_over_levels():
    error, spread, below, above = problem()
    said = [
        *(below[:, i] * spread[..., 0, :] for i in range(2)),
        torch.zeros_like(error),
        *(above[:, i] * spread[..., 1, :] for i in range(3)),
    ]
    wanted = sum(
        2 * torch.maximum(level * (error - quantile), (level - 1) * (error - quantile))
        for level, quantile in zip(LEVELS, said, strict=True)
    )

    torch.testing.assert_close(pinball(error, spread, below, above, 2 * LEVELS - 1), wanted)


def test_its_gradient_is_that_of_differences():
    assert gradcheck(lambda *made: pinball(*made, 2 * LEVELS - 1), problem())
