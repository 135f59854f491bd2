r"""The classic tasks of recurrent networks, cell by cell and by lag.

    python benchmarks/classic.py --quick                                    # minutes
    python benchmarks/classic.py --results classic.jsonl --write docs/benchmarks.md \\
        --figure docs/images/memory.png

Echo, the adding problem, copy memory, a sine with gaps and a change of regime (``classic/tasks.py``) are
learnt by every cell of the library, a convolutional and a plain network (``classic/models.py``): one layer
of 64 units (minGRU and minLSTM: three) and a linear readout, Adam at the library's own learning rate of 2e-3, batches of 50, gradients
clipped at norm 1, fresh sequences at every step, the same ones for all (``classic/training.py``). A training
ends when its task is solved. Which lags and how many steps stands in ``classic/suites.py``.

Each training is a line of the ``--results`` file, written as soon as it is known; what the file has is
not run again. ``--from`` only writes the tables.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from classic.figure import draw_memory
from classic.models import MODELS
from classic.results import Result, append, key, read
from classic.suites import FULL, QUICK, Case
from classic.table import report
from classic.training import learn
from tables import write_between


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    cases = QUICK if options.quick else FULL
    file = options.kept or options.results
    results = read(file) if file else []
    for case in cases:
        if case.task.name not in options.tasks:
            continue
        for model in options.models:
            results += _missing(case, model, results, options)
    text = report(cases, results)
    print(text)
    if options.write is not None:
        write_between(options.write, "classic", text)
    figure = draw_memory(next(case for case in cases if case.task.name == "adding"), results)
    if options.figure is not None and figure is not None:
        figure.savefig(options.figure, dpi=75)


def _missing(
    case: Case, model: str, known: list[Result], options: argparse.Namespace
) -> list[Result]:
    """Run the trainings of one cell of the tables that are not known yet."""
    made = []
    for seed in range(case.seeds_of(model)):
        wanted = key(case, model, seed)
        if options.kept or any(each.key == wanted for each in known):
            continue
        result = Result.of(wanted, learn(model, case.task, case.budget, seed=seed))
        made.append(result)
        if options.results is not None:
            append(options.results, result)
        solved = result.learnt.solved_at
        end = "" if solved is None else f", solved at step {solved}"
        print(
            f"{case.task.name}, {case.title}, {model}, seed {seed}: {result.score:.4g}{end}"
            f" ({result.learnt.seconds:.0f} s)",
            flush=True,
        )
    return made


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    tasks = list(dict.fromkeys(case.task.name for case in FULL))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short lags and few steps: minutes")
    parser.add_argument("--tasks", nargs="+", choices=tasks, default=tasks, metavar="TASK")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS, metavar="MODEL")
    parser.add_argument("--results", type=Path, help="JSON lines, appended to and resumed from")
    parser.add_argument(
        "--from", type=Path, dest="kept", metavar="FILE", help="write tables from results, run none"
    )
    parser.add_argument("--write", type=Path, help="markdown file with the markers of the tables")
    parser.add_argument("--figure", type=Path, help="image of the gradients by lag")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
