"""A week of dates on real prices: five runs that can be compared, and a champion that the gate chose."""

import pandas as pd
import pytest
from mlflow import MlflowClient
from tsrnn.pipelines.backfill import as_of_dates, backfill, describe
from tsrnn.pipelines.spec import read_spec

from tsrnn import tracking
from tsrnn.exceptions import DataError

PRICES = """
name: week
data: {loader: us_markets, series: [SP500], start: 2018-06-01}
model: {horizon: 2, max_steps: 1, hidden_size: 2, context_length: 8}
backtest: {n_windows: 6}
gate: {margin: 0.5}
output: {figures: false}
"""


@pytest.mark.filterwarnings("ignore::tsrnn.exceptions.DataWarning")
def test_the_dates_are_those_with_rows(place):
    rows = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=60, freq="12h"), "y": 1.0})
    rows[rows["ds"].dt.day != 4].to_csv(place / "sales.csv", index=False)
    spec = read_spec("shop.yaml")

    found = as_of_dates(spec, first="2024-01-03", last="2024-01-06")

    assert found == ["2024-01-03", "2024-01-05", "2024-01-06"]
    with pytest.raises(DataError, match="Got none; the data go from 2024-01-01 to 2024-01-03"):
        as_of_dates(spec, first="2024-01-04", last="2024-01-04")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::tsrnn.exceptions.TsrnnWarning")
def test_a_week_gives_comparable_runs_and_the_gate_alone_changes_the_champion(place, store_uri):
    (place / "week.yaml").write_text(PRICES)
    spec = read_spec("week.yaml")

    results = backfill(spec, first="2018-12-20", last="2018-12-28")

    runs = tracking.runs("week", nested=False, tracking_uri=store_uri)
    assert len(results) == 5  # the sessions of that week
    assert runs["status"].tolist() == ["FINISHED"] * 5
    assert runs["tags.tsrnn.as_of"].tolist() == [r.as_of for r in reversed(results)]
    assert runs["tags.tsrnn.data"].nunique() == 5
    compared = [c for c in runs.columns if c.startswith(("params.", "metrics.backtest/"))]
    settings = runs.filter(like="params.backtest/").assign(cell=runs["params.cell"])
    assert settings.nunique(dropna=False).eq(1).all()
    assert runs[[c for c in compared if c.startswith("metrics.")]].notna().all(axis=None)
    assert runs["metrics.monitor/mae"].notna().tolist() == [True] * 4 + [False]

    client = MlflowClient(store_uri)
    versions = client.search_model_versions("name='week'")
    promoted = [result.as_of for result in results if result.outcome == "promoted"]
    assert sorted(version.tags["tsrnn.as_of"] for version in versions) == promoted
    assert results[0].outcome == "promoted"
    champion = client.get_model_version_by_alias("week", "champion")
    assert champion.tags["tsrnn.as_of"] == promoted[-1]
    for result in results[1:]:
        gain = (
            float(result.words.partition(" % better")[0].split()[-1]) if "%" in result.words else 0
        )
        assert (result.outcome == "promoted") == (gain > 0.5), result.words

    again = backfill(spec, first="2018-12-20", last="2018-12-28")
    assert not any(result.is_new for result in again)
    assert len(tracking.runs("week", nested=False, tracking_uri=store_uri)) == 5
    assert describe(again).count("was finished") == 5
