"""What a user is told: what you gave cannot be used, something was lost on the way, a stand-in took its place."""

from __future__ import annotations

from numbers import Integral

LONGEST = 8000  # characters of a message; the longest path has 4096


class InputError(ValueError):
    """What the user asked for, or a file they named, cannot be used; nothing was started.

    The message is one line: what is wrong, what was expected, what to do. Where many things are wrong
    (each mirror, each bad file) they follow in `details`, one line each. Whatever a file has put into the
    message stays one line of text.
    """

    def __init__(self, message: str, details: tuple[str, ...] = ()) -> None:
        super().__init__(one_line(message))
        self.details = tuple(one_line(line) for line in details)

    def __str__(self) -> str:
        return "\n  ".join((super().__str__(), *self.details))


class Lost(RuntimeError):
    """Something that was there when the work began is gone; the message says what, and what to do."""


class StandInWarning(UserWarning):
    """The data set that was asked for could not be had, and another took its place."""


def one_line(text: str) -> str:
    """Text that moves no cursor: what is not printed as escapes, line breaks among it; a very long middle left out."""
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"


def whole_number(what: str, value: object) -> int:
    """A value as a plain int, NumPy's integers included.

    Raises:
        InputError: It is not a whole number of at least 1.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise InputError(f"{what} {value!r}; expected a whole number, 1 or more")
    return int(value)
