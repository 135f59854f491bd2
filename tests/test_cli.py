"""The tsrnn command: quick to answer, one message per error, documented exit codes."""

import signal
import subprocess
import sys
import threading
import warnings

import pytest

import tsrnn
from tsrnn import cli
from tsrnn.exceptions import DataError, DataWarning, ParameterError, SpecError


@pytest.fixture
def spec(tmp_path):
    file = tmp_path / "spec.yaml"
    file.write_text("name: tiny\ndata: {loader: sine}\n")
    return str(file)


def test_version_is_printed(capsys):
    assert cli.main(["version"]) == 0

    assert capsys.readouterr().out == f"{tsrnn.__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["pipeline"], ["pipeline", "run"], ["nonsense"]])
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)

    assert stopped.value.code == 2
    assert "usage: tsrnn" in capsys.readouterr().err


def test_help_names_every_exit_code(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--help"])

    words = " ".join(capsys.readouterr().out.split())
    assert stopped.value.code == 0
    for code in (
        "0 done",
        "1 error",
        "2 bad spec",
        "3 bad data",
        "4 gate refused",
        "130 interrupted",
        "143 terminated",
    ):
        assert code in words


@pytest.mark.slow
def test_help_loads_no_torch_pandas_or_mlflow():
    program = (
        "import sys; from tsrnn.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'pandas', 'mlflow', 'sklearn', 'numpy', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )

    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SpecError("no such key"), 2),
        (ParameterError("no such cell"), 2),
        (DataError("two rows at one time"), 3),
        (OSError("disk is full"), 1),
        (ZeroDivisionError("surprise"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_error_has_its_code_and_one_message(error, code, spec, monkeypatch, capsys):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("tsrnn.pipelines.run.run_pipeline", fail)

    assert cli.main(["pipeline", "run", spec]) == code

    said = capsys.readouterr()
    assert str(error) in said.err
    assert "Traceback" not in said.err
    assert said.out == ""


def test_debug_lets_the_error_through(spec, monkeypatch):
    def fail(*_, **__):
        raise DataError("two rows at one time")

    monkeypatch.setattr("tsrnn.pipelines.run.run_pipeline", fail)

    with pytest.raises(DataError, match="two rows at one time"):
        cli.main(["--debug", "pipeline", "run", spec])


def test_sigterm_unwinds_the_run_and_exits_with_143(spec, monkeypatch, capsys):
    closed = []

    def wait(*_, **__):
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            closed.append(True)

    monkeypatch.setattr("tsrnn.pipelines.run.run_pipeline", wait)
    before = signal.getsignal(signal.SIGTERM)

    assert cli.main(["pipeline", "run", spec]) == 143

    assert closed == [True]
    assert signal.getsignal(signal.SIGTERM) is before
    assert "terminated" in capsys.readouterr().err


def code_of_a_process(body: str, *, grace: float, last: float) -> int:
    """Return the exit code of a process whose command is a function of this body."""
    program = (
        "import signal, sys, time, tsrnn; from tsrnn import cli\n"
        f"cli.GRACE, cli.LAST = {grace}, {last}\n"
        f"def wait(arguments):\n{body}"
        "cli._version = wait\n"
        "sys.argv = ['tsrnn', 'version']\n"
        "cli.main()"
    )
    return subprocess.run([sys.executable, "-c", program], timeout=50, check=False).returncode


@pytest.mark.slow
def test_a_process_that_can_not_close_ends_in_time_all_the_same():
    body = "    try: signal.raise_signal(signal.SIGTERM)\n    finally: time.sleep(60)\n"

    assert code_of_a_process(body, grace=0.2, last=0.1) == 143


@pytest.mark.slow
def test_a_process_that_swallows_sigterm_ends_in_time_and_so_does_its_run(tmp_path, monkeypatch):
    monkeypatch.setenv("TSRNN_HOME", str(tmp_path))
    uri = f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    body = (
        f"    with tsrnn.track('deaf', tracking_uri='{uri}'):\n"
        "        try: signal.raise_signal(signal.SIGTERM)\n"
        "        except BaseException: time.sleep(60)\n"
    )

    assert code_of_a_process(body, grace=10.2, last=10.0) == 143

    assert tsrnn.tracking.runs("deaf", tracking_uri=uri)["status"].tolist() == ["KILLED"]


def test_outside_the_main_thread_signals_are_left_alone():
    codes = []
    thread = threading.Thread(target=lambda: codes.append(cli.main(["version"])))

    thread.start()
    thread.join()

    assert codes == [0]


def test_a_warning_of_ours_is_told_once_as_a_note(spec, monkeypatch, capsys):
    def warn(*_, **__):
        for _ in range(3):
            warnings.warn("5 values are missing", DataWarning, stacklevel=1)
            warnings.warn("of a library", FutureWarning, stacklevel=1)
        raise DataError("stop here")

    monkeypatch.setattr("tsrnn.pipelines.run.run_pipeline", warn)

    cli.main(["pipeline", "run", spec])

    said = capsys.readouterr().err
    assert said.count("note: 5 values are missing") == 1
    assert "of a library" not in said


def test_unknown_key_names_the_nearest_one(spec, capsys):
    assert cli.main(["pipeline", "check", spec, "--set", "backtest.n_window=3"]) == 2

    assert "Unknown key 'backtest.n_window'. Did you mean 'n_windows'?" in capsys.readouterr().err


def test_missing_spec_file_is_named(capsys):
    assert cli.main(["pipeline", "run", "no-such.yaml"]) == 2

    assert "Can't read the spec 'no-such.yaml'" in capsys.readouterr().err
