"""How the arrays of stored wiring are laid out: pieces of rows, and room at the end."""

import numpy as np

from cortexmg.connectivity import MOST_CONTACTS
from cortexmg.rows import kind_of_targets


def row_for(lengths: np.ndarray) -> int:
    """How many contacts delivery should handle per iteration, given the lengths of the rows.

    Rows of nearly constant length take one iteration, broad distributions several. The time of
    an iteration, 130 ns and 2 ns per contact, was measured on a CPU core; only the ratio counts.
    """
    lengths, rows = np.unique(lengths[lengths > 0], return_counts=True)
    if not lengths.size:
        return 8
    # Steps of a sixteenth: of 1,088 entries a row of about 1,000 wastes few, of 1,536 a third.
    candidates = [8] + [16 * k for k in range(1, 16)]
    candidates += [k * 2**p for p in range(4, 27) for k in range(16, 32)]
    enough = int(np.searchsorted(candidates, lengths[-1])) + 1
    time = [int(np.sum(-(-lengths // c) * rows)) * (130.0 + 2.0 * c) for c in candidates[:enough]]
    return candidates[int(np.argmin(time))]


def capacity_for(n_contacts: int, row: int) -> int:
    """Length of the arrays for so many contacts: with a tail of `row`, rounded up.

    Keeping the six leading bits wastes at most 1/32 and lets networks of nearly equal size share
    one compiled program.
    """
    if n_contacts + row < MOST_CONTACTS:
        step = 1 << max(0, (n_contacts + row).bit_length() - 6)
        capacity = -(-(n_contacts + row) // step) * step
        if capacity < MOST_CONTACTS:
            return capacity
    raise ValueError(
        f"{n_contacts} contacts (and room for {row} more) are too many for one connectivity, whose "
        f"limit is 2^31: split the projection into several with fewer contacts."
    )


def room_for_targets(n_contacts: int, row: int, n_post: int) -> np.ndarray:
    """An array for the targets of so many contacts and its tail: all of them cell 0."""
    return np.zeros(capacity_for(n_contacts, row), kind_of_targets(n_post))
