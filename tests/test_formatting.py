"""Numbers as text: rounding hides no difference and claims none."""

import pytest

from latentfit import formatting as f
from latentfit.stats import LEVEL, WelchTest

ONE_SEED = WelchTest((1, 3), 2, None, None)
LOWER = WelchTest((3, 1), -2.0, (-2.5, -1.5), 0.02)
UNKNOWN = WelchTest((1, 2), 1.0, (-0.5, 2.5), 0.3, 3)


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        (f.some_of, ([], 6), []),
        (f.some_of, ([16], 6), [16]),
        (f.some_of, ([16], 1), [16]),
        (f.some_of, ([16, 48], 1), [16]),
        (f.some_of, (range(1, 11), 6), [1, 3, 5, 6, 8, 10]),  # spread over all
        (f.some_of, (range(6), 6), [*range(6)]),
        (f.some_of, ([2, 4, 8, 16, 32], 4), [2, 4, 16, 32]),
        (f.dims, (1,), "1 dimension"),
        (f.dims, (16,), "16 dimensions"),
        (f.latent, (1,), "1 latent dimension"),
        (f.latent, (16,), "16 latent dimensions"),
        (f.share_text, (0,), "0 %"),
        (f.share_text, (0.004,), "under 1 %"),  # not none
        (f.share_text, (0.01,), "1 %"),
        (f.share_text, (0.996,), "over 99 %"),  # not all
        (f.share_text, (1,), "100 %"),
        (f.relative_decrease, (0.5, 1), "50 %"),
        (f.relative_decrease, (0.988, 1), "1 %"),
        (f.relative_decrease, (0.994, 1), "under 1 %"),
        (f.relative_decrease, (1, 1), "under 1 %"),
        (f.relative_decrease, (0.001, 1), "over 99 %"),
        (f.relative_decrease, (0, 1), "100 %"),
        (f.explained_share, (-0.001,), f.BELOW),
        (f.signed, (-0.001,), "+0 %"),  # no minus before a zero
        (f.distinguishable, (0.02, 0.01), ("0.0200", "0.0100")),
        (f.distinguishable, (0.02, 0.0201), ("0.0200", "0.0201")),
        (f.distinguishable, (0.02, 0.02004), ("0.02000", "0.02004")),
        (f.distinguishable, (0.020001, 0.02), ("0.020001", "0.020000")),
        (f.distinguishable, (0.02, 0.02), ("0.0200", "0.0200")),
        (f.p_text, (None,), "p unknown"),
        (f.p_text, (0.0004,), "p < 0.001"),
        (f.p_text, (0.02,), "p = 0.020"),
        (f.p_text, (LEVEL - 0.0001,), "p = 0.0499"),  # its side of the level shows
        (f.p_text, (0.02, 3), "p = 0.020 by Holm over 3 comparisons"),
        (f.decibels, (0.01, 0.02), ["+3.01 dB PSNR"]),
        (f.decibels, (0.01, 0.01001), []),
        (f.decibels, (0, 0.02), []),
        (f.in_brackets, ([],), ""),
        (f.in_brackets, (["a", "b"],), " (a; b)"),
        (f.significance, (ONE_SEED,), []),
        (f.significance, (LOWER,), ["difference 2.00, 95 % interval 1.50 to 2.50, p = 0.020"]),
        (
            f.significance,
            (UNKNOWN,),
            ["difference 1.00, 95 % interval -0.500 to 2.500, p = 0.300 by Holm over 3 comparisons"],
        ),
    ],
)
def test_text(function, arguments, expected):
    assert function(*arguments) == expected
