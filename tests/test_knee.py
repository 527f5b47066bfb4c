"""Where explained variance stops rising."""

import numpy as np
import pytest

from latentfit.measure import knee
from latentfit.recipe import Job

N = 200


def errors(shares, seeds=3, spread=1e-4, images=0.1, noise=0.0):
    """Errors of each image by network, for explained variances by size; images differ alike at every size."""
    rng = np.random.default_rng(0)
    distances = 1 + images * rng.normal(size=N)
    found = {}
    for k, share in shares.items():
        for seed in range(seeds):
            left = (1 - share) + spread * rng.normal()
            found[Job(k, seed)] = left * distances + noise * rng.normal(size=N)
    return found, distances


@pytest.mark.parametrize("at", [1, 2, 4])
def test_the_knee_is_where_the_rise_stops(at):
    before = 0.9 if at > 1 else 0.0
    shares = {at - 1: before, at: 0.95, at + 1: 0.951} if at > 1 else {1: 0.95, 2: 0.951}
    found = knee.find(*errors(shares))
    assert found.latent_dim == at
    assert found.gain_before == pytest.approx(0.95 - before, abs=0.001)
    assert found.gain_after == pytest.approx(0.001, abs=0.001)
    assert knee.STOP < found.at_least <= found.gain_before / max(found.gain_after, 1e-6)


@pytest.mark.parametrize(
    ("shares", "options"),
    [
        ({3: 0.90, 4: 0.95, 5: 0.98}, {}),  # it goes on rising
        ({3: 0.90, 4: 0.95}, {}),  # nothing is known of 5
        ({2: 0.90, 4: 0.95, 5: 0.951}, {}),  # nor of 3
        ({3: 0.90, 4: 0.95, 5: 0.951}, {"seeds": 1}),  # nor of other seeds
        ({3: 0.90, 4: 0.95, 5: 0.951}, {"spread": 0.02}),  # which differ too much
        ({3: 0.90, 4: 0.95, 5: 0.951}, {"noise": 1.0}),  # and so do the images
        ({3: 0.990, 4: 0.994, 5: 0.994}, {}),  # too little is gained
        ({3: 0.95, 4: 0.90, 5: 0.80}, {}),  # it falls
        ({3: 0.90, 4: 0.95, 5: 0.92}, {}),  # it falls after that: 5 was trained badly
        ({}, {}),
    ],
)
def test_where_it_does_not_surely_stop_there_is_no_knee(shares, options):
    assert knee.find(*errors(shares, **options)) is None


def test_of_several_the_surest_is_taken():
    found = knee.find(*errors({1: 0.5, 2: 0.58, 3: 0.97, 4: 0.971}))
    assert found.latent_dim == 3


def test_how_much_less_has_a_limit():
    assert knee.find(*errors({3: 0.5, 4: 0.99, 5: 0.99}, spread=0)).at_least == knee.MOST
