"""The slow plain-numpy meaning of the kernels: one loop a step, one line an equation."""

from __future__ import annotations

import math

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def elman(x, w_ih, w_hh, b_ih, b_hh, *, relu=False):
    """Elman 1990: h_t = act(W x_t + b + U h_(t-1) + c); x (step, feature) -> (step, hidden)."""
    h, out = np.zeros(w_hh.shape[1]), []
    for step in x:
        a = w_ih @ step + b_ih + w_hh @ h + b_hh
        h = np.maximum(a, 0) if relu else np.tanh(a)
        out.append(h)
    return np.array(out)


def lstm(x, w_ih, w_hh, b_ih, b_hh):
    """Hochreiter and Schmidhuber 1997 with forget gate (Gers et al. 2000); gates i, f, g, o."""
    h = c = np.zeros(w_hh.shape[1])
    out = []
    for step in x:
        i, f, g, o = np.split(w_ih @ step + b_ih + w_hh @ h + b_hh, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        out.append(h)
    return np.array(out)


def gru(x, w_ih, w_hh, b_ih, b_hh):
    """Cho et al. 2014 with the reset gate behind the product, as in cuDNN; gates r, z, n."""
    h, out = np.zeros(w_hh.shape[1]), []
    for step in x:
        xr, xz, xn = np.split(w_ih @ step + b_ih, 3)
        hr, hz, hn = np.split(w_hh @ h + b_hh, 3)
        r, z = sigmoid(xr + hr), sigmoid(xz + hz)
        h = (1 - z) * np.tanh(xn + r * hn) + z * h
        out.append(h)
    return np.array(out)


def mut1(x, w_ih, w_hh, b):
    """Jozefowicz et al. 2015, section 4, MUT1, with W x where the paper has x alone."""
    (wz, wr, wx), (ur, uh), (bz, br, bh) = np.split(w_ih, 3), np.split(w_hh, 2), np.split(b, 3)
    h, out = np.zeros(w_hh.shape[1]), []
    for step in x:
        z = sigmoid(wz @ step + bz)
        r = sigmoid(wr @ step + ur @ h + br)
        h = np.tanh(uh @ (r * h) + np.tanh(wx @ step) + bh) * z + h * (1 - z)
        out.append(h)
    return np.array(out)


def mut2(x, w_ih, w_hh, b):
    """Jozefowicz et al. 2015, section 4, MUT2, with W x where the paper has x alone."""
    (wz, wr, wh), (uz, ur, uh), (bz, br, bh) = np.split(w_ih, 3), np.split(w_hh, 3), np.split(b, 3)
    h, out = np.zeros(w_hh.shape[1]), []
    for step in x:
        z = sigmoid(wz @ step + uz @ h + bz)
        r = sigmoid(wr @ step + ur @ h + br)
        h = np.tanh(uh @ (r * h) + wh @ step + bh) * z + h * (1 - z)
        out.append(h)
    return np.array(out)


def mut3(x, w_ih, w_hh, b):
    """Jozefowicz et al. 2015, section 4, MUT3."""
    (wz, wr, wh), (uz, ur, uh), (bz, br, bh) = np.split(w_ih, 3), np.split(w_hh, 3), np.split(b, 3)
    h, out = np.zeros(w_hh.shape[1]), []
    for step in x:
        z = sigmoid(wz @ step + uz @ np.tanh(h) + bz)
        r = sigmoid(wr @ step + ur @ h + br)
        h = np.tanh(uh @ (r * h) + wh @ step + bh) * z + h * (1 - z)
        out.append(h)
    return np.array(out)


def nas(x, w_ih, w_hh, b):
    """Zoph and Le 2017, appendix A, layer by layer from the leaves of the tree to its root."""
    relu = lambda a: np.maximum(a, 0)  # noqa: E731
    h = c = np.zeros(w_hh.shape[1])
    out = []
    for step in x:
        xs = [w @ step for w in np.split(w_ih, 8)]
        ms = [u @ h + d for u, d in zip(np.split(w_hh, 8), np.split(b, 8), strict=True)]
        leaves = [
            sigmoid(xs[0] + ms[0]),
            relu(xs[1] + ms[1]),
            sigmoid(xs[2] + ms[2]),
            relu(xs[3] * ms[3]),
            np.tanh(xs[4] + ms[4]),
            sigmoid(xs[5] + ms[5]),
            np.tanh(xs[6] + ms[6]),
            sigmoid(xs[7] + ms[7]),
        ]
        second = [
            np.tanh(leaves[0] * leaves[1]),
            np.tanh(leaves[2] + leaves[3]),
            np.tanh(leaves[4] * leaves[5]),
            sigmoid(leaves[6] + leaves[7]),
        ]
        c = np.tanh(second[0] + c) * second[1]
        h = np.tanh(c * np.tanh(second[2] + second[3]))
        out.append(h)
    return np.array(out)


def mingru(x, w_ih, b):
    """Feng et al. 2024, section 3.1: h_t = (1 - z_t) h_(t-1) + z_t h~_t."""
    (wz, wh), (bz, bh) = np.split(w_ih, 2), np.split(b, 2)
    h, out = np.zeros(len(bz)), []
    for step in x:
        z = sigmoid(wz @ step + bz)
        h = (1 - z) * h + z * (wh @ step + bh)
        out.append(h)
    return np.array(out)


def minlstm(x, w_ih, b):
    """Feng et al. 2024, section 3.2, gates normalised: f' = f / (f + i), i' = i / (f + i)."""
    (wf, wi, wh), (bf, bi, bh) = np.split(w_ih, 3), np.split(b, 3)
    h, out = np.zeros(len(bf)), []
    for step in x:
        f, i = sigmoid(wf @ step + bf), sigmoid(wi @ step + bi)
        h = f / (f + i) * h + i / (f + i) * (wh @ step + bh)
        out.append(h)
    return np.array(out)


def slstm(x, w_ih, w_hh, b):
    """Beck et al. 2024, eq. 8 to 14 as they are, without the stabiliser, which changes no result."""
    h = c = n = np.zeros(w_hh.shape[1])
    out = []
    for step in x:
        z, i, f, o = np.split(w_ih @ step + w_hh @ h + b, 4)
        z, i, f, o = np.tanh(z), np.exp(i), sigmoid(f), sigmoid(o)
        c = f * c + i * z
        n = f * n + i
        h = o * c / n
        out.append(h)
    return np.array(out)


def window_mlp(x, w_ih, b):
    """One hidden layer on the newest K inputs, W_0 for the newest; nothing stands before the first step."""
    matrices, out = np.split(w_ih, len(w_ih) // len(b)), []
    for t in range(len(x)):
        a = b + sum(w @ x[t - k] for k, w in enumerate(matrices) if k <= t)
        out.append(np.maximum(a, 0))
    return np.array(out)


CELLS = {
    "gru": gru,
    "lstm": lstm,
    "rnn": elman,
    "rnn_relu": lambda *weights: elman(*weights, relu=True),
    "mut1": mut1,
    "mut2": mut2,
    "mut3": mut3,
    "nas": nas,
    "mingru": mingru,
    "minlstm": minlstm,
    "slstm": slstm,
    "mlp": window_mlp,
}


def causal_scale(values, *, season, window):
    """Level and scale of one series by their definition: (last, mean, scale), each (step,)."""
    last, mean, scale = [], [], []
    for t in range(len(values)):
        seen = values[: t + 1]
        known = seen[~np.isnan(seen)]
        last.append(known[-1] if len(known) else np.nan)
        recent = seen[-season:][~np.isnan(seen[-season:])]
        mean.append(recent.mean() if len(recent) else last[-1])
        changes = []
        for u in range(max(0, t + 1 - window), t + 1):
            before = values[:u][~np.isnan(values[:u])]
            if not np.isnan(values[u]) and len(before):
                changes.append(abs(values[u] - before[-1]))
        scale.append(np.mean(changes) if changes else 0.0)
    return np.array(last), np.array(mean), np.array(scale)


def filled_lag(values, index, season):
    """Value at ``index``; where missing, one or two seasons before; else the last observed one."""
    for back in (0, season, 2 * season):
        if index - back >= 0 and not np.isnan(values[index - back]):
            return values[index - back]
    known = [v for v in values[: index + 1] if not np.isnan(v)]
    return known[-1] if known else np.nan


def reference_forecast(values, t, *, horizon, season, window, anchor):
    """Reference forecasts of one series at one step: dict of name -> (horizon,)."""
    last, mean, _ = causal_scale(values[: t + 1], season=season, window=window)
    level = last if anchor == "last" else mean
    first = int(np.argmax(~np.isnan(values[: t + 1])))
    start = max(t - window, first + season - 1)
    slope = (mean[t] - mean[start]) / (t - start) if t > start else 0.0
    said = {
        "last": np.full(horizon, last[t]),
        "drift": last[t] + slope * np.arange(1, horizon + 1),
        "mean": np.full(
            horizon, mean[t] if season > 1 else np.nanmean(last[max(0, t - 3) : t + 1])
        ),
        "long-mean": np.full(horizon, np.nanmean(values[max(0, t + 1 - window) : t + 1])),
    }
    recent = last[max(first, t - 19) : t + 1]
    said["smooth"] = np.full(
        horizon, np.average(recent, weights=0.8 ** np.arange(len(recent))[::-1])
    )
    said["median"] = np.full(horizon, np.median(recent))

    def pattern(many):
        """Lag, lag moved by the level, mean of so many of these, and that mean around the newest value."""
        lag, moved, average = [], [], []
        for k in range(1, horizon + 1):
            cycles = -(-k // season)
            shifted = []
            for extra in range(many):
                back = season * (cycles + extra)
                if t + k - back >= 0 and t - back >= 0:
                    value = filled_lag(values, t + k - back, season)
                    shifted.append(value + level[t] - level[t - back])
                elif t + k - back >= 0 and extra == 0:
                    shifted.append(np.nan)
            u = t + k - season * cycles
            lag.append(filled_lag(values, u, season) if u >= 0 else np.nan)
            moved.append(shifted[0] if shifted else np.nan)
            good = [s for s in shifted if not np.isnan(s)]
            average.append(np.mean(good) if good else np.nan)
        phase = []  # the pattern at the newest value's place in the season
        for extra in range(many):
            now, then = t - season * extra, t - season * (extra + 1)
            if then >= 0:
                phase.append(filled_lag(values, now, season) + level[t] - level[then])
        good = [p for p in phase if not np.isnan(p)]
        newest = filled_lag(values, t, season) - (np.mean(good) if good else np.nan)
        return np.array(lag), np.array(moved), np.array(average), np.array(average) + newest

    if season > 1:
        lag, moved, average, adjusted = pattern(5)
        said |= {
            "lag": lag,
            "shifted": moved,
            "average": average,
            "adjusted": adjusted,
            "trending": adjusted + slope * np.arange(1, horizon + 1),
            "settled": average + said["long-mean"][0] - level[t],
        }
    if season == 7:
        _, _, said["usual"], said["usual-adjusted"] = pattern(12)
    return {name: np.where(np.isnan(f), last[t], f) for name, f in said.items()}


def highway(x, h, weight, bias):
    """Srivastava et al. 2015, eq. 3: y = h t + x (1 - t), t = sigmoid(W x + b); all (..., size)."""
    t = sigmoid(x @ weight.T + bias)
    return h * t + x * (1 - t)


def dilated_elman(x, w_ih, w_hh, b_ih, b_hh, *, dilation):
    """Chang et al. 2017, eq. 1, with Elman's cell: h_t from h_(t-d); x (step, feature)."""
    out = []
    for t, step in enumerate(x):
        h = out[t - dilation] if t >= dilation else np.zeros(w_hh.shape[1])
        out.append(np.tanh(w_ih @ step + b_ih + w_hh @ h + b_hh))
    return np.array(out)


def causal_convolution(x, weight, bias):
    """Gelu of a sum over the newest k inputs; x (step, feature), weight (out, feature, k)."""
    kernel = weight.shape[2]
    out = []
    for t in range(len(x)):
        total = bias.copy()
        for j in range(kernel):
            if t - (kernel - 1) + j >= 0:
                total = total + weight[:, :, j] @ x[t - (kernel - 1) + j]
        out.append([0.5 * a * (1 + math.erf(a / math.sqrt(2))) for a in total])
    return np.array(out)


def stepwise_head(weights, state, features, references, newest, *, fed=None, slots=None):
    """What a stepwise head with a GRU says of one origin: locations, log spreads, attention weights.

    ``weights`` are those of the head by name; ``references`` (reference, horizon), ``newest`` (2,);
    ``fed`` (horizon,) with NaN for the head's own; ``slots`` (slot, hidden) are attended to.
    """

    def linear(name, x):
        return weights[f"{name}.weight"] @ x + weights.get(f"{name}.bias", 0.0)

    def gru_step(x, h):
        i = weights["cell.weight_ih"] @ x + weights["cell.bias_ih"]
        j = weights["cell.weight_hh"] @ h + weights["cell.bias_hh"]
        (i_r, i_z, i_n), (j_r, j_z, j_n) = np.split(i, 3), np.split(j, 3)
        r, z = 1 / (1 + np.exp(-(i_r + j_r))), 1 / (1 + np.exp(-(i_z + j_z)))
        n = np.tanh(i_n + r * j_n)
        return (1 - z) * n + z * h

    def gelu(x):
        return np.array([0.5 * v * (1 + math.erf(v / math.sqrt(2))) for v in x])

    def squash(x):
        return np.sign(x) * np.log1p(np.abs(x))

    horizon = references.shape[1]
    origin = np.concatenate([state, features])
    hidden = np.tanh(linear("begin", origin))
    value, given = newest
    expected = value
    locations, spreads, attended = [], [], []
    for h in range(horizon):
        seen = np.concatenate([squash(references[:, h]), weights["place"][h]])
        hidden = gru_step(np.concatenate([[squash(value), given], seen]), hidden)
        looked = hidden
        if slots is not None:
            scores = [linear("score", hidden) @ slot / math.sqrt(len(hidden)) for slot in slots]
            share = np.exp(scores) / np.sum(np.exp(scores))
            attended.append(share)
            looked = np.concatenate([hidden, sum(a * s for a, s in zip(share, slots, strict=True))])
        inner = linear("known", origin) + linear("ahead", seen) + linear("told", looked)
        answer = linear("out", gelu(inner))
        logits = weights["mixture"][:, h] + answer[4:]
        mixed = np.exp(logits) / np.exp(logits).sum() @ references[:, h]
        location = mixed + np.tanh(answer[3]) * (value - expected) + weights["unit"][h] * answer[0]
        locations.append(location)
        spreads.append(answer[1:3])
        expected, value, given = mixed, location, 0.0
        if fed is not None and not np.isnan(fed[h]):
            value, given = fed[h], 1.0
    return np.array(locations), np.array(spreads).T, np.array(attended)


def track_record(values, t, *, season, window):
    """Log of each reference's recent one-step errors relative to their mean over the references."""
    total, count = 0.0, 0.0
    for back in range(1, 33):
        if t - back < 0 or np.isnan(values[: t - back + 1]).all():
            continue
        truth = values[t - back + 1]
        if not np.isnan(truth):
            said = reference_forecast(
                values, t - back, horizon=1, season=season, window=window, anchor="level"
            )
            errors = np.array([abs(forecast[0] - truth) for forecast in said.values()])
            total, count = total + 0.9 ** (back - 1) * errors, count + 0.9 ** (back - 1)
    return np.log((total / np.mean(total) * count + 2) / (count + 2))
