"""What the tables show beside our scores: published figures with their source, and our own goals.

Figures hold for the test split of the whole set only. Those marked * come from models that were trained on
other data and saw this set for the first time (zero-shot), all others from models fitted to the set.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["MEASURES", "SOURCES", "YARDSTICKS", "Yardstick"]

MEASURES = {
    "smape": "sMAPE",
    "mase": "MASE",
    "owa": "OWA",
    "mae": "MAE",
    "mse": "MSE",
    "rmae": "MAE / weekly naive",
    "msis": "MSIS 95 %",
    "acd": "ACD",
    "wql": "wQL",
    "sql": "sQL",
    "in_80": "in 80 %",
    "in_95": "in 95 %",
    "mse_1": "MSE, 1 day ahead",
    "mse_3": "MSE, 3 days ahead",
    "mse_5": "MSE, 5 days ahead",
}


@dataclass(frozen=True)
class Yardstick:
    """How one measure of a set is judged; lower is better.

    Parameters
    ----------
    measure : str
        A key of :data:`MEASURES`.
    must, aim : float, optional
        Our goals, of the test split.
    published : dict of str to float
        Figures by method, of the test split; a * marks zero-shot models.
    """

    measure: str
    must: float | None = None
    aim: float | None = None
    published: dict[str, float] = field(default_factory=dict)


def _ett(mse: float, mae: float) -> tuple[Yardstick, ...]:
    """Within three percent of SegRNN is a must, SegRNN itself the aim."""
    return tuple(
        Yardstick(name, round(1.03 * value, 4), value, {"SegRNN": value})
        for name, value in (("mse", mse), ("mae", mae))
    )


YARDSTICKS: dict[str, tuple[Yardstick, ...]] = {
    "m4_hourly": (
        Yardstick("owa", 0.40, 0.364, {
            "TiRex*": 0.364, "best official (Doornik)": 0.410, "ES-RNN": 0.440, "N-BEATS": 0.606,
            "Theta": 1.006, "DeepAR": 1.183,
        }),
        Yardstick("msis", 7.93, 6.14, {"best official": 6.14, "ARIMA": 7.54, "ES-RNN": 7.93}),
        Yardstick("acd", 0.02),
    ),
    "m4_weekly": (
        Yardstick("owa", 0.735, 0.686, {
            "TiRex*": 0.686, "N-BEATS": 0.709, "best official (Darin-Stellwagen)": 0.739, "ES-RNN": 0.851,
            "Theta": 0.971, "DeepAR": 1.421,
        }),
        Yardstick("msis", 22.03, 16.20, {"best official": 16.20, "ES-RNN": 22.03}),
        Yardstick("acd", 0.02),
    ),
    "m4_yearly": (
        Yardstick("owa", 0.80, 0.778, {
            "best official (ES-RNN)": 0.778, "FFORMA": 0.799, "N-BEATS": 0.825, "DeepAR": 0.862,
            "Theta": 0.872, "TiRex*": 0.881,
        }),
        Yardstick("msis", published={"ES-RNN": 23.90}),
        Yardstick("acd", 0.02),
    ),
    "m4_quarterly_partial": (
        Yardstick("owa", published={"ETS": 0.898, "TBATS": 0.906, "ARIMA": 0.907, "Theta": 0.927}),
    ),
    "m4_monthly_partial": (
        Yardstick("owa", published={"TBATS": 0.860, "ETS": 0.861, "ARIMA": 0.875, "Theta": 0.946}),
    ),
    "m4_daily_partial": (
        Yardstick("owa", published={"SES": 0.999, "TBATS": 1.011, "drift": 1.166}),
    ),
    "m3_yearly": (Yardstick("smape", published={"N-BEATS": 15.92, "Theta": 16.97}),),
    "m3_quarterly": (Yardstick("smape", published={"N-BEATS": 8.80, "Theta": 8.96}),),
    "m3_monthly": (Yardstick("smape", published={"N-BEATS": 13.24, "Theta": 13.89}),),
    "m3_other": (Yardstick("smape", published={"N-BEATS": 4.21, "Theta": 4.41}),),
    "m3 average": (
        Yardstick("smape", 12.75, 12.46, {"N-BEATS": 12.46, "Theta": 13.05, "ForecastPro": 13.23}),
    ),
    "hospital": (
        Yardstick("mase", 0.769, 0.755, {
            "TiRex*": 0.763, "AutoTheta": 0.764, "AutoETS": 0.770, "Chronos-Bolt-small*": 0.801, "DeepAR": 0.834,
        }),
        Yardstick("mae", 18.0, 17.4, {
            "TBATS": 17.43, "ETS": 17.97, "DeepAR": 18.25, "Theta": 18.54, "N-BEATS": 20.18,
        }),
    ),
    "exchange_rate": (
        Yardstick("mase", 1.74, 1.64, {
            "AutoETS": 1.643, "Chronos-Bolt-small*": 1.775, "AutoTheta": 1.807, "TiRex*": 2.399,
        }),
    ),
    "stocks_kdd17": (
        Yardstick("mse_1", 5.503, published={"SFM": 5.57}),
        Yardstick("mse_3", 16.767, published={"SFM": 17.0}),
        Yardstick("mse_5", 27.582, published={"SFM": 28.9}),
    ),
    "epf_np": (Yardstick("mae"),),
    "epf_np_known": (
        Yardstick("rmae", 0.75),
        Yardstick("mae", aim=1.738, published={"DNN ensemble": 1.683, "LEAR ensemble": 1.738}),
    ),
    "epf_pjm": (Yardstick("mae"),),
    "epf_pjm_known": (
        Yardstick("rmae", 0.75),
        Yardstick("mae", aim=3.013, published={"DNN ensemble": 2.862, "LEAR ensemble": 3.013}),
    ),
    "vic_elec": (Yardstick("mase"), Yardstick("mae")),
    "vic_elec_known": (Yardstick("mase"), Yardstick("mae")),
    "etth1_96": _ett(0.351, 0.392),
    "etth1_192": _ett(0.392, 0.414),
    "etth1_336": _ett(0.423, 0.433),
    "etth1_720": _ett(0.466, 0.472),
    "ettm1_96": _ett(0.293, 0.354),
    "ettm1_192": _ett(0.328, 0.378),
    "ettm1_336": _ett(0.357, 0.399),
    "ettm1_720": _ett(0.410, 0.430),
}  # fmt: skip

SOURCES = """\
Sources. M4: "Evaluation and Ranks" of Mcompetitions/M4-methods (official entries and benchmarks); rows of the GIFT-Eval
results with M4's own Naive2 (TiRex, N-BEATS, DeepAR); on the partial sets the R packages forecast and their published
forecasts, scored on the same series. M3: the forecasts in cran/Mcomp, recomputed; N-BEATS: its authors' notebook, an ensemble of 360 models.
Hospital and exchange rate: MASE of the Chronos and fev benchmarks, MAE of the Monash archive. Stocks: Zhang, Aggarwal and
Qi (2017). Power prices: Lago et al. (2021), recalibrated daily and with the two forecasts known a day ahead. ETT: Lin et al.
(2023), SegRNN, table II. * zero-shot: trained on other data."""
