import numpy as np
import pytest
import torch
from scipy import special, stats

from tsrnn.nn.special import betainc, negative_binomial_icdf, student_t_cdf, student_t_icdf

PROBABILITIES = np.array([1e-4, 0.025, 0.3, 0.5, 0.9, 0.999])


@pytest.mark.parametrize("a", [0.05, 0.5, 3.0, 400.0, 1e4])
@pytest.mark.parametrize("b", [0.5, 2.0, 5e3])
def test_incomplete_beta_is_scipys(a, b):
    x = np.linspace(0, 1, 21)

    ours = betainc(torch.tensor(a), torch.tensor(b), torch.tensor(x))

    a, b = float(torch.tensor(a)), float(torch.tensor(b))
    np.testing.assert_allclose(ours, special.betainc(a, b, x), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("df", [2.1, 5.0, 80.0])
def test_student_t_quantiles_are_scipys(df):
    ours = student_t_icdf(torch.tensor(PROBABILITIES), torch.tensor(df, dtype=torch.float64))

    np.testing.assert_allclose(ours, stats.t.ppf(PROBABILITIES, df), rtol=1e-6, atol=1e-6)
    back = student_t_cdf(ours, torch.tensor(df, dtype=torch.float64).expand(6))
    np.testing.assert_allclose(back, PROBABILITIES, rtol=1e-8)


@pytest.mark.parametrize("mean", [0.2, 7.0, 3000.0])
@pytest.mark.parametrize("dispersion", [0.01, 0.5, 3.0])
def test_negative_binomial_quantiles_are_scipys(mean, dispersion):
    ours = negative_binomial_icdf(
        torch.tensor(PROBABILITIES), torch.tensor(mean).double(), torch.tensor(dispersion).double()
    )

    mean, dispersion = float(torch.tensor(mean)), float(torch.tensor(dispersion))
    p = 1 / (1 + dispersion * mean)
    np.testing.assert_array_equal(ours, stats.nbinom.ppf(PROBABILITIES, 1 / dispersion, p))
