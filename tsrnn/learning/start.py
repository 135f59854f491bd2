"""Where training starts: covariates standardised, the mixture of references, the regression on covariates."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tsrnn.nn.covariates import ColumnEncoder, Covariates
from tsrnn.nn.networks import ForecastNetwork
from tsrnn.windows import WindowSampler

__all__ = ["standardise", "start_from_covariates", "start_from_reference"]

WINDOWS_AT_LEAST, WINDOWS_AT_MOST = 256, 1024  # one a series in between
SAMPLES_A_WINDOW = 16
START_VALUES = 400_000  # samples times horizon: a long horizon fits its mixture to fewer samples
WINDOWS = 256  # that the regression on covariates is fitted to
DRIVER_VALUES = (
    4_000_000  # of them: many columns or a long horizon are fitted to fewer steps of a window
)
OUTLIER = 20.0  # typical errors beyond which an error says nothing of the covariates


@torch.no_grad()
def start_from_reference(
    network: ForecastNetwork,
    sampler: WindowSampler,
    rng: np.random.Generator,
) -> None:
    """Fit the mixture of reference forecasts to windows, and the shape of their errors."""
    plan = network.plan
    positions = network.positions(sampler.context)
    windows = min(max(len(sampler.panel), WINDOWS_AT_LEAST), WINDOWS_AT_MOST)
    most = min(windows * SAMPLES_A_WINDOW, max(START_VALUES // plan.horizon, 100))
    batch = max(1, min(windows, 4 * most // len(positions)))
    series, start = sampler.places(batch, rng)
    drawn, weights = sampler.gather(series, start)
    values = torch.from_numpy(drawn)
    represented, scale = network.view.represent(values[:, : values.shape[1] - plan.horizon])
    references = network.view.relative_references(represented, scale, positions)
    rows = positions[:, None] + torch.arange(1, plan.horizon + 1, device=positions.device)
    target = network.view.relative_to(
        values[:, rows],
        anchor=scale.anchor[:, positions].unsqueeze(-1),
        scale=scale.scale[:, positions].unsqueeze(-1),
    )
    importance = (~target.isnan()).float()
    if weights is not None:
        importance *= torch.from_numpy(weights)[:, rows].float()
        importance /= importance[importance > 0].mean()
    chosen = torch.nonzero((importance > 0).flatten(0, 1).any(-1)).squeeze(-1)
    chosen = chosen[_first_of_each(series, start, positions)[chosen]]
    if len(chosen) > most:
        keep = np.sort(rng.choice(len(chosen), most, replace=False))
        chosen = chosen[torch.from_numpy(keep)]
    if not len(chosen):
        return
    residual = network.head.set_mixture(
        references.flatten(0, 1)[chosen],
        target.flatten(0, 1)[chosen].nan_to_num(0.0),
        importance.flatten(0, 1)[chosen],
        network.view.track_record(represented, scale, positions).relative.flatten(0, 1)[chosen],
    )
    network.output.calibrate(residual)


def _first_of_each(series: np.ndarray, start: np.ndarray, positions: Tensor) -> Tensor:
    """Return whether each position of each window, end to end, is the first to lie on its row.

    Many windows of a short series hold the same rows, which are no more evidence for being drawn again.
    """
    row = start[:, None] + positions.numpy()
    row += (series * (np.ptp(row) + 1))[:, None]
    first = np.zeros(row.size, dtype=bool)
    first[np.unique(row, return_index=True)[1]] = True
    return torch.from_numpy(first)


@torch.no_grad()
def start_from_covariates(
    network: ForecastNetwork, sampler: WindowSampler, rng: np.random.Generator
) -> None:
    """Regress the errors of the mixture that follows track records on the covariates known in advance."""
    response, columns, plan = network.linear_response, network.covariates, network.plan
    past = sampler.panel.take_rows(np.zeros_like(sampler.stop), sampler.stop)
    places = sampler.places(WINDOWS, rng)
    beside = sampler.covariates(*places)
    if response is None or columns is None or past.covariates is None or beside is None:
        return
    if not response.numbers:
        return
    numbers = columns.future(torch.from_numpy(past.covariates.future))[:, : response.numbers]
    encoded = columns.encode(Covariates(*map(torch.from_numpy, beside)))
    drawn, weights = sampler.gather(*places)
    values = torch.from_numpy(drawn)
    represented, scale = network.view.represent(values[:, : values.shape[1] - plan.horizon])
    positions = network.positions(sampler.context)
    whole = ~represented[:, positions - max(plan.seasons)].isnan()  # a season is known
    if not bool(whole.any()):
        return
    most = DRIVER_VALUES // (len(values) * plan.horizon * response.weight.numel())
    kept = _some(torch.nonzero(whole.any(0)).squeeze(1), most)
    positions, whole = positions[kept], whole[:, kept]
    rows = positions[:, None] + torch.arange(1, plan.horizon + 1, device=positions.device)
    target = network.view.relative_to(
        values[:, rows],
        anchor=scale.anchor[:, positions].unsqueeze(-1),
        scale=scale.scale[:, positions].unsqueeze(-1),
    )
    references = network.view.relative_references(represented, scale, positions)
    record = network.view.track_record(represented, scale, positions).relative
    followed = (network.head.following_weights(record) * references).sum(-2)
    error = (target - followed) / network.head.unit
    importance = ((error.abs() < OUTLIER) & whole.unsqueeze(-1)).float()  # not where it is missing
    if weights is not None:
        importance *= torch.from_numpy(weights)[:, rows].float()
    chosen = importance > 0
    if not bool(chosen.any()):
        return
    drivers = response.drivers(encoded.future, positions, network.view.level(scale, positions))
    response.fit(
        drivers[chosen],
        error[chosen],
        importance[chosen],
        rows=torch.from_numpy(_rows_of_its_own(numbers, past.times)),
        flags=torch.tensor([len(column[~column.isnan()].unique()) <= 2 for column in numbers.T]),
    )


def _rows_of_its_own(numbers: Tensor, times: np.ndarray) -> np.ndarray:
    """Return how many rows say something new of each column of standardised numbers, shape (number,).

    A column that is the same for many series at each time, like a holiday, has met no more chances than
    there were times: errors of the same time go together.
    """
    known = numbers.nan_to_num(0.0).double().numpy()
    at = np.unique(times, return_inverse=True)[1]
    count = np.bincount(at)
    common = np.stack([np.bincount(at, column) / count for column in known.T], 1)
    share = (count[:, None] * common**2).sum(0) / np.maximum((known**2).sum(0), 1e-12)
    together = (count**2).sum() / count.sum()  # series of a row's time
    return np.asarray(len(known) / (1 + (together - 1) * share))


def _some(positions: Tensor, count: int) -> Tensor:
    """Return about so many of the positions, at least one, evenly spread and the newest among them."""
    return positions.flip(0)[:: -(-len(positions) // max(count, 1))].flip(0)


def standardise(network: ForecastNetwork, sampler: WindowSampler) -> None:
    """Take mean and spread of the covariates from the rows that windows are drawn from."""
    if network.covariates is None:
        return
    past = sampler.panel.take_rows(np.zeros_like(sampler.stop), sampler.stop).covariates
    for name in ("future", "past", "static"):
        encoder: ColumnEncoder = getattr(network.covariates, name)
        encoder.standardise(torch.from_numpy(getattr(past, name)))
