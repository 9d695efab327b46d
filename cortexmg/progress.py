"""The progress bar of a run: simulated time, real-time factor and time left."""

import sys
import time


class Progress:
    """Shows how far a run is, on standard error.

    On a terminal a bar moves; elsewhere a line is written at every tenth of the run.
    """

    def __init__(self, wanted: bool, duration: float, members: int):
        self.wanted, self.duration, self.members = wanted, duration, members
        self.bar = None
        self.tenth = 0

    def __enter__(self) -> "Progress":
        self.began = time.perf_counter()
        if self.wanted and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[text]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self.bar.start()
            self.task = self.bar.add_task("simulating", total=self.duration, text="compiling")
        return self

    def __exit__(self, *_) -> None:
        if self.bar:
            self.bar.stop()

    def show(self, done: float) -> None:
        """Say that `done` ms are simulated."""
        if not self.wanted:
            return
        # Real-time factor: wall seconds per simulated second, all runs of a sweep together.
        factor = (time.perf_counter() - self.began) / (done * 1e-3 * self.members)
        text = f"{done:.0f} of {self.duration:.0f} ms, {factor:.2f} s per simulated second"
        if self.bar:
            self.bar.update(self.task, completed=done, text=text)
        elif int(10 * done / self.duration) > self.tenth:
            self.tenth = int(10 * done / self.duration)
            left = (time.perf_counter() - self.began) * (self.duration / done - 1)
            print(f"{text}, {left:.0f} s left", file=sys.stderr, flush=True)
