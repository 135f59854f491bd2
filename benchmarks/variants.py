"""Variants of one choice side by side with equal budgets: the decoders, or the rows a recurrent step reads.

    TSRNN_DATA=... python benchmarks/variants.py decoders --write docs/benchmarks.md
    TSRNN_DATA=... python benchmarks/variants.py patches --write docs/benchmarks.md

One network of each variant is fitted to every set before its last horizons, with the same number of
optimiser steps, batch and hidden size, and forecasts the last horizons of each series, one after the
other, each time given all rows of the newest ``ROWS`` before it. The library undoes training that validation
does not show to help beyond chance, and then all variants would say the same mixture of references: here what was
learned is kept whatever the evidence, and the evidence (gain in standard errors; the library keeps
training from 1 on) stands beside it. MASE is divided by the in-sample error of the seasonal naive
forecast; coverage is that of the 80 % interval; CPU seconds are those of fit and of all forecasts.
Results are kept as lines of JSON, and what is there is not run again.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
from peer_sets import SEASONAL_NAIVE, SETS, Case, rows_to_go, score, seasonal_naive
from tables import machine, table, write_between
from trial import Clock, Outcome, Record, Trial, append, quiet, read

from tsrnn.learning.validation import Validation

VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "decoders": {
        "direct": {"decoder": "direct"},
        "recurrent, never fed": {"decoder": "recurrent", "teacher_forcing": "never"},
        "attention, never fed": {"decoder": "attention", "teacher_forcing": "never"},
        "recurrent, scheduled": {"decoder": "recurrent", "teacher_forcing": "scheduled"},
        "attention, scheduled": {"decoder": "attention", "teacher_forcing": "scheduled"},
        "shift": {"decoder": "shift"},
    },
    "patches": {f"{rows} row{'s' * (rows > 1)}": {"patch": rows} for rows in (1, 2, 4, 8, 12, 24)},
}
MEASURES = ("mase", "smape", "coverage", "validation", "evidence")
ROWS = 6000  # newest of each series: a season of every kind is in them
# so that all take the same steps on the same rows
SETTLED = {"decoders": {}, "patches": {"patience": None, "context_length": 336}}
CASES = {
    "etth1": replace(SETS["etth1"], windows=8),
    "vic_elec, hourly": replace(SETS["vic_elec"], horizon=24, season=24, freq="h", windows=8),
    "m4 hourly, first 50": replace(SETS["m4 hourly"], first=50),
    "exchange_rate": replace(SETS["exchange_rate"], windows=8),
}


def rows_of(name: str) -> pd.DataFrame:
    """Return the newest rows of a set; half-hourly demand as the mean of each hour."""
    frame = CASES[name].frame()
    if "hourly" in name and CASES[name].source == "vic_elec":
        hour = frame["ds"].dt.floor("h")
        frame = frame.groupby(["unique_id", hour], as_index=False, sort=False)["y"].mean()
    return frame.groupby("unique_id", sort=False).tail(ROWS).reset_index(drop=True)


@contextmanager
def kept() -> Iterator[list[float]]:
    """Keep what is learned whatever the evidence, which is noted in the list."""
    found: list[float] = []
    weigh = Validation.evidence

    def evidence(self: Validation, before: np.ndarray, after: np.ndarray) -> float:
        found.append(weigh(self, before, after))
        return float("inf")

    with mock.patch.object(Validation, "evidence", evidence):
        yield found


def forecasts(frame: pd.DataFrame, case: Case, trial: Trial) -> Outcome:
    """Fit before the last horizons of each series, and forecast them one after the other."""
    clock, to_go = Clock(), rows_to_go(frame)
    model = trial.model(horizon=case.horizon)
    with quiet(), kept() as evidence, clock("fit"):
        model.fit(frame[to_go >= case.windows * case.horizon])
    said = []
    for window in range(case.windows):
        known = frame[to_go >= (case.windows - window) * case.horizon]
        with quiet(), clock("predict"):
            one = model.predict(known, level=[80])
        step = one.groupby("unique_id", sort=False).cumcount() + 1
        said.append(one.assign(window=window, step=step))
    names = {"forecast-lo-80": "lo", "forecast-hi-80": "hi"}
    found = score(frame, pd.concat(said, ignore_index=True).rename(columns=names), case)
    naive = score(frame, seasonal_naive(frame, case), case)
    found["validation"] = float(model.history_["val_score"].min())
    found["evidence"] = evidence[0]
    scores = {
        measure: {"tsrnn": found[measure], SEASONAL_NAIVE: naive.get(measure)}
        for measure in MEASURES
    }
    sizes = {
        "series": frame["unique_id"].nunique(),
        "windows": case.windows,
        "horizon": case.horizon,
    }
    return Outcome(scores, sizes, clock, model, pd.DataFrame())


def lines(name: str, variants: dict[str, list[Record]]) -> list[list[str]]:
    """Return the rows of a set: each variant, a mean over its seeds, and the seasonal naive forecast."""
    means = {
        variant: {m: float(np.mean([r.scores[m]["tsrnn"] for r in each])) for m in MEASURES}
        for variant, each in variants.items()
    }
    best = min(f"{own['mase']:.3f}" for own in means.values())
    rows = []
    for variant, own in means.items():
        each = variants[variant]
        errors = [r.scores["mase"]["tsrnn"] for r in each]
        mase = f"{own['mase']:.3f}"
        rows.append([
            name, variant, f"**{mase}**" if mase == best else mase, f"{min(errors):.3f}–{max(errors):.3f}",
            f"{own['smape']:.2f}", f"{own['coverage']:.0%}", f"{own['validation']:.4f}", f"{own['evidence']:.1f}",
            "/".join(str(r.best_step) for r in each),
            f"{np.mean([r.cpu['fit'] for r in each]):.0f}", f"{np.mean([r.cpu['predict'] for r in each]):.1f}",
        ])  # fmt: skip
    naive = next(iter(variants.values()))[0].scores
    rows.append(
        [name, SEASONAL_NAIVE, f"{naive['mase'][SEASONAL_NAIVE]:.3f}", "·",
         f"{naive['smape'][SEASONAL_NAIVE]:.2f}", *"······"]
    )  # fmt: skip
    return rows


def report(
    records: Sequence[Record], choice: str, settings: dict[str, Any], seeds: Sequence[int]
) -> str:
    """Return the table of the records of one budget, and what was measured."""
    head = [
        "set", "variant", "MASE", "seeds", "sMAPE", "in 80 %", "validation", "evidence", "best step",
        "fit, CPU s", "predict, CPU s",
    ]  # fmt: skip
    rows: list[list[str]] = []
    sizes = []
    for name in CASES:
        found: dict[str, list[Record]] = {}
        for variant, own in VARIANTS[choice].items():
            trials = [Trial(seed, settings={**settings, **own}) for seed in seeds]
            those = [r for r in records if r.set == name and r.trial in trials]
            if those:
                found[variant] = those
        if found:
            rows += lines(name, found)
            size = next(iter(found.values()))[0].sizes
            sizes.append(
                f"{name}: {size['series']} series, {size['windows']} windows of {size['horizon']}"
            )
    budget = ", ".join(f"{key} {value}" for key, value in settings.items())
    return (
        f"{table(head, rows)}\n\nEach of the {choice}: {budget}, seeds {', '.join(map(str, seeds))}, the newest {ROWS} rows "
        f"of a series; {'; '.join(sizes)}. Validation: the lowest score of all of training, lower is better (shift: of an "
        f"eighth of the origins). Best step 0: no step was better than none. What is not listed was not run. {machine()}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("choice", choices=VARIANTS)
    parser.add_argument("--sets", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--max-steps", type=int, default=300)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--hidden-size", type=int, default=32)
    parser.add_argument("--seeds", type=int, default=2, help="0, 1, ... to average over")
    parser.add_argument("--results", type=Path, default=Path("variants.jsonl"))
    parser.add_argument("--write", type=Path, help="markdown file with the markers of this table")
    options = parser.parse_args(arguments)
    budget = {name: getattr(options, name) for name in ("max_steps", "batch_size", "hidden_size")}
    settings, variants = budget | SETTLED[options.choice], VARIANTS[options.choice]
    for seed, name, variant in itertools.product(range(options.seeds), options.sets, variants):
        trial = Trial(seed, settings={**settings, **variants[variant]})
        if any((r.set, r.trial) == (name, trial) for r in read(options.results)):
            continue
        outcome = forecasts(rows_of(name), CASES[name], trial)
        append(options.results, Record.of(name, trial, outcome))
        print(seed, name, variant, outcome.scores, outcome.clock.cpu, flush=True)
    text = report(read(options.results), options.choice, settings, range(options.seeds))
    print(text)
    if options.write is not None:
        write_between(options.write, options.choice, text)


if __name__ == "__main__":
    main()
