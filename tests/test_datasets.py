"""Data sets: what is loaded is what the catalogue says, whatever the network does."""

import functools
import gzip
import io
import json
import threading
import urllib.error
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pandas as pd
import pytest
from tsrnn.datasets import cache, convert, packaged
from tsrnn.datasets.entries import DatasetError, PublicSet
from tsrnn.datasets.public import PUBLIC

from tsrnn import datasets

CSV = b"date,HUFL,OT\n2016-07-01 00:00:00,5.827,30.531\n2016-07-01 01:00:00,,27.787001\n"
FRAME = pd.DataFrame(
    {
        "unique_id": ["ETTh1", "ETTh1"],
        "ds": pd.to_datetime(["2016-07-01 00:00", "2016-07-01 01:00"]).as_unit("us"),
        "y": [30.531, 27.787001],
        "HUFL": [5.827, np.nan],
    }
)


# ---- catalogue ------------------------------------------------------------------------------


def test_catalogue_states_source_licence_unit_and_frequency_of_every_set():
    table = datasets.catalogue()

    assert list(table.columns) == [
        "name", "title", "source", "licence", "unit", "freq", "horizon", "season", "n_series", "rows",
        "comes_from",
    ]  # fmt: skip
    assert table["name"].is_unique
    assert not table.isna().any().any()
    assert not (table.astype(str) == "").any().any()
    assert set(table["comes_from"]) == {"arch", "statsmodels", "download", "cache", "generator"}


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(DatasetError, match=r"Got 'etth'. Did you mean 'etth1'\?"):
        datasets.load("etth")


@pytest.mark.parametrize(
    "name", datasets.catalogue().query("comes_from in ['arch', 'statsmodels', 'generator']")["name"]
)
def test_a_local_set_is_tidy_and_as_large_as_the_catalogue_says(name):
    row = datasets.catalogue().set_index("name").loc[name]

    frame = datasets.load(name)

    assert list(frame.columns[:3]) == ["unique_id", "ds", "y"]
    assert frame["ds"].dtype == "datetime64[us]"
    assert frame["y"].dtype == np.float64
    assert len(frame) == row["rows"]
    assert frame["unique_id"].nunique() == row["n_series"]
    assert not frame.duplicated(["unique_id", "ds"]).any()
    for _, one in frame.groupby("unique_id"):
        assert one["ds"].is_monotonic_increasing
        grid = pd.date_range(one["ds"].iloc[0], one["ds"].iloc[-1], freq=row["freq"])
        assert one["ds"].isin(grid).all()
        assert row["freq"] == "B" or len(one) == len(grid)


@pytest.mark.parametrize(
    ("name", "day", "value"),
    [
        ("sp500", "1999-01-04", 1228.099976),
        ("nasdaq", "1999-01-05", 2251.270020),
        ("wti", "1986-01-02", 25.56),
        ("vix", "2014-01-06", 13.55),
        ("co2", "1958-03-29", 316.1),
        ("elnino", "1950-02-01", 24.20),
        ("elnino", "2010-12-01", 22.07),
        ("sunspots", "1701-01-01", 11.0),
    ],
)
def test_packaged_sets_have_the_published_values(name, day, value):
    frame = datasets.load(name).set_index("ds")

    assert frame.loc[day, "y"] == pytest.approx(value, abs=1e-6)


def test_prices_have_no_missing_value_and_a_panel_of_markets_shares_its_sessions():
    markets = datasets.load("us_markets")

    assert markets["y"].notna().all()
    assert list(markets["unique_id"].unique()) == ["SP500", "NASDAQ", "WTI", "VIX"]
    assert (markets.groupby("ds").size() == 4).all()
    assert datasets.load("co2")["y"].isna().sum() == 59


def test_a_missing_package_is_named_with_its_pip_command(monkeypatch):
    def refuse(module):
        raise ImportError(module)

    monkeypatch.setattr(packaged.importlib, "import_module", refuse)

    with pytest.raises(ImportError, match=r"comes with arch.*pip install 'tsrnn\[datasets\]'"):
        datasets.load("sp500")


def test_ids_select_series_and_an_unknown_one_is_named():
    one = datasets.load("us_markets", ids="VIX")

    assert set(one["unique_id"]) == {"VIX"}
    assert list(one.index) == list(range(1253))
    with pytest.raises(
        DatasetError, match=r"are 'SP500', 'NASDAQ', 'WTI', 'VIX'. Got ids='GOLD', first of 1"
    ):
        datasets.load("us_markets", ids=["VIX", "GOLD"])


# ---- download and cache ---------------------------------------------------------------------


class Server:
    """Serves what ``answer`` says and counts how often it was asked."""

    def __init__(self) -> None:
        self.status, self.content, self.declared, self.asked = 200, CSV, None, 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                self.send_response(outer.status)
                size = len(outer.content) if outer.declared is None else outer.declared
                self.send_header("Content-Length", str(size))
                self.end_headers()
                self.wfile.write(outer.content)

            def log_message(self, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}/ETTh1.csv"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.005})
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


@pytest.fixture
def entry(server, tmp_path, monkeypatch) -> PublicSet:
    monkeypatch.setenv("TSRNN_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    etth1 = next(one for one in PUBLIC if one.name == "etth1")
    entry = replace(
        etth1, addresses=(server.address,), rows=2, fingerprint=datasets.fingerprint(FRAME)
    )
    monkeypatch.setitem(datasets._ENTRIES, "etth1", entry)
    return entry


def litter(tmp_path) -> list[str]:
    return [str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()]


def test_the_first_load_fetches_and_the_second_reads_the_cache(entry, server, tmp_path):
    first = datasets.load("etth1")
    server.status = 500
    second = datasets.load("etth1")

    for frame in (first, second):
        pd.testing.assert_frame_equal(frame, FRAME.astype({"unique_id": "str"}))
    assert server.asked == 1
    assert litter(tmp_path) == ["cache/etth1/ETTh1.parquet"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": 404}, r"can't be fetched from http://127.*404.*Connect to the network"),
        ({"status": 500}, r"can't be fetched from http://127.*500"),
        ({"declared": len(CSV) + 9}, r"must send 86 bytes.*Got 77"),
        ({"content": CSV.replace(b"30.531", b"30.532")}, r"source has changed.*Nothing was kept"),
        ({"content": CSV + CSV[13:]}, r"with 2 rows .*Got 4 rows"),
        ({"content": CSV[:40]}, r"source has changed"),
        ({"content": CSV.replace(b"OT", b"Oil")}, r"is not the file expected for the set 'etth1'"),
        ({"content": b""}, r"is not the file expected"),
        ({"content": b"<html>rate limit</html>"}, r"is not the file expected"),
    ],
)
def test_a_failed_download_is_explained_and_leaves_nothing(
    entry, server, tmp_path, change, message
):
    for name, value in change.items():
        setattr(server, name, value)

    with pytest.raises(DatasetError, match=message):
        datasets.load("etth1")

    assert litter(tmp_path) == []
    server.status, server.content, server.declared = 200, CSV, None
    assert len(datasets.load("etth1")) == 2


def test_a_server_that_is_not_there_is_explained(entry, monkeypatch):
    gone = replace(entry, addresses=("http://127.0.0.1:9/ETTh1.csv",))
    monkeypatch.setitem(datasets._ENTRIES, "etth1", gone)

    with pytest.raises(DatasetError, match=r"set TSRNN_DATA to a folder that has it"):
        datasets.load("etth1")


def test_a_file_gone_from_its_commit_is_sought_in_the_newest(entry, monkeypatch):
    asked = []

    def answer(address, timeout):
        asked.append(address)
        if "/HEAD/" not in address:
            raise urllib.error.HTTPError(address, 404, "Not Found", Message(), None)
        raise urllib.error.HTTPError(address, 403, "Forbidden", Message(), None)

    monkeypatch.setattr(cache.urllib.request, "urlopen", answer)
    (address,) = next(one for one in PUBLIC if one.name == "etth1").addresses
    moved = replace(entry, addresses=(address,))
    monkeypatch.setitem(datasets._ENTRIES, "etth1", moved)

    with pytest.raises(DatasetError, match=r"HTTP Error 403"):
        datasets.load("etth1")

    base = "https://raw.githubusercontent.com/zhouhaoyi/ETDataset"
    assert asked == [f"{base}/1d16c8f4f943/ETT-small/ETTh1.csv", f"{base}/HEAD/ETT-small/ETTh1.csv"]


def test_an_interrupted_write_leaves_no_litter_and_no_half_file(entry, tmp_path, monkeypatch):
    def stop(frame, path, **options):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(pd.DataFrame, "to_parquet", stop)
    with pytest.raises(KeyboardInterrupt):
        datasets.load("etth1")
    monkeypatch.undo()

    assert litter(tmp_path) == []


def test_concurrent_first_loads_all_get_the_set(entry, tmp_path):
    frames: list[pd.DataFrame] = []
    threads = [
        threading.Thread(target=lambda: frames.append(datasets.load("etth1"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(frames) == 8
    for frame in frames:
        pd.testing.assert_frame_equal(frame, FRAME.astype({"unique_id": "str"}))
    assert litter(tmp_path) == ["cache/etth1/ETTh1.parquet"]


def test_a_changed_or_damaged_cache_file_is_refused_by_name(entry, tmp_path):
    datasets.load("etth1")
    file = tmp_path / "cache/etth1/ETTh1.parquet"
    FRAME.assign(y=[30.531, 27.787]).to_parquet(file)

    with pytest.raises(
        DatasetError, match=r"ETTh1.parquet must hold the set 'etth1' unchanged.*Delete it"
    ):
        datasets.load("etth1")
    file.write_bytes(b"PAR1")
    with pytest.raises(
        DatasetError, match=r"ETTh1.parquet is not a readable parquet file.*Delete it"
    ):
        datasets.load("etth1")


def test_a_set_that_can_not_be_downloaded_says_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TSRNN_DATA", str(tmp_path))

    with pytest.raises(
        DatasetError, match=r"'hospital' is read only from the cache.*hospital.parquet"
    ):
        datasets.load("hospital")


def test_the_cache_folder_is_tsrnn_data_or_the_platforms(monkeypatch, tmp_path):
    monkeypatch.setattr(cache.sys, "platform", "linux")
    monkeypatch.delenv("TSRNN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert datasets.cache_folder() == tmp_path / "tsrnn"

    monkeypatch.setenv("TSRNN_DATA", str(tmp_path / "mine"))
    assert datasets.cache_folder() == tmp_path / "mine"


# ---- fingerprint ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.assign(y=f["y"] * (1 + 1e-11)),
        lambda f: f.assign(ds=f["ds"] + pd.Timedelta("1us")),
        lambda f: f.assign(unique_id=["ETTh1", "ETTh2"]),
        lambda f: f.assign(HUFL=[5.827, 0.0]),
        lambda f: f[::-1],
        lambda f: f[:1],
        lambda f: f.rename(columns={"HUFL": "HULL"}),
        lambda f: f[["unique_id", "ds", "HUFL", "y"]],
    ],
)
def test_any_change_of_content_changes_the_fingerprint(change):
    assert datasets.fingerprint(change(FRAME)) != datasets.fingerprint(FRAME)


def test_the_fingerprint_ignores_how_the_content_is_held():
    same = FRAME.copy()
    same["unique_id"] = same["unique_id"].astype("category")
    same["ds"] = same["ds"].astype("datetime64[ns]")
    same["HUFL"] = same["HUFL"].astype("Float64")
    same["y"] = np.nextafter(same["y"], np.inf)  # the last bit of another parser

    assert datasets.fingerprint(same) == datasets.fingerprint(FRAME)


def test_the_fingerprint_is_the_same_for_ever():
    assert datasets.fingerprint(FRAME) == "16dfc5745006530be33cc79beaa0d222"


# ---- conversions of published files ---------------------------------------------------------


def test_m4_files_become_one_row_per_step_and_the_test_continues_the_train():
    train = b'"V1","V2","V3","V4"\n"H1",1,2,3\n"H2",4,5,\n'
    test = b'"V1","V2","V3"\n"H1",10,20\n"H2",30,40\n'

    frame = cache._join(convert.m4([train, test]))

    assert list(frame["unique_id"]) == ["H1"] * 5 + ["H2"] * 4
    assert list(frame["ds"]) == [1, 2, 3, 4, 5, 1, 2, 3, 4]
    assert list(frame["y"]) == [1, 2, 3, 10, 20, 4, 5, 30, 40]
    assert frame["ds"].dtype == np.int32


def test_nab_labels_and_windows_are_matched_and_repeated_stamps_dropped():
    csv = b"timestamp,value\n2014-01-01 00:10:00,3\n2014-01-01 00:00:00,1\n2014-01-01 00:05:00,2\n2014-01-01 00:05:00,9\n"
    points = json.dumps({"k/a.csv": ["2014-01-01 00:05:00"]}).encode()
    windows = json.dumps(
        {"k/a.csv": [["2014-01-01 00:05:00.000000", "2014-01-01 00:10:00.000000"]]}
    )

    (frame,) = convert.nab(["k/a"])([csv, points, windows.encode()])

    assert list(frame["y"]) == [1, 2, 3]
    assert list(frame["anomaly"]) == [0, 1, 0]
    assert list(frame["anomaly_window"]) == [0, 1, 1]


def test_vic_elec_is_in_utc_with_melbourne_hours():
    csv = (
        b"Time,Demand,Temperature,Date,Holiday\n"
        b"2011-12-31T13:00:00Z,4382.825174,21.4,2012-01-01,TRUE\n"
        b"2012-06-30T13:30:00Z,4000,9,2012-06-30,FALSE\n"
    )

    (frame,) = convert.vic_elec([csv])

    assert frame["ds"].iloc[0] == pd.Timestamp("2011-12-31 13:00")
    assert list(frame["local_hour"]) == [0.0, 23.5]  # +11 in summer, +10 in winter
    assert list(frame["local_weekday"]) == [6, 5]
    assert list(frame["holiday"]) == [1, 0]


def test_small_published_forms_become_tidy():
    (rates,) = convert.exchange_rate([gzip.compress(b"1,2,3,4,5,6,7,8\n9,10,11,12,13,14,15,16\n")])
    assert rates.groupby("unique_id")["y"].first()["Singapore"] == 8
    assert rates["ds"].iloc[-1] == pd.Timestamp("1990-01-02")

    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as bag:
        bag.writestr(
            "illness/national_illness.csv", "date,a,b,c,d,e,f,OT\n2002-01-01,1,2,3,4,5,6,7\n"
        )
    (ili,) = convert.ili([archive.getvalue()])
    assert ili[["y", "wili_pct", "providers"]].iloc[0].tolist() == [7, 1, 6]

    (prices,) = convert.sp500_daily(
        [b"date,open,high,low,close,adjclose,volume\n2000-01-03,1,2,3,4,5,6\n"]
    )
    assert prices[["y", "open", "volume"]].iloc[0].tolist() == [5, 1, 6]

    (air,) = convert.air_quality(
        [b"datetime,so2,veloc.,direc.,pm2.5\n2019-01-01 00:00:00,8,0.5,262,19\n"]
    )
    assert air[["y", "so2", "wind_speed", "wind_direction_deg"]].iloc[0].tolist() == [
        19,
        8,
        0.5,
        262,
    ]

    (power,) = convert.epf([b"date,x,z,OT\n2013-01-01 00:00:00,1,2,3\n"] * 2)
    assert list(power["unique_id"]) == ["NP", "PJM"]
    assert power[["y", "exog_1", "exog_2"]].iloc[0].tolist() == [3, 1, 2]

    (classics,) = convert.classics([b'"Month","Passengers"\n"1949-01",112\n'] * 5)
    assert classics["ds"].iloc[0] == pd.Timestamp("1949-01-01")
    assert classics["y"].iloc[0] == 112


# ---- generators: the known answer is the best -----------------------------------------------

GENERATORS = [
    datasets.random_walk, datasets.ar1, datasets.seasonal_trend, datasets.garch_price,
    datasets.sensor_with_gaps, datasets.counts,
]  # fmt: skip


@pytest.mark.parametrize("make", GENERATORS)
def test_a_series_depends_on_the_seed_and_not_on_its_company(make):
    three = make(n_series=3, n=50, seed=1)

    pd.testing.assert_frame_equal(three[:50], make(n_series=1, n=50, seed=1))
    assert not three["y"][:50].equals(make(n=50, seed=2)["y"])
    assert list(three["unique_id"].unique()) == ["s0", "s1", "s2"]


def wide(frame: pd.DataFrame, column: str = "y") -> np.ndarray:
    return frame.pivot(index="unique_id", columns="ds", values=column).to_numpy()


@functools.cache
def many(make) -> pd.DataFrame:
    return make(n_series=400, n=60, seed=3)


def test_the_error_of_the_last_value_on_a_random_walk_grows_like_the_square_root_of_the_step():
    walk = wide(many(datasets.random_walk))

    assert (walk[:, 0] == 100).all()
    for h in (1, 4, 16):
        assert np.std(walk[:, 20 + h] - walk[:, 20]) == pytest.approx(np.sqrt(h), rel=0.12)


def test_a_sine_is_its_formula():
    y = wide(datasets.sine(period=8, amplitude=2, level=5, n_series=2, n=9))

    np.testing.assert_allclose(y[0, :3], [5, 5 + np.sqrt(2), 7], rtol=1e-12)
    np.testing.assert_allclose(y[1, :3], [5, 5 - np.sqrt(2), 3], rtol=1e-12)
    np.testing.assert_allclose(y[:, 8], y[:, 0], atol=1e-12)


@pytest.mark.parametrize("h", [1, 5])
def test_the_optimal_forecast_of_an_autoregression_has_its_known_error(h):
    y = wide(datasets.ar1(phi=0.8, sigma=2.0, mean=7.0, n_series=2000, n=12, seed=3))
    error = y[:, 5 + h] - (7 + 0.8**h * (y[:, 5] - 7))

    assert np.mean(error) == pytest.approx(0, abs=0.2)
    assert np.var(error) == pytest.approx(4 * (1 - 0.8 ** (2 * h)) / (1 - 0.8**2), rel=0.1)
    assert np.var(y[:, 0]) == pytest.approx(4 / (1 - 0.8**2), rel=0.1)  # stationary from the start


def test_line_and_season_leave_only_the_noise():
    y = wide(many(datasets.seasonal_trend))
    t = np.arange(60)
    rest = y - (100 + 0.1 * t + 10 * np.sin(2 * np.pi * t / 12))

    assert rest.std() == pytest.approx(1, rel=0.02)
    assert rest.mean() == pytest.approx(0, abs=0.02)


def test_garch_returns_have_the_stated_variance_and_its_forecast_and_no_mean():
    frame = datasets.garch_price(n_series=3000, n=40, seed=3)
    r = np.diff(np.log(wide(frame)), axis=1)
    v = wide(frame, "volatility") ** 2

    long_run = 2e-6 / (1 - 0.1 - 0.88)
    np.testing.assert_allclose(v[:, 0], long_run)
    np.testing.assert_allclose(v[:, 2:], 2e-6 + 0.1 * r[:, :-1] ** 2 + 0.88 * v[:, 1:-1], rtol=1e-8)
    forecast = long_run + 0.98**9 * (v[:, 21] - long_run)
    wild = v[:, 21] > np.quantile(v[:, 21], 0.8)
    assert (r[wild, 29] ** 2).mean() == pytest.approx(forecast[wild].mean(), rel=0.15)
    assert np.median(r) == pytest.approx(0, abs=2e-4)


def test_a_sensor_says_where_it_is_stuck_or_missing():
    frame = datasets.sensor_with_gaps(n=4000, stuck=0.1, missing=0.1, seed=5)
    y, truth, state = frame["y"], frame["truth"], frame["state"]

    assert (y.isna() == (state == "missing")).all()
    assert (y == truth)[state == "good"].all()
    assert (state == "missing").mean() == pytest.approx(0.1, abs=0.02)
    assert 0.05 < (state == "stuck").mean() < 0.12  # a missing stretch may cover a stuck one
    held = (state == "stuck") & (state.shift() == "good")
    assert (y[held] == truth.shift()[held]).all()
    assert truth.notna().all()


def test_counts_have_the_mean_and_variance_of_their_negative_binomial():
    y = wide(datasets.counts(n_series=4000, n=7, seed=3))
    mean = 5 * (1 + 0.5 * np.sin(2 * np.pi * np.arange(7) / 7))

    assert (y == np.floor(y)).all()
    np.testing.assert_allclose(y.mean(axis=0), mean, rtol=0.05)
    np.testing.assert_allclose(y.var(axis=0), mean + mean**2 / 3, rtol=0.12)
