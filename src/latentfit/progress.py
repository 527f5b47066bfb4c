"""What a person sees while networks train: a live line each, or plain lines where there is no terminal."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TextIO

from tqdm import tqdm

from .formatting import dims
from .recipe import Epoch, Job

PLAIN = 5  # lines a network where there is no terminal


class Lines:
    """The progress of a study, written to a stream; a context, so that lines are closed on the way out.

    Args:
        stream: Where to write, usually stderr.
        epochs: Epochs of each network; may be set later, but before the first of them.
        quiet: Write nothing.
    """

    def __init__(self, stream: TextIO, epochs: int = 0, quiet: bool = False) -> None:
        self.stream, self.epochs, self.quiet = stream, epochs, quiet
        self.live = stream.isatty()
        self.bars: dict[Job, Any] = {}
        self.first: dict[Job, float] = {}  # when a network's first epoch ended
        self.lock = threading.Lock()

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
        if self.quiet or row is None:
            return
        with self.lock, self._while_someone_reads():
            if self.live:
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
        told, now = f"epoch {row.epoch}/{self.epochs}, test MSE {row.test_mse:#.3g}", time.monotonic()
        if row.epoch == 1:  # its time includes the start of a worker and its imports, so it says nothing of the others
            self.first[job] = now
            return told
        left = (now - self.first[job]) / (row.epoch - 1) * (self.epochs - row.epoch)
        return f"{told}, {left:.0f} s left"


def name(job: Job) -> str:
    """What a line calls a network."""
    return f"{dims(job.latent_dim):>15}, seed {job.seed}"
