"""Numbers as text: errors, shares, tests and lists."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

from .stats import LEVEL, WelchTest

BELOW = "none, worse than the mean image"  # explained variance below 0
FEW = 4  # things that a sentence lists; a table has them all

WORDS = {  # of images, and of rows of numbers
    "pixel for pixel": "number for number",
    "image": "row",
    "picture": "row",
    "pixel": "column",
}

T = TypeVar("T")


def of_rows(text: str, names: tuple[str, ...] = ()) -> str:
    """A sentence on images as one on rows of numbers; names in it stay."""

    def other(found: re.Match[str]) -> str:
        word = found["word"]
        if word is None:
            return found[0]
        new = WORDS[word.lower()]
        return (new[0].upper() + new[1:] if word[0].isupper() else new) + found["end"]

    return _names_or_words(names).sub(other, text)


@lru_cache(maxsize=4)
def _names_or_words(names: tuple[str, ...]) -> re.Pattern[str]:
    """What matches a name that has one of the WORDS in it, or such a word."""
    words = "|".join(WORDS)
    has_word = re.compile(words, re.IGNORECASE)
    kept = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True) if has_word.search(name))
    pattern = rf"(?<!\w)(?:{kept or '(?!)'})(?!\w)|\b(?P<word>{words})(?P<end>s?)\b"
    return re.compile(pattern, re.IGNORECASE)


def or_dash(value: float | None, form: str) -> str:
    """A number in a format; a dash for None."""
    return "-" if value is None else format(value, form)


def mse(value: float) -> str:
    """An error with three significant digits."""
    return f"{value:#.3g}"


def alike(values: Sequence[float], texts: Sequence[str]) -> list[str]:
    """Numbers with as many decimals as the one that has most in these texts."""
    if any("e" in text for text in texts):
        return [*texts]
    digits = max(len(text.partition(".")[2]) for text in texts)
    return [f"{value:.{digits}f}" for value in values]


def percent(share: float | None, digits: int = 0) -> str:
    """A share as a percentage; a dash for None."""
    return "-" if share is None else f"{100 * share:.{digits}f} %"


def explained_share(share: float, digits: int = 1) -> str:
    """Explained variance as a percentage; in words below 0, where its size means nothing."""
    return BELOW if share < 0 else percent(share, digits)


def share_text(share: float) -> str:
    """A share that does not round to none or all: `95 %`, `over 99 %`, `under 1 %`."""
    if 0 < share < 0.01:
        return "under 1 %"
    return "over 99 %" if 0.99 < share < 1 else percent(share)


def listed(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def some_of(items: Sequence[T], most: int = FEW) -> list[T]:
    """At most so many of the items, evenly from the first to the last, these two among them."""
    count = min(most, len(items))
    return [items[round(i * (len(items) - 1) / max(1, count - 1))] for i in range(count)]


def dims(k: int) -> str:
    """`1 dimension`, `16 dimensions`."""
    return f"{k} dimension{'s' if k != 1 else ''}"


def latent(k: int) -> str:
    """`1 latent dimension`, `16 latent dimensions`."""
    return dims(k).replace(" ", " latent ")


def duration(seconds: float) -> str:
    """`40 s`, `12 minutes`, `2.5 hours`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 6000 else f"{seconds / 3600:.1f} hours"


def change(share: float) -> str:
    """Falls or rises by a share."""
    return f"falls by {percent(share)}" if share >= 0 else f"rises by {percent(-share)}"


def distinguishable(a: float, b: float) -> tuple[str, str]:
    """Two errors with as many significant digits as distinguish them, from three to six."""
    pairs = [(f"{a:#.{digits}g}", f"{b:#.{digits}g}") for digits in (3, 4, 5, 6)]
    return next((pair for pair in pairs if pair[0] != pair[1]), pairs[0])


def relative_decrease(low: float, high: float) -> str:
    """By how much the lower of two errors is lower, as a share that does not round to none or all."""
    return "under 1 %" if low == high else share_text(1 - low / high)


def signed(share: float, digits: int = 0) -> str:
    """A share with its sign."""
    return f"{round(100 * share, digits) + 0.0:+.{digits}f} %"  # + 0.0: no minus before a zero


def plural(n: int, thing: str) -> str:
    """`1 image`, `1,000 images`."""
    return f"{n:,} {thing}{'s' if n != 1 else ''}"


def decibels(low: float, high: float) -> list[str]:
    """What the lower of two errors gains in PSNR; nothing below a hundredth."""
    ratio = 10 * math.log10(high / low) if low > 0 else 0
    return [f"+{ratio:.2f} dB PSNR"] if ratio >= 0.01 else []


def in_brackets(parts: Sequence[str]) -> str:
    """` (a; b)`; nothing of nothing."""
    return f" ({'; '.join(parts)})" if parts else ""


def significance(test: WelchTest) -> list[str]:
    """A test's difference, interval and p-value; nothing without an interval."""
    if test.interval is None:
        return []
    sign = -1 if test.interval[1] < 0 else 1  # a difference whose sign is known is given without it
    ends = sorted(sign * end for end in test.interval)
    low, high = alike(ends, [mse(end) for end in ends])
    return [f"difference {mse(sign * test.difference)}, 95 % interval {low} to {high}, {p_text(test.p, test.family)}"]


def p_text(p: float | None, family: int = 1) -> str:
    """A p-value, with Holm's family where it has several tests."""
    if p is None:
        return "p unknown"
    digits = 4 if abs(p - LEVEL) < 0.001 else 3  # near the level the third digit hides the side
    value = "< 0.001" if p < 0.001 else f"= {p:.{digits}f}"
    return f"p {value}" if family == 1 else f"p {value} by Holm over {family} comparisons"
