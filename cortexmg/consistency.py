"""What a network checks of how its pieces fit together."""

from cortexmg.part import check_lengths
from cortexmg.population import Population
from cortexmg.projection import Projection
from cortexmg.stimuli import Stimulus


def _known(kind: str, name: str, field: str, value: str, populations: dict) -> None:
    if value not in populations:
        raise ValueError(
            f"{kind} {name!r} names {field} {value!r}, but the populations are "
            f"{sorted(populations)}."
        )


def check_projection(
    name: str, p: Projection, populations: dict[str, Population], whole: dict[str, int]
) -> None:
    """Raise unless its ends, its wiring and its transmitter are those of populations.

    `whole` is how many cells each has on all devices together.
    """
    c = p.connectivity
    for field, n in (("pre", c.n_pre), ("post", c.n_post)):
        value = getattr(p, field)
        _known("Projection", name, field, value, populations)
        expected = whole[value] if field == "pre" else populations[value].n
        if n != expected:
            raise ValueError(
                f"Projection {name!r}: its connectivity has n_{field} = {n}, but population "
                f"{value!r} has {expected} cells."
            )
    check_lengths(f"Release of projection {name!r}", p.release, c.n_senders)
    heard = {r.transmitter for r in populations[p.post].receptors.values()}
    if p.transmitter not in heard:
        raise ValueError(
            f"Projection {name!r} releases {p.transmitter!r}, but the receptors of population "
            f"{p.post!r} listen to {sorted(heard)}: add a receptor, or correct the name."
        )


def check_stimulus(
    name: str, s: Stimulus, populations: dict[str, Population], whole: dict[str, int]
) -> None:
    """Raise unless its target is a population, with the receptor that it acts on."""
    _known("Stimulus", name, "target", s.target, populations)
    s.check_cells(whole[s.target])
    check_lengths(f"Stimulus {name!r}", s, populations[s.target].n)
    receptors = populations[s.target].receptors
    receptor = getattr(s, "receptor", None)
    if receptor is not None and receptor not in receptors:
        raise ValueError(
            f"Stimulus {name!r} names receptor {receptor!r}, but population {s.target!r} has "
            f"{sorted(receptors)}."
        )
