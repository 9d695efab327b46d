"""The course of a fit, step by step, and on disk."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from cortexmg import results
from cortexmg.gauss_newton import Trust
from cortexmg.network import Network
from cortexmg.part import shown

STRETCH = 4  # steps that are judged together, because the loss of one is noisy
NEAR = 0.2  # of a coordinate: closer steps are averaged
DIGESTS = {"fingerprint": "network", "aim": "loss"}  # where they are text, nobody can read it


class Course(NamedTuple):
    """All that a fit goes on from."""

    coordinates: Float[np.ndarray, " p"]  # of the next step
    optimiser: Any  # its state
    tried: Float[np.ndarray, "steps p"]
    losses: Float[np.ndarray, " steps"]
    gradients: Float[np.ndarray, "steps p"]  # NaN in steps that looked at the statistics alone
    noise: Float[np.ndarray, "steps p"]  # s.e. of the gradients over seeds
    runs: Int[np.ndarray, " steps"]

    @property
    def steps(self) -> int:
        """How many are done."""
        return self.losses.size

    def after(self, u: Any, optimiser: Any, loss: float, gradient: Any, noise: Any, runs: int):
        """The course with one more step, that led to `u`."""
        return Course(
            u,
            optimiser,
            np.concatenate([self.tried, self.coordinates[None]]),
            np.append(self.losses, loss),
            np.concatenate([self.gradients, gradient[None]]),
            np.concatenate([self.noise, noise[None]]),
            np.append(self.runs, runs),
        )

    def best(self) -> tuple[Float[np.ndarray, " p"], int]:
        """The coordinates of the best stretch of steps, and the step at which it ended.

        Their mean if they lie together, otherwise those of its best step. Of a course of fewer than
        seven steps a stretch is half, or its way from the start would be in the mean.
        """
        size = min(STRETCH, (self.steps + 1) // 2)
        stretches = np.lib.stride_tricks.sliding_window_view(self.losses, size).mean(axis=1)
        at = int(np.argmin(stretches))
        tried, losses = self.tried[at : at + size], self.losses[at : at + size]
        near = np.max(np.ptp(tried, axis=0)) < NEAR
        return tried.mean(axis=0) if near else tried[np.argmin(losses)], at + size - 1

    def rests(self, tolerance: float) -> bool:
        """Whether the last Gauss-Newton steps together led nowhere; others are as long as asked."""
        if self.steps <= STRETCH or not isinstance(self.optimiser, Trust):
            return False
        moved = np.abs(self.tried[-STRETCH:] - self.coordinates)
        kept = np.array_equal(self.tried[-1], self.optimiser.params)  # and not taken back
        return bool(kept and np.all(moved < tolerance))


def beginning(start: np.ndarray, optimiser: Any) -> Course:
    """The course before the first step."""
    none = np.zeros((0, start.size))
    return Course(start, optimiser.init(start), none, np.zeros(0), none, none, np.zeros(0, int))


class Journal:
    """A course in a folder, replaced whole after every step; none without a folder."""

    def __init__(self, folder: Path | None, network: Network, settings: dict[str, Any]):
        """Raises: FileExistsError if the folder holds something else."""
        self.folder, self.network = folder, network
        self.settings = settings
        if folder:
            self.settings = results.plain({**settings, "fingerprint": results.fingerprint(network)})
            results.check_folder(folder)

    def write(self, course: Course) -> None:
        """Put the course on disk."""
        if self.folder and not jax.process_index():  # one of several processes
            state = {f"optimiser {i}": x for i, x in enumerate(jax.tree.leaves(course.optimiser))}
            arrays = course._asdict() | state
            del arrays["optimiser"]
            account = results.account(self.network, **self.settings)
            results.save(self.folder, {k: np.asarray(x) for k, x in arrays.items()}, account)

    def read(self, fresh: Course) -> Course:
        """The course on disk, or this one if there is none.

        Raises: ValueError if what is there is of another fit, or damaged.
        """
        if not self.folder or not (self.folder / "account.json").exists():
            return fresh
        try:
            arrays, account = results.load(self.folder)
        except (ValueError, FileNotFoundError) as error:
            raise ValueError(
                f"{error}\nThe fit cannot go on from there: delete {self.folder}, or name another "
                f"folder."
            ) from error
        for name, value in self.settings.items():
            if account["settings"].get(name) != value:
                if name in DIGESTS and isinstance(value, str):
                    said = f"a fit with another {DIGESTS[name]}"
                else:
                    old = shown(account["settings"].get(name))
                    said = f"a fit with {name} = {old}, this one has {shown(value)}"
                raise ValueError(
                    f"{self.folder} holds {said}: go on with the same, or name another folder."
                )
        known, tree = jax.tree.flatten(fresh.optimiser)
        state = {f"optimiser {i}" for i in range(tree.num_leaves)}
        if arrays.keys() != (set(Course._fields) - {"optimiser"}) | state:
            raise ValueError(
                f"{self.folder} holds a fit of another version of cortexmg "
                f"({shown(account['versions'])}): go on with that one, or name another folder."
            )
        leaves = [arrays.pop(f"optimiser {i}") for i in range(tree.num_leaves)]
        # As they were: NumPy would go on in double precision.
        leaves = [
            jnp.asarray(x) if isinstance(old, jax.Array) else x
            for x, old in zip(leaves, known, strict=True)
        ]
        kept = {k: arrays[k] for k in Course._fields if k != "optimiser"}
        return Course(optimiser=jax.tree.unflatten(tree, leaves), **kept)
