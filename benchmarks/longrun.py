"""Long horizons: the ETT sets by the protocol of the papers on long-term forecasting.

Twelve months to learn from, four to choose by, four to judge; the seven channels are seven series, each
standardised by mean and deviation of its first twelve months; MSE and MAE over all channels and all
windows whose horizon lies in the last four months (stride 1, no window dropped), each forecast from the 720 rows
before it. The model is fitted to the sixteen months before and cuts off its own rows to choose by;
``--split validation`` fits to the first twelve and judges the four after. One fit a horizon.

References
----------
Zhou et al. (2021), Informer, AAAI 35(12): the split; Lin et al. (2023), SegRNN, arXiv 2308.11200.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pandas as pd
from rolling import Rolling

from tsrnn import datasets

__all__ = ["LONGRUN", "channels"]

MONTHS = 30  # days
LOOK_BACK = 720
HORIZONS = (96, 192, 336, 720)
STEPS_A_DAY = {"etth1": 24, "ettm1": 96}


def channels(frame: pd.DataFrame, steps_a_day: int) -> pd.DataFrame:
    """Return the standardised channels of twenty months as a long frame."""
    month = MONTHS * steps_a_day
    wide = (
        frame.drop(columns="unique_id")
        .rename(columns={"y": "OT"})
        .set_index("ds")
        .iloc[: 20 * month]
    )
    learnt = wide.iloc[: 12 * month]
    wide = (wide - learnt.mean()) / learnt.std(ddof=0)
    return wide.reset_index().melt("ds", var_name="unique_id", value_name="y")


def _read(source: str) -> Callable[[], pd.DataFrame]:
    return lambda: channels(datasets.load(source), STEPS_A_DAY[source])


LONGRUN = {
    f"{source}_{horizon}": Rolling(
        _read(source), horizon, steps, judged=4 * MONTHS * steps, step=1, lag=steps,
        measures=("mse", "mae"), look_back=LOOK_BACK,
    )
    for (source, steps), horizon in product(STEPS_A_DAY.items(), HORIZONS)
}  # fmt: skip
