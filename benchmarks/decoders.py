"""The decoders side by side: direct, recurrent, attention and shift, with equal budgets.

    TSRNN_DATA=... python benchmarks/decoders.py --write docs/benchmarks.md

One network of each decoder is fitted to every set before its last horizons, with the same number of
optimiser steps, batch and hidden size, and forecasts the last horizons of each series, one after the
other, each time given all rows of the newest ``ROWS`` before it. MASE is divided by the in-sample
error of the seasonal naive forecast; coverage is that of the 80 % interval; CPU seconds are those of
fit and of all forecasts. Results are kept as lines of JSON, and what is there is not run again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
from peer_sets import SEASONAL_NAIVE, SETS, Case, rows_to_go, score, seasonal_naive
from tables import machine, table, write_between
from trial import Clock, Outcome, Record, Trial, append, quiet, read

DECODERS = {
    "direct": {"decoder": "direct"},
    "recurrent, never fed": {"decoder": "recurrent", "teacher_forcing": "never"},
    "attention, never fed": {"decoder": "attention", "teacher_forcing": "never"},
    "recurrent, scheduled": {"decoder": "recurrent", "teacher_forcing": "scheduled"},
    "attention, scheduled": {"decoder": "attention", "teacher_forcing": "scheduled"},
    "shift": {"decoder": "shift"},
}
MEASURES = ("mase", "smape", "coverage", "validation")
ROWS = 6000  # newest of each series: a season of every kind is in them

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


def forecasts(frame: pd.DataFrame, case: Case, trial: Trial) -> Outcome:
    """Fit before the last horizons of each series, and forecast them one after the other."""
    clock, to_go = Clock(), rows_to_go(frame)
    model = trial.model(horizon=case.horizon)
    with quiet(), clock("fit"):
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


def lines(name: str, records: dict[str, Record]) -> list[list[str]]:
    """Return the rows of a set: each decoder, and the seasonal naive forecast."""
    rows = []
    for decoder, record in records.items():
        own = {measure: record.scores[measure]["tsrnn"] for measure in MEASURES}
        mase = f"{own['mase']:.3f}"
        best = mase == f"{min(r.scores['mase']['tsrnn'] for r in records.values()):.3f}"
        rows.append([
            name, decoder, f"**{mase}**" if best else mase,
            f"{own['smape']:.2f}", f"{own['coverage']:.0%}", f"{own['validation']:.4f}",
            f"{record.best_step}",
            f"{record.cpu['fit']:.0f}", f"{record.cpu['predict']:.1f}",
        ])  # fmt: skip
    naive = {m: next(iter(records.values())).scores[m][SEASONAL_NAIVE] for m in MEASURES}
    rows.append([name, SEASONAL_NAIVE, f"{naive['mase']:.3f}", f"{naive['smape']:.2f}", *"·····"])
    return rows


def report(records: Sequence[Record], settings: dict[str, int], seed: int) -> str:
    """Return the table of the records of one budget, and what was measured."""
    head = [
        "set", "decoder", "MASE", "sMAPE", "in 80 %", "validation", "best step", "fit, CPU s", "predict, CPU s",
    ]  # fmt: skip
    rows: list[list[str]] = []
    chosen: dict[str, dict[str, Record]] = {}
    for name in CASES:
        for decoder, own in DECODERS.items():
            trial = Trial(seed, settings={**settings, **own})
            for record in records:
                if (record.set, record.trial) == (name, trial):
                    chosen.setdefault(name, {})[decoder] = record
    for name, those in chosen.items():
        rows += lines(name, those)
    sizes = "; ".join(
        f"{name}: {r.sizes['series']} series, {r.sizes['windows']} windows of {r.sizes['horizon']}"
        for name, r in ((name, next(iter(those.values()))) for name, those in chosen.items())
    )
    budget = ", ".join(f"{key} {value}" for key, value in settings.items())
    return (
        f"{table(head, rows)}\n\nEach decoder: {budget}, seed {seed}, the newest {ROWS} rows of a series; "
        f"{sizes}. Validation: the lowest score of all of training, lower is better (shift: of an eighth of the "
        f"origins). Best step 0: training was undone, and the mixture of references remains. A decoder that is "
        f"not listed was not run. {machine()}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--decoders", nargs="+", choices=DECODERS, default=list(DECODERS))
    parser.add_argument("--max-steps", type=int, default=400)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--hidden-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=Path("decoders.jsonl"))
    parser.add_argument("--write", type=Path, help="markdown file with the markers of this table")
    options = parser.parse_args(arguments)
    settings = {name: getattr(options, name) for name in ("max_steps", "batch_size", "hidden_size")}
    for decoder in options.decoders:
        for name in options.sets:
            trial = Trial(options.seed, settings={**settings, **DECODERS[decoder]})
            if any((r.set, r.trial) == (name, trial) for r in read(options.results)):
                continue
            outcome = forecasts(rows_of(name), CASES[name], trial)
            append(options.results, Record.of(name, trial, outcome))
            print(name, decoder, outcome.scores, outcome.clock.cpu, flush=True)
    text = report(read(options.results), settings, options.seed)
    print(text)
    if options.write is not None:
        write_between(options.write, "decoders", text)


if __name__ == "__main__":
    main()
