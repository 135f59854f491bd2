"""RNNForecaster as a forecaster of sktime (extra ``sktime``); the only importer of sktime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from sklearn.base import clone

from tsrnn.exceptions import MissingDependencyError
from tsrnn.forecaster import RNNForecaster

try:
    from sktime.forecasting.base import BaseForecaster, ForecastingHorizon
except ImportError as error:
    raise MissingDependencyError(
        "tsrnn.sktime needs sktime, which is not installed. "
        "Install it with: pip install 'tsrnn[sktime]'"
    ) from error

if TYPE_CHECKING:
    from tsrnn.calendars import TimeAxis

__all__ = ["TsrnnForecaster"]

SERIES, TIME, TARGET = "series", "time", "target"


class TsrnnForecaster(BaseForecaster):
    """:class:`tsrnn.RNNForecaster` with sktime's interface.

    A panel or hierarchy is learned by one network; of several variables each gets its own. Columns of
    ``X`` are covariates known in advance, unless the forecaster names them as ``past_covariates`` or
    ``static_covariates``. They may be missing in the past, not in the steps to forecast.

    ``update(update_params=False)`` moves the state of the network on by the new rows alone, in the same
    time however long the history is; ``update_params=True`` fits again to all rows.

    Parameters
    ----------
    forecaster : RNNForecaster, optional
        What to fit, with all parameters but the names of columns; one with the defaults when not given.
        Its ``horizon`` is the last step of ``fh``, where neither is given that of the frequency.

    Attributes
    ----------
    forecaster_ : RNNForecaster
        The fitted one, with ``skill_``, ``diagnose()`` and all else.

    Examples
    --------
    >>> from sktime.datasets import load_airline
    >>> from tsrnn import RNNForecaster
    >>> from tsrnn.sktime import TsrnnForecaster
    >>> forecaster = TsrnnForecaster(RNNForecaster(max_steps=20))
    >>> forecaster.fit(load_airline(), fh=[1, 2, 3])
    TsrnnForecaster(...)
    >>> forecaster.predict_interval(coverage=0.8).shape
    (3, 2)
    """

    _tags = {  # noqa: RUF012 (sktime's own way to state them)
        "authors": ["tsrnn developers"],
        "maintainers": ["tsrnn developers"],
        "python_dependencies": ["tsrnn"],
        "y_inner_mtype": ["pd.DataFrame", "pd-multiindex", "pd_multiindex_hier"],
        "X_inner_mtype": ["pd.DataFrame", "pd-multiindex", "pd_multiindex_hier"],
        "requires-fh-in-fit": False,
        "capability:multivariate": False,
        "capability:exogenous": True,
        "capability:categorical_in_X": True,
        "capability:non_contiguous_X": False,
        "capability:missing_values": True,
        "capability:unequal_length": True,
        "capability:insample": False,
        "capability:pred_int": True,
        "capability:pred_int:insample": False,
        "capability:update": True,
    }
    _config = {"remember_data": False}  # noqa: RUF012 (it keeps the rows itself)

    def __init__(self, forecaster: RNNForecaster | None = None) -> None:
        self.forecaster = forecaster
        super().__init__()
        self._y = self._X = None  # filled where a user sets remember_data

    # ---- what sktime calls -----------------------------------------------------------------

    def _fit(self, y: pd.DataFrame, X: pd.DataFrame | None, fh: ForecastingHorizon | None) -> Self:
        model: RNNForecaster = clone(self.forecaster or RNNForecaster())
        if model.horizon is None and fh is not None and fh.is_relative:
            model.set_params(horizon=int(max(fh)))
        columns = [] if X is None else [str(name) for name in X.columns]
        named = {*(model.past_covariates or ()), *(model.static_covariates or ())}
        known = [name for name in columns if name not in named]
        model.set_params(future_covariates=known or None)
        self._unfitted = model.set_params(id_col=SERIES, time_col=TIME, target_col=TARGET)
        self._target, self._names = y.columns, y.index.names
        self._instances = _instances(y.index).unique() if len(self._names) > 1 else None
        called = y.columns if self._instances is None else self._instances
        self._labels = np.array([str(each) for each in called])
        return self._learn(self._long(y, X))

    def _predict(self, fh: ForecastingHorizon, X: pd.DataFrame | None) -> pd.DataFrame:
        return self._forecast(fh, X).set_axis(self._target, axis=1)

    def _predict_quantiles(
        self, fh: ForecastingHorizon, X: pd.DataFrame | None, alpha: Sequence[float]
    ) -> pd.DataFrame:
        said = self._forecast(fh, X, quantiles=alpha).iloc[:, 1:]
        columns = pd.MultiIndex.from_product([self._get_varnames(), alpha])
        return said.set_axis(columns, axis=1)

    def _update(
        self,
        y: pd.DataFrame,
        X: pd.DataFrame | None = None,
        update_params: bool = True,  # noqa: FBT001, FBT002 (as sktime calls it)
    ) -> Self:
        rows = self._long(y, X)
        rows = rows[rows[TIME].array > self._ends.loc[rows[SERIES]].array]
        if not len(rows):
            return self
        if update_params:
            return self._learn(pd.concat([self._rows, rows], ignore_index=True))
        self.forecaster_.update(rows)
        self._remember(pd.concat([self._rows, rows], ignore_index=True))
        return self

    # ---- inside ----------------------------------------------------------------------------

    def _learn(self, rows: pd.DataFrame) -> Self:
        self.forecaster_ = clone(self._unfitted).fit(rows)
        self._remember(rows)
        return self

    def _remember(self, rows: pd.DataFrame) -> None:
        self._rows, self._ends = rows, rows.groupby(SERIES)[TIME].max()

    def _long(self, y: Any, X: Any) -> pd.DataFrame:
        """Return target and covariates as a long frame, series by label."""
        index: Any = (X if y is None else y).index
        codes = 0 if self._instances is None else self._instances.get_indexer(_instances(index))
        rows = pd.DataFrame({SERIES: self._labels[codes], TIME: index.get_level_values(-1)})
        if y is not None:
            rows[TARGET] = y.iloc[:, 0].to_numpy()
        if X is not None:
            for name, column in X.reindex(index).items():
                rows[str(name)] = column.array
        return rows

    def _forecast(
        self, fh: ForecastingHorizon, X: pd.DataFrame | None, **what: Any
    ) -> pd.DataFrame:
        """Return ``forecast`` and what else is asked for at ``fh``, counted from each series' own end."""
        model, axis = self.forecaster_, self.forecaster_.axis_
        ends = _int64(pd.Index(self._ends.loc[self._labels]), axis)
        if fh.is_relative:
            steps = fh.to_numpy().astype(int)
            stamps = axis.future(ends, int(steps.max()))[:, steps - 1]
        else:
            stamps = np.tile(_int64(fh.to_pandas(), axis), (len(ends), 1))
        state = model.get_state()
        last = pd.Series(state.last_times, state.ids).loc[self._labels].to_numpy()
        reach = (axis.position(stamps.max(1)) - axis.position(last)) // axis.step
        ahead = self._long(None, X) if model.future_covariates else None
        said = model.predict(horizon=int(reach.max()), future_df=ahead, **what)
        times = axis.to_index(stamps.ravel())
        series = np.repeat(np.arange(len(ends)), stamps.shape[1])
        rows = pd.MultiIndex.from_arrays([self._labels[series], times])
        wanted = said.set_index([SERIES, TIME]).loc[rows]
        if self._instances is None:
            return wanted.set_axis(times.rename(self._names[0]))
        instances = self._instances[series].to_frame(index=False).assign(time=times)
        return wanted.set_axis(pd.MultiIndex.from_frame(instances, names=self._names))

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Return parameters for sktime's tests."""
        del parameter_set
        tiny: dict[str, Any] = {
            "hidden_size": 2,
            "context_length": 8,
            "max_steps": 2,
            "batch_size": 4,
        }
        other: dict[str, Any] = {
            "output": "normal",
            "decoder": "shift",
            "cell": "lstm",
            "horizon": 2,
        }
        return [
            {"forecaster": RNNForecaster(**tiny)},
            {"forecaster": RNNForecaster(**tiny, **other)},
        ]


def _instances(index: Any) -> pd.Index:
    """Return which series each row belongs to."""
    return index.droplevel(-1)


def _int64(index: Any, axis: TimeAxis) -> np.ndarray:
    """Return the times of an index as the axis counts them."""
    if axis.kind == "integer":
        return np.asarray(index, dtype=np.int64)
    return np.asarray((index.as_unit(axis.unit) if axis.kind == "datetime" else index).asi8)
