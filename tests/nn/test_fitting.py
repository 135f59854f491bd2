"""The mixture of references that errs least: its gradient, and where it ends."""

import math

import pytest
import torch

from tsrnn.nn.decoders.fitting import (
    LEAN,
    MANY,
    SHRINKAGE,
    TRUST,
    Samples,
    fit_mixtures,
    mixture_weights,
    slope,
)

SAMPLES, REFERENCES, HORIZON = 300, 4, 3


def drawn(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def problem(*, followed, samples=SAMPLES):
    """References, targets near the second and third of them, weights, some 0, and records."""
    references = drawn(samples, REFERENCES, HORIZON, seed=0)
    target = 0.7 * references[:, 1] + 0.3 * references[:, 2]
    target = target + 0.5 * drawn(samples, HORIZON, seed=1)
    weight = drawn(samples, HORIZON, seed=2).abs() * (drawn(samples, HORIZON, seed=3) > -1)
    record = drawn(samples, REFERENCES, seed=4).clamp(-1.5, 1.5)
    return references, target * (weight > 0), weight, record if followed else None


def plainly_fitted(references, target, weight, record):
    """The same by automatic differentiation and 200 steps of torch's Adam."""
    total = weight.sum()
    each = ((target.unsqueeze(-2) - references).abs() * weight.unsqueeze(-2)).sum((0, 2))
    lean = -LEAN * (each / each.min() - 1).clamp_max(1.0)
    shared = lean.unsqueeze(-1).clone().requires_grad_()
    own = torch.zeros_like(references[0]).requires_grad_()
    trust = torch.zeros((), dtype=torch.float64, requires_grad=record is not None)
    optimizer = torch.optim.Adam([shared, own, trust], lr=0.1)
    shrinkage = float(each.min() / total) * SHRINKAGE / math.sqrt(float(total))
    for step in range(200):
        said = (mixture_weights(shared + own, trust, record) * references).sum(-2)
        away = own.square().mean() + (shared.squeeze(-1) - lean).square().mean()
        loss = ((target - said).abs() * weight).sum() / total + shrinkage * away
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 200)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        trust.detach().clamp_(0, TRUST)
    return (shared + own).detach(), trust.detach()


def said_by(mixture, references, record):
    return (mixture_weights(*mixture, record) * references).sum(-2)


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


@pytest.mark.parametrize("samples", [SAMPLES, MANY], ids=["few", "many"])
@pytest.mark.parametrize("followed", [False, True])
def test_the_mixture_errs_as_little_as_the_one_of_a_long_descent(followed, samples):
    made = problem(followed=followed, samples=samples)
    references, target, weight, record = made

    found = fit_mixtures(*made)[int(followed)]

    errors = [
        float(((target - said_by(mixture, references, record)).abs() * weight).sum())
        for mixture in (found, plainly_fitted(*made))
    ]
    assert errors[0] <= errors[1] * (1 + 1e-3)


def test_both_mixtures_are_the_same_without_records():
    plain, following = fit_mixtures(*problem(followed=False))

    assert plain.trust == following.trust == 0.0
    assert torch.equal(plain.logits, following.logits)


def test_the_first_mixture_takes_no_heed_of_records():
    made = problem(followed=True)

    with_records, without = fit_mixtures(*made)[0], fit_mixtures(*made[:3])[0]

    assert torch.equal(with_records.logits, without.logits)


def test_references_that_all_say_the_same_are_mixed_to_that():
    references = torch.full((50, REFERENCES, HORIZON), 3.0)
    record = torch.zeros(50, REFERENCES)

    for mixture in fit_mixtures(references, references[:, 0], torch.ones(50, HORIZON), record):
        torch.testing.assert_close(said_by(mixture, references, record), references[:, 0])
