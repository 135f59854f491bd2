"""Is a forecast better than naive, or does it look so: tests and sentences on arrays of errors.

Everything here takes plain arrays or a table of scores, so that a backtest, the verdict of a fit
and a notebook say the same thing in the same words.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtr

from tsrnn.exceptions import DataError
from tsrnn.metrics.lag_copying import LagCopy, lag_copy
from tsrnn.metrics.pairing import average, numbers
from tsrnn.parameters import check_integer, check_option, check_real

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "NAIVE_METHODS",
    "LagCopy",
    "best_naive",
    "coverage_interval",
    "diebold_mariano",
    "lag_copy",
    "verdict",
]

NAIVE_METHODS = ("naive", "seasonal_naive", "drift")
SIGNIFICANT = 0.05  # p-values below it are told as a difference, others as possible chance
ROUNDING = 1e-9  # errors that differ by a smaller share are the same


def diebold_mariano(
    errors_a: ArrayLike, errors_b: ArrayLike, horizon: int, *, power: int = 1
) -> tuple[float, float]:
    """Diebold-Mariano test of equal accuracy, corrected for small samples: (statistic, p-value).

    Parameters
    ----------
    errors_a, errors_b : array_like of shape (origins,) or (origins, ...)
        Forecast errors of two methods on the same steps, the first axis in the order of time. Losses
        over other axes (series, horizon) are averaged first, since the errors of one origin depend
        on each other; steps where either error is NaN are left out, and so are origins without any.
    horizon : int
        Origins that an error spans: the forecast horizon for errors of consecutive origins, 1 for
        origins at least a horizon apart. Autocovariances of the loss up to ``horizon - 1`` count.
    power : {1, 2}, default 1
        The loss is |error| or error^2.

    Returns
    -------
    statistic : float
        Negative where ``a`` has the smaller loss. Infinite where the losses differ by the same
        amount at every origin.
    p_value : float
        Two-sided, from Student's t with origins - 1 degrees of freedom. Both are NaN where there are
        fewer than 2 origins, or not more than ``horizon``.

    Notes
    -----
    Where the rectangular estimate of the variance is not positive, which the papers leave open,
    the Bartlett one (Newey & West 1987) takes its place.

    References
    ----------
    Diebold & Mariano (1995), Comparing predictive accuracy, Journal of Business & Economic
    Statistics 13(3); Harvey, Leybourne & Newbold (1997), Testing the equality of prediction mean
    squared errors, International Journal of Forecasting 13(2).

    Examples
    --------
    >>> statistic, p_value = diebold_mariano([1.0, 2.0, 1.0, 2.0], [3.0, 2.5, 2.0, 3.5], 1)
    >>> round(statistic, 2), round(p_value, 3)
    (-3.87, 0.03)
    """
    horizon = check_integer("horizon", horizon, low=1)
    check_option("power", power, (1, 2))
    a, b = numbers(errors_a, "errors_a"), numbers(errors_b, "errors_b")
    if a.shape != b.shape or a.ndim == 0:
        raise DataError(
            "errors_a and errors_b must have the same shape, the first axis being origins. "
            f"Got {a.shape} and {b.shape}."
        )
    difference = _per_origin(np.abs(a) ** power - np.abs(b) ** power)
    n = len(difference)
    if n < 2 or n <= horizon:
        return math.nan, math.nan
    mean = float(difference.mean())
    variance = _long_run_variance(difference, horizon) / n
    if variance <= (4 * np.finfo(float).eps * np.abs(difference).max()) ** 2:
        return (0.0, 1.0) if mean == 0 else (math.copysign(math.inf, mean), 0.0)
    correction = (n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n
    statistic = math.sqrt(correction / variance) * mean
    return statistic, float(2 * stdtr(n - 1, -abs(statistic)))


def _per_origin(losses: np.ndarray) -> np.ndarray:
    """Return the mean loss of each origin that has any, shape (origins,)."""
    means = average(losses, tuple(range(1, losses.ndim)))
    return means[~np.isnan(means)]


def _long_run_variance(x: np.ndarray, horizon: int) -> float:
    """Return the variance of sqrt(n) times the mean of a series correlated over horizon - 1 steps."""
    centred = x - x.mean()
    n = len(x)
    lags = np.arange(1, horizon)
    covariances = np.array([centred[k:] @ centred[: n - k] for k in lags]) / n
    variance = centred @ centred / n
    rectangular = variance + 2 * covariances.sum()
    if rectangular > 0:
        return float(rectangular)
    return float(variance + 2 * ((1 - lags / horizon) * covariances).sum())


def best_naive(scores: pd.DataFrame, metric: str = "mae") -> str:
    """Return which of naive, seasonal naive and drift has the smallest ``metric``.

    Parameters
    ----------
    scores : DataFrame indexed by method
        At least one of :data:`NAIVE_METHODS`; the first of equals wins.
    metric : str, default "mae"
        A column in which smaller is better.
    """
    if metric not in scores.columns:
        raise DataError(
            f"scores must have the column {metric!r}. Got {sorted(map(str, scores.columns))}."
        )
    errors = {name: _value(scores, name, metric) for name in NAIVE_METHODS if name in scores.index}
    known = {name: error for name, error in errors.items() if not math.isnan(error)}
    if not known:
        raise DataError(
            f"scores must have a row with a {metric} for one of {', '.join(NAIVE_METHODS)}. "
            f"Got rows {list(scores.index)}."
        )
    return min(known, key=lambda name: known[name])


def verdict(
    scores: pd.DataFrame,
    *,
    p_value: float | None = None,
    lag_copy: LagCopy | bool | None = None,
    n_steps: int | None = None,
    model: str = "model",
    metric: str = "mae",
) -> str:
    """Say in one sentence whether the model beats the best of the naive forecasts.

    Parameters
    ----------
    scores : DataFrame indexed by method
        The row ``model`` and at least one of naive, seasonal_naive and drift; column ``metric``, and
        "mase" if that is to be told where it disagrees.
    p_value : float, optional
        Of a test against :func:`best_naive`; from 0.05 on the sentence says that it may be chance.
        NaN: no test was possible.
    lag_copy : LagCopy or bool, optional
        Whether the model copies the last value; told if it does.
    n_steps : int, optional
        Held-out steps behind the scores.
    model : str, default "model"
        Row of the model.
    metric : str, default "mae"
        The column that decides.

    Examples
    --------
    >>> import pandas as pd
    >>> scores = pd.DataFrame({"mae": [4.4, 6.0, 5.0]}, index=["model", "naive", "seasonal_naive"])
    >>> verdict(scores, p_value=0.03, n_steps=24)
    'Beats the best naive forecast (seasonal naive) by 12 % in MAE on 24 held-out steps, p = 0.03.'
    """
    reference = best_naive(scores, metric)
    if model not in scores.index:
        raise DataError(f"scores must have the row {model!r}. Got rows {list(scores.index)}.")
    error, naive = _value(scores, model, metric), _value(scores, reference, metric)
    error = naive if math.isclose(error, naive, rel_tol=ROUNDING) else error
    where = "" if n_steps is None else f" on {n_steps:,} held-out step{'s' if n_steps != 1 else ''}"
    if math.isnan(error):
        return f"Can't be compared with the naive forecasts: no {_title(metric)}{where}."
    name = f"the best naive forecast ({reference.replace('_', ' ')})"
    sentence = f"{_comparison(error, naive, name, _title(metric))}{where}"
    sentence += _chance(p_value, differs=error != naive)
    if metric != "mase" and "mase" in scores.columns:
        sentence += _disagreement(scores, model, reference, beats=error < naive)
    copies = lag_copy.is_copy if isinstance(lag_copy, LagCopy) else bool(lag_copy)
    return sentence + ("; it copies the last observed value." if copies else ".")


def _value(scores: pd.DataFrame, method: str, column: str) -> float:
    return float(scores[column].astype(float)[method])


def _title(metric: str) -> str:
    return metric.upper().replace("SMAPE", "sMAPE")


def _comparison(error: float, naive: float, name: str, metric: str) -> str:
    if error == naive:
        return f"Does not beat {name}: the same {metric}"
    if naive == 0:
        return f"Does not beat {name}, which makes no error"
    percent = 100 * abs(1 - error / naive)
    amount = f"{percent:.2g} %" if percent < 100 else f"{percent:.0f} %"
    if percent > 1000:  # naive is all but exact: the factor says nothing
        amount = "over 1000 %"
    if error < naive:
        return f"Beats {name} by {amount} in {metric}"
    return f"Does not beat {name}: {amount} worse in {metric}"


def _disagreement(scores: pd.DataFrame, model: str, reference: str, *, beats: bool) -> str:
    mase, naive = _value(scores, model, "mase"), _value(scores, reference, "mase")
    if beats and mase >= naive:
        return f", but not in MASE ({mase:.3g} against {naive:.3g})"
    if not beats and mase < naive:
        return f", though better in MASE ({mase:.3g} against {naive:.3g})"
    return ""


def _chance(p_value: float | None, *, differs: bool) -> str:
    if p_value is None or not differs:
        return ""
    if math.isnan(p_value):
        return ", too few origins for a test"
    if p_value < 0.001:
        return ", p < 0.001"
    if p_value < SIGNIFICANT:
        return f", p = {p_value:.2f}" if 0.0095 <= p_value < 0.045 else f", p = {p_value:.3f}"
    return f", which may be chance (p = {p_value:.2f})"


def coverage_interval(
    coverage: float, n_points: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Between what shares the true coverage of an interval lies, given the observed one (Wilson 1927).

    Parameters
    ----------
    coverage : float
        Observed share of values inside, 0 to 1.
    n_points : int
        Values behind it. They are taken as independent; those of overlapping forecasts are not,
        and the true range is wider then.
    confidence : float, default 0.95
        Probability that the range holds the true share.

    Returns
    -------
    low, high : float

    References
    ----------
    Wilson (1927), Probable inference, the law of succession, and statistical inference, Journal of
    the American Statistical Association 22(158).

    Examples
    --------
    >>> low, high = coverage_interval(0.8, 1000)
    >>> round(low, 3), round(high, 3)
    (0.774, 0.824)
    """
    share = check_real("coverage", coverage, low=0, high=1)
    n = check_integer("n_points", n_points, low=1)
    z = float(
        ndtri((1 + check_real("confidence", confidence, low=0, high=1, closed="neither")) / 2)
    )
    middle = share + z**2 / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    total = 1 + z**2 / n
    return max(0.0, (middle - half) / total), min(1.0, (middle + half) / total)
