"""What a compiler is given grows with projections, and not with cells."""

import re

from cortexmg import models, outline
from cortexmg.cells import leaky_integrate_and_fire
from cortexmg.environment import acsf
from cortexmg.network import Network
from cortexmg.projection import Projection
from cortexmg.synapses import AMPA
from cortexmg.wiring import fixed_out_degree

DT = 0.1  # ms


def text_of(network):
    """A step as it is given to the compiler."""
    return outline.lowered_step(network, DT).as_text()


def pairwise(populations):
    """Populations of which each contacts all of them."""
    cells = {str(k): leaky_integrate_and_fire(20, {"ampa": AMPA()}) for k in range(populations)}
    wiring = fixed_out_degree(20, 20, 5, 0.1, 1.0, key=1)
    projections = {
        f"{a} to {b}": Projection(a, b, "glutamate", wiring) for a in cells for b in cells
    }
    return outline.shapes(Network(acsf(), cells, projections))


def test_the_program_of_a_larger_network_differs_in_numbers_alone():
    small, large = (outline.outline(models.cobahh, n) for n in (3000, 6000))
    texts = [re.sub(r"dense<[^>]*>|\d+", "#", text_of(network)) for network in (small, large)]
    assert texts[0] == texts[1]


def test_a_hundred_times_the_cells_do_not_make_a_longer_program():
    # Wider targets and rows that are read ahead are a few lines more.
    small, large = (outline.outline(models.cobahh, n) for n in (10_000, 1_000_000))
    assert text_of(large).count("\n") < 1.1 * text_of(small).count("\n")


def test_the_program_grows_at_most_linearly_with_projections():
    lines = [text_of(pairwise(k)).count("\n") for k in (2, 3, 4)]
    few, many = (lines[1] - lines[0]) / (9 - 4), (lines[2] - lines[1]) / (16 - 9)
    assert 0 < many <= 1.05 * few
