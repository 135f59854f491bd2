import numpy as np
import pytest
import torch

from tsrnn.nn.cells import scan
from tsrnn.nn.cells.scan import linear_scan


def drawn(*shape, seed=0):
    return torch.empty(*shape).normal_(generator=torch.Generator().manual_seed(seed))


def step_by_step(keep, add, start):
    h, out = start, []
    for k, a in zip(keep, add, strict=True):
        h = k * h + a
        out.append(h)
    return np.array(out)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 16, 50, 2000])
@pytest.mark.parametrize("wide", [1, 2**13])
def test_scan_equals_step_by_step(steps, wide, monkeypatch):
    monkeypatch.setattr(scan, "WIDE", wide)
    keep = drawn(steps, 2, 3).double().sigmoid()
    add, start = drawn(steps, 2, 3, seed=1).double(), drawn(2, 3, seed=2).double()

    hidden = linear_scan(keep, add, start)

    np.testing.assert_allclose(
        hidden, step_by_step(keep.numpy(), add.numpy(), start.numpy()), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("wide", [1, 2**13])
@pytest.mark.parametrize("far", [-1e4, 0.0, 1e4])
def test_2000_steps_overflow_nowhere_however_open_or_shut_the_gates_are(wide, far, monkeypatch):
    monkeypatch.setattr(scan, "WIDE", wide)
    keep = (far + 10 * drawn(2000, 1, 4)).sigmoid().requires_grad_()
    add = ((1 - keep) * drawn(2000, 1, 4, seed=1)).detach().requires_grad_()

    hidden = linear_scan(keep, add, torch.ones(1, 4))
    hidden.sum().backward()

    expected = step_by_step(keep.detach().numpy(), add.detach().numpy(), np.ones((1, 4)))
    np.testing.assert_allclose(hidden.detach(), expected, rtol=1e-4, atol=1e-5)
    assert torch.isfinite(keep.grad).all()
    assert torch.isfinite(add.grad).all()


@pytest.mark.parametrize("steps", [1, 5, 9])
@pytest.mark.parametrize("wide", [1, 2**13])
def test_gradient_is_that_of_small_differences(steps, wide, monkeypatch):
    monkeypatch.setattr(scan, "WIDE", wide)
    keep = drawn(steps, 2, 2).double().sigmoid().requires_grad_()
    add = drawn(steps, 2, 2, seed=1).double().requires_grad_()
    start = drawn(2, 2, seed=2).double().requires_grad_()

    assert torch.autograd.gradcheck(linear_scan, (keep, add, start))
