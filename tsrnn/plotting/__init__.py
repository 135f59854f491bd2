"""Pictures of forecasts, backtests, residuals, calibration and skill; matplotlib, no global state."""

from tsrnn.plotting.figures import (
    plot_backtest,
    plot_calibration,
    plot_forecast,
    plot_residuals,
    plot_skill,
)

__all__ = ["plot_backtest", "plot_calibration", "plot_forecast", "plot_residuals", "plot_skill"]
