"""Search for parameters on rolling origins, with Optuna (extra ``tune``).

search   tune: trials on the folds of a backtest, the winner refitted
space    what may be tried
shared   a study in a journal, shared by processes, and gone on with after a kill
"""

from tsrnn.exceptions import MissingDependencyError

try:
    import optuna  # noqa: F401 - everything below needs it
except ImportError as error:
    raise MissingDependencyError(
        'tsrnn.tune needs Optuna. Install it with `pip install "tsrnn[tune]"`.'
    ) from error

from tsrnn.tuning.search import TuneResult, tune

__all__ = ["TuneResult", "tune"]
