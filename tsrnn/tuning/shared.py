"""A study that several processes work on, kept in a journal beside the MLflow store.

Who works on a trial holds a locked file while doing so. The lock goes with the process, however it
ends; whoever asks for the next trial finds it free and puts the trial back into the queue.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from filelock import FileLock, Timeout
from optuna.storages import InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from tsrnn.exceptions import ParameterError

__all__ = ["SharedStudy"]

_OWNER = "owner"
_ABANDONED = "abandoned"


class _JournalLock:
    """The lock of a journal's file; unlike Optuna's own, a killed process does not leave it behind."""

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(path)

    def acquire(self) -> bool:
        self._lock.acquire()
        return True

    def release(self) -> None:
        self._lock.release()


class SharedStudy:
    """A study of Optuna whose trials are handed out one by one, to any number of processes.

    Parameters
    ----------
    folder : Path
        Where journals are; not used without a name.
    name : str, optional
        Name of the study; without one it lives in memory.
    facts : mapping of str to str
        What all trials have in common; a study of the same name with other facts is refused.
    random_state : int
        Of the sampler.
    sampler, pruner : optional
        Optuna's; TPE, seeded anew for each trial by its number, and the median rule when not given.
    """

    def __init__(
        self,
        folder: Path,
        name: str | None,
        facts: Mapping[str, str],
        *,
        random_state: int,
        sampler: Any = None,
        pruner: Any = None,
    ) -> None:
        if name is not None and not re.fullmatch(r"[A-Za-z0-9_.-]{1,128}", name):
            raise ParameterError(
                "The 'study' parameter must be a name of letters, digits and ._- (at most 128). "
                f"Got {name!r}."
            )
        self.name = name
        self._random_state = random_state
        self._given_sampler = sampler is not None
        self._folder = folder
        self._owner = uuid.uuid4().hex[:12]
        if name is not None:
            folder.mkdir(parents=True, exist_ok=True)
        with self.alone():
            self.study = optuna.create_study(
                storage=self._storage(),
                study_name=name or "search",
                sampler=sampler,
                pruner=pruner or optuna.pruners.MedianPruner(),
                load_if_exists=True,
            )
            self._agree(facts)

    def next(self, n_trials: int) -> optuna.Trial | None:
        """Return the next trial; None where the study has ``n_trials`` done or under way."""
        with self.alone():
            self._take_back()
            taken = [t for t in self.trials() if t.state is not TrialState.WAITING]
            if len(taken) >= n_trials:
                return None
            if not self._given_sampler:
                number = len(self.study.get_trials(deepcopy=False))
                seed = np.random.SeedSequence([self._random_state, number]).generate_state(1)[0]
                self.study.sampler = optuna.samplers.TPESampler(seed=int(seed), constant_liar=True)
            trial = self.study.ask()
            trial.set_user_attr(_OWNER, self._owner)
            return trial

    def give_back(self, trial: optuna.Trial) -> None:
        """Put a trial that was broken off back into the queue."""
        with self.alone():
            frozen = self.study.get_trials(deepcopy=False)[trial.number]
            if not frozen.state.is_finished():
                self._queue_again(frozen)

    def trials(self) -> list[FrozenTrial]:
        """Return the trials, those left out that were broken off and begun again."""
        return [t for t in self.study.get_trials(deepcopy=False) if _ABANDONED not in t.user_attrs]

    @contextmanager
    def working(self) -> Iterator[None]:
        """Hold the lock that tells others that this process lives."""
        if self.name is None:
            yield
            return
        lock = FileLock(self._lock_of(self._owner))
        with lock:
            yield
        self._lock_of(self._owner).unlink(missing_ok=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from the study."""
        if self.name is None:
            yield
            return
        with FileLock(self._folder / f".{self.name}.lock"):
            yield

    # ---- inside ---------------------------------------------------------------------------

    def _storage(self) -> Any:
        if self.name is None:
            return InMemoryStorage()
        file = self._folder / f"{self.name}.journal"
        lock: Any = _JournalLock(self._folder / f".{self.name}.journal.lock")
        return JournalStorage(JournalFileBackend(str(file), lock_obj=lock))

    def _lock_of(self, owner: str) -> Path:
        return self._folder / f".{self.name}.{owner}.lock"

    def _agree(self, facts: Mapping[str, str]) -> None:
        known = self.study.user_attrs
        for name, value in facts.items():
            if name not in known:
                self.study.set_user_attr(name, value)
            elif known[name] != value:
                raise ParameterError(
                    f"The study {self.name!r} was begun with another {name} ({known[name]}; now {value}), "
                    "and trials of both can't be compared. Go on with what it was begun with, or take "
                    "another name."
                )

    def _take_back(self) -> None:
        """Queue the trials of processes that are gone."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            owner = trial.user_attrs.get(_OWNER)
            if owner != self._owner and (owner is None or not self._lives(owner)):
                self._queue_again(trial)

    def _queue_again(self, trial: FrozenTrial) -> None:
        self.study._storage.set_trial_user_attr(trial._trial_id, _ABANDONED, True)  # noqa: FBT003, SLF001
        self.study.tell(trial.number, state=TrialState.FAIL)
        if trial.params:
            self.study.enqueue_trial(trial.params)

    def _lives(self, owner: str) -> bool:
        path = self._lock_of(owner)
        if not path.exists():
            return False
        lock = FileLock(path)
        try:
            with lock.acquire(blocking=False):
                pass
        except Timeout:
            return True
        path.unlink(missing_ok=True)
        return False
