"""A forecaster whose state is kept: moved on by new rows, put back, and read at every cutoff in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from tsrnn.base import Forecast, Forecaster
from tsrnn.calendars.features import with_calendar
from tsrnn.checks import check_causal, check_history, check_probabilities, check_state, check_values
from tsrnn.frames import read_following
from tsrnn.inference import Forecasting, torch_settings
from tsrnn.learning.planning import DataPlan
from tsrnn.memory import Memory
from tsrnn.nn.ensemble import NetworkEnsemble
from tsrnn.windows import Origins

if TYPE_CHECKING:
    from tsrnn.backtesting.folds import Window
    from tsrnn.panel import Panel

__all__ = ["Live"]

_updating = Lock()  # updates by several threads come one after the other


class Live(Forecaster):
    """A forecaster with a network, and a memory of the series that it was fitted to."""

    plan_: DataPlan
    network_: NetworkEnsemble
    forecasting_: Forecasting
    memory_: Memory

    def update(self, df: Any) -> Self:
        """Move the remembered state on by new rows, as if they had been the end of the training data.

        Afterwards :meth:`predict`, :meth:`simulate`, :meth:`score` and :meth:`plot` start from the newest
        row, as after reading the whole history again; the weights stay. A row takes the same time and
        memory however long the history is.

        Parameters
        ----------
        df : frame
            Rows of some or all fitted series, of the kind that was fitted: one each or several. A step
            without a row counts as one without a value. Of ``static_covariates`` none are read; with
            ``future_covariates`` rows behind the newest value are the known future.

        Returns
        -------
        self

        Raises
        ------
        DataError
            The frame can't be used, a series was not fitted, or a row does not follow what is remembered;
            the state stays as it was.
        """
        self._check_is_fitted()
        check_causal(self.network_.plan, "update")
        with _updating:
            memory = self.memory_
            new = read_following(
                df,
                form=self.format_,
                axis=self.axis_,
                ids=memory.names,
                last_times=memory.last_times[:: memory.channels],
                known=memory.now.known[:: memory.channels],
                ahead=memory.ahead[:: memory.channels],
                places=memory.places,
                id_col=self.id_col,
                time_col=self.time_col,
                target_col=self.target_col,
            )
            if self.plan_.log:
                rows = new.panel(memory.ids, self.axis_)
                check_values(rows, representation=self.plan_.representation, output="any")
            with torch_settings(), torch.inference_mode():
                self.memory_ = memory.after(self.network_, new)
        return self

    def get_state(self) -> Memory:
        """Return the remembered state: newest rows and what the network knows after them.

        It costs nothing: it is never changed, :meth:`update` puts another in its place.
        """
        self._check_is_fitted()
        return self.memory_

    def set_state(self, state: Memory) -> Self:
        """Go back, or on, to a state that :meth:`get_state` returned.

        Parameters
        ----------
        state : Memory
            Of this forecaster, of a copy of it, or of one that was loaded from its files.

        Returns
        -------
        self

        Raises
        ------
        ParameterError
            It is no state of this forecaster as it is fitted.
        """
        self._check_is_fitted()
        check_state(state, self.memory_)
        self.memory_ = state
        return self

    def _forecast_each(
        self,
        panel: Panel,
        windows: Sequence[Window],
        horizon: int,
        probabilities: tuple[float, ...],
    ) -> Iterator[Forecast]:
        """Forecast from each window's cutoff, from one pass over each series."""
        if not windows or not self.network_.plan.is_causal:
            yield from super()._forecast_each(panel, windows, horizon, probabilities)
            return
        check_probabilities(self.network_.plan, probabilities, "level and quantiles")
        check_history(windows[-1].past(panel), self.plan_)
        panel = with_calendar(panel, self.plan_.calendar)
        ahead = [window.ahead(panel) for window in windows]
        origins = Origins(
            np.concatenate([window.series for window in windows]),
            np.concatenate([window.known for window in windows]),
        )
        with torch_settings(), torch.inference_mode():
            point, quantiles = self.forecasting_.from_origins(
                self.network_,
                panel,
                origins,
                horizon,
                probabilities,
                context=self.plan_.context,
                ahead=None
                if ahead[0] is None
                else np.concatenate([a for a in ahead if a is not None]),
            )
        cuts = np.cumsum([len(window.series) for window in windows])[:-1]
        yield from map(Forecast, np.split(point, cuts), np.split(quantiles, cuts))
