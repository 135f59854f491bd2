"""Small networks for tests, as plans."""

from tsrnn.nn.plan import EncoderPlan, NetworkPlan

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)


def plan(**changes):
    """Return a small network's plan; names of the encoder's plan may be among the changes."""
    settings = {
        "horizon": 5,
        "patch": 1,
        "seasons": (4,),
        "window": 16,
        "anchor": "level",
        "log": False,
        "decoder": "direct",
        "context": 24,
        "output": "quantiles",
        "quantiles": LEVELS,
    }
    encoder = {"cell": "gru", "hidden_size": 6, "num_layers": 1, "dropout": 0.0}
    encoder |= {name: changes.pop(name) for name in encoder.keys() & changes.keys()}
    return NetworkPlan(**{**settings, "encoder": EncoderPlan(**encoder), **changes})
