"""What a person sees while networks train: a live line each, or plain lines where there is no terminal."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TextIO

from tqdm import tqdm

from .train import Epoch, Job
from .words import dims

PLAIN = 5  # lines a network where there is no terminal


class Lines:
    """The progress of a study, written to a stream; a context, so that lines are closed on the way out.

    Args:
        stream: Where to write, usually stderr.
        epochs: Epochs of each network.
        quiet: Write nothing.
    """

    def __init__(self, stream: TextIO, epochs: int, quiet: bool = False) -> None:
        self.stream, self.epochs, self.quiet = stream, epochs, quiet
        self.live = stream.isatty()
        self.bars: dict[Job, Any] = {}
        self.begun: dict[Job, float] = {}
        self.free_since = time.monotonic()
        self.lock = threading.Lock()  # epochs come from the pool's thread, endings from the caller's

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for bar in self.bars.values():
            bar.close()

    def say(self, text: str) -> None:
        """A line of its own."""
        if not self.quiet:
            with self._while_someone_reads():
                tqdm.write(f"latentfit: {text}", file=self.stream)  # above the live lines

    def __call__(self, job: Job, row: Epoch | None) -> None:
        """Take an epoch of a network, or its ending."""
        if self.quiet:
            return
        with self.lock, self._while_someone_reads():
            if row is None:
                self.free_since = time.monotonic()
            elif self.live:
                self._draw(job, row)
            elif row.epoch % max(1, self.epochs // PLAIN) == 0 or row.epoch in (1, self.epochs):
                self.say(f"{name(job)}: {self._text(job, row)}")

    @contextmanager
    def _while_someone_reads(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:  # `2>&1 | head`: whoever read has gone, the study goes on
            self.quiet = True

    def _draw(self, job: Job, row: Epoch) -> None:
        if job not in self.bars:
            form = "{desc} {bar}{postfix}"
            self.bars[job] = tqdm(
                desc=name(job), total=self.epochs, file=self.stream, bar_format=form, ncols=100, disable=False
            )
        bar = self.bars[job]
        bar.set_postfix_str(self._text(job, row), refresh=False)
        bar.update(row.epoch - bar.n)
        bar.refresh()

    def _text(self, job: Job, row: Epoch) -> str:
        # a network's own start is not told: it began when a worker became free
        begun = self.begun.setdefault(job, self.free_since)
        left = (time.monotonic() - begun) / row.epoch * (self.epochs - row.epoch)
        return f"epoch {row.epoch}/{self.epochs}, test MSE {row.test_mse:#.3g}, {left:.0f} s left"


def name(job: Job) -> str:
    """What a line calls a network."""
    return f"{dims(job.latent_dim):>15}, seed {job.seed}"
