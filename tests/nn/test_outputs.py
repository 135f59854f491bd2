import numpy as np
import pytest
import torch
from scipy import stats

from tsrnn.nn.outputs import NORMAL_MAE, OUTPUTS, HeadValues, QuantileOutput, make_output

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)


def head(batch=3, horizon=4, seed=0, anchor=50.0, scale=2.0):
    g = torch.Generator().manual_seed(seed)
    return HeadValues(
        location=torch.randn(batch, horizon, generator=g),
        log_spread=torch.randn(batch, 2, horizon, generator=g),
        unit=torch.full((batch, horizon), 1.5),
        anchor=torch.full((batch, 1), anchor, dtype=torch.float64),
        scale=torch.full((batch, 1), scale, dtype=torch.float64),
    )


def made(name):
    return make_output(name, quantiles=LEVELS, horizon=4)


@pytest.mark.parametrize("name", [name for name in OUTPUTS if name != "point"])
def test_quantiles_never_cross(name):
    levels = torch.linspace(0.001, 0.999, 97, dtype=torch.float64)

    quantiles = made(name).quantile(head(), levels[None, None, :])

    assert quantiles.shape == (3, 4, 97)
    assert bool((quantiles.diff(dim=-1) >= 0).all())


def test_quantile_loss_is_twice_the_mean_pinball_loss():
    output, said = made("quantiles"), head()
    target = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))

    loss = output.loss(said, target)

    trained = output.trained(said).detach().numpy()
    error = target.numpy()[..., None] - trained
    level = np.array(LEVELS)
    expected = 2 * np.maximum(level * error, (level - 1) * error).mean(-1)
    np.testing.assert_allclose(loss.detach(), expected, rtol=1e-5)


def test_trained_quantiles_come_back_at_their_probabilities():
    output, said = made("quantiles"), head()

    again = output.quantile(said, torch.tensor(LEVELS, dtype=torch.float64)[None, None, :])

    torch.testing.assert_close(again, output.trained(said).double(), rtol=1e-6, atol=1e-6)


def test_calibrated_quantiles_are_those_of_the_residuals():
    output = QuantileOutput(LEVELS, 4)
    residual = torch.from_numpy(stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000))
    flat = head()._replace(location=torch.zeros(3, 4), log_spread=torch.zeros(3, 2, 4))

    output.calibrate(residual)

    expected = 1.5 * stats.norm.ppf(LEVELS)
    np.testing.assert_allclose(output.trained(flat)[0, 0].detach(), expected, rtol=1e-3, atol=1e-5)


def test_tails_beyond_the_trained_quantiles_are_exponential():
    output, said = made("quantiles"), head()
    p = torch.tensor([0.0001, 0.001, 0.01, 0.99, 0.999, 0.9999], dtype=torch.float64)

    tail = output.quantile(said, p[None, None, :])[0, 0].detach().numpy()

    np.testing.assert_allclose(tail[1] - tail[0], tail[2] - tail[1], rtol=1e-6)
    np.testing.assert_allclose(tail[4] - tail[3], tail[5] - tail[4], rtol=1e-6)


def test_normal_loss_differs_from_the_log_density_by_a_constant():
    output, said = made("normal"), head()
    target = torch.randn(3, 4)

    sigma = said.spread().mean(-2) / NORMAL_MAE
    density = torch.distributions.Normal(said.location, sigma).log_prob(target)

    gap = output.loss(said, target) + density
    torch.testing.assert_close(gap, torch.full_like(gap, gap.mean().item()), rtol=1e-4, atol=1e-5)


def test_student_t_loss_differs_from_the_log_density_by_a_constant():
    output, said = made("student_t"), head()
    target = 10 * torch.randn(3, 4)

    sigma = said.spread().mean(-2) / NORMAL_MAE
    density = torch.distributions.StudentT(output.degrees(), said.location, sigma).log_prob(target)

    gap = output.loss(said, target) + density
    torch.testing.assert_close(gap, torch.full_like(gap, gap.mean().item()), rtol=1e-3, atol=1e-4)


def test_negative_binomial_loss_is_the_log_probability_of_the_count():
    output, said = made("negative_binomial"), head(anchor=20.0, scale=3.0)
    counts = torch.tensor([[0.0, 5.0, 20.0, 41.0]]).expand(3, 4)

    loss = output.loss(said, ((counts - 20.0) / 3.0).float())

    mean, dispersion = output._mean_and_dispersion(said)
    r = 1 / dispersion.detach().numpy()
    expected = -stats.nbinom.logpmf(counts.numpy(), r, r / (r + mean.detach().numpy()))
    np.testing.assert_allclose(loss.detach(), expected, rtol=1e-4)


def test_negative_binomial_quantiles_are_whole_counts():
    output, said = made("negative_binomial"), head(anchor=20.0, scale=3.0)

    relative = output.quantile(said, torch.tensor([0.1, 0.5, 0.9])[None, None, :])

    counts = 20.0 + 3.0 * relative
    torch.testing.assert_close(counts, counts.round(), rtol=0, atol=1e-9)
    assert bool((counts >= 0).all())


def test_point_loss_is_the_absolute_error():
    said, target = head(), torch.zeros(3, 4)

    torch.testing.assert_close(made("point").loss(said, target), said.location.abs())


def test_quantiles_start_at_those_of_the_residuals_however_far_out():
    output = QuantileOutput(LEVELS, 2)
    residual = torch.linspace(-1, 1, 1001) ** 3 * 5000

    output.calibrate(residual)

    flat = head(batch=1, horizon=2)._replace(
        location=torch.zeros(1, 2), log_spread=torch.zeros(1, 2, 2), unit=torch.ones(1, 2)
    )
    expected = torch.quantile(residual.double(), output.levels) - residual.median()
    said = output.trained(flat)[0, 0].double()
    torch.testing.assert_close(said[[0, -1]], expected[[0, -1]], rtol=0.05, atol=1.0)
