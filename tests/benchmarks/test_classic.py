"""The classic tasks: what is asked has the answer that is known, every network learns the easiest, runs go on."""

import importlib.util
import math
from pathlib import Path

import pytest
import torch
from classic.models import MODELS, build
from classic.results import Result, append, key, read
from classic.suites import FULL, QUICK, Case
from classic.table import report
from classic.tasks import Adding, Copy, Echo, GappySine, RegimeChange
from classic.training import Budget, Learnt, learn


def load_script():
    """Return benchmarks/classic.py, whose name its folder of parts has, too."""
    path = Path(__file__).parents[2] / "benchmarks" / "classic.py"
    spec = importlib.util.spec_from_file_location("classic_script", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script = load_script()


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_network_learns_to_echo_the_second_of_five(name):
    budget = Budget(2000, hidden_size=16, learning_rate=1e-2, check_every=25)

    learnt = learn(name, Echo(5, 2, digits=4), budget, seed=0)

    assert learnt.curve[-1] == (learnt.solved_at, 1.0)


def test_echo_asks_for_the_kth_digit():
    asked = Echo(7, 3).draw(20, seeded())

    assert asked.x.shape == (20, 7, 10)
    assert torch.equal(asked.x[:, 2].argmax(-1), asked.answer[:, 0])


def test_saying_one_to_the_adding_problem_has_an_error_of_a_sixth():
    task = Adding(50)
    asked = task.draw(200_000, seeded())

    assert task.score(torch.ones_like(asked.answer), asked.answer) == pytest.approx(1 / 6, rel=0.01)
    numbers, marks = asked.x.unbind(-1)
    assert (marks[:, :25].sum(1) == 1).all()
    assert (marks[:, 25:].sum(1) == 1).all()
    torch.testing.assert_close((numbers * marks).sum(1), asked.answer[:, 0, 0])


@pytest.mark.parametrize("lag", [10, 100])
def test_guessing_the_symbols_of_copy_memory_leaves_what_the_paper_says(lag):
    task = Copy(lag)
    asked = task.draw(8, seeded())
    said = torch.zeros(8, lag + 20, 9)
    said[:, :-10, 8] = 100.0  # blanks where they belong
    said[:, -10:, 8] = -100.0

    assert task.baseline == pytest.approx(10 * math.log(8) / (lag + 20))
    assert task.score(said, asked.answer) == pytest.approx(task.baseline, rel=1e-5)
    assert torch.equal(asked.x[:, :10].argmax(-1), asked.answer[:, -10:])


def test_a_sine_is_not_seen_in_its_gap_and_zero_has_an_error_of_a_half():
    task = GappySine(5)
    asked = task.draw(50_000, seeded())

    assert (asked.x[:, -5:] == 0).all()
    assert (asked.x[:, :-5, 1] == 1).all()
    assert task.score(torch.zeros_like(asked.answer), asked.answer) == pytest.approx(0.5, rel=0.02)


def test_the_filter_of_a_changing_regime_lies_between_knowing_and_not_knowing_it():
    task = RegimeChange(50)
    asked = task.draw(2000, seeded())

    assert task.score(torch.zeros_like(asked.answer), asked.answer) == pytest.approx(
        task.baseline, rel=0.05
    )
    assert 1.0 < task.best < 1.5
    steady = RegimeChange(10**9)  # which never changes is known after a while
    late = steady.draw(500, seeded())
    error = (steady.filtered(late.x) - late.answer)[:, -50:].square().mean().item()
    assert error == pytest.approx(1.0, rel=0.03)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "plain"])
def test_answers_depend_on_the_past_alone_and_on_all_of_it(name):
    task = Copy(13)
    network = build(name, task, hidden_size=8, generator=seeded())
    x = task.draw(1, seeded()).x.requires_grad_()

    (gradient,) = torch.autograd.grad(network(x)[0, 20].sum(), x)

    felt = gradient[0].abs().sum(-1)
    assert (felt[21:] == 0).all()
    assert felt[20] > 0
    assert felt[0] > 0 or name in {"rnn_relu", "mlp"}  # may be off; sees the newest steps


def test_the_same_seed_gives_the_same_curve_and_gradients_by_lag():
    budget = Budget(4, hidden_size=4, check_every=2)

    one, other = (learn("gru", Adding(6), budget, seed=3) for _ in range(2))

    assert one.curve == other.curve
    assert [step for step, _ in one.curve] == [2, 4]
    assert one.gradients == other.gradients
    assert [lag for lag, _, _ in one.gradients] == [1, 2, 3, 4, 5]


def test_full_and_quick_runs_hold_the_same_tasks():
    assert {case.task.name for case in QUICK} == {case.task.name for case in FULL}


# ---- results ------------------------------------------------------------------------------

CASE = Case(Adding(6), 6, "length 6", Budget(4, hidden_size=4, check_every=2))


SOME = (Learnt([(4, 0.15)], None, 99, 0.1), "A machine.")


def result(name="gru", score=0.15, solved_at=None):
    return Result(key(CASE, name, 0), Learnt([(4, score)], solved_at, 99, 0.1), "A machine.")


def test_a_file_of_results_is_read_up_to_where_it_was_cut(tmp_path):
    file = tmp_path / "classic.jsonl"
    append(file, result())
    with file.open("a") as cut:
        cut.write('{"key": {"ta')

    assert read(file) == [result()]


def test_what_the_file_has_is_not_run_again(tmp_path, monkeypatch, capsys):
    file = tmp_path / "classic.jsonl"
    monkeypatch.setattr(script, "QUICK", (CASE,))
    told = ["--quick", "--models", "gru", "--results", str(file)]
    script.main(told)

    monkeypatch.setattr(script, "learn", None)  # it would fail
    script.main(told)

    assert len(read(file)) == 1
    assert "| gru |" in capsys.readouterr().out


def test_a_table_has_scores_steps_and_the_score_of_remembering_nothing():
    text = report([CASE], [result(), result("rnn", 0.009, 4)])

    assert "| gru | 99 | 0.15 |" in text
    assert "| rnn | 99 | **0.009 at 4** |" in text
    assert "| *remembers nothing* |  | 0.167 |" in text


def test_networks_that_take_no_part_have_a_dot_and_those_that_are_compared_have_the_seeds():
    long = Case(Adding(7), 7, "length 7", CASE.budget, seeds=2, models=("gru", "mut1"))

    text = report([CASE, long], [result(), result("cnn"), Result(key(long, "gru", 1), *SOME)])

    assert "| gru | 99 | 0.15 | 0.15 (1 of 2 seeds) |" in text
    assert "| cnn | 99 | 0.15 | · |" in text
    assert [long.seeds_of(name) for name in ("gru", "mut1", "cnn")] == [2, 1, 0]


def test_a_network_that_reads_all_steps_at_once_takes_no_part_where_each_step_is_forecast():
    each = [case for case in (*FULL, *QUICK) if case.task.name == "regime change"]

    assert each
    assert all(case.seeds_of("plain") == 0 and case.seeds_of("gru") > 0 for case in each)
