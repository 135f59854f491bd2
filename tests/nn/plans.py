"""Small networks for tests, as plans."""

from dataclasses import fields

from tsrnn.nn.plan import EncoderPlan, NetworkPlan

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)


def encoder_plan(**changes):
    """Return a small encoder's plan."""
    settings = {"cell": "gru", "hidden_size": 6, "num_layers": 1, "dropout": 0.0}
    return EncoderPlan(**{**settings, **changes})


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
    names = {field.name for field in fields(EncoderPlan)} & changes.keys()
    encoder = encoder_plan(**{name: changes.pop(name) for name in names})
    return NetworkPlan(**{**settings, "encoder": encoder, **changes})
