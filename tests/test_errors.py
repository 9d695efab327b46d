"""Bad input is refused when the object is made, in one sentence that says what to do."""

import inspect
import time
import traceback

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import cortexmg as cx
from cortexmg import (
    cells,
    channels,
    magnesium,
    models,
    recorders,
    releases,
    stimuli,
    synapses,
    wiring,
)
from cortexmg.distributions import ByDistance, LogNormal, Normal, Uniform
from cortexmg.sheet import Sheet
from cortexmg.synapses import TwoExponentialKinetics

REFUSED = (ValueError, TypeError, KeyError)
NAN = float("nan")


def lif(n=3, receptors=None, **options):
    return cells.leaky_integrate_and_fire(n, receptors or {"ampa": synapses.AMPA()}, **options)


def network(projections=None, stimuli=None, **populations):
    return cx.Network(cx.acsf(), populations or {"E": lif()}, projections, stimuli)


def contacts(n_pre=3, n_post=3, delay=0.5, **options):
    return wiring.fixed_in_degree(n_pre, n_post, 2, 1.0, delay, key=0, **options)


def projection(pre="E", post="E", transmitter="glutamate", connectivity=None, **options):
    return cx.Projection(
        pre, post, transmitter, contacts() if connectivity is None else connectivity, **options
    )


def run(net, dt=0.1):
    return cx.simulate(net, 1.0, dt=dt)


def arrivals(times=(1.0, 2.0), which=(0, 1)):
    return stimuli.SpikeInput("E", "ampa", np.asarray(times), np.asarray(which), 1.0)


def passive(**changes):
    numbers = dict(n=3, capacitance=100.0, channels={"leak": channels.Leak()}) | changes
    return cx.Population(**numbers)


# What is done, and words that the answer must contain: field, value, expectation, remedy.
ILLEGAL = {
    # something else where a part belongs
    "kinetics are a number": (
        lambda: synapses.AMPA(3.0),
        ["AMPA.kinetics", "TwoExponentialKinetics", "3.0"],
    ),
    "the block was not made": (
        lambda: synapses.NMDA(block=magnesium.jahr_stevens),
        ["NMDA.block", "Block", "<function jahr_stevens"],
    ),
    "an optional part is a number": (
        lambda: channels.CalciumN(inactivation=5.0),
        ["CalciumN.inactivation", "Inactivation", "5.0"],
    ),
    "ions are numbers": (
        lambda: cx.Environment({"mg": 1.0}),
        ["Environment.ions['mg']", "Ion", "1.0"],
    ),
    "there are no ions": (lambda: cx.Environment(None), ["Environment.ions", "dict", "None"]),
    "a valence is a word": (lambda: cx.Ion(1.0, 0.5, "2"), ["Ion.valence", "whole", "'2'"]),
    "a receptor is a number": (
        lambda: network(stimuli={"s": stimuli.Poisson("E", 3, 1000.0, 1.0)}),
        ["Poisson.receptor", "str", "3"],
    ),
    "a refractory time cannot be counted": (
        lambda: run(network(E=lif(refractory=1e4))),
        ["Reset.refractory", "10000 ms", "6553.5 ms", "larger dt"],
    ),
    "a rise is as slow as the decay": (
        lambda: TwoExponentialKinetics(5.0, 5.01),
        ["tau_rise", "0.99", "5.01", "alpha function"],
    ),
    "computed contacts have weights of their own": (
        lambda: cx.with_parameters(
            network({"p": projection(connectivity=wiring.procedural(3, 3, 2, 1.0, 0.5, key=0))}),
            {"projections/p/connectivity/weights": np.ones(3)},
        ),
        ["weights", "one number", "(3,)"],
    ),
    # wrong names
    "pre is unknown": (
        lambda: network({"p": projection(pre="X")}),
        ["Projection 'p'", "pre", "'X'", "'E'"],
    ),
    "post is unknown": (
        lambda: network({"p": projection(post="X")}),
        ["Projection 'p'", "post", "'X'", "'E'"],
    ),
    "transmitter is unheard": (
        lambda: network({"p": projection(transmitter="gaba")}),
        ["Projection 'p'", "'gaba'", "'glutamate'", "add a receptor"],
    ),
    "target is unknown": (
        lambda: network(stimuli={"s": stimuli.StepCurrent("X", 1.0)}),
        ["Stimulus 's'", "target", "'X'", "'E'"],
    ),
    "receptor is unknown": (
        lambda: network(stimuli={"s": stimuli.Poisson("E", "gaba", 1.0, 1.0)}),
        ["Stimulus 's'", "'gaba'", "'ampa'"],
    ),
    "kind of cell is unknown": (lambda: cells.destexhe("XS"), ["'XS'", "'RS'", "'LTS'"]),
    # sizes
    "no cells": (lambda: lif(0), ["Population.n", "at least 1", "0"]),
    "negative size": (lambda: lif(-2), ["Population.n", "at least 1", "-2"]),
    "half a cell": (lambda: lif(2.5), ["Population.n", "whole number", "2.5"]),
    "no population": (lambda: cx.Network(cx.acsf(), {}), ["Network", "at least one population"]),
    "projection of another size": (
        lambda: network({"p": projection(connectivity=contacts(n_pre=4))}),
        ["Projection 'p'", "n_pre = 4", "'E'", "3 cells"],
    ),
    "projection onto another size": (
        lambda: network({"p": projection(connectivity=contacts(n_post=4))}),
        ["Projection 'p'", "n_post = 4", "'E'", "3 cells"],
    ),
    # physical quantities
    "negative concentration": (lambda: cx.acsf(mg=-1.0), ["Ion.outside", "at least 0", "mM", "-1"]),
    "absurd temperature": (
        lambda: cx.Environment({}, 310.0),
        ["Environment.temperature", "at most 50 degC", "310"],
    ),
    "negative capacitance": (
        lambda: passive(capacitance=-1.0),
        ["Population.capacitance", "above 0 pF", "-1", "sign and unit"],
    ),
    "negative conductance": (
        lambda: channels.Sodium(-5.0),
        ["Sodium.g_max", "at least 0 nS", "-5"],
    ),
    "no leak conductance": (lambda: channels.Leak(0.0), ["Leak.g", "above 0 nS", "0"]),
    "no leak at all": (lambda: passive(channels={}), ["Population.channels", "Leak"]),
    "time constant of zero": (
        lambda: synapses.Exponential(0.0),
        ["Exponential.tau", "above 0 ms", "0"],
    ),
    "negative time constant": (
        lambda: TwoExponentialKinetics(-1.0, 3.0),
        ["TwoExponentialKinetics.tau_rise", "above 0 ms", "-1"],
    ),
    "rise above decay": (
        lambda: TwoExponentialKinetics(5.0, 3.0),
        ["tau_rise", "0.99 tau_decay", "5", "3", "swap"],
    ),
    "rise equal to decay": (
        lambda: TwoExponentialKinetics(3.0, 3.0),
        ["tau_rise", "0.99 tau_decay", "Exponential"],
    ),
    "voltage in volts": (lambda: passive(v0=-7e4), ["Population.v0", "-70000", "mV"]),
    "half-block of zero": (lambda: magnesium.Woodhull(0.0), ["Woodhull.mg_half", "above 0 mM"]),
    "negative strength": (
        lambda: projection(strength=-1.0),
        ["Projection.strength", "at least 0", "-1"],
    ),
    "negative weight": (
        lambda: wiring.one_to_one(3, -1.0, 0.5),
        ["weight", "at least 0 nS", "-1"],
    ),
    "negative rate": (
        lambda: stimuli.Poisson("E", "ampa", -1.0, 1.0),
        ["Poisson.rate", "at least 0 Hz", "-1"],
    ),
    "negative deviation": (
        lambda: stimuli.OrnsteinUhlenbeckCurrent("E", 0.0, -1.0),
        ["OrnsteinUhlenbeckCurrent.sd", "at least 0 pA", "-1"],
    ),
    "reset above threshold": (
        lambda: cx.Reset(threshold=-50.0, reset=-40.0),
        ["Reset.reset", "below", "-40", "-50"],
    ),
    "slow depression of everything": (
        lambda: releases.SlowDepression(share=1.0),
        ["SlowDepression.share", "at most 0.99", "1"],
    ),
    "utilisation above one": (
        lambda: releases.TsodyksMarkram(1.5),
        ["TsodyksMarkram.u0", "at most 1", "1.5"],
    ),
    # numbers of cells, flags and intervals
    "spikes in intervals": (
        lambda: recorders.Spikes("E", every=5.0),
        ["Spikes.every", "left out", "5", "SpikeCount"],
    ),
    "cells as flags": (
        lambda: recorders.Probe("E", cells=np.array([True, False, True])),
        ["Probe.cells", "numbers of cells", "True"],
    ),
    "one cell without a list": (
        lambda: recorders.Probe("E", cells=0),
        ["Probe.cells", "a list", "0"],
    ),
    "cells of spikes in a list": (
        lambda: stimuli.SpikeInput("E", "ampa", np.array([1.0]), [0], 1.0),
        ["SpikeInput.cells", "an array", "[0]"],
    ),
    "a flag that is a word": (
        lambda: wiring.fixed_in_degree(3, 3, 1, 1.0, 0.5, key=0, self_contacts="no"),
        ["self_contacts", "True or False", "'no'"],
    ),
    "no contacts": (lambda: models.balanced(10, contacts=0), ["contacts", "at least 1", "0"]),
    "a scale that is a flag": (lambda: models.microcircuit(True), ["scale", "above 0", "True"]),
    "a drive that is a word": (lambda: models.cortex_slice(9, drive="1"), ["drive", "'1'"]),
    "not a number": (lambda: channels.Leak(np.nan), ["Leak.g", "must be finite", "nan"]),
    # probabilities and degrees
    "probability above one": (
        lambda: wiring.fixed_probability(3, 3, 1.5, 1.0, 0.5, key=0),
        ["p must be a probability", "0 and 1", "1.5"],
    ),
    "negative probability": (
        lambda: wiring.fixed_probability(3, 3, -0.1, 1.0, 0.5, key=0),
        ["p must be a probability", "-0.1"],
    ),
    "more sources than there are": (
        lambda: wiring.fixed_in_degree(3, 3, 4, 1.0, 0.5, key=0, multiple=False),
        ["k = 4", "only 3", "lower k", "multiple=True"],
    ),
    "more contacts than int32 numbers": (
        lambda: wiring.fixed_in_degree(10**6, 10**6, 5000, 1.0, 0.5, key=0),
        ["5000000000", "2^31", "split"],
    ),
    # delays and times
    "delay of zero": (lambda: contacts(delay=0.0), ["Connectivity.delays", "above 0 ms", "0"]),
    "negative delay": (lambda: contacts(delay=-1.0), ["delay", "-1"]),
    "delay below one step": (
        lambda: run(network({"p": projection(connectivity=contacts(delay=0.05))})),
        ["Projection 'p'", "0.05 ms", "one step of 0.1 ms", "smaller dt or a longer delay"],
    ),
    "dt that does not divide": (
        lambda: run(network(), 0.3),
        ["1 ms", "whole number of 0.3 ms", "duration"],
    ),
    "dt too large for a channel": (
        lambda: run(network(E=cells.regular_spiking(3)), 0.5),
        ["dt of 0.5 ms", "'E'", "'na'", "0.1 ms"],
    ),
    "dt too large for the membrane": (
        lambda: run(network(E=lif(leak=2000.0)), 0.1),
        ["dt of 0.1 ms", "'E'", "time constant", "0.1 ms", "tenth"],
    ),
    "rate too high for dt": (
        lambda: run(network(stimuli={"s": stimuli.Poisson("E", "ampa", 1e5, 1.0)})),
        ["Poisson.rate", "100000 Hz", "10 arrivals", "at most 0.29", "smaller dt"],
    ),
    "step that ends before it starts": (
        lambda: stimuli.StepCurrent("E", 1.0, 5.0, 2.0),
        ["StepCurrent.start", "before stop", "5", "2"],
    ),
    # arrays
    "capacitance of the wrong length": (
        lambda: passive(capacitance=np.ones(4)),
        ["capacitance", "one for each of 3 cells", "(4,)"],
    ),
    "channel of the wrong length": (
        lambda: passive(channels={"leak": channels.Leak(np.ones(4))}),
        ["channels/leak/g", "one for each of 3 cells", "(4,)"],
    ),
    "receptor of the wrong length": (
        lambda: lif(3, {"ampa": synapses.Exponential(np.ones(2))}),
        ["receptors/ampa/tau", "one for each of 3 cells", "(2,)"],
    ),
    "threshold of the wrong length": (
        lambda: lif(3, threshold=np.full(2, -50.0)),
        ["rule/threshold", "one for each of 3 cells", "(2,)"],
    ),
    "stimulus of the wrong length": (
        lambda: network(stimuli={"s": stimuli.StepCurrent("E", np.ones(4))}),
        ["Stimulus 's'", "amplitude", "one for each of 3 cells", "(4,)"],
    ),
    "weight of the wrong length": (
        lambda: network(stimuli={"s": stimuli.Poisson("E", "ampa", 9.0, np.ones(4))}),
        ["Stimulus 's'", "weight", "one for each of 3 cells", "(4,)"],
    ),
    "reversal of the wrong length": (
        lambda: passive(channels={"leak": channels.Leak(), "na": channels.Sodium(e=np.ones(4))}),
        ["channels/na/e", "one for each of 3 cells", "(4,)"],
    ),
    "release of the wrong length": (
        lambda: network({"p": projection(release=releases.TsodyksMarkram(np.full(4, 0.5)))}),
        ["'p'", "u0", "one for each of 3 cells", "(4,)"],
    ),
    "concentration of the wrong length": (
        lambda: cx.Network(cx.acsf(mg=np.ones(4)), {"E": lif()}),
        ["'E'", "ions/mg/outside", "one for each of 3 cells", "(4,)"],
    ),
    "weights of the wrong length": (
        lambda: wiring.from_arrays([0, 1], [0, 1], np.ones(3), 0.5, 3, 3),
        ["weight", "one per contact", "(3,)", "2"],
    ),
    "ends of different length": (
        lambda: wiring.from_arrays([0, 1], [0], 1.0, 0.5, 3, 3),
        ["pre and post", "2 and 1"],
    ),
    "a cell that does not exist": (
        lambda: wiring.from_arrays([0, 3], [0, 1], 1.0, 0.5, 3, 3),
        ["pre", "contact 1", "cell 3", "0 to 2"],
    ),
    "a negative cell": (
        lambda: wiring.from_arrays([0, 1], [0, -1], 1.0, 0.5, 3, 3),
        ["post", "contact 1", "cell -1", "0 to 2"],
    ),
    "half a contact": (
        lambda: wiring.from_arrays([0.5], [0], 1.0, 0.5, 3, 3),
        ["pre", "whole numbers", "float64"],
    ),
    "a list instead of an array": (
        lambda: passive(capacitance=[1.0, 2.0, 3.0]),
        ["Population.capacitance", "number in pF", "array"],
    ),
    # not numbers
    "capacitance is not a number": (
        lambda: passive(capacitance=NAN),
        ["Population.capacitance", "finite", "nan"],
    ),
    "one of many is not a number": (
        lambda: passive(capacitance=np.asarray([1.0, NAN, NAN])),
        ["Population.capacitance", "finite", "nan at index 1", "2 such values"],
    ),
    "infinite current": (
        lambda: stimuli.StepCurrent("E", float("inf")),
        ["StepCurrent.amplitude", "finite", "inf"],
    ),
    "weight is not a number": (
        lambda: wiring.one_to_one(3, NAN, 0.5),
        ["weight", "finite", "nan"],
    ),
    "delay is not a number": (lambda: wiring.one_to_one(3, 1.0, NAN), ["delay", "nan"]),
    "a time is not a number": (lambda: arrivals((1.0, NAN)), ["SpikeInput.times", "nan"]),
    "a word": (lambda: passive(capacitance="big"), ["Population.capacitance", "number", "'big'"]),
    # spike trains
    "out of order": (
        lambda: arrivals((2.0, 1.0)),
        ["SpikeInput.times", "ascend", "2 before 1", "index 0", "sort"],
    ),
    "times without cells": (
        lambda: arrivals((1.0, 2.0), (0,)),
        ["SpikeInput.times and cells", "one length", "(2,)", "(1,)"],
    ),
    "spike of a cell that does not exist": (
        lambda: run(network(stimuli={"s": arrivals(which=(0, 3))})),
        ["SpikeInput.cells[1]", "3", "'E'", "0 to 2"],
    ),
    "negative time": (lambda: arrivals((-1.0, 2.0)), ["SpikeInput.times", "at least 0 ms", "-1"]),
    # distributions and the sheet
    "normal that is mostly cut off": (lambda: Normal(1.0, 2.0), ["sd <= mean", "1.0", "2.0"]),
    "uniform upside down": (lambda: Uniform(2.0, 1.0), ["low <= high", "2.0", "1.0"]),
    "log-normal of mean zero": (lambda: LogNormal(0.0, 1.0), ["LogNormal.mean", "above 0"]),
    "conduction at speed zero": (lambda: ByDistance(0.0, 0.5), ["ByDistance.speed", "above 0"]),
    "sheet without width": (lambda: Sheet(0.0, 1.0), ["Sheet.width", "above 0 um"]),
    # wrong kinds
    "channel among receptors": (
        lambda: lif(3, {"leak": channels.Leak()}),
        ["Population.receptors['leak']", "Synapse", "Leak"],
    ),
    "channels without names": (
        lambda: passive(channels=[channels.Leak()]),
        ["Population.channels", "dict", "Channel"],
    ),
    "rule that is none": (lambda: passive(rule=-50.0), ["Population.rule", "SpikeRule", "-50"]),
    "population that is none": (
        lambda: cx.Network(cx.acsf(), {"E": 100}),
        ["Network.populations['E']", "Population", "100"],
    ),
    "stimulus that is none": (
        lambda: network(stimuli={"s": 5.0}),
        ["Network.stimuli['s']", "Stimulus", "5.0"],
    ),
    "connectivity that is none": (
        lambda: projection(connectivity=np.ones((3, 3))),
        ["Projection.connectivity", "Wiring"],
    ),
    "environment that is none": (
        lambda: cx.Network({"mg": 1.0}, {"E": lif()}),
        ["Network.environment", "Environment", "{'mg': 1.0}"],
    ),
    "probability that is a word": (
        lambda: wiring.fixed_probability(3, 3, "half", 1.0, 0.5, key=0),
        ["p must be a probability", "'half'"],
    ),
    "interval that is a word": (
        lambda: recorders.Probe("E", every="often"),
        ["Probe.every", "number in ms", "'often'"],
    ),
    # beyond what is computed with
    "infinite in single precision": (
        lambda: passive(capacitance=1e39),
        ["Population.capacitance", "finite", "1e+39"],
    ),
    "zero in single precision": (
        lambda: passive(capacitance=1e-50),
        ["Population.capacitance", "above 0 pF", "1e-50"],
    ),
    "more steps than are counted": (
        lambda: cx.simulate(network(), 1e9, dt=0.1),
        ["duration", "1e+09 ms", "1e+10 steps", "2^31", "larger dt"],
    ),
    "key of more than 32 bits": (
        lambda: cx.simulate(network(), 1.0, dt=0.1, key=2**32),
        ["key", "0 to 2^32 - 1", "4294967296"],
    ),
    "negative key": (lambda: cx.simulate(network(), 1.0, dt=0.1, key=-1), ["key", "-1"]),
    "key that is none": (
        lambda: wiring.fixed_in_degree(3, 3, 2, 1.0, 0.5, key="seed"),
        ["key", "whole number", "'seed'"],
    ),
}


@pytest.fixture(autouse=True)
def as_users_have_it(without_type_checks):
    """Without the type checks that only tests install, which would answer first."""


def in_one_sentence(error):
    """Whether an answer was written for the user: short, one line, and from this package."""
    message = error.args[0] if error.args else ""
    return isinstance(message, str) and 20 < len(message) < 500 and "\n" not in message


@pytest.mark.parametrize("make, words", ILLEGAL.values(), ids=ILLEGAL.keys())
def test_what_is_illegal_is_refused_with_field_value_and_expectation(make, words):
    with pytest.raises(REFUSED) as error:
        make()
    assert in_one_sentence(error.value), error.value
    for word in words:
        assert word in error.value.args[0]


@pytest.mark.parametrize("capacitance", [100, 2**31, np.array([100, 200, 2**40])])
def test_whole_numbers_are_as_good_as_others(capacitance, same_bits, single_precision):
    whole, real = (run(network(E=passive(capacitance=x))) for x in (capacitance, capacitance * 1.0))
    same_bits(whole.state, real.state)


# ---- random networks ----------------------------------------------------------------------------

KINDS = {
    "LIF": cells.leaky_integrate_and_fire,
    "AdEx": cells.adaptive_exponential,
    "RS": cells.regular_spiking,
    "LTS": cells.low_threshold_spiking,
}
RECEPTORS = {
    "ampa": synapses.AMPA(),
    "nmda": synapses.NMDA(),
    "slow block": synapses.NMDA(block=magnesium.SlowUnblock()),
    "gaba_a": synapses.GABAA(),
    "gaba_b": synapses.GABAB(),
    "plain": synapses.Exponential(4.0),
    "current": synapses.ExponentialCurrent(gain=-20.0, transmitter="gaba"),
}
WEIGHTS = st.sampled_from([0.0, 0.7, Normal(1.0, 0.5, 0.2), LogNormal(1.0, 2.0)])
DELAYS = st.sampled_from([0.1, 3.0, Uniform(0.1, 2.0)])
RELEASES = st.sampled_from(
    [
        releases.Certain(),
        releases.TsodyksMarkram(),
        releases.Saturating(30.0),
        releases.Binomial(sites=2),
        releases.SlowDepression(),
        releases.Binomial(releases.SlowDepression(releases.Certain(), 0.5)),
    ]
)


@st.composite
def connectivities(draw, n):
    """Wiring among `n` cells by any rule, from no contacts to several per pair."""
    weight, delay, key = draw(WEIGHTS), draw(DELAYS), draw(st.integers(0, 5))
    rule = draw(st.sampled_from(["in", "out", "probability", "one", "none", "distance", "total"]))
    if rule == "probability":
        p = draw(st.sampled_from([0.0, 0.5, 1.0]))
        return wiring.fixed_probability(n, n, p, weight, delay, key=key)
    if rule == "total":
        n_contacts = draw(st.sampled_from([0, 11]))
        return wiring.fixed_total_number(n, n, n_contacts, weight, delay, key=key)
    if rule == "distance":
        sheet, kernel = Sheet(100.0, 100.0, True), wiring.Gaussian(40.0)
        return wiring.by_distance(
            sheet, n, n, 3, kernel, weight, delay, key=key, self_contacts=True
        )
    if rule == "one":
        return wiring.one_to_one(n, weight, delay, key=key)
    if rule == "none":
        return wiring.from_arrays([], [], weight, delay, n, n)
    degree = {"in": wiring.fixed_in_degree, "out": wiring.fixed_out_degree}[rule]
    return degree(n, n, draw(st.sampled_from([0, 3])), weight, delay, key=key)


@st.composite
def networks(draw):
    """Small legal networks; few sizes, so that there are many combinations but few shapes."""
    n, kind = draw(st.sampled_from([1, 5])), draw(st.sampled_from(sorted(KINDS)))
    names = draw(st.lists(st.sampled_from(sorted(RECEPTORS)), min_size=1, max_size=3, unique=True))
    receptors = {name: RECEPTORS[name] for name in names}
    heard = sorted({r.transmitter for r in receptors.values()})
    projections = {
        transmitter: cx.Projection(
            "cells", "cells", transmitter, draw(connectivities(n)), draw(RELEASES)
        )
        for transmitter in heard
    }
    acting = draw(
        st.lists(st.sampled_from(["poisson", "ou", "conductance", "step", "train"]), max_size=2)
    )
    kinds = {
        "poisson": stimuli.Poisson("cells", names[0], 500.0, 1.0),
        "ou": stimuli.OrnsteinUhlenbeckCurrent("cells", 100.0, 300.0),
        "conductance": stimuli.OrnsteinUhlenbeckConductance("cells"),
        "step": stimuli.StepCurrent("cells", draw(st.sampled_from([-300.0, 600.0, 5000.0])), 2.0),
        "train": stimuli.SpikeInput("cells", names[0], np.arange(4.0), np.zeros(4, int), 2.0),
    }
    environment = cx.acsf(mg=draw(st.sampled_from([0.0, 1.0, 20.0])))
    population = KINDS[kind](n, receptors)
    return cx.Network(
        environment, {"cells": population}, projections, {name: kinds[name] for name in acting}
    )


few_examples = settings(
    max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


@given(network=networks())
@settings(few_examples, max_examples=3)
def test_random_legal_networks_are_finite_deterministic_and_resumable(network, same_bits):
    record = {"spikes": recorders.Spikes("cells"), "v": recorders.Probe("cells", every=0.5)}

    def simulate(duration, **options):
        return cx.simulate(network, duration, dt=0.05, record=record, key=2, **options)

    once, again = simulate(15.0), simulate(15.0)
    assert np.all(np.isfinite(once["v"].values))
    assert all(np.all(np.isfinite(x)) for x in floats(once.state))
    same_bits(once.state, again.state)
    same_bits(once.recordings, again.recordings)
    first = simulate(4.0)
    same_bits(simulate(11.0, state=first.state).state, once.state)


def floats(state):
    leaves = jax.tree.leaves(state._replace(key=None))
    return [x for x in leaves if np.issubdtype(x.dtype, np.floating)]


# ---- random configurations ----------------------------------------------------------------------


def configured(
    *, n=3, capacitance=100.0, leak=10.0, sodium=500.0, tau=3.0, rise=0.5, gain=1.0, outside=1.0,
    threshold=-50.0, refractory=2.0, u0=0.5, strength=1.0, k=2, p=0.5, weight=1.0, delay=0.5,
    wiring_key=0, rate=100.0, sd=50.0, amplitude=300.0, replaced=1.0, dt=0.1, duration=1.0, key=0,
):  # fmt: skip
    """A run of a network that has each of these numbers somewhere, all legal unless given."""
    receptors = {
        "ampa": synapses.Exponential(tau),
        "nmda": synapses.NMDA(TwoExponentialKinetics(rise, 80.0), gain=gain),
    }
    membrane = {"leak": channels.Leak(leak), "na": channels.Sodium(sodium)}
    populations = {
        "E": cx.Population(n, capacitance, membrane, receptors),
        "L": lif(3, threshold=threshold, refractory=refractory),
    }
    given = wiring.fixed_in_degree(3, n, k, weight, delay, key=wiring_key)
    within = wiring.fixed_probability(3, 3, p, 1.0, 0.5, key=0)
    projections = {
        "to E": projection("L", "E", "glutamate", given, strength=strength),
        "in L": projection("L", "L", "glutamate", within, release=releases.TsodyksMarkram(u0)),
    }
    acting = {
        "poisson": stimuli.Poisson("L", "ampa", rate, 1.0),
        "ou": stimuli.OrnsteinUhlenbeckCurrent("E", 0.0, sd),
        "step": stimuli.StepCurrent("L", amplitude),
    }
    net = cx.Network(cx.acsf(mg=outside), populations, projections, acting)
    net = cx.with_parameters(net, {"environment/ions/ca/outside": replaced})
    return cx.simulate(net, duration, dt=dt, key=key)


# What a message about a number contains, where that is not its name.
WORDS = {
    "n": ["population.n ", "n_post", "cells"],
    "capacitance": ["capacitance", "time constant"],
    "leak": ["leak", "time constant"],
    "sodium": ["sodium", "na/g_max"],
    "k": ["k must", "k = ", "contacts"],
    "p": ["p must"],
    "wiring_key": ["key must"],
    "replaced": ["outside"],
}
# Nothing in a network can be one of these.
BAD = [
    NAN, float("inf"), -float("inf"), -1e300, "x", "", b"", None, [], [1.0], {}, 1j, object(), True,
    np.ones(7), np.ones((3, 3)), np.array("a"), np.array([1.0, NAN, 1.0]),
]  # fmt: skip
# Numbers fixed when a network is compiled, legal and not; of the legal ones few, as each but the
# first costs a compilation.
STATIC = {
    "n": ([3, 1], [0, -1, 2.5]),
    "k": ([2, 0], [-1, 2.0, 10**10]),
    "delay": ([0.5, 0.1], [0.0, -1.0, 0.05, 1e-300, 1e9]),
    "dt": ([0.1, 0.05], [0.0, -1.0, 0.3, 0.5, 1e300, 5e-324]),
    "duration": ([1.0, 0.5], [0.0, -1.0, 0.33, 1e300]),
    "key": ([0, 2**32 - 1], [-1, 2**32, 2**70, 1.5]),
    "wiring_key": ([0, 2**70], [-1, 1.5]),
}
NAMES = sorted(inspect.signature(configured).parameters)
ANY_NUMBER = st.floats() | st.floats(0.0, 100.0) | st.floats(-1.0, 1.0)
ANY_FORM = ANY_NUMBER | st.integers(-5, 2**40) | ANY_NUMBER.map(lambda x: np.full(3, x))


@st.composite
def configurations(draw, compiled_again):
    """One to three numbers of `configured`, each legal or not; unless `compiled_again`, all that
    are legal share one compiled program."""
    changes = {}
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)):
        if name in STATIC:
            legal, illegal = STATIC[name]
            values = st.sampled_from((legal if compiled_again else legal[:1]) + illegal)
        else:
            # Of more than one in another form there would be thousands of programs.
            values = ANY_FORM if compiled_again and not changes else ANY_NUMBER
        changes[name] = draw(st.sampled_from(BAD) | values)
    return changes


def check_that_it_runs_or_is_refused(changes):
    began = time.process_time()  # others on the machine do not lengthen it
    try:
        run = configured(**changes)
    except REFUSED as error:
        message = error.args[0]
        assert in_one_sentence(error), repr(error)
        words = [word for name in changes for word in WORDS.get(name, [name])]
        assert any(word in message.lower() for word in words), message
        raised_in = traceback.extract_tb(error.__traceback__)[-1].filename
        assert "cortexmg" in raised_in, "raised outside of this package"
    except FloatingPointError as error:
        assert "voltage of population" in str(error)
    else:
        # A key that is None is that of the state, or 0.
        given = [x for name, x in changes.items() if not (name == "key" and x is None)]
        assert not any(value is bad for value in given for bad in BAD)
        assert all(np.all(np.isfinite(x)) for x in floats(run.state))
    assert time.process_time() - began < 5.0


# Of equinox, which answers before us.
answered_before = pytest.mark.filterwarnings("ignore:A JAX array is being set as static")
many_examples = settings(
    max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def already_compiled(single_precision):
    """As users have it: in the precision in which the largest numbers overflow."""
    configured()


@answered_before
@given(changes=configurations(compiled_again=False))
@settings(many_examples, max_examples=150)
def test_random_configurations_run_or_get_the_documented_error(already_compiled, changes):
    check_that_it_runs_or_is_refused(changes)


@pytest.mark.slow
@answered_before
@given(changes=configurations(compiled_again=True))
@settings(many_examples, max_examples=9_500)
def test_ten_thousand_configurations_run_or_get_the_documented_error(already_compiled, changes):
    check_that_it_runs_or_is_refused(changes)
