"""Draws the figures of the documentation: python docs/make_figures.py

Each is one that a user gets from a forecaster or from tsrnn.plotting, on real data that come with packages. They
are saved as small palette images (less than 80 kB each) in docs/images.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from tsrnn import RNNForecaster, datasets
from tsrnn.inspection import plot_network
from tsrnn.plotting import plot_backtest, plot_calibration, plot_residuals, plot_skill

IMAGES = Path(__file__).parent / "images"
LARGEST = 80_000  # bytes
PROMISED = (20, 40, 60, 80, 90, 95)  # percent


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        carbon_dioxide()
        prices()
        inside()


def carbon_dioxide() -> None:
    """The forecast of the README, and how it does in a backtest of six years."""
    df = datasets.load("co2")
    model = RNNForecaster().fit(df)
    save(model.plot(title="CO2 at Mauna Loa, a quarter ahead", unit="ppm"), "co2")
    result = model.backtest(df, n_windows=24, refit=False, level=PROMISED)
    save(plot_skill(result.by_horizon, unit="ppm"), "skill")
    forecasts = result.forecasts
    one_ahead = forecasts.groupby("cutoff", sort=True).head(1)
    save(
        plot_residuals(one_ahead["actual"], one_ahead["forecast"], one_ahead["ds"], unit="ppm"),
        "residuals",
    )


def prices() -> None:
    """The backtest of the quickstart, and the calibration of many windows."""
    df = pd.concat([datasets.load("sp500"), datasets.load("nasdaq")])
    df = df[df["ds"] >= "2012"]
    model = RNNForecaster(calendar="XNYS")
    result = model.backtest(df, n_windows=10, refit=False, level=[80])
    save(plot_backtest(result, ids=["SP500"], unit="index points"), "backtest")
    many = model.backtest(df, n_windows=60, refit=False, level=PROMISED).forecasts
    inside = [
        many["actual"].between(many[f"forecast-lo-{level}"], many[f"forecast-hi-{level}"]).mean()
        for level in PROMISED
    ]
    title = "Calibration: 60 origins, S&P 500 and NASDAQ"
    save(plot_calibration(np.array(PROMISED) / 100, inside, len(many), title=title), "calibration")


def inside() -> None:
    """The look inside of a model of CO2 at Mauna Loa."""
    model = RNNForecaster(cell="lstm", num_layers=2, max_steps=200).fit(datasets.load("co2"))
    save(model.diagnose().plot(), "diagnosis")
    save(plot_network(model), "network")


def save(figure: Figure, name: str) -> None:
    """Write a palette image, small enough for a repository."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=100)
    small = Image.open(stream).convert("RGB").quantize(colors=64)
    path = IMAGES / f"{name}.png"
    small.save(path, optimize=True)
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path.name} must be at most {LARGEST} bytes. Got {path.stat().st_size}.")
    print(path.name, path.stat().st_size)


if __name__ == "__main__":
    main()
