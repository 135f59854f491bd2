"""Time to accuracy: processor seconds until tsrnn errs no more than GluonTS's DeepAR after 500 steps."""

from __future__ import annotations

import os
import time
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from frames import long_frame
from tables import table

import tsrnn.learning.training  # noqa: F401  torch and Lightning, loaded before the clock starts
from speed.libraries import MODELS, Task, measure
from speed.pairs import said_by
from speed.series import weekly_panel
from tsrnn import RNNForecaster
from tsrnn.metrics import naive_scale

__all__ = ["fit_and_forecast", "time_to_accuracy"]

STEPS = 500  # of DeepAR
BUDGETS = (1, 100, 1000)  # of tsrnn, the last its default


@dataclass(frozen=True)
class Held:
    """A panel whose last horizon is held out.

    Parameters
    ----------
    horizon, season, window : int
        The window is what DeepAR reads.
    freq : str
        What DeepAR is told; tsrnn is told nothing.
    variant : str
        Lags of DeepAR: "week", or those it finds for the frequency.
    """

    horizon: int
    season: int
    window: int
    freq: str
    variant: str = ""


CASES = {
    "panel": Held(horizon=16, season=7, window=64, freq="D", variant="week"),
    "hospital": Held(horizon=12, season=12, window=24, freq="M"),
}


def time_to_accuracy(_rounds: int) -> str:
    """Return a table a panel: a row a budget of steps, each a whole fit in a process of its own."""
    parts = []
    for name, case in CASES.items():
        if name != "panel" and not os.environ.get("TSRNN_DATA"):
            parts.append(f"{name}: not measured, TSRNN_DATA names no folder.")
            continue
        parts.append(_table(name, case))
    return "\n\n".join(parts)


def _table(name: str, case: Held) -> str:
    frame = panel(name)
    past, future = _cut(frame, case.horizon)
    naive = _values(past)[:, -case.season :]
    naive = naive[:, np.arange(case.horizon) % case.season]
    rows = [["seasonal naive", f"{_mase(past, future, naive, case.season):.3f}", "", ""]]
    deepar, theirs = MODELS["GluonTS DeepAR"], None
    if deepar.python.exists():
        task = Task(
            "train",
            case.freq,
            case.window,
            case.horizon,
            steps=STEPS,
            variant=case.variant,
        )
        found, said = measure(deepar, task, past)
        theirs = found["fit"]
        error = _mase(past, future, said, case.season)
        rows.append([f"GluonTS DeepAR, {STEPS} steps", f"{error:.3f}", f"{theirs:.1f}", "1"])
    for steps in BUDGETS:
        found = said_by("speed.accuracy", "fit_and_forecast", name, steps)
        error = _mase(past, future, np.array(found["said"]), case.season)
        share = "" if theirs is None else f"1/{theirs / found['cpu']:.1f}"
        rows.append([f"tsrnn, max_steps={steps}", f"{error:.3f}", f"{found['cpu']:.1f}", share])
    if theirs is None:
        rows.append(["GluonTS DeepAR", "not installed", "", ""])
    return table([name, "MASE", "fit, CPU s", "of DeepAR's time"], rows)


def panel(name: str) -> pd.DataFrame:
    """Return the long frame of a case."""
    return weekly_panel() if name == "panel" else long_frame(name)


def fit_and_forecast(name: str, steps: int) -> dict[str, object]:
    """Fit the defaults in this process; return the forecast and the processor seconds of the fit."""
    case = CASES[name]
    past, _ = _cut(panel(name), case.horizon)
    model = RNNForecaster(horizon=case.horizon, max_steps=steps)
    started = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(past)
    spent = time.process_time() - started
    said = model.predict()["forecast"].to_numpy().reshape(-1, case.horizon)
    return {"cpu": spent, "said": said.tolist()}


def _cut(frame: pd.DataFrame, horizon: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the rows before the last horizon, and the values of the last horizon."""
    to_go = frame.groupby("unique_id", sort=False).cumcount(ascending=False)
    future = frame.loc[to_go < horizon, "y"].to_numpy(dtype=np.float64)
    return frame[to_go >= horizon].reset_index(drop=True), future.reshape(-1, horizon)


def _values(past: pd.DataFrame) -> np.ndarray:
    """Return the values of series that are equally long, shape (series, rows)."""
    return past["y"].to_numpy(dtype=np.float64).reshape(past["unique_id"].nunique(), -1)


def _mase(past: pd.DataFrame, future: np.ndarray, said: np.ndarray, season: int) -> float:
    scale = np.array([float(naive_scale(y, season)) for y in _values(past)])
    return float((np.abs(said - future).mean(1) / scale).mean())
