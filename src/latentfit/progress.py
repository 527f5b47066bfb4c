"""Progress of training: one live line per network on a terminal, otherwise a few plain lines."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TextIO

from tqdm import tqdm

from .formatting import dims, duration
from .recipe import Epoch, Job

PLAIN = 5  # lines per network without a terminal


class Lines:
    """Writes the progress of a study to a stream; a context manager that closes the live lines.

    Args:
        stream: Usually stderr.
        epochs: Epochs of each network; may be set later, before the first epoch ends. 0 where the held-out error ends
            a training: nobody knows when.
        quiet: Write nothing.
    """

    def __init__(self, stream: TextIO, epochs: int = 0, quiet: bool = False) -> None:
        self.stream, self.epochs, self.quiet = stream, epochs, quiet
        self.live = stream.isatty()
        self.bars: dict[Job, Any] = {}
        self.first: dict[Job, float] = {}  # when the first epoch of a network ended
        self.rows: Counter[Job] = Counter()
        self.lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for bar in self.bars.values():
            bar.close()

    def say(self, text: str) -> None:
        """Write a line."""
        if not self.quiet:
            with self._quiet_after_broken_pipe():
                tqdm.write(f"latentfit: {text}", file=self.stream)  # a plain write would break the live lines

    def __call__(self, job: Job, row: Epoch | None) -> None:
        """Report an epoch of a network; None marks its end."""
        if self.quiet or row is None:
            return
        with self.lock, self._quiet_after_broken_pipe():
            self.rows[job] += 1
            if self.live:
                self._draw(job, row)
            elif self._is_written(row, self.rows[job]):
                self.say(f"{name(job)}: {self._text(job, row)}")

    def _is_written(self, row: Epoch, count: int) -> bool:
        """Whether a row is one of the few that are written without a terminal."""
        if not self.epochs:
            return count.bit_count() == 1  # the 1st, 2nd, 4th, 8th, ...
        return row.epoch % max(1, self.epochs // PLAIN) == 0 or row.epoch in (1, self.epochs)

    @contextmanager
    def _quiet_after_broken_pipe(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:  # the reader ended, as in `2>&1 | head`; the study continues
            self.quiet = True

    def _draw(self, job: Job, row: Epoch) -> None:
        if job not in self.bars:
            total, form = self.epochs or None, "{desc} {bar}{postfix}"
            self.bars[job] = tqdm(
                desc=name(job), total=total, file=self.stream, bar_format=form, ncols=100, disable=False
            )
        bar = self.bars[job]
        bar.set_postfix_str(self._text(job, row), refresh=False)
        bar.update(row.epoch - bar.n)
        bar.refresh()

    def _text(self, job: Job, row: Epoch) -> str:
        if not self.epochs:
            return f"epoch {row.epoch}, test MSE {row.test_mse:#.3g}"
        text, now = f"epoch {row.epoch}/{self.epochs}, test MSE {row.test_mse:#.3g}", time.monotonic()
        if row.epoch == 1:  # its time includes the start of a worker, so it cannot predict the others
            self.first[job] = now
            return text
        left = (now - self.first[job]) / (row.epoch - 1) * (self.epochs - row.epoch)
        return f"{text}, {duration(left)} left"


def name(job: Job) -> str:
    """Name of a network in the progress lines."""
    return f"{dims(job.latent_dim):>15}, seed {job.seed}"
