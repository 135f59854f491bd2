"""Rows from a database, and forecasts into one: a date's rows are replaced in one transaction."""

from __future__ import annotations

import datetime as dt
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pandas as pd

from tsrnn.exceptions import DataError, SpecError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .sections import DataSpec, OutputSpec

__all__ = ["read_rows", "write_rows"]

_KEYS = ("pipeline", "as_of")


def read_rows(data: DataSpec, *, as_of: str | None = None) -> pd.DataFrame:
    """Return the rows of ``data.query``; ``:as_of`` in it is ``as_of``, or NULL.

    Raises
    ------
    DataError
        The database can't be reached or the query can't be answered; the address is told without
        its password.
    """
    from sqlalchemy import text

    statement = text(str(data.query))
    bound = {"as_of": as_of} if "as_of" in statement.compile().params else {}
    with (
        _engine(str(data.url), "data.url") as engine,
        _words("data.query"),
        engine.connect() as connection,
    ):
        frame = pd.read_sql_query(statement, connection, params=bound)
    dates = [name for name in frame.columns if _is_date(frame[name])]
    return frame.assign(**{name: pd.to_datetime(frame[name]) for name in dates})


def write_rows(output: OutputSpec, forecast: pd.DataFrame, *, pipeline: str, as_of: str) -> None:
    """Put ``forecast`` into ``output.table`` in place of what this pipeline wrote for ``as_of``.

    The table has the columns of the forecast after ``pipeline`` and ``as_of``. Whoever reads it sees
    the earlier rows of that date or the new ones, never both and never none.

    Raises
    ------
    DataError
        The table has other columns, or the database can't be written.
    """
    from sqlalchemy import Column, MetaData, Table, and_, inspect
    from sqlalchemy.exc import SQLAlchemyError

    rows = forecast.assign(pipeline=pipeline, as_of=as_of)[[*_KEYS, *forecast.columns]]
    name = str(output.table)
    with _engine(str(output.url), "output.url") as engine, _words("output.table"):
        if not inspect(engine).has_table(name):
            try:
                with engine.begin() as connection:
                    rows.head(0).to_sql(name, connection, index=False, if_exists="append")
            except (SQLAlchemyError, pd.errors.DatabaseError):
                if not inspect(engine).has_table(name):  # another process was faster
                    raise
        found = [str(column["name"]) for column in inspect(engine).get_columns(name)]
        if set(found) != set(map(str, rows.columns)):
            raise DataError(
                f"The table {name!r} of output.table must have the columns {list(rows.columns)}. Got "
                f"{found}. Name another table, or change this one."
            )
        table = Table(name, MetaData(), *(Column(key) for key in _KEYS))
        with engine.begin() as connection:
            ours = and_(table.c.pipeline == pipeline, table.c.as_of == as_of)
            connection.execute(table.delete().where(ours))
            rows.to_sql(name, connection, index=False, if_exists="append")


@contextmanager
def _engine(address: str, key: str) -> Iterator[Any]:
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError
    from sqlalchemy.pool import NullPool

    try:
        engine = create_engine(_filled(address, key), poolclass=NullPool)
    except (ArgumentError, ImportError) as error:
        raise SpecError(
            f"{key} must be an address of SQLAlchemy such as sqlite:///prices.db, whose driver is installed. "
            f"Got {_masked(address)!r}: {type(error).__name__}."
        ) from error
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _words(key: str) -> Iterator[None]:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, pd.errors.DatabaseError) as error:
        known = error.__cause__ if isinstance(error, pd.errors.DatabaseError) else error
        cause = " ".join(str(getattr(known, "orig", None) or known or error).split())[:300]
        raise DataError(f"{key}: the database says {cause!r}.") from error


def _filled(address: str, key: str) -> str:
    """Return ``address`` with ``${NAME}`` replaced by environment variables, all of which must be set."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise SpecError(f"{key} needs the environment variable {match[1]!r}, which is not set.")
        return os.environ[match[1]]

    return re.sub(r"\$\{(\w+)\}", value, address)


def _masked(address: str) -> str:
    return re.sub(r"://([^:/@]*):[^@]*@", r"://\1:***@", address)


def _is_date(column: pd.Series) -> bool:
    known = column.dropna()
    return column.dtype == object and len(known) > 0 and isinstance(known.iloc[0], dt.date)
