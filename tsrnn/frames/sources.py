"""Which rows a frame holds: its series, times, target and weights, whatever the kind of frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pandas as pd

from tsrnn.exceptions import DataError
from tsrnn.frames.columns import (
    TIME_NAMES,
    check_alike,
    find_columns,
    missing_column,
    single_target,
)
from tsrnn.frames.formats import FrameFormat
from tsrnn.frames.stamps import is_time_like
from tsrnn.frames.tables import Table, open_table

__all__ = ["Source", "open_source"]

_KINDS = {
    "long": "a long frame with the columns {names}",
    "indexed": "a frame with a (series, time) index",
    "wide": "a wide frame with a time index and one column per series",
    "series": "a pandas Series with a time index",
}


@dataclass(frozen=True)
class Source:
    """The columns of a caller's frame that are used, unchecked.

    Parameters
    ----------
    format : FrameFormat
        Kind and names of the frame.
    times : Series of shape (rows,)
        Time of each row.
    values : Series of shape (rows,), or DataFrame of shape (rows, series)
        Target; a frame has one column per series.
    ids : Series of shape (rows,), optional
        Series of each row.
    weights : Series of shape (rows,), optional
        Importance of each row.
    beside : dict of str to Series of shape (rows,), optional
        Covariates by name.
    targets : dict of str to Series of shape (rows,), optional
        The targets by name where they were asked for as a list; ``values`` is the first of them.
    """

    format: FrameFormat
    times: pd.Series
    values: pd.Series | pd.DataFrame
    ids: pd.Series | None = None
    weights: pd.Series | None = None
    beside: Mapping[Any, pd.Series] = field(default_factory=dict)
    targets: Mapping[Any, pd.Series] = field(default_factory=dict)


def open_source(
    df: Any,
    *,
    id_col: Any = None,
    time_col: Any = None,
    target_col: Any = None,
    weight_col: Any = None,
    beside: Mapping[Any, str] | None = None,
    like: FrameFormat | None = None,
) -> Source:
    """Return the used columns of a frame, found by name or as in the frame ``like``.

    ``beside`` maps the name of each covariate to the parameter that names it.
    """
    beside = {} if beside is None else beside
    taken = {*beside} if weight_col is None else {weight_col, *beside}
    if isinstance(id_col, (list, tuple)):
        raise DataError(
            f"'id_col' must name one column. Got {id_col!r}. Join the ids into one column, or pass a wide frame."
        )
    if like is not None:
        id_col = like.id_name if like.kind == "long" and like.has_ids else id_col
        time_col = like.time_name if like.kind == "long" and not like.time_in_index else time_col
        if like.kind in {"long", "indexed"}:
            target_col = list(like.targets) or like.target_name
    targets = []
    if isinstance(target_col, (list, tuple)):
        targets = _joint_targets(df, list(target_col), {*taken, id_col, time_col})
        target_col, taken = targets[0], taken | set(targets[1:])
    if isinstance(df, pd.Series):
        source = _from_series(df, weight_col)
    elif isinstance(df, pd.DataFrame) and isinstance(df.index, pd.MultiIndex):
        source = _from_multiindex(df, time_col, target_col, weight_col, taken)
    else:
        source = _from_table(df, id_col, time_col, target_col, weight_col, taken, like)
    if targets:
        source = _with_targets(df, source, targets)
    if like is not None and _shape(source.format) != _shape(like):
        raise DataError(
            f"df must be of the kind that was fitted, {_text(like)}. Got {_text(source.format)}."
        )
    return replace(source, beside=_beside(df, source, weight_col, beside)) if beside else source


def _joint_targets(df: Any, targets: list[Any], others: set[Any]) -> list[Any]:
    """Return the targets of a list; the frame can have them, and each is a column of its own."""
    if isinstance(df, pd.Series):
        raise DataError(
            f"target_col as a list needs a frame with a column for each target. Got {targets!r} and a Series. "
            "Pass the frame, or leave out target_col."
        )
    twice = [name for i, name in enumerate(targets) if name in targets[:i] or name in others]
    if not targets or twice:
        raise DataError(
            "target_col as a list must name at least one column, each once and for nothing else. Got "
            f"{targets!r}{f', {twice[0]!r} more than once' if twice else ''}. Name each target once."
        )
    return targets


def _with_targets(df: Any, source: Source, targets: list[Any]) -> Source:
    """Return the source with all targets, which it was opened with the first of."""
    table = open_table(df)
    for name in targets:
        if name not in table.kinds:
            raise missing_column("target_col", name, list(table.kinds))
    form = replace(source.format, target_name=None, targets=tuple(targets))
    return replace(source, format=form, targets={name: table.column(name) for name in targets})


def _beside(
    df: Any, source: Source, weight_col: Any, beside: Mapping[Any, str]
) -> dict[Any, pd.Series]:
    """Return the covariates by name; they are columns of their own."""
    name, parameter = next(iter(beside.items()))
    form = source.format
    if form.kind in {"wide", "series"}:
        raise DataError(
            f"Covariates need {_KINDS['indexed']} or a long frame. Got {parameter}=[{name!r}, ...] and {_text(form)}. "
            "Make it long with df.melt() or df.reset_index()."
        )
    table = open_table(df)
    for name, parameter in beside.items():
        if name in {form.id_name, form.time_name, form.target_name, *form.targets, weight_col}:
            raise DataError(
                f"A covariate must be a column beside series, time, target and weights. Got {name!r} ({parameter}). "
                "Leave it out there, or copy it to a column of its own."
            )
        if name not in table.kinds:
            raise missing_column(parameter, name, list(table.kinds))
    return {name: table.column(name) for name in beside}


def _shape(kind: FrameFormat) -> tuple[str, bool, bool]:
    return kind.kind, kind.has_ids, kind.time_in_index


def _text(kind: FrameFormat) -> str:
    named = (kind.id_name, kind.time_name, kind.target_name, *kind.targets)
    names = [name for name in named if name is not None]
    return _KINDS[kind.kind].format(names=names)


def _from_series(column: pd.Series, weight_col: Any) -> Source:
    if weight_col is not None:
        raise DataError(
            f"'weight_col' must name a column. Got {weight_col!r} and a Series. Pass a DataFrame."
        )
    if isinstance(column.index, pd.MultiIndex):
        name = "y" if column.name is None else column.name
        source = _from_multiindex(column.to_frame(name), None, name, None, set())
        return replace(source, format=replace(source.format, target_name=column.name))
    kind = FrameFormat(
        "series", has_ids=False, time_name=column.index.name, target_name=column.name
    )
    return Source(kind, _index_times(column.index), column)


def _index_times(index: pd.Index) -> pd.Series:
    return (
        pd.Series(index, copy=False).rename(None)
        if len(index)
        else pd.Series([], dtype="datetime64[ns]")
    )


def _from_multiindex(
    df: pd.DataFrame, time_col: Any, target_col: Any, weight_col: Any, taken: set[Any]
) -> Source:
    table = open_table(df)
    index = cast(pd.MultiIndex, df.index)
    if index.nlevels != 2:
        raise DataError(
            f"A row index must have the two levels series and time. Got {index.nlevels} levels {list(index.names)}. "
            "Join the levels that name a series into one."
        )
    level = _time_level(index, time_col)
    free = [name for name in table.kinds if name not in taken]
    if target_col is not None and target_col not in table.kinds:
        raise missing_column("target_col", target_col, list(table.kinds))
    target = single_target(free) if target_col is None else target_col
    if target is None:
        numbers = [name for name in free if table.kinds[name] in {"number", "integer"}]
        raise DataError(
            f"Several columns could be the target: {numbers}. Name one with target_col=."
        )
    names = index.levels[1 - level]
    ids = pd.Categorical.from_codes(index.codes[1 - level], categories=names)
    kind = FrameFormat(
        "indexed",
        id_name=index.names[1 - level],
        time_name=index.names[level],
        target_name=target,
        id_dtype=str(names.dtype),
        time_first=level == 0,
    )
    times = _index_times(index.get_level_values(level))
    return Source(kind, times, df[target], pd.Series(ids, copy=False), _weights(table, weight_col))


def _time_level(index: pd.MultiIndex, time_col: Any) -> int:
    if time_col is not None:
        if time_col not in index.names:
            raise missing_column("time_col", time_col, list(index.names))
        return list(index.names).index(time_col)
    typed = [i for i in (0, 1) if is_time_like(index.levels[i].dtype)]
    if len(typed) == 1:
        return typed[0]
    named = [i for i in (0, 1) if str(index.names[i]).lower() in TIME_NAMES]
    return named[0] if len(named) == 1 else 1


def _weights(table: Table, weight_col: Any) -> pd.Series | None:
    if weight_col is None:
        return None
    if weight_col not in table.kinds:
        raise missing_column("weight_col", weight_col, list(table.kinds))
    return table.column(weight_col)


def _from_table(
    df: Any,
    id_col: Any,
    time_col: Any,
    target_col: Any,
    weight_col: Any,
    taken: set[Any],
    like: FrameFormat | None,
) -> Source:
    table = open_table(df)
    named = {name for name in (id_col, target_col, weight_col) if name is not None}
    if (
        table.backend == "pandas"
        and df.index.name is not None
        and df.index.name in named - set(table.kinds)
    ):
        return _from_table(df.reset_index(), id_col, time_col, target_col, weight_col, taken, like)
    if table.backend == "pandas" and _time_in_index(table, df, time_col):
        return _from_time_index(table, df, id_col, target_col, weight_col, taken, like)
    columns = find_columns(
        table, id_col=id_col, time_col=time_col, target_col=target_col, taken=taken
    )
    if like is not None and not like.has_ids:
        columns = replace(columns, id=None)
    kind = FrameFormat(
        "long",
        backend=table.backend,
        has_ids=columns.id is not None,
        id_name=columns.id,
        time_name=columns.time,
        target_name=columns.target,
        id_dtype="object" if columns.id is None else table.dtype(columns.id),
    )
    return Source(
        kind,
        table.column(columns.time),
        table.column(columns.target),
        None if columns.id is None else table.column(columns.id),
        _weights(table, weight_col),
    )


def _time_in_index(table: Table, df: pd.DataFrame, time_col: Any) -> bool:
    """Return whether the index holds the times rather than a column."""
    if time_col is not None:
        return time_col not in table.kinds and df.index.name == time_col
    if is_time_like(df.index.dtype):
        return True
    in_columns = any(
        kind == "time" or (isinstance(name, str) and name.lower() in TIME_NAMES and kind != "other")
        for name, kind in table.kinds.items()
    )
    if in_columns or len(df) == 0:
        return False
    if pd.api.types.is_integer_dtype(df.index.dtype):
        # bare row numbers count the steps of one series, they do not date a wide frame
        return not _is_row_number(df.index) or len(table.kinds) == 1
    first = df.index[0]
    return (isinstance(first, str) and first[:4].isdigit()) or hasattr(first, "year")


def _is_row_number(index: pd.Index) -> bool:
    return isinstance(index, pd.RangeIndex) and index.name is None and index.start == 0


def _from_time_index(
    table: Table,
    df: pd.DataFrame,
    id_col: Any,
    target_col: Any,
    weight_col: Any,
    taken: set[Any],
    like: FrameFormat | None,
) -> Source:
    times = _index_times(df.index)
    wide = like is not None and like.kind == "wide"
    columns = None
    if not wide:
        columns = find_columns(
            table,
            id_col=id_col,
            time_col=None,
            target_col=target_col,
            taken=taken,
            index_times=times,
        )
        free = [name for name in table.kinds if name not in taken | {columns.id}]
        target = columns.target
        if target is None:
            target = single_target(free)
        if target is None and columns.id is not None:
            raise DataError(
                f"Several columns could be the target: {free}. Name one with target_col=."
            )
        if target is not None:
            kind = FrameFormat(
                "long",
                has_ids=columns.id is not None,
                id_name=columns.id,
                time_name=df.index.name,
                target_name=target,
                id_dtype="object" if columns.id is None else table.dtype(columns.id),
                time_in_index=True,
            )
            ids = None if columns.id is None else df[columns.id]
            return Source(kind, times, df[target], ids, _weights(table, weight_col))
    if weight_col is not None:
        raise DataError(
            f"'weight_col' must be left out for a wide frame. Got {weight_col!r}. Make the frame long with df.melt()."
        )
    if not table.kinds:
        raise DataError("df needs at least one column of values. Got none besides the index.")
    check_alike(table, df, list(table.kinds))
    kind = FrameFormat(
        "wide", id_name=df.columns.name, time_name=df.index.name, id_dtype=str(df.columns.dtype)
    )
    return Source(kind, times, df)
