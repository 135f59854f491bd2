"""Accuracy on public benchmarks, by their own protocols, beside published figures.

    TSRNN_DATA=folder python benchmarks/accuracy.py --seeds 3 --results accuracy.jsonl --write docs/benchmarks.md

One configuration for all sets: the defaults of ``RNNForecaster``; only horizon and season follow the
set. The protocols are told where the sets are listed: ``competition.py`` (M4, M3, hospital, exchange
rates: one window a series), ``rolling.py`` (stocks, power prices, demand: fitted once, forecast at every
cutoff) and ``longrun.py`` (ETT, long horizons, all windows). ``yardsticks.py`` has the figures beside ours.

``--split validation`` drops the judged rows first and judges the rows before them: everything is
chosen by that split. ``--split test`` chooses nothing, and is the table of docs/benchmarks.md.

Every seed of every set is a line of the ``--results`` file, written as soon as it is known; what the
file has for the same split, series, cutoffs and settings is not run again. ``--from`` only writes the tables.
CPU seconds are of this process, on one thread; several seeds are averaged, and the headline scores come
with the smallest and the largest.
"""

from __future__ import annotations

import argparse
import difflib
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accuracy_report import Records, report
from competition import COMPETITIONS
from longrun import LONGRUN
from rolling import ROLLING
from tables import write_between
from trial import Outcome, Record, Trial, append, quiet, read

import tsrnn
from tsrnn import RNNForecaster, datasets

KINDS: dict[str, dict[str, Any]] = {
    "competition": COMPETITIONS,
    "rolling": ROLLING,
    "long": LONGRUN,
}


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    kept = read(options.kept) if options.kept else read(options.results) if options.results else []
    for kind, sets in KINDS.items():
        records: Records = {}
        for name in sets:
            if name not in options.sets:
                continue
            for seed in range(options.seeds):
                trial = Trial(seed, options.split, options.first, options.stride, options.settings)
                known = [each for each in kept if (each.set, each.trial) == (name, trial)]
                if not known and options.kept:
                    continue
                record = known[-1] if known else _run(name, sets[name], trial, options)
                records.setdefault(name, []).append(record)
        if not records:
            continue
        text = report(records, split=options.split)
        print(f"\n## {kind}\n\n{text}", flush=True)
        if options.write is not None:
            write_between(options.write, f"accuracy-{kind}", text)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    known = [name for sets in KINDS.values() for name in sets]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--split", choices=("test", "validation"), default="test")
    parser.add_argument("--sets", nargs="+", choices=known, default=known, metavar="SET")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, ... to average over")
    parser.add_argument("--first", type=int, help="so many series of each set only")
    parser.add_argument(
        "--stride", type=int, default=1, help="every so many cutoffs of a rolling set"
    )
    parser.add_argument(
        "--set", action="append", default=[], dest="given", metavar="NAME=VALUE",
        help="parameter of RNNForecaster instead of the default, the value in JSON",
    )  # fmt: skip
    parser.add_argument("--results", type=Path, help="JSON lines, appended to and resumed from")
    parser.add_argument(
        "--from", type=Path, dest="kept", metavar="FILE", help="write tables from results, run none"
    )
    parser.add_argument("--experiment", help="MLflow experiment, one run per set and seed")
    parser.add_argument("--write", type=Path, help="markdown file with the markers of the tables")
    options = parser.parse_args(arguments)
    try:
        options.settings = dict(_setting(text) for text in options.given)
    except ValueError as error:
        parser.error(str(error))
    return options


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    names = RNNForecaster().get_params()
    if not equals or name not in names:
        near = difflib.get_close_matches(name, names, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"--set needs NAME=VALUE with a parameter of RNNForecaster. Got {text!r}.{hint}"
        )
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value  # a plain word is a word


def _run(name: str, case: Any, trial: Trial, options: argparse.Namespace) -> Record:
    """Run one seed of one set, and keep what it found."""
    _import_all()
    if options.experiment is None:
        record = Record.of(name, trial, case.run(trial))
    else:
        with tsrnn.track(options.experiment, f"{name}, seed {trial.seed}") as run:
            with tsrnn.tracking.untracked():  # else the fit's seconds would hold those of MLflow
                outcome = case.run(trial)
            record = Record.of(name, trial, outcome)
            _log(run, record, outcome)
    if options.results is not None:
        append(options.results, record)
    print(_progress(record), flush=True)
    return record


@functools.cache
def _import_all() -> None:
    """Load torch and Lightning, whose seconds are not those of the first set."""
    with quiet():
        RNNForecaster(max_steps=1, hidden_size=4).fit(datasets.sine(n=60))


def _log(run: Any, record: Record, outcome: Outcome) -> None:
    trial, model = record.trial, outcome.model
    run.set_tags(
        {"set": record.set, "split": trial.split, "overridden": json.dumps(trial.settings)}
    )
    run.log_params({**model.get_params(), "first": trial.first, "stride": trial.stride})
    for measure, values in record.scores.items():
        run.log_metrics({f"{method}/{measure}": value for method, value in values.items()})
    for what in record.cpu:
        run.log_metrics({f"{what}_cpu_s": record.cpu[what], f"{what}_wall_s": record.wall[what]})
    for row in model.history_.to_dict("records"):
        run.log_metrics({key: value for key, value in row.items() if key != "step"}, row["step"])
    run.log_metrics({"best_step": record.best_step})
    run.log_text(model.summary(), "summary.txt")
    run.log_table(outcome.per_series, "per_series")


def _progress(record: Record) -> str:
    ours = "  ".join(
        f"{measure} {values['tsrnn']:.4f}"
        for measure, values in record.scores.items()
        if "tsrnn" in values
    )
    return (
        f"{record.set:20s} seed {record.trial.seed}  {ours}  step {record.best_step}  "
        f"fit {record.cpu['fit']:.1f}, predict {record.cpu['predict']:.1f} CPU s"
    )


if __name__ == "__main__":
    main()
