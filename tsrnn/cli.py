"""The ``tsrnn`` command: run, check, backfill and schedule pipelines, compare runs, open MLflow on them.

Exit codes::

    0    done
    1    an error of any other kind
    2    the spec or the command line can't be used
    3    the data can't be used
    4    the gate refused: no forecast was made
    130  interrupted (Ctrl-C)
    143  terminated (SIGTERM)

Errors are one message on stderr; ``--debug`` adds the traceback. Nothing heavy is imported before a
command needs it, so that ``tsrnn --help`` answers at once.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from tsrnn import __version__

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["main"]

EPILOG = (
    "Exit codes: 0 done, 1 error, 2 bad spec or usage, 3 bad data, 4 gate refused, 130 interrupted, "
    "143 terminated."
)


TERMINATED = 143
GRACE = 9.0
"""Seconds after SIGTERM in which the process ends, whatever it waits for."""
LAST = 3.0
"""How many of them are kept to end its MLflow runs, where it has not done so by itself."""


class _Terminated(SystemExit):
    """SIGTERM arrived; unwinding closes files and the MLflow run, then the exit code is 143."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; those of the process when not given.
    """
    arguments = _parser().parse_args(argv)
    is_process = argv is None
    before = _on_sigterm(_terminate_in_time if is_process else _terminate)
    try:
        return int(arguments.command(arguments) or 0)
    except (
        Exception,
        KeyboardInterrupt,
        _Terminated,
    ) as error:  # the boundary: every error becomes words
        if arguments.debug:
            raise
        code = _explain(error)
        if code == TERMINATED and is_process:
            # all is closed; taking torch down can need seconds on a busy machine
            sys.stdout.flush()
            os._exit(code)
        return code
    finally:
        _on_sigterm(before)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tsrnn",
        description="Recurrent forecasting: tracked runs from a YAML file.",
        epilog=EPILOG,
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    pipeline = commands.add_parser(
        "pipeline", help="run, check, backfill, study or schedule pipelines", epilog=EPILOG
    )
    _add_actions(pipeline.add_subparsers(required=True, metavar="ACTION"))

    ui = _add(
        commands,
        "ui",
        _ui,
        help="open MLflow on the runs of the store",
        description="Serve MLflow on the local store until Ctrl-C and open the page that compares the runs named, or "
        "the newest of a pipeline; without either, the newest experiment.",
    )
    ui.add_argument("runs", nargs="*", metavar="RUN", help="names or ids of runs to compare")
    ui.add_argument("--pipeline", metavar="SPEC", help="compare the newest runs of this pipeline")
    ui.add_argument("--no-browser", action="store_true", help="print the address alone")
    ui.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: this machine only)"
    )
    ui.add_argument("--port", type=int, default=5000, help="port (default: 5000)")

    compare = _add(
        commands,
        "compare",
        _compare,
        help="print runs side by side",
        description="Print the scores of runs, the best first, and the parameters in which they differ. Runs that "
        "other data, cutoffs or horizons have judged are refused.",
    )
    compare.add_argument(
        "runs", nargs="*", metavar="RUN", help="names or ids (all finished runs when none is given)"
    )
    compare.add_argument("--experiment", metavar="NAME", help="only the runs of this experiment")
    compare.add_argument("--anyway", action="store_true", help="compare what is not alike, too")

    _add(commands, "version", _version, help="print the version")
    return parser


def _add_actions(actions: Any) -> None:
    spec, date, work = _options(_add_spec), _options(_add_date), _options(_add_work)
    _add(
        actions,
        "run",
        _run,
        help="load, check, backtest, fit or update, judge, register, forecast, write",
        description="Run a pipeline for a date. A date that is finished is answered from its record; one that "
        "was broken off is gone on with.",
        parents=[spec, date, work],
    )
    _add(
        actions,
        "check",
        _check,
        help="load and check without training",
        description="Read the spec, load the data and pass them through the gate; nothing is trained or written.",
        parents=[spec, date],
    )
    backfill = _add(
        actions,
        "backfill",
        _backfill,
        help="run every date of a span, oldest first",
        description="Run a pipeline as of every date between two that the data have, oldest first. Finished dates "
        "are answered from their records.",
        parents=[spec, work],
    )
    backfill.add_argument("--from", dest="first", metavar="DATE", required=True)
    backfill.add_argument("--to", dest="last", metavar="DATE", required=True)
    study = _add(
        actions,
        "study",
        _study,
        help="compare refitting, warm starts and updates by accuracy and CPU time",
        description="Backtest the model of a pipeline as fitted again every so many dates, from scratch and from the "
        "weights before, and with its state moved on alone; print accuracy beside CPU seconds.",
        parents=[spec, date],
    )
    study.add_argument(
        "--every",
        type=int,
        action="append",
        metavar="K",
        help="dates from one fit to the next (repeat for more; default: 1 and 5)",
    )
    serve = _add(
        actions,
        "serve",
        _serve,
        help="run the schedules of a folder",
        description="Run each pipeline of a folder at the times of its 'schedule', each run in a process of its "
        "own with a time limit and retries, until SIGTERM or Ctrl-C.",
    )
    serve.add_argument("folder", metavar="FOLDER", help="folder of YAML files, such as pipelines/")


def _add(
    commands: Any, name: str, command: Callable[..., Any], **how: Any
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, epilog=EPILOG, **how)
    parser.set_defaults(command=command)
    return parser


# ---- options that several actions have -----------------------------------------------------------


def _options(add: Callable[[argparse.ArgumentParser], None]) -> argparse.ArgumentParser:
    parent = argparse.ArgumentParser(add_help=False)
    add(parent)
    return parent


def _add_spec(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC", help="YAML file, such as pipelines/prices.yaml")
    parser.add_argument(
        "--set",
        dest="changes",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a value of the spec, such as model.max_steps=200 (repeat for more)",
    )


def _add_date(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--as-of", metavar="DATE", help="use only rows up to this time, as if it were now"
    )


def _add_work(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--again", action="store_true", help="run finished dates anew, as new runs")
    parser.add_argument(
        "--wait",
        type=float,
        default=600.0,
        metavar="SECONDS",
        help="wait this long for another run of the same pipeline (default: 600)",
    )


# ---- commands ------------------------------------------------------------------------------------


def _run(arguments: argparse.Namespace) -> int:
    from tsrnn.pipelines.run import run_pipeline
    from tsrnn.pipelines.spec import read_spec

    spec = read_spec(arguments.spec, arguments.changes)
    with _notes():
        result = run_pipeline(
            spec,
            as_of=arguments.as_of,
            wait=arguments.wait,
            again=arguments.again,
            announce=_say,
        )
    print(result.report)
    if not result.is_new:
        _say(f"{spec.name} was finished for {result.as_of} before; --again runs it anew.")
    return _code(result.outcome)


def _check(arguments: argparse.Namespace) -> None:
    from tsrnn.pipelines.report import describe_data
    from tsrnn.pipelines.run import check_pipeline
    from tsrnn.pipelines.spec import read_spec

    spec = read_spec(arguments.spec, arguments.changes)
    with _notes():
        summary = check_pipeline(spec, as_of=arguments.as_of)
    print(f"{arguments.spec} can run: {describe_data(spec.name, summary)}")


def _backfill(arguments: argparse.Namespace) -> int:
    from tsrnn.pipelines.backfill import backfill, describe
    from tsrnn.pipelines.spec import read_spec

    spec = read_spec(arguments.spec, arguments.changes)
    with _notes():
        results = backfill(
            spec,
            first=arguments.first,
            last=arguments.last,
            wait=arguments.wait,
            again=arguments.again,
            announce=_say,
        )
    print(describe(results))
    return max(_code(result.outcome) for result in results)


def _study(arguments: argparse.Namespace) -> None:
    from tsrnn.pipelines.spec import read_spec
    from tsrnn.pipelines.study import EVERY, run_study

    spec = read_spec(arguments.spec, arguments.changes)
    with _notes():
        study = run_study(
            spec, every=arguments.every or EVERY, as_of=arguments.as_of, announce=_say
        )
    print(study.text)
    _say(f"\nFiles    {study.folder}/  (study.csv, study.md)")
    if study.runs:
        _say(f"Compare  tsrnn compare {' '.join(run[:8] for run in study.runs)}")


def _serve(arguments: argparse.Namespace) -> int:
    from tsrnn.pipelines.serve import serve

    return serve(arguments.folder, announce=_say)


def _ui(arguments: argparse.Namespace) -> int:
    from tsrnn.pipelines.spec import read_spec
    from tsrnn.pipelines.ui import serve

    return serve(
        host=arguments.host,
        port=arguments.port,
        announce=_say,
        names=arguments.runs,
        pipeline=None if arguments.pipeline is None else read_spec(arguments.pipeline),
        browser=not arguments.no_browser,
    )


def _compare(arguments: argparse.Namespace) -> None:
    from tsrnn.tracking import compare

    table = compare(arguments.experiment, arguments.runs or None, anyway=arguments.anyway)
    table["run_id"] = table["run_id"].str[:8]
    print(table.to_string(float_format=lambda value: f"{value:.4g}", na_rep="-"))


def _version(arguments: argparse.Namespace) -> None:
    del arguments
    print(__version__)


# ---- words and signals ---------------------------------------------------------------------------


def _code(outcome: str) -> int:
    return 4 if outcome == "refused" else 0


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


@contextmanager
def _notes() -> Iterator[None]:
    """Show each warning of tsrnn once, as one line on stderr, and nobody else's."""
    import warnings

    from tsrnn.exceptions import TsrnnWarning

    told = set()

    def note(message: Warning | str, *_: Any, **__: Any) -> None:
        if str(message) not in told:
            told.add(str(message))
            _say(f"note: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", TsrnnWarning)
        warnings.showwarning = note
        yield


def _explain(error: BaseException) -> int:
    """Print what went wrong and return the exit code."""
    if isinstance(error, _Terminated):
        _say("tsrnn: terminated")
        return TERMINATED
    if isinstance(error, KeyboardInterrupt):
        _say("tsrnn: interrupted")
        return 130
    from tsrnn.exceptions import DataError, ParameterError, SpecError, TsrnnError

    codes: list[tuple[type[Exception], int]] = [(SpecError, 2), (ParameterError, 2), (DataError, 3)]
    ours = isinstance(error, (TsrnnError, OSError, ImportError))
    _say(f"tsrnn: {type(error).__name__}: {error}" + ("" if ours else "\n(--debug shows where)"))
    return next((code for kind, code in codes if isinstance(error, kind)), 1)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise _Terminated(TERMINATED)


def _terminate_in_time(number: int, frame: FrameType | None) -> NoReturn:
    """Terminate, and see to it that nothing keeps the process: a store that hangs, an error swallowed."""
    threading.Thread(target=_end_in_time, name="tsrnn-terminate", daemon=True).start()
    _terminate(number, frame)


def _end_in_time() -> None:
    deadline = time.monotonic() + GRACE
    time.sleep(max(0.0, GRACE - LAST))
    if (leases := sys.modules.get("tsrnn.tracking.leases")) is not None:
        closing = threading.Thread(target=leases.end_held, args=(LAST,), daemon=True)
        closing.start()
        closing.join(max(0.0, deadline - time.monotonic()))
    os._exit(TERMINATED)


def _on_sigterm(handler: Callable[..., Any] | int | None) -> Any:
    """Install ``handler`` and return the one before it (None outside the main thread)."""
    try:
        return signal.signal(signal.SIGTERM, signal.SIG_DFL if handler is None else handler)
    except ValueError:  # not the main thread: signals are the caller's
        return None


if __name__ == "__main__":
    sys.exit(main())
