"""Rows from a database and files by pattern; forecasts into a table, a date at a time."""

import datetime as dt
import sqlite3

import pandas as pd
import pytest
from sqlalchemy.exc import OperationalError
from tsrnn.pipelines import sql
from tsrnn.pipelines.load import load
from tsrnn.pipelines.sections import DataSpec, OutputSpec

from tsrnn.exceptions import DataError, SpecError

FORECAST = pd.DataFrame(
    {"ds": pd.date_range("2024-03-01", periods=2), "forecast": [1.0, 2.0], "forecast-lo-80": 0.5}
)


@pytest.fixture
def url(tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE", str(tmp_path / "prices.db"))
    frame = pd.DataFrame({"ds": ["2024-01-01", "2024-01-02", "2024-01-03"], "y": [1, 2, 3]})
    frame.to_sql("prices", f"sqlite:///{tmp_path}/prices.db", index=False)
    return "sqlite:///${DATABASE}"


@pytest.fixture
def output(url):
    return OutputSpec(table="forecasts", url=url)


def written(url, tmp_path):
    table = pd.read_sql("SELECT * FROM forecasts", f"sqlite:///{tmp_path}/prices.db")
    return table.groupby(["pipeline", "as_of"])["forecast"].apply(list).to_dict()


def test_a_query_knows_the_date_of_the_run(url):
    data = DataSpec(query="SELECT * FROM prices WHERE ds <= :as_of ORDER BY ds", url=url)

    frame = load(data, as_of="2024-01-02")

    assert frame["ds"].tolist() == [pd.Timestamp("2024-01-01"), pd.Timestamp("2024-01-02")]
    assert frame["y"].tolist() == [1, 2]


def test_dates_of_a_database_become_times():
    column = pd.Series([None, dt.date(2024, 1, 2)], dtype=object)

    assert sql._is_date(column)
    assert not sql._is_date(pd.Series(["a"], dtype=object))


@pytest.mark.parametrize(
    ("query", "address", "error", "message"),
    [
        (
            "SELECT * FROM nothing",
            "sqlite://",
            DataError,
            "data.query: the database says .*nothing",
        ),
        ("SELECT 1", "sqlite:///${NO_SUCH}", SpecError, "environment variable 'NO_SUCH'"),
        ("SELECT 1", "nonsense://a:secret@b/c", SpecError, r"Got 'nonsense://a:\*\*\*@b/c'"),
        ("SELECT 1", "no address", SpecError, "must be an address of SQLAlchemy"),
    ],
)
def test_a_database_that_can_not_be_read_is_named_without_its_password(
    query, address, error, message
):
    with pytest.raises(error, match=message) as caught:
        load(DataSpec(query=query, url=address))

    assert "secret" not in str(caught.value)


def test_a_date_is_replaced_and_others_stay(url, output, tmp_path):
    sql.write_rows(output, FORECAST, pipeline="shop", as_of="2024-02-28")
    sql.write_rows(output, FORECAST, pipeline="shop", as_of="2024-02-29")
    sql.write_rows(output, FORECAST, pipeline="other", as_of="2024-02-29")

    sql.write_rows(
        output, FORECAST.assign(forecast=[7.0, 8.0]), pipeline="shop", as_of="2024-02-29"
    )

    assert written(url, tmp_path) == {
        ("other", "2024-02-29"): [1.0, 2.0],
        ("shop", "2024-02-28"): [1.0, 2.0],
        ("shop", "2024-02-29"): [7.0, 8.0],
    }


def test_a_write_that_breaks_off_leaves_the_earlier_rows(url, output, tmp_path, monkeypatch):
    sql.write_rows(output, FORECAST, pipeline="shop", as_of="2024-02-29")

    def broken(*_, **__):
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(pd.DataFrame, "to_sql", broken)
        with pytest.raises(RuntimeError, match="killed"):
            sql.write_rows(output, FORECAST, pipeline="shop", as_of="2024-02-29")

    assert written(url, tmp_path) == {("shop", "2024-02-29"): [1.0, 2.0]}


def test_a_table_that_another_process_makes_at_the_same_moment_is_used(
    url, output, tmp_path, monkeypatch
):
    to_sql, made = pd.DataFrame.to_sql, []

    def raced(self, name, connection, **how):
        if not made:
            made.append(name)
            with sqlite3.connect(tmp_path / "prices.db") as other:
                columns = ", ".join(f'"{column}"' for column in self.columns)
                other.execute(f'CREATE TABLE "{name}" ({columns})')
            raise OperationalError("CREATE TABLE", {}, Exception("table already exists"))
        return to_sql(self, name, connection, **how)

    monkeypatch.setattr(pd.DataFrame, "to_sql", raced)

    sql.write_rows(output, FORECAST, pipeline="shop", as_of="2024-02-29")

    assert written(url, tmp_path) == {("shop", "2024-02-29"): FORECAST["forecast"].tolist()}


def test_a_table_with_other_columns_is_refused(output):
    sql.write_rows(output, FORECAST, pipeline="shop", as_of="2024-02-29")

    with pytest.raises(DataError, match=r"must have the columns .*'forecast-lo-95'.* Got .*lo-80"):
        sql.write_rows(
            output,
            FORECAST.rename(columns={"forecast-lo-80": "forecast-lo-95"}),
            pipeline="shop",
            as_of="2024-02-29",
        )


def test_files_are_read_by_pattern_in_order_and_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, day in (("b", 2), ("a", 1)):
        (tmp_path / f"sales-{name}.csv").write_text(f"ds,y\n2024-01-0{day},{day}\n")

    frame = load(DataSpec(path=["sales-*.csv", "sales-a.csv"]))
    whole = load(DataSpec(path=str(tmp_path / "*.csv")))

    assert frame["y"].tolist() == [1, 2]
    assert whole.equals(frame)


def test_a_pattern_without_files_and_files_of_different_columns_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("ds,y\n2024-01-01,1\n")
    (tmp_path / "b.csv").write_text("ds,z\n2024-01-02,1\n")

    with pytest.raises(DataError, match=r"No file matches data.path 'c\*.csv'"):
        load(DataSpec(path="c*.csv"))
    with pytest.raises(
        DataError, match=r"same columns. Got \['ds', 'y'\] in 'a.csv' and \['ds', 'z'\]"
    ):
        load(DataSpec(path="*.csv"))
