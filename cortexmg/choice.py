"""Models by the names that the command line takes, with numbers replaced."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from cortexmg import models
from cortexmg.network import Network
from cortexmg.parameters import with_parameters

MODELS: dict[str, Callable[..., Network]] = {
    name: f for name, f in vars(models).items() if inspect.isfunction(f)
}
Model = Annotated[str, typer.Argument(help=f"One of {', '.join(sorted(MODELS))}.")]
Cells = Annotated[
    int | None, typer.Option("--n", "--cells", help="Number of cells, if the model has one.")
]
Scale = Annotated[
    float | None, typer.Option(help="Of a model that has one, above 0 and at most 1.")
]
Step = Annotated[float, typer.Option(help="Integration step (ms).")]
FEW, LITTLE = 500, 0.02  # cells, and the scale of a model that has one


def builder_of(model: str, n: int | None, scale: float | None = None) -> Callable[..., Network]:
    """The function that makes a model, which can have `n` cells or a `scale`.

    Raises: ValueError if there is no such model, or if it does not take the one that is given.
    """
    if model not in MODELS:
        raise ValueError(f"No model {model!r}: choose one of {sorted(MODELS)}.")
    takes = inspect.signature(MODELS[model]).parameters
    if n is not None and "n" not in takes:
        size = "a scale; use --scale and" if "scale" in takes else "a fixed size;"
        raise ValueError(f"Model {model!r} has {size} leave --cells (--n) away.")
    if scale is not None and "scale" not in takes:
        instead = "use --cells and " if "n" in takes else ""
        raise ValueError(f"Model {model!r} has no scale; {instead}leave --scale away.")
    return MODELS[model]


def size_of(model: str, n: int | None, scale: float | None) -> dict[str, Any]:
    """The arguments that give a model its size; of one with a scale, that by default is said too.

    Raises: as `builder_of`.
    """
    takes = inspect.signature(builder_of(model, n, scale)).parameters
    if "scale" in takes:
        return {"scale": takes["scale"].default if scale is None else scale}
    return {} if n is None else {"n": n}


def small(model: str, n: int | None, scale: float | None) -> tuple[int | None, float | None]:
    """Cells and scale of a model of which it takes one: a small one unless it is given."""
    takes = inspect.signature(builder_of(model, n, scale)).parameters
    few, little = FEW if "n" in takes else None, LITTLE if "scale" in takes else None
    return few if n is None else n, little if scale is None else scale


def network_of(
    model: str,
    n: int | None,
    key: int,
    changes: list[str] | None,
    mechanisms: str | None = None,
    scale: float | None = None,
) -> Network:
    """A model of `n` cells or at a `scale`, with some numbers replaced, each given as NAME=VALUE.

    `mechanisms` are names by commas, or "none", for a model that lets one choose.

    Raises: ValueError for what is none, KeyError for an unknown parameter.
    """
    build, options = builder_of(model, n, scale), size_of(model, n, scale)
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
