"""``tune``: trials on the folds of a backtest, each a run of MLflow, and the winner refitted."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState
from sklearn.base import clone
from sklearn.utils import _safe_indexing

from tsrnn.backtesting import RollingOriginSplit, backtest
from tsrnn.base import Forecaster
from tsrnn.exceptions import ParameterError, TsrnnError
from tsrnn.parameters import check_flag, check_integer, check_real
from tsrnn.tracking import track, untracked
from tsrnn.tracking.record import fingerprint
from tsrnn.tracking.store import find_root
from tsrnn.tuning.shared import SharedStudy
from tsrnn.tuning.space import Space

__all__ = ["TuneResult", "tune"]


@dataclass(frozen=True, eq=False, repr=False)
class TuneResult:
    """What a search found.

    Parameters
    ----------
    forecaster : Forecaster
        With the best parameters, fitted to all rows.
    params : dict
        The best of the parameters that were tried.
    score : float
        Its error on the folds, in units of the naive forecast's: below 1 is better than naive.
    trials : pandas.DataFrame
        One row per trial: ``state`` ("complete", "pruned", "fail", "running" in another process), ``score``,
        ``seconds`` and one column for each parameter, by number of the trial.
    """

    forecaster: Forecaster
    params: dict[str, Any]
    score: float
    trials: pd.DataFrame

    def __repr__(self) -> str:
        states = self.trials["state"].value_counts().to_dict()
        counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        return f"Search of {len(self.trials)} trials ({counts})\nbest: {self.params}, {self.score:.4g} of naive"


def tune(
    forecaster: Forecaster,
    df: Any,
    space: Mapping[str, Any],
    n_trials: int = 50,
    *,
    study: str | None = None,
    n_windows: int = 3,
    step: int | None = None,
    static_df: Any = None,
    timeout: float | None = None,
    random_state: int = 0,
    sampler: Any = None,
    pruner: Any = None,
    experiment: str | None = None,
    tracked: bool = True,
) -> TuneResult:
    """Search for the parameters that forecast best from past origins, and fit with them.

    A trial is judged by the folds of a backtest, oldest first: the mean absolute error of each series
    divided by that of the naive forecast, averaged over series. After each fold a trial that is worse
    than the median of those before it is given up.

    Parameters
    ----------
    forecaster : Forecaster
        Gives all parameters that are not tried; it is not changed.
    df : frame
        Any frame that ``fit`` takes.
    space : dict
        By parameter: a list of choices, a range ``(low, high)`` (whole numbers where both are),
        ``(low, high, "log")``, or a distribution of Optuna.
    n_trials : int, default 50
        Trials that the study shall have in all, whoever does them.
    study : str, optional
        Keeps the study under this name in ``mlruns/optuna/``. Any number of processes may work on one
        name at once; one that was broken off is gone on with.
    n_windows : int, default 3
        Folds of a trial, each with a fit.
    step : int, optional
        Rows from one cutoff to the next; the horizon when not given.
    static_df : frame, optional
        The columns of ``static_covariates``, one row for each series.
    timeout : float, optional
        Seconds after which no further trial begins.
    random_state : int, default 0
        Of the sampler; one process finds the same trials every time, broken off or not.
    sampler, pruner : optional
        Optuna's; TPE and the median rule when not given.
    experiment : str, optional
        Of MLflow; see :func:`tsrnn.track`.
    tracked : bool, default True
        Whether the search is a run of MLflow with each trial nested in it. With False and no ``study``
        nothing is written.

    Returns
    -------
    TuneResult

    Raises
    ------
    ParameterError
        A parameter can't be used, or a study of this name was begun with other data or another space.
    """
    n_trials = check_integer("n_trials", n_trials, low=1)
    n_windows = check_integer("n_windows", n_windows, low=1)
    random_state = check_integer("random_state", random_state, low=0)
    check_flag("tracked", tracked)
    if timeout is not None:
        check_real("timeout", timeout, low=0)
    tried = Space(space, forecaster)
    forecaster._check_parameters()  # noqa: SLF001
    panel, _ = forecaster._read(df, static_df=static_df)  # noqa: SLF001
    horizon = panel.axis.horizon if forecaster.horizon is None else forecaster.horizon
    base = clone(forecaster).set_params(horizon=horizon)
    splits = RollingOriginSplit(
        horizon,
        n_windows,
        step,
        id_col=forecaster.id_col,
        time_col=forecaster.time_col,
        target_col=forecaster.target_col,
    )
    folds = [_safe_indexing(df, np.sort(np.concatenate(pair))) for pair in splits.split(df)]
    facts = {
        "data fingerprint": fingerprint(panel),
        "forecaster": repr(base),
        "space": repr(tried),
        "folds": repr(splits),
    }
    with _silent_optuna():
        shared = SharedStudy(
            find_root() / "mlruns" / "optuna",
            study,
            facts,
            random_state=random_state,
            sampler=sampler,
            pruner=pruner,
        )
        search = _Search(base, folds, tried, shared, static_df=static_df, tracked=tracked)
        with _tree(shared, experiment, facts, tracked=tracked) as tree, shared.working():
            search.experiment = tree
            search.run(n_trials, timeout)
            return search.result(df)


class _Search:
    """The trials that this process does."""

    def __init__(
        self,
        base: Forecaster,
        folds: list[Any],
        space: Space,
        shared: SharedStudy,
        *,
        static_df: Any,
        tracked: bool,
    ) -> None:
        self._base = base
        self._folds = folds
        self._space = space
        self._shared = shared
        self._static_df = static_df
        self._tracked = tracked
        self.experiment: str | None = None
        self._error: TsrnnError | None = None

    def run(self, n_trials: int, timeout: float | None) -> None:
        """Do trials until the study has ``n_trials``."""
        since = time.monotonic()
        while timeout is None or time.monotonic() - since < timeout:
            trial = self._shared.next(n_trials)
            if trial is None:
                return
            try:
                self._try(trial)
            except TsrnnError as error:  # these parameters can't be used with these data
                self._error = self._error or error
                trial.set_user_attr("error", str(error)[:500])
                self._shared.study.tell(trial, state=TrialState.FAIL)
            except BaseException:
                self._shared.give_back(trial)
                raise

    def result(self, df: Any) -> TuneResult:
        """Return the best of all trials, refitted."""
        trials = self._shared.trials()
        done = [t for t in trials if t.state is TrialState.COMPLETE]
        if not done:
            if self._error is not None:
                raise self._error
            raise ParameterError("No trial was completed. Give more trials or more time.")
        best = min(done, key=lambda t: (cast(float, t.value), t.number))
        params = self._space.values(best.params)
        with self._run("winner") as run:
            if run is not None:
                run.log_metrics({"score": best.value})
                run.set_tags({"tsrnn.trial": "winner"})
            with nullcontext() if self._tracked else untracked():
                winner = clone(self._base).set_params(**params)
                winner.fit(df, static_df=self._static_df)
        return TuneResult(winner, params, cast(float, best.value), _table(trials, self._space))

    def _try(self, trial: optuna.Trial) -> None:
        params = self._space.suggest(trial)
        with self._run(f"trial {trial.number:03d}") as run:
            if run is not None:
                run.log_params(params)
            try:
                score = self._score(trial, params, run)
            except optuna.TrialPruned:
                score = None
            if run is not None:
                run.set_tags({"tsrnn.trial": "pruned" if score is None else "complete"})
        if score is None:
            self._shared.study.tell(trial, state=TrialState.PRUNED)
        else:
            self._shared.study.tell(trial, score)

    def _score(self, trial: optuna.Trial, params: dict[str, Any], run: Any) -> float:
        model = clone(self._base).set_params(**params)
        said: list[pd.DataFrame] = []
        score = np.nan
        for number, fold in enumerate(self._folds, 1):
            with untracked():  # the trial is the run, not its fits
                found = backtest(model, fold, n_windows=1, static_df=self._static_df)
            said.append(found.by_series[["model", "naive"]])
            score = _relative(said)
            trial.report(score, number)
            if run is not None:
                run.log_metrics({"score": score}, number)
            if number < len(self._folds) and trial.should_prune():
                raise optuna.TrialPruned
        return score

    @contextmanager
    def _run(self, name: str) -> Iterator[Any]:
        if not self._tracked:
            yield None
            return
        with track(self.experiment, name) as run:
            yield run


def _relative(said: list[pd.DataFrame]) -> float:
    """Return the error of the model over that of naive, each series by its own over all folds."""
    total = pd.concat(said).groupby(level=0).sum()
    moving = total[total["naive"] > 0]
    if moving.empty:  # nothing moves: naive is perfect, and what is left is the plain error
        return float(total["model"].mean())
    return float((moving["model"] / moving["naive"]).mean())


def _table(trials: list[FrozenTrial], space: Space) -> pd.DataFrame:
    rows = [
        {
            "number": t.number,
            "state": t.state.name.lower(),
            "score": t.value if t.state is TrialState.COMPLETE else np.nan,
            "seconds": np.nan if t.duration is None else t.duration.total_seconds(),
            **space.values(t.params),
        }
        for t in trials
    ]
    return pd.DataFrame(rows).set_index("number")


@contextmanager
def _tree(
    shared: SharedStudy, experiment: str | None, facts: Mapping[str, str], *, tracked: bool
) -> Iterator[str | None]:
    """Open the run that holds the trials, shared by processes; yield the experiment it is in."""
    if not tracked:
        yield None
        return
    tags = {"tsrnn.task": "search", "tsrnn.data": facts["data fingerprint"]}
    with ExitStack() as stack:
        with shared.alone():  # the first opens the run, the others go on with it
            known = shared.study.user_attrs.get("run")
            opened = track(experiment, shared.name or "search", tags, resume=known)
            run = stack.enter_context(opened)
            if run.run_id is not None and run.run_id != known:
                shared.study.set_user_attr("run", run.run_id)
        run.log_params({k: v for k, v in facts.items() if k != "data fingerprint"})
        yield run.experiment


@contextmanager
def _silent_optuna() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
