"""Models by the names that the command line takes, with numbers replaced."""

import inspect
from collections.abc import Callable
from typing import Any

from cortexmg import models
from cortexmg.network import Network
from cortexmg.parameters import with_parameters

MODELS: dict[str, Callable[..., Network]] = {
    name: f for name, f in vars(models).items() if inspect.isfunction(f)
}


def builder_of(model: str, n: int | None) -> Callable[..., Network]:
    """The function that makes a model, which can have `n` cells.

    Raises: ValueError if there is no such model, or if its size is fixed and `n` is given.
    """
    if model not in MODELS:
        raise ValueError(f"No model {model!r}: choose one of {sorted(MODELS)}.")
    if n is not None and "n" not in inspect.signature(MODELS[model]).parameters:
        raise ValueError(f"Model {model!r} has a fixed size; leave --n away.")
    return MODELS[model]


def network_of(
    model: str,
    n: int | None,
    key: int,
    changes: list[str] | None,
    mechanisms: str | None = None,
) -> Network:
    """A model of `n` cells with some numbers replaced, each given as NAME=VALUE.

    `mechanisms` are names by commas, or "none", for a model that lets one choose.

    Raises: ValueError for what is none, KeyError for an unknown parameter.
    """
    build = builder_of(model, n)
    options: dict[str, Any] = {} if n is None else {"n": n}
    if mechanisms is not None:
        if "mechanisms" not in inspect.signature(build).parameters:
            raise ValueError(f"Model {model!r} has fixed mechanisms; leave --mechanisms away.")
        options["mechanisms"] = () if mechanisms == "none" else tuple(mechanisms.split(","))
    network = build(**options, key=key)
    replaced = {}
    for change in changes or []:
        name, _, value = change.partition("=")
        try:
            replaced[name] = float(value)
        except ValueError:
            raise ValueError(f"--set takes NAME=VALUE with a number, got {change!r}.") from None
    return with_parameters(network, replaced)
