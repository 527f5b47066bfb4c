"""The one error that means: what you gave cannot be used; and the one warning."""

from __future__ import annotations

from numbers import Integral


class InputError(ValueError):
    """What the user asked for, or a file they named, cannot be used; nothing was started.

    The message is one line: what is wrong, what was expected, what to do. Where many things are wrong
    (each mirror, each bad file) they follow in `details`, one line each.
    """

    def __init__(self, message: str, details: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.details = details

    def __str__(self) -> str:
        return "\n  ".join((super().__str__(), *self.details))


class StandInWarning(UserWarning):
    """The data set that was asked for could not be had, and another took its place."""


def whole_number(what: str, value: object) -> int:
    """A value as a plain int, NumPy's integers included.

    Raises:
        InputError: It is not a whole number of at least 1.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise InputError(f"{what} {value!r}; expected a whole number, 1 or more")
    return int(value)
