"""What is known of mechanisms, on which ions act or which are ours, and which a network has."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from cortexmg.part import Part, parts


class Evidence(NamedTuple):
    """What an ion does, how well that is known, and where the numbers come from."""

    effect: str
    ions: tuple[str, ...]  # that the environment must hold
    level: Literal["established", "supported", "assumption"]
    source: str


class Mechanism(Part):
    """A part on which something outside the cells acts, or whose numbers are ours."""

    if TYPE_CHECKING:  # otherwise it would be the first field of those in which it is one
        evidence: ClassVar[Evidence]


def mechanisms(network: Any) -> dict[str, Evidence]:
    """The mechanisms of a network, or of any part of one, by path name, and their evidence.

    "established": mechanism and numbers are agreed upon; "supported": the mechanism is shown, but
    numbers vary or come from another preparation; "assumption": numbers or form are ours.
    """
    return {
        path.removesuffix("/"): part.evidence
        for path, part in parts(network).items()
        if isinstance(part, Mechanism)
    }


def table(network: Any) -> str:
    """The mechanisms of a network as plain text: effect, level, in how many places, and source."""
    places: dict[Evidence, int] = {}
    for known in mechanisms(network).values():
        places[known] = places.get(known, 0) + 1
    wide = max((len(known.effect) for known in places), default=0)
    return "\n".join(
        f"{known.effect:{wide}s}  {known.level:11s}  {count:2d} x  {known.source}"
        for known, count in places.items()
    )


def check_ions(part: Any, ions: Any) -> None:
    """Raise if anything below `part` reads an ion that is not among `ions`."""
    for path, found in parts(part).items():
        why, needed = "", found.needs
        if isinstance(found, Mechanism):
            why, needed = f" ({found.evidence.effect})", (*needed, *found.evidence.ions)
        for ion in needed:
            if ion not in ions:
                raise ValueError(
                    f"{path.removesuffix('/')}{why} depends on {ion!r}, but the environment holds "
                    f"{sorted(ions)}: add Ion(outside, inside, valence) to Environment.ions."
                )
