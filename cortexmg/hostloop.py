"""The host side of a run: compiled pieces one after the other, what they recorded, and Ctrl-C."""

import signal
import threading
import time
from typing import Any

import jax
import numpy as np

from cortexmg.clock import MOST_STEPS
from cortexmg.frames import Record, frames_in, plan_of
from cortexmg.memory import steps_at_once
from cortexmg.network import Network
from cortexmg.part import shown
from cortexmg.processes import anywhere
from cortexmg.progress import Progress
from cortexmg.states import Run


class Stopped(Exception):
    """A run went wrong; `runs` are the pieces that were right until then, one for each member.

    A run is computed in pieces, of up to 20,000 steps for few cells; that in which it went wrong is
    left out, so that `stop` can be 0. Each ends with a state from which to go on, for instance with
    a smaller current.
    """

    def __init__(self, message: str, runs: list[Run]):
        super().__init__(message)
        self.runs = runs

    def __reduce__(self):
        return type(self), (self.args[0], self.runs)


class NotFinite(Stopped, FloatingPointError):
    """A voltage stopped being finite."""


class Late(Stopped, RuntimeError):
    """More cells fired than could be delivered before the delay of their contacts had passed."""


class HostLoop:
    """Pieces of a run, one compiled call each; recordings are unpacked while the next one runs.

    `values` are those that a sweep goes along.
    """

    def __init__(self, program, network: Network, record: Record, duration, dt, values: dict):
        self.program, self.network, self.record, self.dt = program, network, record, dt
        self.values, self.plan = values, plan_of(record, dt)
        self.frame = self.plan[0][0]
        self.steps = frames_in(duration, dt, self.plan) * self.frame
        self.first = program.first
        if self.first + self.steps >= MOST_STEPS:
            raise ValueError(
                f"duration of {duration:g} ms after the {self.first * dt:g} ms of the state would "
                f"end after 2^31 or more steps of {dt:g} ms: shorten it or use a larger dt."
            )

    def run(self, progress: Progress) -> list[Run]:
        """The whole of it."""
        began, done = time.perf_counter(), 0
        cells = sum(self.network.sizes.values()) * self.program.members
        most = steps_at_once(cells, self.frame)
        self.pieces = [{name: [] for name in self.record} for _ in range(self.program.members)]
        pending, interrupted = None, _Interrupt()
        with interrupted, progress:
            while done < self.steps and not anywhere(interrupted.asked, self.program.mesh):
                frames, before = min(most, (self.steps - done) // self.frame), self.program.state
                saved, healthy = self.program.advance(
                    self.record, frames, plan=self.plan, dt=self.dt, most=most
                )
                if pending:
                    self._keep(*pending, progress)
                pending = (saved, healthy, done, frames, before, self.program.state)
                done += frames * self.frame
            if pending:
                self._keep(*pending, progress)
        return self._results(done, time.perf_counter() - began)

    def _keep(self, saved, healthy, done, frames, before, after, progress) -> None:
        """Move the recordings of a piece to the host.

        Raises: NotFinite or Late, with all that was before the piece, if something went wrong;
        ValueError of a recorder for which it matters how many devices there are.
        """
        program = self.program
        self._check_alike(healthy.alike)
        begin = (self.first + done) * self.dt
        when = f"between {begin:g} and {begin + frames * self.frame * self.dt:g} ms"
        late = self._lateness(healthy.late, when)
        wrong = late or not all(np.all(ok) for ok in healthy.finite.values())
        for name, r in self.record.items():
            steps = next(s for s, names in self.plan if name in names)
            count = 0 if wrong else frames * self.frame // steps
            for m in range(program.members):
                mine = jax.tree.map(lambda x: np.asarray(x)[:count], program.of(m, saved[name]))  # noqa: B023
                piece = r.piece(mine, self.first + done, steps, self.dt, program.parts)
                self.pieces[m][name].append(piece)
        if wrong:
            program.state = after  # not that of a piece which is computed already
            message = late or self._sickness(healthy.finite, when)
            program.state = before
            raise (Late if late else NotFinite)(message, self._results(done, 0.0))
        progress.show((done + frames * self.frame) * self.dt)

    def _check_alike(self, alike: dict[str, Any]) -> None:
        for name, ok in alike.items():
            if not np.all(ok):
                raise ValueError(
                    f"Recorder {name!r} ({type(self.record[name]).__name__}) saved different "
                    f"numbers on {self.program.parts} devices, each of which has some of the "
                    f"cells: take `recorders.of_all_cells` in its `read`, or run with devices=1."
                )

    def _which(self, m: int) -> str:
        """Which run of a sweep."""
        if not self.values and self.program.members == 1:
            return ""
        mine = {k: float(v[m]) if v.ndim == 1 else shown(v[m]) for k, v in self.values.items()}
        return f", in run {m} ({mine})"

    def _lateness(self, late, when: str) -> str:
        """Of which population spikes could not be delivered in time; empty if of none."""
        for name, count in late.items():
            if np.any(count):
                which = self._which(int(np.argmax(count)))
                return (
                    f"At least {np.max(count)} spikes of population {name!r} could not be "
                    f"delivered in time {when}{which}: of 128 cells more than at_once = "
                    f"{self.network.at_once} fired, and waited longer than their shortest delay. "
                    f"Raise at_once of simulate or sweep."
                )
        return ""

    def _sickness(self, finite, when: str) -> str:
        """Which voltage is not finite, and when that began."""
        name = next(name for name, ok in finite.items() if not np.all(ok))
        ill = ~np.isfinite(self.program.voltage(name))
        m, cell = (int(i) for i in np.argwhere(ill)[0])
        which = f", cell {cell} first of {np.sum(ill)}{self._which(m)}"
        return (
            f"The voltage of population {name!r} stopped being finite {when}{which}. Use a "
            f"smaller dt (now {self.dt:g} ms), or look for weights and currents that are too "
            f"large."
        )

    def _results(self, done: int, seconds: float) -> list[Run]:
        start, stop = self.first * self.dt, (self.first + done) * self.dt
        runs = []
        for pieces, end in zip(self.pieces, self.program.ends(), strict=True):
            recordings = {
                # Taken out, so that there are never both all pieces and the whole of them.
                name: r.result(_join(pieces.pop(name)), self.network, start, stop)
                for name, r in self.record.items()
                if pieces[name]
            }
            runs.append(Run(recordings, end, start, stop, seconds, done == self.steps))
        return runs


class _Interrupt:
    """Ctrl-C asks the loop to end after the piece at hand; a second one ends it at once."""

    def __init__(self):
        self.asked = False
        self._main = threading.current_thread() is threading.main_thread()

    def __enter__(self):
        if self._main:
            self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_):
        if self._main:
            signal.signal(signal.SIGINT, self._before)

    def _ask(self, *_):
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def _join(pieces: list) -> Any:
    return jax.tree.map(lambda *x: np.concatenate(x), *pieces)
