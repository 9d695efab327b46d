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


def size_of(
    model: str, n: int | None = None, scale: float | None = None, *, small: bool = False
) -> dict[str, Any]:
    """The arguments that make a model one of `n` cells, or of a `scale`: of a scale always one.

    Of what is not given they are the defaults, or with `small` few cells or a small scale.

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
    if "scale" in takes:
        otherwise = LITTLE if small else takes["scale"].default
        return {"scale": otherwise if scale is None else scale}
    if small and n is None and "n" in takes:
        n = FEW
    return {} if n is None else {"n": n}


def network_of(
    model: str,
    size: dict[str, Any],
    key: int = 0,
    changes: list[str] | None = None,
    mechanisms: str | None = None,
) -> Network:
    """A model of a size, see `size_of`, with some numbers replaced, each given as NAME=VALUE.

    `mechanisms` are names by commas, or "none", for a model that lets one choose.

    Raises: ValueError for what is none, KeyError for an unknown parameter.
    """
    build, options = MODELS[model], dict(size)
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
