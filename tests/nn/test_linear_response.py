"""The regression on covariates beside what is learned."""

import numpy as np
import pytest
import torch

from tsrnn.learning.start import _rows_of_its_own
from tsrnn.nn.linear_response import LinearResponse

NAN = float("nan")


def many(rows: float, numbers: int = 1) -> torch.Tensor:
    return torch.full((numbers,), rows, dtype=torch.float64)


def no_flags(numbers: int = 1) -> torch.Tensor:
    return torch.zeros(numbers, dtype=torch.bool)


def sample(count: int = 400) -> torch.Tensor:
    """Drivers of one number without seasons: its change, the size of it, both times a level."""
    g = torch.Generator().manual_seed(0)
    change = torch.randn(count, 1, generator=g)
    level = 1 + torch.rand(count, 1, generator=g)
    both = torch.cat([change, change.abs()], 1)
    return torch.cat([both, both * level], 1)


def test_drivers_are_changes_and_their_sizes_alone_and_times_the_level():
    response = LinearResponse(1, seasons=(3,), horizon=2)
    inputs = torch.tensor([[[0.0], [1.0], [2.0], [5.0], [4.0], [9.0]]])

    drivers = response.drivers(inputs, torch.tensor([3]), torch.tensor([[2.0]]))

    newest, season = [-1.0, 4.0], [3.0, 7.0]  # 4 and 9 against 5; 4 against 1, 9 against 2
    for step in range(2):
        changes = [newest[step], season[step]]
        both = [*changes, *map(abs, changes)]
        assert drivers[0, 0, step].tolist() == [*both, *(2 * each for each in both)]


def test_what_is_missing_has_not_changed():
    response = LinearResponse(1, seasons=(1,), horizon=1)

    drivers = response.drivers(
        torch.tensor([[[1.0], [NAN]]]), torch.tensor([0]), torch.tensor([[NAN]])
    )

    assert drivers.tolist() == [[[[0.0, 0.0, 0.0, 0.0]]]]


def test_coefficients_are_those_of_the_least_absolute_error():
    """A tenth of wild errors moves a median regression little, and one of least squares much."""
    response, drivers = LinearResponse(1, seasons=(1,), horizon=1), sample()
    error = drivers @ torch.tensor([0.5, 0.0, -1.5, 0.25])
    error[::10] += 15.0

    response.fit(drivers, error, torch.ones(len(error)), rows=many(1e9), flags=no_flags())

    assert response.weight.tolist() == pytest.approx([0.5, 0.0, -1.5, 0.25], abs=0.1)


def test_few_rows_of_its_own_shrink_a_column():
    response, drivers = LinearResponse(1, seasons=(1,), horizon=1), sample()
    error = drivers @ torch.tensor([0.5, 0.0, -1.5, 0.0])
    size = {}

    for rows in (1e9, 100.0, 1.0):
        response.fit(drivers, error, torch.ones(len(error)), rows=many(rows), flags=no_flags())
        size[rows] = (drivers @ response.weight).abs().mean()

    assert size[1e9] > size[100.0] > size[1.0] > 0


def test_the_change_of_a_flag_has_no_size_of_its_own():
    response, drivers = LinearResponse(1, seasons=(1,), horizon=1), sample()
    error = drivers @ torch.ones(4)

    response.fit(drivers, error, torch.ones(len(error)), rows=many(1e9), flags=~no_flags())

    change, size, change_of_level, size_of_level = response.weight.tolist()
    assert size == size_of_level == 0
    assert abs(change) > 0
    assert abs(change_of_level) > 0


def test_a_column_that_is_common_to_all_series_says_something_once_at_each_time():
    rng = np.random.default_rng(0)
    times = np.tile(np.arange(500), 20)
    common, own = np.tile(rng.normal(size=500), 20), rng.normal(size=10_000)

    rows = _rows_of_its_own(torch.from_numpy(np.stack([common, own], 1)), times)

    assert rows[0] == pytest.approx(500)
    assert (
        3500 < rows[1] < 10_000
    )  # 20 of them meet by chance, too: a mean of 20 varies by a twentieth
