"""The contract every forecaster keeps: a frame in, the same kind of frame out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
from sklearn.base import BaseEstimator

from tsrnn.afterwards import mean_skill, rows_ahead
from tsrnn.exceptions import DataError, NotFittedError
from tsrnn.frames import CovariateColumns, FrameFormat, make_future, read_future, read_panel
from tsrnn.frames.beside import place
from tsrnn.frames.newcomers import read_newcomers
from tsrnn.intervals import interval_columns
from tsrnn.listeners import FitListener, listeners_of
from tsrnn.moment import at_one_moment
from tsrnn.parameters import check_integer
from tsrnn.references import panel_outlook

if TYPE_CHECKING:
    from tsrnn.backtesting.folds import Window
    from tsrnn.panel import Panel

__all__ = ["Forecast", "Forecaster"]


@dataclass(frozen=True)
class Forecast:
    """What a forecaster says about the next steps of each series, in the units of the data.

    Parameters
    ----------
    point : ndarray of shape (series, horizon)
        The median, or the mean where the output has no quantiles.
    quantiles : ndarray of shape (series, horizon, quantile)
        Quantiles at the asked probabilities, ascending and never crossing.
    """

    point: np.ndarray
    quantiles: np.ndarray


class Forecaster(BaseEstimator, ABC):
    """A forecaster of panels; subclasses say how to learn from a :class:`~tsrnn.panel.Panel`.

    A subclass is final. It has the constructor parameters named below, keyword-only, and fills in
    :meth:`_fit_panel` and :meth:`_forecast_panel`; everything a user calls is here.

    Attributes
    ----------
    format_ : FrameFormat
        Kind, names and types of the frame that was fitted; forecasts come back in it.
    axis_ : TimeAxis
        What a step is: frequency, calendar, time zone.
    horizon_ : int
        Steps that ``predict()`` writes.
    season_ : int
        Steps of one season (1: none).
    """

    horizon: int | None
    id_col: str | None
    time_col: str | None
    target_col: str | Sequence[str] | None
    freq: Any
    calendar: Any
    season: int | None

    # ---- to be filled in ------------------------------------------------------------------

    @abstractmethod
    def _check_parameters(self) -> None:
        """Raise ParameterError for a parameter that can't be used."""

    @abstractmethod
    def _fit_panel(self, panel: Panel, notify: Callable[[int, dict[str, float]], None]) -> None:
        """Learn from ``panel``; call ``notify(step, metrics)`` after each stretch of training."""

    @abstractmethod
    def _forecast_panel(
        self, panel: Panel | None, horizon: int, probabilities: tuple[float, ...]
    ) -> Forecast:
        """Forecast the ``horizon`` steps after each series of ``panel`` (None: after the training data).

        With future covariates it takes those steps' as ``ahead``, shape (series, step, column).
        """

    @abstractmethod
    def _history_tail(self) -> Panel:
        """Return the newest training rows of every series, at least two seasons where there are as many."""

    # ---- what users call ------------------------------------------------------------------

    def fit(self, df: Any, y: None = None, *, static_df: Any = None) -> Self:
        """Learn from a data frame.

        Parameters
        ----------
        df : pandas.DataFrame, pandas.Series, polars.DataFrame or pyarrow.Table
            The past, in any form of the frame table (docs/frames.md). It is not changed.
        y : None
            Not used; here because scikit-learn passes it.
        static_df : frame, optional
            The columns of ``static_covariates``, one row for each series; otherwise they are columns of
            ``df``.

        Returns
        -------
        self

        Raises
        ------
        DataError
            The frame can't be used; the message names column, series, time and the way out.
        ParameterError
            A parameter can't be used.
        """
        del y
        return self._fit(lambda: self._read(df, static_df=static_df))

    @at_one_moment
    def predict(
        self,
        df: Any = None,
        *,
        horizon: int | None = None,
        level: float | Sequence[float] | None = None,
        quantiles: Sequence[float] | None = None,
        future_df: Any = None,
        static_df: Any = None,
    ) -> Any:
        """Forecast the steps after each series.

        Parameters
        ----------
        df : frame, optional
            A history to forecast from (any ids); without it, the training data.
        horizon : int, optional
            Steps to forecast; the fitted horizon when not given.
        level : float or sequence of float, optional
            Central intervals in percent: 80 adds ``forecast-lo-80`` and ``forecast-hi-80``.
        quantiles : sequence of float, optional
            Probabilities: 0.1 adds ``forecast-q10``.
        future_df : frame, optional
            Series, time and the columns of ``future_covariates`` for the steps to forecast
            (:meth:`make_future` makes it); not needed where rows without a target follow the history.
        static_df : frame, optional
            The columns of ``static_covariates``, one row for each series of ``df``. Without ``df``: of
            series that have no history, which are forecast from these attributes alone (a cold start)
            after the newest fitted row, or from their first row in ``future_df`` on.

        Returns
        -------
        frame
            The same kind as was fitted, one row per series and step: id, time, ``forecast``, then
            the columns of ``level`` and ``quantiles`` in the order asked. Where ``target_col`` is a
            list, each target has its own: ``forecast-<target>``, ``forecast-<target>-lo-80``, ...
        """
        self._check_is_fitted()
        horizon = self.horizon_ if horizon is None else check_integer("horizon", horizon, low=1)
        columns = interval_columns(level, quantiles)
        self.format_.check_names(self.format_.names_by_target(columns))
        probabilities = tuple(sorted(set(columns.values())))
        if self._starts_cold(df, static_df):
            panel, ahead = self._newcomers(static_df, future_df, horizon)
            forecast = self._forecast_newcomers(panel, horizon, probabilities, ahead)
        else:
            panel = self._history(df, static_df)
            ahead = self._ahead(panel, future_df, needed=horizon)
            forecast = self._say(None if df is None else panel, horizon, probabilities, ahead)
        times = self.axis_.future(panel.last_times, horizon)
        written = {"forecast": forecast.point}
        for name, probability in columns.items():
            written[name] = forecast.quantiles[:, :, probabilities.index(probability)]
        return self.format_.write(panel.ids, times, self.axis_, written)

    @at_one_moment
    def score(self, df: Any, y: None = None) -> float:
        """Return the skill on the rows that follow the training data: 1 - MAE / MAE of seasonal naive.

        Parameters
        ----------
        df : frame
            The rows that came true after the training data, at least one of them within the horizon.
        y : None
            Not used; here because scikit-learn passes it.

        Returns
        -------
        float
            1 is perfect, 0 is as good as seasonal naive, below 0 is worse (-1 where seasonal naive is
            perfect). Higher is better. Of several targets, the mean of each one's.
        """
        del y
        self._check_is_fitted()
        truth, _ = self._read(df, fitted=True)
        tail = self._history_tail()
        horizon, cell = rows_ahead(truth, tail, self.horizon_)
        beside = self._ahead_in(truth, tail, horizon)
        forecast = self._say(None, horizon, (), beside)
        naive = panel_outlook("seasonal_naive", tail, horizon, self.season_)
        return mean_skill(truth, tail, cell, forecast.point, naive.point)

    @at_one_moment
    def make_future(self, df: Any = None, *, horizon: int | None = None) -> Any:
        """Return the steps to forecast, for ``future_covariates`` to be filled in.

        Parameters
        ----------
        df : frame, optional
            A history to forecast from; without it, the training data.
        horizon : int, optional
            Steps; the fitted horizon when not given.

        Returns
        -------
        frame
            The same kind as was fitted, one row per series and step: id, time and the columns of
            ``future_covariates``, missing where they did not come with the history. Filled, it is what
            ``predict(future_df=...)`` takes.
        """
        self._check_is_fitted()
        horizon = self.horizon_ if horizon is None else check_integer("horizon", horizon, low=1)
        return make_future(self._history(df), self.format_, horizon)

    # ---- shared steps ---------------------------------------------------------------------

    def _history(self, df: Any, static_df: Any = None) -> Panel:
        """Return the histories of ``df``, or the end of the training data."""
        if df is not None:
            return self._read(df, fitted=True, static_df=static_df)[0]
        if static_df is not None:
            raise DataError(
                "static_df describes the series of df. Got no df, and the fitted series have theirs. "
                "Leave it out, or give df."
            )
        return self._history_tail()

    def _starts_cold(self, df: Any, static_df: Any) -> bool:
        """Return whether attributes alone were given, of series that have no history."""
        return df is None and static_df is not None and bool(self.format_.covariates.static)

    def _newcomers(
        self, static_df: Any, future_df: Any, horizon: int
    ) -> tuple[Panel, np.ndarray | None]:
        """Return series without a history, where they can be forecast that far, and their steps' covariates."""
        self._check_newcomers(horizon)
        fitted = self._history_tail()
        panel = read_newcomers(static_df, future_df, self.format_, self.axis_, fitted=fitted)
        return panel, self._ahead(panel, future_df, needed=horizon, dates=True)

    def _check_newcomers(self, horizon: int) -> None:
        """Raise where series without a history can't be forecast."""
        raise NotImplementedError

    def _forecast_newcomers(
        self,
        panel: Panel,
        horizon: int,
        probabilities: tuple[float, ...],
        ahead: np.ndarray | None,
    ) -> Forecast:
        """Forecast series without a history; for forecasters with static covariates."""
        raise NotImplementedError

    def _ahead(
        self, panel: Panel, future_df: Any, *, needed: int, dates: bool = False
    ) -> np.ndarray | None:
        """Return the covariates of the steps to forecast; more than needed where they are known.

        ``dates``: the times of ``future_df`` are of use without covariates, too.
        """
        if not self.format_.covariates.future:
            if future_df is not None and not dates:
                raise DataError(
                    "future_df needs columns that are named in future_covariates. Got none of these names. "
                    "Name them and fit, or leave out future_df."
                )
            return None
        wanted = max(needed, self.horizon_)
        return read_future(future_df, panel, self.format_, needed=needed, wanted=wanted)

    def _ahead_in(self, truth: Panel, tail: Panel, horizon: int) -> np.ndarray | None:
        """Return the covariates of the steps after ``tail``, as far as ``truth`` has their rows."""
        if truth.covariates is None or not self.format_.covariates.future:
            return None
        series = np.repeat(tail.ids.get_indexer(truth.ids), truth.lengths)
        stamps = self.axis_.future(tail.last_times, horizon)
        return place(stamps, series, truth.times, truth.covariates.future)

    def _say(
        self,
        panel: Panel | None,
        horizon: int,
        probabilities: tuple[float, ...],
        ahead: np.ndarray | None,
    ) -> Forecast:
        if ahead is None:
            return self._forecast_panel(panel, horizon, probabilities)
        known: Any = self._forecast_panel
        return cast(Forecast, known(panel, horizon, probabilities, ahead))

    def _forecast_each(
        self,
        panel: Panel,
        windows: Sequence[Window],
        horizon: int,
        probabilities: tuple[float, ...],
    ) -> Iterator[Forecast]:
        """Forecast from each window's cutoff; nothing but its past reaches :meth:`_forecast_panel`."""
        for window in windows:
            yield self._say(window.past(panel), horizon, probabilities, window.ahead(panel))

    def _fit_read(self, panel: Panel, format_: FrameFormat) -> Self:
        """Fit to a frame that has been read already, as a backtest does at each cutoff."""
        return self._fit(lambda: (panel, format_))

    def _fit(self, read: Callable[[], tuple[Panel, FrameFormat]]) -> Self:
        before = dict(self.__dict__)
        listeners: list[FitListener] = []
        try:
            self._check_parameters()
            panel, self.format_ = read()
            self.format_.check_names(self.format_.names_by_target({"forecast"}))
            self.axis_ = panel.axis
            self.horizon_ = panel.axis.horizon if self.horizon is None else int(self.horizon)
            self.season_ = panel.axis.season if self.season is None else self.season
            listeners = listeners_of(self)
            for listener in listeners:
                listener.on_fit_start(self, panel)

            def notify(step: int, metrics: dict[str, float]) -> None:
                for listener in listeners:
                    listener.on_epoch_end(self, step, metrics)

            self._fit_panel(panel, notify)
            self.is_fitted_ = True
            for listener in listeners:
                listener.on_fit_end(self)
        except BaseException as error:
            # a failed or interrupted fit leaves the forecaster as it was before the call
            self.__dict__.clear()
            self.__dict__.update(before)
            for listener in listeners:
                listener.on_fit_error(self, error)
            raise
        return self

    def _covariate_columns(self) -> CovariateColumns:
        """Return the names of the columns beside the target."""
        return CovariateColumns()

    def _read(
        self, df: Any, *, fitted: bool = False, static_df: Any = None
    ) -> tuple[Panel, FrameFormat]:
        return read_panel(
            df,
            id_col=self.id_col,
            time_col=self.time_col,
            target_col=self.target_col,
            freq=self.freq,
            calendar=self.calendar,
            weight_col=None if fitted else getattr(self, "weight_col", None),
            covariates=self.format_.covariates if fitted else self._covariate_columns(),
            static_df=static_df,
            like=self.format_ if fitted else None,
            axis=self.axis_ if fitted else None,
        )

    def _check_is_fitted(self) -> None:
        if not self.__sklearn_is_fitted__():
            raise NotFittedError(
                f"This {type(self).__name__} is not fitted yet. Call fit(df) before using this method."
            )

    def __sklearn_is_fitted__(self) -> bool:
        return bool(getattr(self, "is_fitted_", False))
