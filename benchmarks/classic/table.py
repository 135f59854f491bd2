"""The tables: a task each, a row a network, a column a lag."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from tables import table

from classic.models import MODELS
from classic.results import Result, key
from classic.suites import Case
from classic.tasks import RegimeChange, Task

__all__ = ["report"]

WORDS = {
    "echo": (
        "Echo: n digits in, the k-th out",
        "Share of right digits among 1,000 fresh sequences, and the step at which all were right. Headings: n, k.",
    ),
    "adding": (
        "Adding problem",
        (
            "Mean squared error on fresh sequences, median over seeds, and the median step at which it was below 0.01. "
            "Published at length 600 (Bai, Kolter and Koltun 2018): LSTM 0.164, GRU 5.3e-5, Elman 0.177, TCN 5.8e-5."
        ),
    ),
    "copy": (
        "Copy memory",
        (
            "Cross-entropy in nats, mean over all steps; training ends at a tenth of what remembering nothing leaves. "
            "Published at lag 1000 (Bai, Kolter and Koltun 2018): LSTM 0.0204, GRU 0.0197, Elman 0.0202, TCN 3.5e-5."
        ),
    ),
    "sine with gaps": (
        "Sine with gaps",
        "Mean squared error of the newest value after so many missing ones; solved below 0.01.",
    ),
    "regime change": (
        "A change of regime",
        "Mean squared error one step ahead; headings: one change every so many steps. Knowing the regime leaves 1.",
    ),
}


def report(cases: Sequence[Case], results: Sequence[Result]) -> str:
    """Return one table a task, of what has been run of it."""
    tasks = dict.fromkeys(case.task.name for case in cases)
    parts = [_task([case for case in cases if case.task.name == name], results) for name in tasks]
    whole = "\n\n".join(part for part in parts if part)
    machines = dict.fromkeys(each.machine for each in results)
    seconds = sum(each.learnt.seconds for each in results)
    return f"{whole}\n\nAll in {seconds / 60:.0f} CPU minutes. {' '.join(machines)}".strip()


def _task(cases: Sequence[Case], results: Sequence[Result]) -> str:
    known = {case: _found(case, results) for case in cases}
    shown = [case for case in cases if known[case]]
    if not shown:
        return ""
    models = [name for name in MODELS if any(name in known[case] for case in shown)]
    rows = [
        [
            name,
            _parameters(known, name),
            *(_cell(case, name, known[case].get(name, [])) for case in shown),
        ]
        for name in models
    ]
    rows += [
        ["*remembers nothing*", "", *(_number(case.task, case.task.baseline) for case in shown)]
    ]
    rows += _bests(shown)
    title, text = WORDS[shown[0].task.name]
    seeds = sorted({case.seeds for case in shown})
    count = ""
    if seeds != [1]:
        count = f" Seeds: {', '.join(map(str, seeds))} of gru, lstm and rnn, one of the others."
    heads = ["network", "parameters", *(case.title for case in shown)]
    most = sorted({case.budget.steps for case in shown})
    steps = f" At most {' or '.join(f'{each:,}' for each in most)} steps."
    return f"### {title}\n\n{text}{steps}{count}\n\n{table(heads, rows)}"


def _found(case: Case, results: Sequence[Result]) -> dict[str, list[Result]]:
    wanted = {
        (name, seed): key(case, name, seed)
        for name in MODELS
        for seed in range(case.seeds_of(name))
    }
    found: dict[str, list[Result]] = {}
    for (name, _), told in wanted.items():
        found.setdefault(name, []).extend([each for each in results if each.key == told][:1])
    return {name: some for name, some in found.items() if some}


def _parameters(known: dict[Case, dict[str, list[Result]]], name: str) -> str:
    sizes = sorted(
        {each.learnt.parameters for found in known.values() for each in found.get(name, [])}
    )
    return f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"


def _cell(case: Case, model: str, found: Sequence[Result]) -> str:
    if not found:
        return "" if model in case.models else "·"
    said = _number(case.task, median(each.score for each in found))
    solved = [each.learnt.solved_at for each in found]
    wanted = case.seeds_of(model)
    some = "" if len(found) == wanted else f" ({len(found)} of {wanted} seeds)"
    if not isinstance(case.task, RegimeChange):
        steps = median(case.budget.steps + 1 if each is None else each for each in solved)
        said += f" at {steps:,.0f}" if steps <= case.budget.steps else ""
    return f"**{said}**{some}" if all(each is not None for each in solved) else said + some


def _number(task: Task, score: float) -> str:
    return f"{score:.1%}" if task.name == "echo" else f"{score:.3g}"


def _bests(shown: Sequence[Case]) -> list[list[str]]:
    """Return the row of the best that can be done, where that is not nothing."""
    best = [case.task.best for case in shown if isinstance(case.task, RegimeChange)]
    return [["*Hamilton's filter*", "", *(f"{each:.3g}" for each in best)]] if best else []
