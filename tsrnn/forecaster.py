"""RNNForecaster: fit a recurrent network to any frame of time series, and forecast."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
import torch

from tsrnn.base import Forecast
from tsrnn.calendars.features import dated_ahead, with_calendar
from tsrnn.checks import (
    check_calendar,
    check_forecaster_parameters,
    check_history,
    check_newcomers,
    check_probabilities,
    check_seed,
    check_values,
    drawn_levels,
)
from tsrnn.frames import CovariateColumns
from tsrnn.inference import Reading, read_origins, torch_settings
from tsrnn.intervals import interval_columns
from tsrnn.learning import Learned, Learner
from tsrnn.learning.cold import learn_cold
from tsrnn.learning.planning import plan_data
from tsrnn.learning.skill import warn_without_skill
from tsrnn.live import Live
from tsrnn.memory import Memory, remember
from tsrnn.moment import at_one_moment
from tsrnn.nn.cold import ColdNetwork
from tsrnn.parallel import crew
from tsrnn.parameters import check_integer
from tsrnn.persistence import from_stored, to_stored
from tsrnn.planned import custom_cells, plan_forecasting, plan_network, plan_training
from tsrnn.saving import read_folder, write_folder
from tsrnn.summary import summarise
from tsrnn.windows import Origins

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tsrnn.backtesting import BacktestResult
    from tsrnn.inspection import Diagnosis
    from tsrnn.nn.cells import Cell
    from tsrnn.panel import Panel

__all__ = ["RNNForecaster", "load"]

QUANTILES = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)


class RNNForecaster(Live):
    """Recurrent network forecaster with a scikit-learn interface.

    Reads each series once, causally: level and scale at every step come from rows up to it, the network
    says the next steps at every step, and an untrained network already is the best mixture of simple
    reference forecasts. Weights are chosen on validation rows, the verdict (:attr:`skill_`) on rows
    that chose nothing.

    Parameters
    ----------
    horizon : int, optional
        Steps that ``predict`` writes. From the frequency when None (see
        :class:`~tsrnn.calendars.TimeAxis`).
    context_length : int, optional
        Rows of a training window. ``predict`` reads all the history it is given.
    output : {"quantiles", "point", "normal", "student_t", "negative_binomial"}
        Predictive distribution (:mod:`tsrnn.nn.outputs`).
    quantiles : sequence of float
        Probabilities that ``output="quantiles"`` is trained on; between them forecasts interpolate,
        outside they refuse.
    representation : {"auto", "level", "difference", "log", "log_return"}
        Whether the network works on logarithms, and relative to the season's level or the last value.
    cell : str or type
        Recurrent cell: "gru", "lstm", "rnn" (Elman's with tanh), "rnn_relu", "mut1", "mut2", "mut3", "nas",
        "mingru", "minlstm", "slstm"; "mlp" for a plain network on a window, without recurrence; or your own
        subclass of :class:`tsrnn.Cell`. See docs/networks.md.
    decoder : {"direct", "shift", "recurrent", "attention"}
        "direct" says the whole horizon at every step; "shift" says one step ahead (N steps in, the
        same N shifted by one out) and is rolled on by its own samples; "recurrent" is an
        encoder-decoder, where a second recurrent network runs over the horizon from the encoder's
        state; "attention" is the same and looks back at the encoder's states of ``context_length``
        rows. See docs/networks.md.
    teacher_forcing : {"auto", "never", "scheduled", "always"}
        What the decoders "recurrent" and "attention" are fed as the value before, in training: their own
        ("never", which "auto" takes), the true one with a probability that falls from 1 to 0
        (Bengio et al. 2015), or always the true one. With "always" each step is said given the one
        before it, and quantiles come from sample paths; else they are those of each step by itself.
    hidden_size, num_layers : int
    dropout : float
        Between layers and before the output, in training.
    recurrent_dropout : float
        Share of each layer's inputs and recurrent weights that is dropped for a whole sequence, in training.
    skip : {"none", "residual", "highway"}
        What each layer read goes around it, too: added, or through a gate. The first layer, which reads
        features, has none, unless a convolution stands before it.
    dilations : sequence of int, optional
        For each layer, how many steps back it goes on from, as (1, 2, 4); every layer one when None.
    initial_state : {"zero", "learned", "static"}
        State before the first step: zero, learned, or a linear map of the static covariates.
    bidirectional : bool
        Read the newest ``context_length`` rows in both directions, anew for each forecast. No state goes on:
        not for ``decoder="shift"``, and the loss is that at the last step.
    convolution : int, optional
        Recurrent steps whose inputs a causal convolution joins before the first layer.
    loss_at : {"auto", "every", "last"}
        Steps of a training window that it is taught at. "auto": every step; the last one where
        ``bidirectional``.
    patch : int, optional
        Rows that one recurrent step reads; from the season when None.
    max_steps : int
        Optimiser steps of a network at most; few rows take fewer (``summary()`` says how many).
    max_time : float, optional
        Seconds of all training together at most; the best weights until then are kept.
    n_members : int
        Networks that are trained on all rows, each with its own weights and windows; their quantiles are
        averaged. More are a little more accurate, and cost as many trainings.
    device : {"cpu", "cuda"}
        Where to train. Forecasts are computed on the CPU.
    precision : {"float32", "bfloat16"}
        What the matrix products of the encoder's "gru" or "lstm" layers round their operands to, in training on
        the CPU; sums, states and weights stay float32, and so does reading. "bfloat16" is faster with 128 units
        and more (see docs/benchmarks.md), at gradients that are off by a few thousandths. Refused on a CPU
        without instructions for it: imitated, it is slower than float32 and no more accurate.
    batch_size : int
        Windows of one optimiser step.
    learning_rate : float
    optimizer : {"adamw", "adam", "rmsprop", "adagrad", "sgd"}
    gradient_clip, gradient_clip_value : float, optional
        Largest norm of the gradient; largest absolute value of its entries.
    truncated_bptt : int, optional
        Recurrent steps of a chunk (a step reads ``patch`` rows): instead of random windows, training reads
        every series from end to end, ``batch_size`` lanes side by side, and carries the state from chunk
        to chunk without its gradient. For records far longer than a window; see docs/state.md.
    val_size : int, optional
        Rows of each series that choose the weights.
    patience : int, optional
        Validations without improvement before training ends.
    weight_col : str, optional
        Column of row weights in the loss.
    trainer_params : dict, optional
        Passed on to ``pytorch_lightning.Trainer``.
    id_col, time_col, target_col, freq : str, optional
        Recognised in the frame when None. ``target_col`` may be a list: channels of each series that are
        forecast together by one state, see docs/joint.md.
    calendar : str, sequence or offset, optional
        Sessions of a trading calendar: an exchange name, holidays, or a pandas offset.
    season : int, optional
        Steps of one season (1: none); from the frequency when None, on an integer axis from the data.
    bounds : "auto", tuple of (float or None, float or None), optional
        Physical limits of the values; forecasts stay inside. "auto": not below zero where no value was and
        one in a hundred or more is zero, as in demand; None: no limits.
    missing : {"mask"}
        Missing values are masked, never filled.
    past_covariates, future_covariates, static_covariates : list of str, optional
        Columns that are known up to now, known in advance, or constant for each series. Numbers,
        booleans, or categories (text): those not fitted count as unknown. See docs/covariates.md.
    categorical : {"embedding", "one_hot"}
        How categories are read: as a few learned numbers, or an input for each.
    calendar_features : False, "auto" or list of str
        Where a stamp stands in its cycles, as sine and cosine, known in advance: of "hour", "weekday",
        "day_of_year", "month". "auto": the day of the year of long daily or finer records.
    warm_start : bool
        Let ``fit`` go on from the weights of the fit before, on all rows, for a quarter of the steps that
        were best then; what that fit chose by validation stays. It fits anew where there was none, where
        the data ask for another network, or where nothing was learned beyond the reference forecasts.
    random_state : int, optional
        Seed of weights, windows and sampling noise. None draws one.
    verbose : int
        0 is silent, 1 shows a progress bar, 2 a model summary, too.

    Attributes
    ----------
    plan_ : DataPlan
        What was decided from the data.
    network_ : NetworkEnsemble
    history_ : pandas.DataFrame
        Training curve: step, train_loss, val_score, learning_rate, gradient_norm.
    best_step_ : int
        Step of the weights kept (0: the mixture of reference forecasts was not improved).
    cold_ : ColdNetwork or None
        Forecasts series that have no history, where static covariates are named and there are enough
        series to learn it from.
    skill_ : Skill or None
        The standing against naive forecasts on rows that chose nothing; None where there were too few.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from tsrnn import RNNForecaster
    >>> ds = pd.date_range("2020-01-01", periods=60, freq="MS")
    >>> y = 10 + np.sin(np.arange(60) * np.pi / 6)
    >>> df = pd.DataFrame({"ds": ds, "y": y})
    >>> forecast = RNNForecaster(horizon=3, max_steps=20).fit(df).predict(level=[80])
    >>> list(forecast.columns)
    ['ds', 'forecast', 'forecast-lo-80', 'forecast-hi-80']
    >>> len(forecast)
    3
    """

    def __init__(
        self,
        *,
        horizon: int | None = None,
        context_length: int | None = None,
        output: str = "quantiles",
        quantiles: Sequence[float] = QUANTILES,
        representation: str = "auto",
        cell: str | type[Cell] = "gru",
        decoder: str = "direct",
        teacher_forcing: str = "auto",
        hidden_size: int = 64,
        num_layers: int = 1,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        skip: str = "none",
        dilations: Sequence[int] | None = None,
        initial_state: str = "zero",
        bidirectional: bool = False,
        convolution: int | None = None,
        loss_at: str = "auto",
        patch: int | None = None,
        max_steps: int = 1000,
        max_time: float | None = None,
        n_members: int = 1,
        device: str = "cpu",
        precision: str = "float32",
        batch_size: int = 64,
        learning_rate: float = 2e-3,
        optimizer: str = "adamw",
        gradient_clip: float | None = 1.0,
        gradient_clip_value: float | None = None,
        truncated_bptt: int | None = None,
        val_size: int | None = None,
        patience: int | None = 8,
        weight_col: str | None = None,
        trainer_params: Mapping[str, Any] | None = None,
        id_col: str | None = None,
        time_col: str | None = None,
        target_col: str | Sequence[str] | None = None,
        freq: Any = None,
        calendar: Any = None,
        season: int | None = None,
        bounds: str | tuple[float | None, float | None] | None = "auto",
        missing: str = "mask",
        past_covariates: Sequence[str] | None = None,
        future_covariates: Sequence[str] | None = None,
        static_covariates: Sequence[str] | None = None,
        categorical: str = "embedding",
        calendar_features: bool | str | Sequence[str] = False,
        warm_start: bool = False,
        random_state: int | None = 0,
        verbose: int = 0,
    ) -> None:
        self.horizon = horizon
        self.context_length = context_length
        self.output = output
        self.quantiles = quantiles
        self.representation = representation
        self.cell = cell
        self.decoder = decoder
        self.teacher_forcing = teacher_forcing
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.skip = skip
        self.dilations = dilations
        self.initial_state = initial_state
        self.bidirectional = bidirectional
        self.convolution = convolution
        self.loss_at = loss_at
        self.patch = patch
        self.max_steps = max_steps
        self.max_time = max_time
        self.n_members = n_members
        self.device = device
        self.precision = precision
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.optimizer = optimizer
        self.gradient_clip = gradient_clip
        self.gradient_clip_value = gradient_clip_value
        self.truncated_bptt = truncated_bptt
        self.val_size = val_size
        self.patience = patience
        self.weight_col = weight_col
        self.trainer_params = trainer_params
        self.id_col = id_col
        self.time_col = time_col
        self.target_col = target_col
        self.freq = freq
        self.calendar = calendar
        self.season = season
        self.bounds = bounds
        self.missing = missing
        self.past_covariates = past_covariates
        self.future_covariates = future_covariates
        self.static_covariates = static_covariates
        self.categorical = categorical
        self.calendar_features = calendar_features
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    # ---- fit -------------------------------------------------------------------------------

    def _check_parameters(self) -> None:
        check_forecaster_parameters(self)

    def _covariate_columns(self) -> CovariateColumns:
        return CovariateColumns.named(
            self.future_covariates, self.past_covariates, self.static_covariates
        )

    def _fit_panel(self, panel: Panel, notify: Callable[[int, dict[str, float]], None]) -> None:
        check_values(panel, representation=self.representation, output=self.output)
        check_calendar(panel, self.calendar_features)
        start = time.monotonic()
        plan = self.plan_ = plan_data(panel, self.horizon_, self)
        self.season_ = plan.seasons[0]
        self.seed_ = crew().first_says(draw_seed(self.random_state))
        self.forecasting_ = plan_forecasting(self, panel)
        given, panel = panel, with_calendar(panel, plan.calendar)
        learn = Learner(
            plan,
            plan_network(self, panel),
            plan_training(self),
            self.forecasting_,
            self.val_size,
            int(self.n_members),
            custom_cells(self),
        )
        with torch_settings():
            before = self._learned_before(learn)
            if before is None:
                learned = learn(panel, notify)
            else:
                learned = learn.go_on(panel, before, until=int(self.memory_.last_times.max()))
            self.network_, self.best_step_ = learned.network, learned.best_step
            self.history_, self.skill_ = learned.history, learned.skill
            self.memory_ = self._remember(given)
            self.cold_ = learn_cold(
                panel,
                self.network_,
                horizon=self.horizon_,
                quantiles=self.network_.plan.quantiles,
                seed=self.seed_,
                deadline=None if self.max_time is None else start + self.max_time,
            )
        warn_without_skill(self.skill_, panel)

    def _learned_before(self, learn: Learner) -> Learned | None:
        """Return what an earlier fit learned, where this one goes on from it."""
        if not self.warm_start or not self.__sklearn_is_fitted__() or not self.best_step_:
            return None
        alike = self.network_.plan == learn.network and self.memory_.axis == self.axis_
        if not alike or len(self.network_.members) != learn.n_members:
            return None
        return Learned(self.network_, self.best_step_, self.history_, None)

    def _remember(self, panel: Panel) -> Memory:
        with torch.inference_mode():
            return remember(self.network_, panel, self.plan_.context, calendar=self.plan_.calendar)

    def _read_histories(self, panel: Panel) -> Reading:
        panel = with_calendar(panel, self.plan_.calendar)
        origins = Origins(np.arange(len(panel)), panel.lengths)
        return read_origins(self.network_, panel, origins, context=self.plan_.context)

    # ---- predict ---------------------------------------------------------------------------

    def _forecast_panel(
        self,
        panel: Panel | None,
        horizon: int,
        probabilities: tuple[float, ...],
        ahead: np.ndarray | None = None,
    ) -> Forecast:
        check_probabilities(self.network_.plan, probabilities, "level and quantiles")
        with torch_settings(), torch.inference_mode():
            reading = self._read_panel(panel)
            reading = reading.with_ahead(self._dated(panel, horizon, ahead))
            point, quantiles = self.forecasting_(self.network_, reading, horizon, probabilities)
        return Forecast(point, quantiles)

    def _read_panel(self, panel: Panel | None) -> Reading:
        if panel is None:
            return self.memory_.reading
        check_history(panel, self.plan_)
        return self._read_histories(panel)

    def _dated(
        self, panel: Panel | None, horizon: int, ahead: np.ndarray | None
    ) -> np.ndarray | None:
        """Return the covariates of the steps ahead with the features of their stamps."""
        names = self.plan_.calendar
        if not names:
            return ahead
        last = (self.memory_ if panel is None else panel).last_times
        if ahead is None:
            ahead = np.empty((len(last), max(horizon, self.horizon_), 0))
        return dated_ahead(self.axis_, last, ahead, names)

    def _check_newcomers(self, horizon: int) -> None:
        check_newcomers(self, horizon)

    def _forecast_newcomers(
        self,
        panel: Panel,
        horizon: int,
        probabilities: tuple[float, ...],
        ahead: np.ndarray | None,
    ) -> Forecast:
        check_probabilities(self.network_.plan, probabilities, "level and quantiles")
        with torch_settings(), torch.inference_mode():
            network = cast(ColdNetwork, self.cold_)
            ahead = self._dated(panel, horizon, ahead)
            point, quantiles = self.forecasting_.cold(network, panel, ahead, probabilities)
        return Forecast(point[:, :horizon], quantiles[:, :horizon])

    def _history_tail(self) -> Panel:
        return self.memory_.panel

    @at_one_moment
    def simulate(
        self,
        n_paths: int = 100,
        df: Any = None,
        *,
        horizon: int | None = None,
        random_state: int | None = None,
        future_df: Any = None,
        static_df: Any = None,
    ) -> pd.DataFrame:
        """Draw joint sample paths; also of series without a history, from ``static_df`` alone.

        The decoder "shift", and any with ``teacher_forcing="always"``, draws each step from its own
        distribution given the path so far; the others join their margins by a Gaussian copula that was
        fitted on validation forecasts.

        Parameters
        ----------
        n_paths : int
        df : frame, optional
            A history to start from; the end of the training data when not given.
        horizon : int, optional
            Steps; the fitted horizon when not given, which without a history is the most.
        random_state : int, optional
            Seed of the draws; the forecaster's own when not given. The same noise drives all series.
        future_df, static_df : frame, optional
            As in :meth:`predict`.

        Returns
        -------
        pandas.DataFrame
            Long: id, ``path``, time, ``value``; ``n_paths * horizon`` rows a series. Where ``target_col``
            is a list, a column for each target in place of ``value``.
        """
        from tsrnn.views import paths_frame

        self._check_is_fitted()
        n_paths = check_integer("n_paths", n_paths, low=1)
        horizon = self.horizon_ if horizon is None else check_integer("horizon", horizon, low=1)
        check_seed(random_state)
        check_probabilities(self.network_.plan, (0.5,), "Sample paths")
        seed = self.seed_ if random_state is None else int(random_state)
        if self._starts_cold(df, static_df):
            panel, ahead = self._newcomers(static_df, future_df, horizon)
            with torch_settings(), torch.inference_mode():
                drawn = self.forecasting_.cold_paths(
                    cast(ColdNetwork, self.cold_),
                    panel,
                    self._dated(panel, horizon, ahead),
                    n_paths=n_paths,
                    seed=seed,
                )
            return paths_frame(self, panel, drawn[..., :horizon])
        panel = self._history(df, static_df)
        ahead = self._ahead(panel, future_df, needed=horizon)
        with torch_settings(), torch.inference_mode():
            reading = self._read_panel(None if df is None else panel)
            reading = reading.with_ahead(self._dated(panel, horizon, ahead))
            drawn = self.forecasting_.paths(
                self.network_, reading, horizon, n_paths=n_paths, seed=seed
            )
        return paths_frame(self, panel, drawn)

    # ---- look and keep ---------------------------------------------------------------------

    def backtest(self, df: Any, **how: Any) -> BacktestResult:
        """Forecast from several past origins and compare; see :func:`tsrnn.backtesting.backtest`."""
        from tsrnn.backtesting import backtest

        return backtest(self, df, **how)

    @at_one_moment
    def summary(self) -> str:
        """Return what was decided from the data, the parameters of each block, and the verdict."""
        self._check_is_fitted()
        return summarise(self)

    @at_one_moment
    def diagnose(self, df: Any = None, *, static_df: Any = None) -> Diagnosis:
        """Look inside the network: how far back it remembers, its weights, gates and units.

        Parameters
        ----------
        df : frame, optional
            Histories to read; the end of the training data when not given.
        static_df : frame, optional
            As in :meth:`predict`.

        Returns
        -------
        Diagnosis
            Numbers, ``plot()``, and in words (``print``) what was found and what to try.
        """
        from tsrnn.inspection import diagnose

        self._check_is_fitted()
        panel = None if df is None and static_df is None else self._history(df, static_df)
        with torch_settings(), torch.inference_mode():
            reading = self._read_panel(panel)
        return diagnose(self, reading)

    @at_one_moment
    def plot(
        self,
        df: Any = None,
        *,
        level: float | Sequence[float] | None = None,
        future_df: Any = None,
        static_df: Any = None,
        **how: Any,
    ) -> Figure:
        """Draw the newest history and the forecast fan.

        Parameters
        ----------
        df : frame, optional
            A history to forecast from; the end of the training data when not given.
        level : float or sequence of float, optional
            Central intervals in percent, as bands; 80 and 95, as far as they were trained, when not
            given.
        future_df, static_df : frame, optional
            As in :meth:`predict`.
        **how
            Passed on to :func:`tsrnn.plotting.plot_forecast`: ``ids``, ``max_series``, ``title``, ...

        Returns
        -------
        matplotlib.figure.Figure
        """
        from tsrnn.views import draw_forecast

        self._check_is_fitted()
        panel = self._history(df, static_df)
        ahead = self._ahead(panel, future_df, needed=self.horizon_)
        level = drawn_levels(self.network_.plan) if level is None else level
        columns = interval_columns(level if self.network_.output.has_quantiles else None, None)
        probabilities = tuple(sorted(columns.values()))
        forecast = self._say(None if df is None else panel, self.horizon_, probabilities, ahead)
        return draw_forecast(self, panel, forecast, columns, **how)

    @at_one_moment
    def save(self, path: str | Path) -> None:
        """Write the fitted forecaster to a folder of JSON and safetensors, all or nothing.

        Parameters
        ----------
        path : path-like
            The folder; a model that is there already is replaced in one step.

        Raises
        ------
        OSError
            The folder can't be written; what was there stays.
        """
        self._check_is_fitted()
        write_folder(path, *to_stored(self))

    @classmethod
    def load(
        cls, path: str | Path, custom_cells: Mapping[str, type[Cell]] | None = None
    ) -> RNNForecaster:
        """Return the forecaster saved at ``path``; its forecasts are the same bit for bit.

        Parameters
        ----------
        path : path-like
        custom_cells : dict of str to type, optional
            Cells of your own by name: ``{"MyCell": MyCell}``. Nothing is imported by a name in the file.

        Raises
        ------
        ModelFileError
            The folder holds no model, a damaged one, one of a newer format, or one whose cell is missing
            in ``custom_cells``.
        """
        return from_stored(cls, *read_folder(path), custom_cells)


def load(path: str | Path, custom_cells: Mapping[str, type[Cell]] | None = None) -> RNNForecaster:
    """Return the forecaster saved at ``path``; see :meth:`RNNForecaster.load`."""
    return RNNForecaster.load(path, custom_cells)


def draw_seed(random_state: int | None) -> int:
    """Return the seed, or a fresh one from the system's entropy for None."""
    return secrets.randbelow(2**31) if random_state is None else int(random_state)
