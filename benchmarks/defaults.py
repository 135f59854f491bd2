"""Accuracy of the defaults: ``RNNForecaster()`` with no argument at all, beside the naive forecasts.

    TSRNN_DATA=folder python benchmarks/defaults.py --split test --write docs/benchmarks.md

Protocol
--------
A set has a horizon H and a number of cutoffs K (:data:`SETS`); H and the season are what the
library chooses from the frequency. M4, whose times are integers, is judged twice: with no argument (H is
then 10), and with the competition's horizon; the naive forecasts are told its season, the model has to
find it. The last K x H rows of each series judge. The model is fitted once, on the rows before them, by
``RNNForecaster().fit(df)``; then each of the K cutoffs, H rows apart, is forecast by
``predict(history up to the cutoff)``. Naive, seasonal naive and theta get the same histories.

``--split validation`` first drops these rows and judges on the K x H before them: defaults are chosen
by that table. ``--split test`` is the table of docs/benchmarks.md; it chooses nothing.

MASE is the mean over series, cutoffs and steps of the absolute error divided by the in-sample
seasonal naive error of the rows before the first cutoff (Hyndman and Koehler 2006); a series that
repeats itself exactly is left out. *ratio* is the model's MASE divided by that of the better of naive
and seasonal naive: below 1 the model wins. *skill* is 1 - MASE / MASE of seasonal naive. Coverage is
the share of values inside the 80 and 95 % intervals, with its own 95 % interval (Wilson) where fewer
than 1000 values stand behind it. *CPU s* is the processor time of the fit. With several seeds,
numbers are means over them, and the ratio comes with its smallest and largest.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from frames import long_frame
from tables import machine, table, write_between

from tsrnn import BaselineForecaster, RNNForecaster
from tsrnn.base import Forecaster
from tsrnn.metrics import naive_scale
from tsrnn.metrics.significance import coverage_interval

NAIVE = ("naive", "seasonal_naive")
BASELINES = (*NAIVE, "theta")
LEVELS = (80, 95)


@dataclass(frozen=True)
class Case:
    """A set, and how it is judged.

    Parameters
    ----------
    source : str
        Name in :func:`tsrnn.datasets.catalogue`.
    cutoffs : int
    ids : str, optional
        The one series that is the set.
    first : int, optional
        So many series from the first on.
    horizon : int, optional
        Told to every forecaster; from the frequency when None.
    season : int, optional
        Told to the naive forecasts alone, where the axis (integers) does not say it: the model finds
        it in the data.
    """

    source: str
    cutoffs: int
    ids: str | None = None
    first: int | None = None
    horizon: int | None = None
    season: int | None = None

    def frame(self) -> pd.DataFrame:
        """Return the long frame unique_id, ds, y."""
        return long_frame(self.source, ids=self.ids, first=self.first)


SETS = {
    "air passengers": Case("classics", 3, ids="AirPassengers"),
    "car sales": Case("classics", 2, ids="CarSales"),
    "births": Case("classics", 5, ids="FemaleBirths"),
    "sunspots": Case("classics", 20, ids="MonthlySunspots"),
    "min temperature": Case("classics", 20, ids="MelbourneMinTemp"),
    "sp500_daily": Case("sp500_daily", 40),
    "exchange_rate": Case("exchange_rate", 20),
    "etth1": Case("etth1", 40),
    "air_quality": Case("air_quality", 40),
    "vic_elec": Case("vic_elec", 40),
    "hospital": Case("hospital", 1),
    "m4 hourly": Case("m4_hourly", 1, first=500, season=24),
    "m4 hourly, 48 ahead": Case("m4_hourly", 1, first=500, horizon=48, season=24),
    "m4 yearly": Case("m4_yearly", 1, first=500, season=1),
    "m4 yearly, 6 ahead": Case("m4_yearly", 1, first=500, horizon=6, season=1),
}


@dataclass(frozen=True)
class Result:
    """What one set says about one seed.

    Parameters
    ----------
    mase : dict of str to float
        By method; the model is "model".
    coverage : dict of int to float
        By level in percent.
    points : int
        Values that were judged.
    series : int
    horizon : int
    cpu : float
        Processor seconds of the fit.
    """

    mase: dict[str, float]
    coverage: dict[int, float]
    points: int
    series: int
    horizon: int
    cpu: float

    @property
    def ratio(self) -> float:
        """MASE of the model divided by that of the better naive forecast."""
        return self.mase["model"] / min(self.mase[name] for name in NAIVE)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--split", choices=("test", "validation"), default="test")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS), metavar="SET")
    parser.add_argument("--seeds", type=int, default=1, help="seeds 0, 1, ... to average over")
    parser.add_argument("--max-steps", type=int, help="instead of the default")
    parser.add_argument("--write", type=Path, help="markdown file with the markers of this table")
    options = parser.parse_args(arguments)
    results: dict[str, list[Result]] = {}
    for name in options.sets:
        results[name] = [
            measure(SETS[name], split=options.split, seed=seed, max_steps=options.max_steps)
            for seed in range(options.seeds)
        ]
        print(progress(name, results[name]), flush=True)
    text = report(results)
    print(f"\n{text}")
    if options.write is not None:
        write_between(options.write, f"defaults-{options.split}", text)


def measure(case: Case, *, split: str, seed: int, max_steps: int | None) -> Result:
    """Fit once, forecast at every cutoff, and compare with what came true."""
    frame = case.frame()
    told = {name: getattr(case, name) for name in ("horizon", "season")}
    given = {name: value for name, value in told.items() if value is not None}
    horizon = _quiet_fit(BaselineForecaster(**given), frame).horizon_
    rows_to_go = frame.groupby("unique_id").cumcount(ascending=False).to_numpy()
    judged = case.cutoffs * horizon
    if split == "validation":
        frame, rows_to_go = frame[rows_to_go >= judged], rows_to_go[rows_to_go >= judged] - judged

    model = RNNForecaster() if case.horizon is None else RNNForecaster(horizon=case.horizon)
    if seed or max_steps is not None:
        model.set_params(random_state=seed, **({"max_steps": max_steps} if max_steps else {}))
    past = frame[rows_to_go >= judged]
    started = time.process_time()
    _quiet_fit(model, past)
    cpu = time.process_time() - started
    methods = {name: _quiet_fit(BaselineForecaster(name, **given), past) for name in BASELINES}

    scale = _scales(past, methods["naive"].season_)
    errors: dict[str, list[np.ndarray]] = {name: [] for name in ("model", *methods)}
    inside: dict[int, list[np.ndarray]] = {level: [] for level in LEVELS}
    for ago in range(judged, 0, -horizon):
        history = frame[rows_to_go >= ago]
        window = frame[(rows_to_go < ago) & (rows_to_go >= ago - horizon)]
        truth = _matrix(window["y"], horizon)
        forecast = _predict(model, history, window, level=LEVELS)
        errors["model"].append(np.abs(_matrix(forecast["forecast"], horizon) - truth))
        for level in LEVELS:
            low, high = (
                _matrix(forecast[f"forecast-{side}-{level}"], horizon) for side in ("lo", "hi")
            )
            inside[level].append(((truth >= low) & (truth <= high))[np.isfinite(truth)])
        for name, method in methods.items():
            said = _predict(method, history, window)["forecast"]
            errors[name].append(np.abs(_matrix(said, horizon) - truth))
    return Result(
        {name: _mase(each, scale) for name, each in errors.items()},
        {level: float(np.concatenate(each).mean()) for level, each in inside.items()},
        sum(len(each) for each in inside[LEVELS[0]]),
        len(scale),
        horizon,
        cpu,
    )


def _quiet_fit(forecaster: Forecaster, frame: pd.DataFrame) -> Forecaster:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # missing values and verdicts are what the table tells
        return forecaster.fit(frame)


def _predict(
    forecaster: Forecaster, history: pd.DataFrame, window: pd.DataFrame, **how: Sequence[int]
) -> pd.DataFrame:
    """Forecast the rows of ``window``, in their order.

    Step k is compared with the k-th row. The stamps must agree, too, except those of trading
    sessions, where a holiday moves the weekday pattern of the forecast.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        forecast = forecaster.predict(history, **how)
    order = window["unique_id"].unique()
    forecast = forecast.sort_values("unique_id", key=pd.Index(order).get_indexer, kind="stable")
    same = forecast["ds"].to_numpy() == window["ds"].to_numpy()
    if not (same.all() or forecaster.axis_.observed):
        row = int(np.argmin(same))
        raise ValueError(
            f"The judged rows must be without gaps. Got {window['ds'].iloc[row]} where the forecast is "
            f"for {forecast['ds'].iloc[row]}."
        )
    return forecast


def _scales(past: pd.DataFrame, season: int) -> np.ndarray:
    """Return the in-sample seasonal naive error of each series, NaN where it is 0."""
    scale = np.array(
        [
            float(naive_scale(y.to_numpy(), season))
            for _, y in past.groupby("unique_id", sort=False)["y"]
        ]
    )
    return np.where(scale > 0, scale, np.nan)


def _matrix(values: pd.Series, horizon: int) -> np.ndarray:
    """Return shape (series, horizon)."""
    return values.to_numpy(dtype=np.float64).reshape(-1, horizon)


def _mase(errors: list[np.ndarray], scale: np.ndarray) -> float:
    return float(np.nanmean(np.stack(errors) / scale[:, None]))


def progress(name: str, results: list[Result]) -> str:
    """Return one line on a set."""
    mase = _mean_mase(results)
    said = "  ".join(f"{method} {value:.4f}" for method, value in mase.items())
    ratio = np.mean([result.ratio for result in results])
    return (
        f"{name:16s} {said}  ratio {ratio:.3f}  fit {np.mean([r.cpu for r in results]):.1f} CPU s"
    )


def _mean_mase(results: list[Result]) -> dict[str, float]:
    return {
        name: float(np.mean([result.mase[name] for result in results])) for name in results[0].mase
    }


def report(results: dict[str, list[Result]]) -> str:
    """Return the table, the worst set in bold, and a sentence on all of them."""
    ratios = {name: float(np.mean([r.ratio for r in each])) for name, each in results.items()}
    worst = max(ratios, key=ratios.__getitem__)
    head = [
        "set", "series", "cutoffs x horizon", "**tsrnn**", "naive", "seasonal naive", "theta", "ratio",
        "skill", "in 80 %", "in 95 %", "fit, CPU s",
    ]  # fmt: skip
    rows = [_row(name, each, ratios[name], worst=name == worst) for name, each in results.items()]
    mean = float(np.exp(np.mean(np.log(list(ratios.values())))))
    better = sum(ratio < 1 for ratio in ratios.values())
    seeds = len(next(iter(results.values())))
    return (
        f"{table(head, rows)}\n\n"
        f"Better than the better naive forecast on {better} of {len(ratios)} sets; geometric mean of the ratios "
        f"{mean:.3f}; worst: {worst}, {ratios[worst]:.3f}. Seeds: {seeds}. {machine()}"
    )


def _row(name: str, results: list[Result], ratio: float, *, worst: bool) -> list[str]:
    first, mase = results[0], _mean_mase(results)
    case = SETS[name]
    spread = ""
    if len(results) > 1:
        each = [result.ratio for result in results]
        spread = f" ({min(each):.3f}–{max(each):.3f})"
    cells = [
        name,
        f"{first.series}",
        f"{case.cutoffs} x {first.horizon}",
        f"{mase['model']:.3f}",
        *(f"{mase[method]:.3f}" for method in BASELINES),
        f"{ratio:.3f}{spread}",
        f"{1 - mase['model'] / mase['seasonal_naive']:+.1%}",
        *(_share(results, level) for level in LEVELS),
        f"{np.mean([result.cpu for result in results]):.1f}",
    ]
    return [f"**{cell}**" if worst and i in {0, 7} else cell for i, cell in enumerate(cells)]


def _share(results: list[Result], level: int) -> str:
    share, points = float(np.mean([r.coverage[level] for r in results])), results[0].points
    if points >= 1000:
        return f"{share:.1%}"
    low, high = coverage_interval(share, points)
    return f"{share:.0%} ({low:.0%}–{high:.0%})"


if __name__ == "__main__":
    main()
