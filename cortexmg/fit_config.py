"""A fit as a file: network, parameters, measures, conditions and targets in TOML."""

import inspect
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from cortexmg import estimators, measures
from cortexmg.bounds import Bounds
from cortexmg.choice import MODELS
from cortexmg.fit import clipped_adam, fit
from cortexmg.gauss_newton import gauss_newton
from cortexmg.network import Network
from cortexmg.parameters import with_parameters
from cortexmg.part import number, shown
from cortexmg.priors import priors
from cortexmg.tangents import Tangents
from cortexmg.targets import Target, Targets


class Kind(NamedTuple):
    """What an entry may be."""

    words: str
    holds: Callable[[Any], bool]


def _list(x: Any, holds: Callable[[Any], bool]) -> bool:
    return isinstance(x, list) and all(map(holds, x))


ANY = Kind("anything", lambda _: True)  # its own table says what it may be
NUMBER = Kind("a number", lambda x: number(x) is not None)
WHOLE = Kind("a whole number", lambda x: NUMBER.holds(x) and isinstance(x, int))
NUMBERS = Kind("a number or a list of numbers", lambda x: NUMBER.holds(x) or _list(x, NUMBER.holds))
PAIR = Kind("a list of two numbers", lambda x: _list(x, NUMBER.holds) and len(x) == 2)
FLAG = Kind("true or false", lambda x: isinstance(x, bool))
NAME = Kind("a name", lambda x: isinstance(x, str))
NAMES = Kind("a list of names", lambda x: _list(x, NAME.holds))
TABLE = Kind("a table", lambda x: isinstance(x, dict))
TABLES = Kind("a list of tables, each under [[targets]]", lambda x: _list(x, TABLE.holds))

FILE: dict[str, Kind] = dict.fromkeys(
    ("network", "parameters", "priors", "measures", "conditions", "fit"), TABLE
)
FILE |= {"targets": TABLES}
MODEL = {"n": WHOLE, "scale": NUMBER, "cells": NAME, "mechanisms": NAMES, "key": WHOLE}
PARAMETER = {"low": NUMBER, "high": NUMBER, "prior": PAIR, "start": NUMBERS}
TARGET = {"measure": NAME, "value": NUMBERS, "condition": NAME, "sd": NUMBERS}
OPTIONS = dict.fromkeys(("steps", "seeds", "patience", "key"), WHOLE)
OPTIONS |= dict.fromkeys(("duration", "settle", "dt", "tolerance"), NUMBER)
OPTIMISERS = {"adam": clipped_adam, "gauss_newton": gauss_newton}


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
        given = tomllib.loads(Path(path).read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}.") from None
    _check(str(path), given, FILE)
    network = _network(given.get("network", {}))
    bounds = _priors(network, given["priors"]) if "priors" in given else {}
    start = {}
    for name, entry in _each("[parameters]", given.get("parameters", {}), TABLE).items():
        where = f"[parameters.{name!r}]"
        _check(where, entry, PARAMETER, ("low", "high"))
        bounds[name] = _made(where, Bounds, entry["low"], entry["high"], entry.get("prior"))
        start |= {name: entry["start"]} if "start" in entry else {}
    targets = _targets(given)
    return Config(network, bounds, targets, _options(given.get("fit", {})) | {"start": start})


def _network(given: dict[str, Any]) -> Network:
    _check("[network]", given, {"model": NAME, "set": TABLE} | MODEL)
    model, options = given.get("model", "cortex"), {k: v for k, v in given.items() if k in MODEL}
    if model not in MODELS:
        raise ValueError(f"[network] model must be one of {sorted(MODELS)}, got {model!r}.")
    takes = inspect.signature(MODELS[model]).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in takes.values()):
        known = {name: kind for name, kind in MODEL.items() if name in takes}
        _check(f"[network] of model {model!r}", options, known)
    changed = _each("[network] set", given.get("set", {}), NUMBER)
    network = _made("[network]", MODELS[model], **options)
    return _made("[network] set", with_parameters, network, changed)


def _priors(network: Network, given: dict[str, Any]) -> dict[str, Bounds]:
    """Those of the sets that are named, and of all where none is spoken of."""
    _check("[priors]", given, {"sets": NAMES, "shared": FLAG})
    sets, shared = given.get("sets", []), given.get("shared", True)
    if "sets" in given and not sets:
        return {}
    return _made("[priors]", priors, network, *sets, shared=shared)


def _targets(given: dict[str, Any]) -> Targets:
    known = {
        name: _member(f"[measures.{name}]", measures, measures.Measure, m)
        for name, m in given.get("measures", {}).items()
    }
    conditions = {
        name: _each(f"[conditions.{name!r}]", entry, NUMBER)
        for name, entry in _each("[conditions]", given.get("conditions", {}), TABLE).items()
    }
    targets = given.get("targets", [])
    for t in targets:
        _check("[[targets]]", t, TARGET, ("measure", "value"))
    return _made("[[targets]]", Targets, known, [Target(**t) for t in targets], conditions)


def _options(given: dict[str, Any]) -> dict[str, Any]:
    _check("[fit]", given, OPTIONS | {"estimator": ANY, "optimiser": NAME})
    options = dict(given)
    if "estimator" in options:
        where = "[fit] estimator"
        options["estimator"] = _member(where, estimators, estimators.Estimator, given["estimator"])
    if "optimiser" in options:
        name = given["optimiser"]
        if name not in OPTIMISERS:
            raise ValueError(f"[fit] optimiser must be one of {sorted(OPTIMISERS)}, got {name!r}.")
        options["optimiser"] = OPTIMISERS[name]()
    return options


def _member(where: str, family: Any, base: type, given: Any) -> Any:
    """A member of a family from {kind = name, and its fields}."""
    known = {k: v for k, v in vars(family).items() if inspect.isclass(v) and issubclass(v, base)}
    known = {k: v for k, v in known.items() if not inspect.isabstract(v)}
    fields = dict(given) if isinstance(given, dict) else {"kind": given}
    if "tangents" in fields:
        fields["tangents"] = _tangents(f"{where} tangents", fields["tangents"])
    kind = fields.pop("kind", None)
    if not isinstance(kind, str) or kind not in known:
        raise ValueError(f"{where} needs kind, one of {sorted(known)}, got {shown(kind)}.")
    return _made(where, known[kind], **fields)


def _tangents(where: str, given: Any) -> Tangents:
    _check(where, given, dict.fromkeys(inspect.signature(Tangents).parameters, NUMBER))
    return _made(where, Tangents, **given)


def _made(where: str, make: Callable[..., Any], *given: Any, **more: Any) -> Any:
    """What a function makes, or its error with the table that it is about."""
    try:
        return make(*given, **more)
    except (KeyError, TypeError, ValueError) as error:
        text = error.args[0] if isinstance(error, KeyError) else error
        raise ValueError(f"{where}: {text}") from None


def _check(where: str, given: Any, known: dict[str, Kind], needed: tuple[str, ...] = ()) -> None:
    """Raise unless this is a table of known entries, with those that are needed."""
    _check_kind(where, given, TABLE)
    unknown = sorted(given.keys() - known.keys())
    if unknown:
        raise ValueError(f"{where} has {unknown}, which is not known: it takes {sorted(known)}.")
    if not given.keys() >= set(needed):
        raise ValueError(f"{where} needs {' and '.join(needed)}, got {shown(given)}.")
    for name, value in given.items():
        _check_kind(f"{where} {name}", value, known[name])


def _each(where: str, given: Any, kind: Kind) -> dict[str, Any]:
    """A table whose entries have names of the user's, all of one kind."""
    _check_kind(where, given, TABLE)
    for name, value in given.items():
        _check_kind(f"{where} {name}", value, kind)
    return given


def _check_kind(where: str, value: Any, kind: Kind) -> None:
    if not kind.holds(value):
        raise ValueError(f"{where} must be {kind.words}, got {shown(value)}.")
