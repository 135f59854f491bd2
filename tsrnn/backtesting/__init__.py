"""Rolling origins: what a forecaster would have said, beside what the simple methods say."""

from tsrnn.backtesting.comparison import BacktestResult
from tsrnn.backtesting.folds import RollingOriginSplit
from tsrnn.backtesting.rolling import backtest

__all__ = ["BacktestResult", "RollingOriginSplit", "backtest"]
