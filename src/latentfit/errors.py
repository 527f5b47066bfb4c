"""The one error that means: what you gave cannot be used; and the one warning."""

from __future__ import annotations


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
