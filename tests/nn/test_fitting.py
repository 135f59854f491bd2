"""The mixture of references that errs least: its gradient, and where it ends."""

import math

import pytest
import torch

from tsrnn.nn.decoders.fitting import (
    LEAN,
    RATE,
    SHRINKAGE,
    STEPS,
    TRUST,
    Samples,
    fit_mixture,
    mixture_weights,
    slope,
)

SAMPLES, REFERENCES, HORIZON = 300, 4, 3


def drawn(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def problem(*, followed):
    """References, targets near the second and third of them, weights, some 0, and records."""
    references = drawn(SAMPLES, REFERENCES, HORIZON, seed=0)
    target = 0.7 * references[:, 1] + 0.3 * references[:, 2]
    target = target + 0.5 * drawn(SAMPLES, HORIZON, seed=1)
    weight = drawn(SAMPLES, HORIZON, seed=2).abs() * (drawn(SAMPLES, HORIZON, seed=3) > -1)
    record = drawn(SAMPLES, REFERENCES, seed=4).clamp(-1.5, 1.5)
    return references, target * (weight > 0), weight, record if followed else None


def plainly_fitted(references, target, weight, record):
    """The same by automatic differentiation and torch's Adam."""
    total = weight.sum()
    each = ((target.unsqueeze(-2) - references).abs() * weight.unsqueeze(-2)).sum((0, 2))
    lean = -LEAN * (each / each.min() - 1).clamp_max(1.0)
    shared = lean.unsqueeze(-1).clone().requires_grad_()
    own = torch.zeros_like(references[0]).requires_grad_()
    trust = torch.zeros((), dtype=torch.float64, requires_grad=record is not None)
    optimizer = torch.optim.Adam([shared, own, trust], lr=RATE)
    shrinkage = float(each.min() / total) * SHRINKAGE / math.sqrt(float(total))
    for _ in range(STEPS):
        said = (mixture_weights(shared + own, trust, record) * references).sum(-2)
        away = own.square().mean() + (shared.squeeze(-1) - lean).square().mean()
        loss = ((target - said).abs() * weight).sum() / total + shrinkage * away
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        trust.detach().clamp_(0, TRUST)
    return (shared + own).detach(), trust.detach()


@pytest.mark.parametrize("followed", [False, True])
def test_the_slope_is_that_of_automatic_differentiation(followed):
    references, target, weight, record = problem(followed=followed)
    logits = drawn(REFERENCES, HORIZON, seed=5).requires_grad_()
    trust = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    said = (mixture_weights(logits, trust, record) * references).sum(-2)
    wanted = torch.autograd.grad(
        ((target - said).abs() * weight).sum(), [logits, trust], materialize_grads=True
    )

    found = slope(
        Samples(
            references.permute(2, 1, 0), target.t(), weight.t(), record.t() if followed else None
        ),
        logits.detach(),
        trust.detach(),
    )

    torch.testing.assert_close(list(found), list(wanted), rtol=1e-10, atol=1e-10, check_dtype=False)


@pytest.mark.parametrize("followed", [False, True])
def test_the_mixture_is_the_one_that_automatic_differentiation_ends_with(followed):
    made = problem(followed=followed)

    logits, trust = fit_mixture(*made)

    wanted, power = plainly_fitted(*made)
    said, expected = (
        (mixture_weights(part, power, made[3]) * made[0]).sum(-2) for part in (logits, wanted)
    )
    torch.testing.assert_close(said, expected, rtol=1e-5, atol=1e-5)
    assert trust == pytest.approx(float(power), abs=1e-5)


def test_without_records_nothing_is_trusted():
    assert fit_mixture(*problem(followed=False))[1] == 0.0


def test_references_that_all_say_the_same_are_mixed_to_that():
    references = torch.full((50, REFERENCES, HORIZON), 3.0)
    record = torch.zeros(50, REFERENCES)

    logits, trust = fit_mixture(references, references[:, 0], torch.ones(50, HORIZON), record)

    said = (mixture_weights(logits, torch.tensor(trust), record) * references).sum(-2)
    torch.testing.assert_close(said, references[:, 0])
