import pytest

from latentfit import formatting


@pytest.mark.parametrize(
    ("items", "most", "some"),
    [
        ([], 6, []),
        ([16], 6, [16]),
        ([16], 1, [16]),
        ([16, 48], 1, [16]),
        (range(1, 11), 6, [1, 3, 5, 6, 8, 10]),
        (range(6), 6, [*range(6)]),
        ([2, 4, 8, 16, 32], 4, [2, 4, 16, 32]),
    ],
)
def test_some_of_many_are_spread_over_all(items, most, some):
    assert formatting.some_of(items, most) == some
