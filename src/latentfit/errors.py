"""Errors and warnings that users read."""

from __future__ import annotations

from numbers import Integral

LONGEST = 8000  # characters of a message; a path has at most 4096
KEPT = "what is finished is kept, the same command goes on"


class InputError(ValueError):
    """An argument or an input file is not usable; nothing was started.

    The message is one line: what is wrong, what was expected, what to do. `details` adds a line for each of several
    faults, such as one per mirror. Text from files is escaped, so that it cannot add lines.
    """

    def __init__(self, message: str, details: tuple[str, ...] = ()) -> None:
        super().__init__(one_line(message))
        self.details = tuple(one_line(line) for line in details)

    def __str__(self) -> str:
        return "\n  ".join((super().__str__(), *self.details))


class Lost(RuntimeError):
    """A running study lost its folder or its workers; the message says which, and what to do."""


class StandInWarning(UserWarning):
    """The requested data set is not available and was replaced by another."""


def one_line(text: str) -> str:
    """Escape unprintable characters and line breaks, and shorten a very long text in the middle."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"


def whole_number(what: str, value: object) -> int:
    """Convert an integer of Python or NumPy to int.

    Raises:
        InputError: The value is not a whole number of at least 1.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise InputError(f"{what} {value!r}; expected a whole number, 1 or more")
    return int(value)
