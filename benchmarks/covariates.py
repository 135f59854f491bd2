"""What covariates bring, and what a series without a history can be told by its attributes.

    TSRNN_DATA=folder python benchmarks/covariates.py --write docs/benchmarks.md

stallion: monthly volumes of 350 pairs of agency and product. The last six months judge, one forecast a
series, with the defaults of ``RNNForecaster``: without covariates, with the static ones (agency,
product, population, income), and with those known in advance (temperature, prices, special days) and up
to now (volumes of the industry), too. Temperature and prices are the measured ones.

Cold: every fifth pair is left out of the fit, and its first six months are forecast from its attributes.
Beside it stand the median of the same months over all fitted pairs, and over those of the same product.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tables import machine, table, write_between
from trial import Clock, quiet

from tsrnn import RNNForecaster, datasets, metrics
from tsrnn.references import baseline

HORIZON, SEASON = 6, 12
STATIC = ["agency", "sku", "avg_population_2017", "avg_yearly_household_income_2017"]
PAST = ["industry_volume", "soda_volume"]
TELL = {
    "none": {},
    "static": {"static_covariates": STATIC},
    "static, future, past": {"static_covariates": STATIC, "past_covariates": PAST},
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path, help="markdown file with the markers of the table")
    options = parser.parse_args(arguments)
    df = datasets.load("stallion")
    future = [name for name in df.columns[5:] if name not in (*STATIC, *PAST)]
    text = "\n\n".join([_warm(df, future), _cold(df, future), machine()])
    print(text)
    if options.write is not None:
        write_between(options.write, "covariates", text)


def _warm(df: pd.DataFrame, future: list[str]) -> str:
    newest = df.groupby("unique_id").cumcount(ascending=False) < HORIZON
    truth = df.loc[newest, "y"].to_numpy().reshape(-1, HORIZON)
    past = df.loc[~newest, "y"].to_numpy().reshape(len(truth), -1)
    rows = []
    for name, columns in TELL.items():
        known = {"future_covariates": future} if "future" in name else {}
        model, clock = RNNForecaster(horizon=HORIZON, **columns, **known), Clock()
        with quiet(), clock("fit"):
            model.fit(df[~newest])
        with quiet():
            said = model.predict(future_df=df[newest] if known else None, level=80)
        rows.append([name, *_scores(truth, said, past), f"{clock.cpu['fit']:.0f}"])
        print(rows[-1], flush=True)
    naive = pd.DataFrame({"forecast": baseline("seasonal_naive", past, HORIZON, SEASON).ravel()})
    rows.append(["(seasonal naive)", *_scores(truth, naive, past), ""])
    return table(["covariates", "MAE", "MASE", "in 80 %", "fit, CPU s"], rows)


def _scores(truth: np.ndarray, said: pd.DataFrame, past: np.ndarray) -> list[str]:
    point = said["forecast"].to_numpy().reshape(truth.shape)
    inside = ""
    if "forecast-lo-80" in said:
        low, high = (
            said[f"forecast-{end}-80"].to_numpy().reshape(truth.shape) for end in ("lo", "hi")
        )
        inside = f"{metrics.coverage(truth, low, high):.1%}"
    scale = metrics.naive_scale(past, SEASON)
    error = np.abs(truth - point).mean(1)[scale > 0] / scale[scale > 0]
    return [f"{metrics.mae(truth, point):.2f}", f"{error.mean():.3f}", inside]


def _cold(df: pd.DataFrame, future: list[str]) -> str:
    names = df["unique_id"].unique()
    apart = df["unique_id"].isin(names[::5])
    fitted, new = df[~apart], df[apart].groupby("unique_id").head(HORIZON)
    with quiet():
        model = RNNForecaster(horizon=HORIZON, static_covariates=STATIC, future_covariates=future)
        model.fit(fitted)
        attributes = new[["unique_id", *STATIC]].drop_duplicates()
        said = model.predict(static_df=attributes, future_df=new, level=80)
    truth = new["y"].to_numpy()
    months = fitted[fitted["ds"].isin(new["ds"])]
    of_product = new["sku"].map(months.groupby("sku")["y"].median())
    point, pooled = said["forecast"].to_numpy(), months["y"].median()
    inside = metrics.coverage(truth, said["forecast-lo-80"], said["forecast-hi-80"])
    others = {"median of all pairs": pooled, "median of the product": of_product.fillna(pooled)}
    rows = [["cold start", f"{metrics.mae(truth, point):.2f}", f"{inside:.1%}"]]
    for name, value in others.items():
        rows.append([name, f"{np.abs(truth - value).mean():.2f}", ""])
    return table([f"first {HORIZON} months of {len(names[::5])} new pairs", "MAE", "in 80 %"], rows)


if __name__ == "__main__":
    main()
