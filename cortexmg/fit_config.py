"""A fit as a file: network, parameters, measures, conditions and targets in TOML."""

import inspect
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from cortexmg import estimators, measures
from cortexmg.bounds import Bounds
from cortexmg.choice import network_of
from cortexmg.fit import fit
from cortexmg.gauss_newton import gauss_newton
from cortexmg.network import Network
from cortexmg.part import shown
from cortexmg.priors import priors
from cortexmg.tangents import Tangents
from cortexmg.targets import Target, Targets

TABLES = ("network", "parameters", "priors", "measures", "conditions", "targets", "fit")
OPTIMISERS = ("gauss_newton", "adam")
OPTIONS = {"steps", "seeds", "duration", "settle", "dt", "key", "tolerance", "patience"}


class Config(NamedTuple):
    """What `fit` is called with."""

    network: Network
    bounds: dict[str, Bounds]
    targets: Targets
    options: dict[str, Any]

    def run(self, **more: Any) -> Any:
        """The fit."""
        return fit(self.network, self.bounds, self.targets, **self.options, **more)


def read(path: Path) -> Config:
    """The fit that a file describes: see docs/gradients.md.

    Raises: ValueError naming the table and the entry that cannot be used.
    """
    try:
        given = tomllib.loads(Path(path).read_text())
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not TOML: {error}.") from None
    _only(str(path), given, TABLES)
    network = _network(given.get("network", {}))
    bounds, start = {}, {}
    sets = given.get("priors", {})
    _only("[priors]", sets, ("sets", "shared"))
    if sets:
        bounds |= priors(network, *sets.get("sets", []), shared=sets.get("shared", True))
    for name, entry in given.get("parameters", {}).items():
        _only(f"[parameters.{name!r}]", entry, ("low", "high", "prior", "start"))
        bounds[name] = Bounds(entry.get("low"), entry.get("high"), entry.get("prior"))
        start |= {name: entry["start"]} if "start" in entry else {}
    targets = Targets(
        {
            name: _made(f"[measures.{name}]", measures, measures.Measure, m)
            for name, m in _table(given, "measures")
        },
        [_target(t) for t in given.get("targets", [])],
        given.get("conditions"),
    )
    return Config(network, bounds, targets, _options(given.get("fit", {})) | {"start": start})


def _network(given: dict[str, Any]) -> Network:
    _only("[network]", given, ("model", "n", "key", "mechanisms", "set"))
    made = given.get("mechanisms")
    return network_of(
        given.get("model", "cortex"),
        given.get("n"),
        given.get("key", 0),
        [f"{name}={value}" for name, value in given.get("set", {}).items()],
        made if made is None else ",".join(made) or "none",
    )


def _options(given: dict[str, Any]) -> dict[str, Any]:
    _only("[fit]", given, (*OPTIONS, "estimator", "optimiser"))
    options = {k: v for k, v in given.items() if k in OPTIONS}
    if "estimator" in given:
        options["estimator"] = _made(
            "[fit] estimator", estimators, estimators.Estimator, given["estimator"]
        )
    if "optimiser" in given:
        if given["optimiser"] not in OPTIMISERS:
            raise ValueError(
                f"[fit] optimiser must be one of {sorted(OPTIMISERS)}, got "
                f"{shown(given['optimiser'])}."
            )
        options["optimiser"] = _optimiser(given["optimiser"])
    return options


def _optimiser(name: str) -> Any:
    import optax

    return gauss_newton() if name == "gauss_newton" else optax.adam(0.1)


def _made(where: str, family: Any, base: type, given: Any) -> Any:
    """A member of a family from {kind = name, and its fields}."""
    known = {k: v for k, v in vars(family).items() if inspect.isclass(v) and issubclass(v, base)}
    known = {k: v for k, v in known.items() if not inspect.isabstract(v)}
    fields = dict(given) if isinstance(given, dict) else {"kind": given}
    if "tangents" in fields:
        _only(f"{where} tangents", fields["tangents"], inspect.signature(Tangents).parameters)
        fields["tangents"] = Tangents(**fields["tangents"])
    kind = fields.pop("kind", None)
    if kind not in known:
        raise ValueError(f"{where} needs kind, one of {sorted(known)}, got {shown(kind)}.")
    try:
        return known[kind](**fields)
    except TypeError as error:
        raise ValueError(f"{where}: {error}.") from None


def _target(given: dict[str, Any]) -> Target:
    _only("[[targets]]", given, Target._fields)
    if not {"measure", "value"} <= given.keys():
        raise ValueError(f"[[targets]] needs measure and value, got {shown(given)}.")
    return Target(**given)


def _table(given: dict[str, Any], name: str) -> Any:
    return given.get(name, {}).items()


def _only(where: str, given: Any, known: Any) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(f"{where} has {unknown}, which is not known: it takes {sorted(known)}.")
