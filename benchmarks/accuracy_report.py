"""The accuracy tables as markdown: ours beside simple methods, published figures and goals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from tables import table
from trial import Record
from yardsticks import MEASURES, SOURCES, YARDSTICKS, Yardstick

__all__ = ["report", "with_m3_average"]

Records = dict[str, list[Record]]
OURS = "tsrnn"
BASELINES = {"naive": "naive", "seasonal_naive": "seasonal naive", "naive2": "Naive2"}
M3 = ("m3_yearly", "m3_quarterly", "m3_monthly", "m3_other")
NOMINAL = {"in_80": 0.80, "in_95": 0.95}


def report(records: Records, *, split: str) -> str:
    """Return both tables of some sets, and sentences on all of them."""
    records = with_m3_average(records)
    whole = split == "test" and not any(each[0].trial.first for each in records.values())
    return "\n\n".join([_goals(records, whole=whole), _all_scores(records), _words(records, whole)])


def with_m3_average(records: Records) -> Records:
    """Add the average sMAPE of M3, weighted by points, where all four parts are there."""
    seeds = [{r.trial.seed: r for r in records.get(name, [])} for name in M3]
    shared = sorted(set.intersection(*(set(each) for each in seeds)))
    if not shared:
        return records
    averages = []
    for seed in shared:
        parts = [each[seed] for each in seeds]
        points = [part.sizes["series"] * part.sizes["horizon"] for part in parts]
        smape = {
            method: float(np.average([p.scores["smape"][method] for p in parts], weights=points))
            for method in parts[0].scores["smape"]
        }
        averages.append(
            replace(
                parts[0],
                set="m3 average",
                scores={"smape": smape},
                sizes={"series": sum(part.sizes["series"] for part in parts)},
                cpu={name: sum(part.cpu[name] for part in parts) for name in parts[0].cpu},
                wall={name: sum(part.wall[name] for part in parts) for name in parts[0].wall},
            )
        )
    added: Records = {}
    for name, each in records.items():
        added[name] = each
        if name == M3[-1]:
            added["m3 average"] = averages
    return added


def _goals(records: Records, *, whole: bool) -> str:
    shown = {
        name: label
        for name, label in BASELINES.items()
        if any(name in values for each in records.values() for values in each[0].scores.values())
    }
    head = ["set", "measure", f"**{OURS}**", *shown.values()]
    head += ["published", "must", "aim", "met"] if whole else []
    rows = [
        _goal_row(name, each, yardstick, shown, whole=whole)
        for name, each in records.items()
        for yardstick in YARDSTICKS[name]
        if yardstick.measure in each[0].scores
    ]
    return table(head, rows)


def _goal_row(
    name: str, records: list[Record], yardstick: Yardstick, shown: dict[str, str], *, whole: bool
) -> list[str]:
    measure = yardstick.measure
    value = _mean(records, measure, OURS)
    row = [name, MEASURES[measure], f"**{_number(value)}**{_spread(records, measure)}"]
    row += [_number(_mean(records, measure, method)) for method in shown]
    if whole:
        said = ", ".join(f"{who} {_number(what)}" for who, what in yardstick.published.items())
        goals = (yardstick.must, yardstick.aim)
        row += [said or "–", *("–" if goal is None else _number(goal) for goal in goals), _met(value, *goals)]  # fmt: skip
    return row


def _met(value: float, must: float | None, aim: float | None) -> str:
    if must is None:
        return "–"
    if aim is not None and value <= aim:
        return "aim"
    return "yes" if round(value, 3) <= must else "**no**"


def _all_scores(records: Records) -> str:
    measures = [
        name
        for name in MEASURES
        if any(OURS in each[0].scores.get(name, {}) for each in records.values())
    ]
    head = ["set", "series", "windows x horizon", *(MEASURES[name] for name in measures)]
    head += ["best step", "fit, CPU s", "predict, CPU s", "wall s"]
    rows = []
    for name, each in records.items():
        sizes = each[0].sizes
        of = f"{sizes['windows']} x {sizes['horizon']}" if "windows" in sizes else "–"
        row = [name, str(sizes["series"]), of]
        row += [_score(each, measure) for measure in measures]
        steps = "/".join(str(r.best_step) for r in each) if "windows" in sizes else "–"
        row += [steps, *(f"{np.mean([r.cpu[what] for r in each]):.1f}" for what in ("fit", "predict"))]  # fmt: skip
        rows.append([*row, f"{np.mean([sum(r.wall.values()) for r in each]):.1f}"])
    return table(head, rows)


def _score(records: list[Record], measure: str) -> str:
    value = _mean(records, measure, OURS)
    if measure in NOMINAL and np.isfinite(value):
        off = abs(value - NOMINAL[measure])
        return f"**{value:.1%}**" if off > 0.04 else f"{value:.1%}"
    return _number(value)


def _words(records: Records, whole: bool) -> str:  # noqa: FBT001 - one caller
    off = [
        max(abs(_mean(each, name, OURS) - nominal) for name, nominal in NOMINAL.items())
        for each in records.values()
        if all(name in each[0].scores for name in NOMINAL)
    ]
    said = []
    if off:
        within = [sum(each <= points for each in off) for points in (0.04, 0.02)]
        said.append(
            f"Both intervals within 4 points of their promise on {within[0]} of {len(off)} sets, within 2 on {within[1]}."
        )
    trials = [record.trial for each in records.values() for record in each]
    said.append(f"Seeds: {', '.join(map(str, sorted({trial.seed for trial in trials})))}.")
    first, stride, settings = trials[0].first, trials[0].stride, trials[0].settings
    if first is not None:
        said.append(f"Only the first {first} series of each set.")
    if stride > 1:
        said.append(f"Only every cutoff number {stride} of the rolling sets.")
    if settings:
        said.append(f"Settings instead of the defaults: {settings}.")
    said += sorted({record.machine for each in records.values() for record in each})
    return " ".join(said) + (f"\n\n{SOURCES}" if whole else "")


def _mean(records: Sequence[Record], measure: str, method: str) -> float:
    return float(
        np.mean([record.scores.get(measure, {}).get(method, np.nan) for record in records])
    )


def _spread(records: list[Record], measure: str) -> str:
    if len(records) == 1:
        return ""
    each = [record.scores[measure][OURS] for record in records]
    return f" ({_number(min(each))}–{_number(max(each))})"


def _number(value: float) -> str:
    """Return at least three decimals of a value below 100, and four digits of a small one."""
    if not np.isfinite(value):
        return "–"
    if 0 < abs(value) < 0.1:
        return f"{value:.4f}"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}"
