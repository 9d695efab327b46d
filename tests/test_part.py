"""Every number of every part carries a unit, and illegal ones are refused by name."""

import dataclasses
import importlib
import inspect
import pkgutil
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import cortexmg
from cortexmg.channels import Leak
from cortexmg.part import Part, PerCell, Scalar, count, quantity


class Thing(Part):
    g: PerCell = quantity("nS", 1.0, above=0.0)
    e: PerCell = quantity("mV", -70.0, low=-200.0, high=200.0)
    gain: PerCell = quantity("1", 1.0, low=0.0)
    free: Scalar = quantity("pA", 0.0)
    n: int = count(1)


REFUSED = {
    "not_a_number": ("g", float("nan"), r"must be finite \(in nS\), got nan"),
    "infinite": ("e", float("inf"), r"must be finite \(in mV\), got inf"),
    "minus_infinite": ("free", -np.inf, r"must be finite \(in pA\), got -inf"),
    "not_above": ("g", 0.0, "must be above 0 nS, got 0"),
    "wrong_sign": ("gain", -0.5, "must be at least 0, got -0.5"),
    "too_low": ("e", -201.0, "must be at least -200 and at most 200 mV, got -201"),
    "too_high": ("e", 201, "at most 200 mV, got 201: check its sign and unit"),
    "one_bad_of_many": ("g", np.array([1.0, 2.0, -3.0]), r"got -3 at index 2 \(1 such values\)"),
    "two_bad_of_many": ("g", jnp.array([-1.0, 2.0, -3.0]), r"got -1 at index 0 \(2 such values\)"),
    "bad_in_a_table": ("g", np.array([[1.0, np.nan]]), "got nan at index 0, 1"),
    "half_a_cell": ("n", 1.5, "must be a whole number of at least 1, got 1.5"),
    "a_float_of_cells": ("n", 2.0, "must be a whole number of at least 1, got 2.0"),
    "no_cells": ("n", 0, "must be a whole number of at least 1, got 0"),
    "true_cells": ("n", True, "must be a whole number of at least 1, got True"),
    "text_cells": ("n", "3", "must be a whole number of at least 1, got '3'"),
}
NO_NUMBERS = ["1 nS", None, True, 1j, np.array([True]), np.array(["1"]), [1.0, 2.0]]


@pytest.mark.parametrize("field, value, message", REFUSED.values(), ids=REFUSED)
def test_illegal_numbers_are_refused_with_name_value_and_expectation(field, value, message):
    with pytest.raises(ValueError, match=rf"Thing\.{field} .*{message}"):
        Thing(**{field: value})


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_what_is_no_number_is_refused_with_its_name_and_unit(value):
    message = f"Thing.g must be a number in nS, got {value!r}"
    with pytest.raises(TypeError, match=re.escape(message)):
        Thing(g=value)


@pytest.mark.parametrize(
    "legal",
    [dict(g=1), dict(g=np.float32(2)), dict(g=jnp.ones(3)), dict(e=-200.0), dict(gain=0),
     dict(g=jnp.ones(2, jnp.bfloat16)), dict(g=np.zeros(0))],
    ids=repr,
)  # fmt: skip
def test_legal_numbers_are_kept_as_they_are(legal):
    thing = Thing(**legal)
    for name, value in legal.items():
        assert getattr(thing, name) is value


def test_numbers_inside_a_compiled_function_are_not_checked():
    assert jax.jit(lambda g: Thing(g=g).g * 2)(-1.0) == -2.0
    assert jax.grad(lambda g: Thing(g=g).g ** 2)(-1.0) == -2.0


def test_parts_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Thing().g = 2.0


def members(kind):
    """The classes of a family, without a list that could miss one."""
    for found in pkgutil.walk_packages(cortexmg.__path__, "cortexmg."):
        importlib.import_module(found.name)

    def below(c):
        return [c, *(x for child in c.__subclasses__() for x in below(child))]

    return [c for c in below(kind) if c.__module__.startswith("cortexmg.")]


CONCRETE = sorted(
    {c for c in members(Part) if not inspect.isabstract(c)},
    key=lambda c: (c.__qualname__, c.__module__),
)
# What a part may need beside the number in question.
ANYTHING = {str: "e", int: 1, PerCell: 1.0, Scalar: 1.0, float: 1.0}
MEMBERS = {"channels": {"leak": Leak()}, "receptors": {}, "pools": {}, "ions": {}}


def required(part):
    return [f for f in dataclasses.fields(part) if f.default is dataclasses.MISSING]


# Those that need arrays which fit together are left to the tests of their own.
QUANTITIES = [
    (part, field)
    for part in CONCRETE
    if all(f.type in ANYTHING or f.name in MEMBERS for f in required(part))
    for field in dataclasses.fields(part)
    if "unit" in field.metadata
]
UNITS = {
    "1", "1/mM/ms", "1/mV", "1/ms", "Hz", "degC", "e/nm2", "mM", "mM ms", "mM/ms", "mV", "ms",
    "nS", "pA", "pF", "um", "um2", "um2/ms", "um3",
}  # fmt: skip


@pytest.mark.parametrize("part", CONCRETE, ids=lambda c: c.__name__)
def test_every_number_of_a_part_has_a_unit(part):
    for field in dataclasses.fields(part):
        if field.type in (PerCell, Scalar, float) and not field.metadata.get("static"):
            unit = field.metadata.get("unit", "")
            # What is drawn from a distribution has the unit of the field that it fills, and a bound
            # that of its parameter.
            others = "cortexmg.distributions", "cortexmg.bounds"
            assert unit in UNITS or part.__module__ in others, field.name


def test_the_parts_of_the_package_are_found():
    assert {"Sodium", "NMDA", "Woodhull", "Reset", "Ion", "Poisson"} <= {
        c.__name__ for c in CONCRETE
    }
    assert len(QUANTITIES) > 50


def make(part, **given):
    needed = {f.name: MEMBERS.get(f.name, ANYTHING.get(f.type)) for f in required(part)}
    return part(**needed | given)


@pytest.mark.parametrize(
    "part, field", QUANTITIES, ids=[f"{c.__name__}.{f.name}" for c, f in QUANTITIES]
)
def test_no_quantity_of_the_package_takes_an_illegal_number(part, field):
    """NaN, and what lies outside its range. Some parts compare two numbers before that."""
    meta = field.metadata
    with pytest.raises(ValueError, match=rf"{part.__name__}\.{field.name} must be finite"):
        make(part, **{field.name: float("nan")})
    for bad in (meta["above"], meta["low"] - 1.0, meta["high"] + 1.0):
        if np.isfinite(bad):
            with pytest.raises(ValueError, match=rf"{part.__name__}.*\b{field.name}\b.*got"):
                make(part, **{field.name: bad})


def test_a_name_that_jax_would_take_for_a_number_is_refused():
    class Named(Part):
        target: str

    with pytest.raises(TypeError, match="Named.target is a name.*eqx.field\\(static=True\\)"):
        Named("E")


def test_types_that_are_text_are_refused():
    """As `from __future__ import annotations` makes them: what a number may be would be unknown."""

    class Own(Part):
        g: "PerCell" = quantity("nS", 1.0)

    with pytest.raises(TypeError, match=r"Own\.g has its type as text.* __future__"):
        Own()


def test_names_with_a_slash_are_refused():
    with pytest.raises(ValueError, match=r"populations\['a/b'\]: '/' joins names"):
        cortexmg.Network(cortexmg.acsf(), {"a/b": cortexmg.cells.source(3)})
