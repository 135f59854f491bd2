"""A model at the end of a date's rows: fitted there, moved on by the rows that came since, or reading them all.

Moving the state on costs by the new rows alone and says what reading the whole history would say. It
can only be done where the rows that were fitted are still what they were: their fingerprint tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tsrnn.exceptions import DataError, ParameterError

if TYPE_CHECKING:
    from tsrnn.forecaster import RNNForecaster
    from tsrnn.panel import Panel

__all__ = ["Ready", "bring_up"]


@dataclass(frozen=True)
class Ready:
    """A model that forecasts the steps after the rows of a date.

    Parameters
    ----------
    model : RNNForecaster
        Fitted.
    how : {"fitted", "updated", "read"}
        It was fitted to these rows; its state was moved on by the newest; it reads them all.
    words : str
        The same as a sentence.
    history : pandas.DataFrame or None
        What it reads; None where its state is at the end of the rows.
    """

    model: RNNForecaster
    how: str = "fitted"
    words: str = "fitted to these rows"
    history: pd.DataFrame | None = None

    def forecast(self, *, horizon: int, level: list[int | float]) -> pd.DataFrame:
        """Return the forecast of ``horizon`` steps after the rows."""
        return self.model.predict(self.history, horizon=horizon, level=level)


def bring_up(model: RNNForecaster, frame: pd.DataFrame, *, fitted: str | None) -> Ready:
    """Bring a fitted model to the end of ``frame``, by its newest rows where that is exact.

    Parameters
    ----------
    model : RNNForecaster
        Its state is moved on.
    frame : pandas.DataFrame
        All rows, long.
    fitted : str or None
        Fingerprint of the rows that it was fitted to (tag ``tsrnn.data``).
    """
    try:
        why = _hindrance(model, frame, fitted)
        if why is None:
            rows = _rows_after(model, frame)
            if len(rows):
                model.update(rows)
            return Ready(model, "updated", f"its state was moved on by {len(rows):,} rows")
    except (DataError, ParameterError) as error:
        why = str(error)
    return Ready(model, "read", f"it reads all rows: {why}", frame)


def _hindrance(model: RNNForecaster, frame: pd.DataFrame, fitted: str | None) -> str | None:
    """Return why the newest rows are not enough; None where they are."""
    from tsrnn.tracking.record import fingerprint

    if model.format_.covariates:
        return "covariates may have been revised"
    panel, _ = model._read(frame, fitted=True)  # noqa: SLF001
    memory = model.get_state()
    if not panel.ids.equals(memory.ids):
        return "other series than were fitted"
    if fingerprint(_until(panel, memory.last_times)) != fitted:
        return "rows that were fitted have been revised"
    return None


def _until(panel: Panel, last: np.ndarray) -> Panel:
    """Return the rows of each series up to its time in ``last``."""
    known = panel.times <= np.repeat(last, panel.lengths)
    counts = np.add.reduceat(known, panel.indptr[:-1], dtype=np.int64)
    return panel.take_rows(np.zeros_like(counts), counts)


def _rows_after(model: RNNForecaster, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of each series after its newest one in the state of ``model``."""
    form, memory = model.format_, model.get_state()
    last = model.axis_.to_index(memory.last_times[:: memory.channels])
    times: Any = frame[form.time_name]
    if not form.has_ids:
        return frame[times > last[0]]
    newest = frame[form.id_name].map(dict(zip(memory.names, last, strict=True)))
    return frame[times > newest.astype(times.dtype)]
