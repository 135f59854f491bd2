"""The model behind MLflow's scoring server, in this process: right answers, and errors that name the column."""

from __future__ import annotations

import asyncio
import json
import warnings
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.pyfunc.scoring_server import init

from tsrnn import RNNForecaster
from tsrnn.exceptions import SkillWarning
from tsrnn.tracking import save_model

ROWS = 30


@pytest.fixture(scope="module")
def history() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "unique_id": np.repeat(["a", "b"], ROWS),
            "ds": np.tile(pd.date_range("2024-01-01", periods=ROWS), 2),
            "y": np.arange(2.0 * ROWS) + rng.normal(0, 0.3, 2 * ROWS),
            "promo": np.tile(np.arange(ROWS) % 3, 2) / 2,
        }
    )


@pytest.fixture(scope="module")
def fitted(history):
    model = RNNForecaster(
        horizon=3, hidden_size=4, max_steps=2, target_col="y", future_covariates=["promo"]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkillWarning)
        return model.fit(history)


@pytest.fixture(scope="module")
def app(fitted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "model"
    save_model(fitted, folder)
    return init(mlflow.pyfunc.load_model(str(folder)))


@pytest.fixture(scope="module")
def asked(history) -> pd.DataFrame:
    """One series, and the rows to forecast after it, without a target."""
    ahead = pd.DataFrame(
        {
            "unique_id": "a",
            "ds": pd.date_range("2024-01-31", periods=3),
            "y": np.nan,
            "promo": [0.0, 0.5, 1.0],
        }
    )
    return pd.concat([history[history["unique_id"] == "a"], ahead], ignore_index=True)


def post(app, body: str) -> tuple[int, Any]:
    """Send a body to the server's application, without a network."""
    answer: dict[str, Any] = {"body": b""}

    async def call():
        waiting = [{"type": "http.request", "body": body.encode(), "more_body": False}]

        async def receive():
            if not waiting:
                await asyncio.sleep(60)
            return waiting.pop()

        async def send(message):
            answer["status"] = message.get("status", answer.get("status"))
            answer["body"] += message.get("body", b"")

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "path": "/invocations",
            "raw_path": b"/invocations",
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "headers": [(b"content-type", b"application/json")],
            "client": ("test", 1),
            "server": ("test", 80),
        }
        await app(scope, receive, send)

    asyncio.run(call())
    return answer["status"], json.loads(answer["body"])


def split(frame: pd.DataFrame) -> dict[str, Any]:
    text = frame.to_json(orient="split", index=False, date_format="iso", double_precision=15)
    return {"dataframe_split": json.loads(text)}


def records(frame: pd.DataFrame) -> dict[str, Any]:
    text = frame.to_json(orient="records", date_format="iso", double_precision=15)
    return {"dataframe_records": json.loads(text)}


@pytest.mark.parametrize("form", [split, records])
@pytest.mark.parametrize("params", [{}, {"horizon": 2, "level": [80.0]}])
def test_the_answer_is_that_of_the_model_in_memory(app, fitted, asked, form, params):
    status, answer = post(app, json.dumps({**form(asked), "params": params}))

    said = pd.DataFrame(answer["predictions"]).assign(ds=lambda rows: pd.to_datetime(rows["ds"]))
    expected = fitted.predict(asked, **params)
    assert status == 200
    assert list(said.columns) == list(expected.columns)
    assert said["unique_id"].tolist() == expected["unique_id"].tolist()
    assert (said["ds"].to_numpy() == expected["ds"].to_numpy()).all()
    np.testing.assert_allclose(said.iloc[:, 2:], expected.iloc[:, 2:], rtol=1e-9)


def put(column, value, row=4):
    def spoil(frame):
        payload = split(frame)
        place = list(frame.columns).index(column)
        payload["dataframe_split"]["data"][row][place] = value
        return payload

    return spoil


NANOSECONDS = {"seconds": 10**9, "milliseconds": 10**6, "microseconds": 10**3}


def numbers(unit):
    return lambda f: f.assign(
        ds=f["ds"].astype("datetime64[ns]").astype("int64") // NANOSECONDS[unit]
    )


BAD = {
    "no target": (lambda f: f.drop(columns="y"), "y"),
    "no time": (lambda f: f.drop(columns="ds"), "ds"),
    "no id": (lambda f: f.drop(columns="unique_id"), "unique_id"),
    "no covariate": (lambda f: f.drop(columns="promo"), "promo"),
    "a renamed target": (lambda f: f.rename(columns={"y": "Y"}), "y"),
    "text as target": (put("y", "seven"), "y"),
    "a list as target": (put("y", [1.0]), "y"),
    "an object as target": (put("y", {"value": 1}), "y"),
    "text as covariate": (put("promo", "yes"), "promo"),
    "a missing covariate": (put("promo", None, row=-1 + ROWS + 3), "promo"),
    "text as time": (put("ds", "soon"), "ds"),
    "no such day": (put("ds", "2024-02-30"), "ds"),
    "the year 9999": (put("ds", "9999-01-05"), "ds"),
    "a missing time": (put("ds", None), "ds"),
    "a time zone": (put("ds", "2024-01-05T00:00:00+05:00"), "ds"),
    "seconds since 1970": (numbers("seconds"), "ds"),
    "milliseconds since 1970": (numbers("milliseconds"), "ds"),
    "microseconds since 1970": (numbers("microseconds"), "ds"),
    "milliseconds, one row": (lambda f: numbers("milliseconds")(f.head(1)), "ds"),
    "a time off the grid": (put("ds", "2024-01-05T07:03:11"), "ds"),
    "a missing id": (put("unique_id", None), "unique_id"),
    "an object as id": (put("unique_id", {"name": "a"}), "unique_id"),
    "the same time twice": (lambda f: pd.concat([f, f.head(1)]), "series 'a'"),
    "no value at all": (lambda f: f.assign(y=None), "y"),
    "no future rows": (lambda f: f.head(ROWS), "promo"),
    "too few future rows": (lambda f: f.head(ROWS + 1), "promo"),
    "no rows": (lambda f: f.head(0), "row"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_frame_that_cannot_be_used_is_a_400_that_names_the_column(app, asked, fault):
    spoil, words = BAD[fault]
    spoiled = spoil(asked)
    payload = spoiled if isinstance(spoiled, dict) else split(spoiled)

    status, answer = post(app, json.dumps(payload))

    said = answer["message"]
    if said.startswith(("Failed to predict", "Failed to enforce")):
        said = said.rpartition("Error:")[2]  # what comes before repeats the payload
    assert status == 400
    assert words in said
    assert "stack_trace" not in answer


@pytest.mark.parametrize("number", ["Infinity", "-Infinity", "1e400"])
def test_an_infinite_number_is_a_400(app, asked, number):
    body = json.dumps(split(asked.assign(y=asked["y"].mask(asked.index == 4, 12345.5))))

    status, answer = post(app, body.replace("12345.5", number))

    assert status == 400
    assert "inf" in answer["message"].lower()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"horizon": -1}, "'horizon' parameter"),
        ({"horizon": "x"}, "horizon"),
        ({"horizon": 1.5}, "horizon"),
        ({"horizon": [1]}, "horizon"),
        ({"horizon": 10**9}, "'horizon' parameter of a served model must be at most 1000"),
        ({"level": [180]}, "'level' parameter"),
        ({"level": "x"}, "level"),
        ({"level": [None]}, "'level' parameter"),
        ({"level": [99.9]}, "level"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_a_400_that_names_it(app, asked, params, words):
    status, answer = post(app, json.dumps({**split(asked), "params": params}))

    assert status == 400
    assert words in answer["message"]


@pytest.mark.parametrize(
    "body", ["", "{", "null", "[1, 2]", '{"a": 1}', '{"dataframe_split": [1]}']
)
def test_what_is_no_payload_is_a_400(app, body):
    assert post(app, body)[0] == 400
