"""Rules that draw who contacts whom; each returns a `Connectivity`, or a `Procedural` one.

Every rule takes a `weight` (nS, pA onto currents) and a `delay` (ms, which runs round to whole
steps), a number or a distribution, and a `key`: an int or a JAX key. The same key gives the same
wiring, so give every projection a key of its own; weights and delays have streams of their own, so
that changing one leaves the rest as it was.
"""

from cortexmg.wiring.explicit import from_arrays as from_arrays, one_to_one as one_to_one
from cortexmg.wiring.procedural import (
    procedural as procedural,
    procedural_by_distance as procedural_by_distance,
    stored as stored,
)
from cortexmg.wiring.spatial import (
    Exponential as Exponential,
    Gaussian as Gaussian,
    by_distance as by_distance,
)
from cortexmg.wiring.uniform import (
    fixed_in_degree as fixed_in_degree,
    fixed_out_degree as fixed_out_degree,
    fixed_probability as fixed_probability,
    fixed_total_number as fixed_total_number,
)
