"""What libraries said about the same sets, as markdown tables."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
from peer_sets import SEASONAL_NAIVE, SETS
from tables import table

Result = dict[str, Any]

COLUMNS = {
    ("tsrnn", "RNNForecaster"): "tsrnn",
    ("gluonts", "DeepAR"): "GluonTS DeepAR",
    ("pytorch_forecasting", "DeepAR"): "pytorch-forecasting DeepAR",
    ("neuralforecast", "LSTM"): "neuralforecast LSTM",
    ("neuralforecast", "GRU"): "neuralforecast GRU",
    ("neuralforecast", "DeepAR"): "neuralforecast DeepAR",
    ("darts", "RNNModel"): "darts RNNModel",
    ("darts", "BlockRNNModel"): "darts BlockRNNModel",
    (SEASONAL_NAIVE, ""): SEASONAL_NAIVE,
}
SETTINGS = """\
Every model has its library's defaults and the horizon. What else was given:

- tsrnn: nothing, and no limit stops it. It is not told the season; where times are integers (M3, M4), not the frequency either.
- GluonTS: the frequency, from which it takes lags and calendar features (integer times are dated from 2000 on).
- pytorch-forecasting, which has no default training: that of its DeepAR tutorial (batches of 128, at most 30 epochs of 50 batches,
  learning rate 0.01, 30 units, clipping at 0.1, early stopping on the last horizon before the cutoff, best weights, input of 3 horizons, the
  series as a category). Epochs have 50 batches in small sets, too, by drawing windows anew; inputs may be as short as half a horizon, or it
  would leave out short series.
- neuralforecast: the frequency; for DeepAR `scaler_type="standard"` as in its documentation (its default scales nothing); where a series is
  shorter than the input of 3 horizons, its default, `start_padding_enabled=True`, or it would refuse the set.
- darts: LSTM cells, 32-bit series in a `Scaler` as its guides advise, input of 2 horizons (it has no default), `training_length` of 3. Series too
  short to train on are left out of training and padded with their first value to be forecast.
- GluonTS, pytorch-forecasting and neuralforecast's DeepAR draw 100 paths or samples per series; the point forecast is their median. Those without
  a coverage give points only by default."""


def report(results: list[Result]) -> str:
    """Return tables of MASE, processor seconds, coverage and sMAPE, and what to know beside them."""
    found = {(each["set"], each["library"], each["model"]): each for each in results}
    sets = [name for name in SETS if any(each["set"] == name for each in results)]
    columns = {key: title for key, title in COLUMNS.items() if _measured(results, key)}
    trained = {key: title for key, title in columns.items() if key[0] != SEASONAL_NAIVE}
    with_bounds = {
        key: title for key, title in trained.items() if _measured(results, key, "coverage")
    }
    parts = [
        "MASE; the best of a row in bold. Horizons and windows are those of `benchmarks/peer_sets.py`.",
        _table(sets, columns, found, "mase", "{:.3f}", best=True),
        _means(sets, columns, found),
        "Processor seconds to fit and to forecast.",
        _table(sets, trained, found, "cpu", "{:.0f}"),
        "Share of values inside the 80 % interval.",
        _table(sets, with_bounds, found, "coverage", "{:.0%}"),
        "sMAPE, percent.",
        _table(sets, columns, found, "smape", "{:.2f}", best=True),
        SETTINGS,
        _notes(results),
        _measured_with(results),
    ]
    return "\n\n".join(part for part in parts if part)


def _measured(results: list[Result], key: tuple[str, str], what: str | None = None) -> bool:
    mine = [each for each in results if (each["library"], each["model"]) == key]
    return any(what is None or each.get(what) is not None for each in mine)


def _table(
    sets: list[str],
    columns: dict[tuple[str, str], str],
    found: dict[tuple[str, str, str], Result],
    what: str,
    form: str,
    *,
    best: bool = False,
) -> str:
    rows = []
    for name in sets:
        results = [found.get((name, *key)) for key in columns]
        values = [_value(each, what) for each in results]
        least = min((value for value in values if value is not None), default=None)
        cells = [_cell(each, what, form) for each in results]
        if best:
            cells = [
                f"**{cell}**" if value is not None and value == least else cell
                for cell, value in zip(cells, values, strict=True)
            ]
        rows.append([name, *cells])
    return table(["set", *columns.values()], rows)


def _value(result: Result | None, what: str) -> float | None:
    if result is None:
        return None
    if what == "cpu":
        return result["fit_cpu"] + result["forecast_cpu"] if "fit_cpu" in result else None
    return result.get(what)


def _cell(result: Result | None, what: str, form: str) -> str:
    """Return a number, marked where training was stopped, or why there is none."""
    if result is None:
        return ""
    if "error" in result:
        return "failed"
    if "timeout" in result:
        return f"none in {result['timeout']:.0f} s"
    value = _value(result, what)
    if value is None:
        return "–"
    if not result.get("cut"):
        return form.format(value)
    return f"more than {result['limit']:.0f}" if what == "cpu" else f"{form.format(value)}†"


def _means(
    sets: list[str],
    columns: dict[tuple[str, str], str],
    found: dict[tuple[str, str, str], Result],
) -> str:
    """Say how each stands against tsrnn over the sets that both have."""
    said = []
    for key, title in columns.items():
        pairs = [
            (_value(found.get((name, *key)), "mase"), _value(found.get((name, "tsrnn", "RNNForecaster")), "mase"))
            for name in sets
        ]  # fmt: skip
        ratios = [
            theirs / ours for theirs, ours in pairs if theirs is not None and ours is not None
        ]
        if key[0] != "tsrnn" and ratios:
            mean = float(np.exp(np.mean(np.log(ratios))))
            worse = sum(ratio > 1 for ratio in ratios)
            said.append(f"{title} {mean:.2f} (above 1 on {worse} of {len(ratios)})")
    return f"MASE divided by that of tsrnn, geometric mean: {', '.join(said)}." if said else ""


def _notes(results: list[Result]) -> str:
    lines = []
    if any(each.get("cut") for each in results):
        lines.append(
            "† Training was stopped at the limit of processor seconds: the forecast is of what it had by then."
        )
    for each in results:
        if "error" in each:
            title = COLUMNS[each["library"], each["model"]]
            lines.append(f"{title} failed on {each['set']}: {each['error']}")
    return "\n".join(f"- {line}" for line in lines)


def _measured_with(results: list[Result]) -> str:
    """Return one sentence on what measured, and when."""
    told = {name: version for each in results for name, version in each.get("versions", {}).items()}
    libraries = {library.replace("_", "-") for library, _ in COLUMNS}
    said = ", ".join(f"{name} {told[name]}" for name in sorted(libraries & set(told)))
    days = sorted({each["day"] for each in results})
    when = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    return f"Measured on {when} with {said}, each with torch {told.get('torch')}, one thread of one {platform.machine()} core."
