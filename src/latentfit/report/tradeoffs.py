"""Sentences on what a size loses and what it saves: codes, interpolations, bytes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TypeVar

from ..formatting import dims, listed, mse, percent, plural, signed
from ..measure.interpolation import AMONG
from ..parts import Compression, OfSize, TestedInterpolation
from ..results import Results
from ..stats import NORMAL, PairedTest
from .chosen import SPOKEN, answered, of_interest, shown_seeds

BLUR = (
    " Blur brings a picture nearer to all others, so sharpness has to be read beside it; and sharpness is gradient "
    "magnitude, which counts artefacts too."
)

T = TypeVar("T", bound=OfSize)


def spoken(results: Results, items: Iterable[T]) -> list[T]:
    """Those of the items whose sizes a sentence names."""
    sizes = of_interest(results, SPOKEN)
    return [item for item in items if item.latent_dim in sizes]


def neighbour_sentences(results: Results) -> list[str]:
    """k-nearest-neighbour accuracy on the codes, beside that on the pixels."""
    found = results.lost and results.lost.neighbours
    if not found:
        return []
    pixels = f"{percent(found.pixels, 1)} on the pixels"
    models = [f"{percent(m.accuracy, 1)} on codes of {dims(m.latent_dim)}" for m in spoken(results, found.models)]
    seed = f"; {of_seed(results)}" if len(results.seeds) > 1 else ""
    half = (
        100 * NORMAL * math.sqrt(max(found.pixels * (1 - found.pixels), 0.25 / found.test_images) / found.test_images)
    )
    return [
        f"A {found.neighbours}-nearest-neighbour classifier, fitted on {plural(found.train_images, 'image')} and "
        f"tested on {found.test_images:,}, has an accuracy of {listed([pixels, *models])} (± {half:.1f} points each "
        f"for other test images{seed}). The size needed for classification may differ from that for reconstruction."
    ]


def compression_sentences(results: Results) -> list[str]:
    """Bytes of an image and of a code, with the decoder and without, beside JPEG and PCA."""
    if not results.lost:
        return []
    found = results.lost.compression
    count = results.dataset.train_images + results.dataset.test_images
    sentences = [_image_bytes(results, found)]
    k = answered(results)
    for model in found.models[-1:] if k is None else [m for m in found.models if m.latent_dim == k][:1]:
        fine = model.fine
        sentences.append(
            f"A code of {dims(model.latent_dim)} at {fine.bits} bits a dimension is "
            f"{plural(round(fine.bytes), 'byte')}, with an error of {mse(fine.test_mse)}."
        )
        beside = []
        if fine.pca_test_mse is not None:
            beside.append(f"PCA has {mse(fine.pca_test_mse)} with as many bytes (its axes apart)")
        if model.jpeg_bytes is not None:
            beside.append(f"JPEG takes {model.jpeg_bytes:.0f} bytes for no more error")
        if beside:
            sentences.append(f"{' and '.join(beside)}.")
        whole = fine.bytes + model.decoder_bytes / count
        sentences.append(
            f"The decoder comes on top: {plural(model.decoder_bytes, 'byte')}, which over {plural(count, 'image')} "
            f"makes {whole:.0f} each, code included."
        )
    return sentences


def _image_bytes(results: Results, found: Compression) -> str:
    raw = plural(found.raw_bytes, "byte")
    if results.dataset.is_rows:
        return f"A row of the columns that vary is {raw} (four a number, as float32)."
    if found.png_bytes is None or found.zlib_bytes is None:
        return (
            f"An image is {raw} (four a number, as float32); it has no size as PNG or with zlib, because bytes cannot "
            "hold its numbers."
        )
    return (
        f"An image is {raw} (one for each number), {found.png_bytes:.0f} as PNG and {found.zlib_bytes:.0f} when "
        f"many are packed together by zlib (means of {plural(found.packed_images, 'test image')}); both of these "
        "lose nothing, a code does."
    )


def interpolated_size(results: Results) -> int | None:
    """The size whose interpolations the page shows first: the answer, or the largest."""
    sizes = [model.latent_dim for model in results.interpolation.models]
    return (answered(results) or sizes[-1]) if sizes else None


def interpolation_numbers(results: Results) -> list[tuple[str, str, str]]:
    """Three numbers of the first size's interpolations, each with what references have: name, value, beside it."""
    found, k = results.interpolation, interpolated_size(results)
    if k is None:
        return []
    model, pca = ({m.latent_dim: m for m in some}[k] for some in (found.models, found.pca))
    fade = found.cross_fade
    numbers = [
        ("evenness", percent(model.evenness), "mean step over the largest of the four; 100 % is even"),
        (
            "midpoint distance",
            f"{model.midpoint_distance:.2f}",
            f"of the usual distance; PCA {pca.midpoint_distance:.2f}, cross-fade {fade.midpoint_distance:.2f}",
        ),
    ]
    if model.midpoint_sharpness is not None:
        others = f"PCA {percent(pca.midpoint_sharpness)}, cross-fade {percent(fade.midpoint_sharpness)}"
        beside = f"of the ends' gradients; {others}"
        numbers.append(("midpoint sharpness", percent(model.midpoint_sharpness), beside))
    return numbers


def interpolation_takeaway(results: Results) -> list[str]:
    """One sentence on the first size's interpolations, tested in pairs over the same interpolations."""
    k = interpolated_size(results)
    models = [m for m in results.interpolation.models if m.latent_dim == k]
    if not models:
        return []
    faded, linear = (_against(results, models, reference) for reference in ("cross_fade", "pca"))
    return [
        f"With {dims(models[0].latent_dim)}, midpoints are {faded} than those of a cross-fade of the two real images, "
        f"and {linear} than those of interpolations with as many PCA components."
    ]


def interpolation_sentences(results: Results) -> list[str]:
    """Interpolations at the sizes of interest, and what the numbers are measured on."""
    found = results.interpolation
    if not found.models:
        return []
    some = spoken(results, found.models)
    even = [f"{percent(m.evenness)} with {m.latent_dim}" for m in some]
    among = f"{min(AMONG, results.dataset.train_images):,}"
    distances = [f"{m.midpoint_distance:.2f} with {m.latent_dim}" for m in some]
    detours = [f"{m.detour:.2f} with {m.latent_dim}" for m in some]
    drifts = [f"{percent(m.drift)} with {m.latent_dim}" for m in some]
    different = " of different classes" if results.dataset.classes else ""
    sentences = [
        f"Measured on {plural(found.measured_pairs, 'random pair')} of training images{different}, {of_seed(results)}. "
        f"The mean of the four steps, as a share of the largest, is {listed(even)}.",
        f"The distance of the midpoint to the nearest of {among} training images, in units of the usual distance "
        f"between neighbours, is {listed(distances)}.{'' if results.dataset.is_rows else BLUR}",
        f"The decoded path is longer than the straight line between its ends by a factor of {listed(detours)}; decoded "
        f"and encoded again, the midpoint moves by {listed(drifts)} of the distance between the two codes.",
    ]
    if len(found.models) == 2:
        sentences += _networks_compared(results)
    if found.spherical:
        sentences.append(
            "Spherical interpolations (in the table) are for codes with a Gaussian prior, which lie in a shell around "
            "0. These networks have no prior, so straight lines are used."
        )
    return sentences


def of_seed(results: Results) -> str:
    """`on the network of seed 0 at each size`, where a number is of one network and not a mean over seeds."""
    return f"on the network of seed {shown_seeds(results)} at each size"


def _against(results: Results, models: Sequence[TestedInterpolation], reference: str) -> str:
    """What the tests against a reference say of a network: `nearer to training images and blurrier`."""
    words = {  # significantly lower, significantly higher, not significant
        "midpoint_distance": (
            "nearer to training images",
            "farther from training images",
            "not significantly nearer to or farther from training images",
        ),
        "midpoint_sharpness": ("blurrier", "sharper", "not significantly blurrier or sharper"),
    }
    parts = []
    if results.dataset.is_rows:
        del words["midpoint_sharpness"]
    for name, (lower, higher, open_) in words.items():
        test: PairedTest = getattr(getattr(models[0].against, reference), name)
        parts.append(open_ if not test.significant else lower if test.difference < 0 else higher)
    return " and ".join(parts)


def _networks_compared(results: Results) -> list[str]:
    """How the interpolations of two networks differ."""
    if len(results.comparisons) != 1:
        return []
    (only,) = results.comparisons
    small, large = only.latent_dims
    tests = {
        "evenness": only.evenness,
        "midpoint sharpness": only.midpoint_sharpness,
        "detour": only.detour,
        "midpoint distance": only.midpoint_distance,
        "drift": only.drift,
    }
    if results.dataset.is_rows:
        del tests["midpoint sharpness"]
    parts = [
        f"{'higher' if test.difference > 0 else 'lower'} {name}" for name, test in tests.items() if test.significant
    ]
    if alike := [name for name, test in tests.items() if not test.significant]:
        parts.append(f"no significant difference in {listed(alike)}")
    return [
        f"Compared with the {small}-dimensional network, the {large}-dimensional one has {listed(parts)} (paired tests "
        "over the same interpolations, 5 % level by Holm)."
    ]


def code_sentences(results: Results) -> list[str]:
    """Effective dimension of the codes, and intrinsic dimension of the images."""
    known = [size for size in results.sizes if size.effective_dim]
    if not known:
        return []
    dimensions = [f"{s.effective_dim.mean:.1f} of {s.latent_dim}" for s in spoken(results, known) if s.effective_dim]
    sentences = [
        "The effective dimension of the codes (participation ratio, the effective number of directions) is "
        f"{listed(dimensions)}; it depends on how a network scales its code."
    ]
    if found := results.intrinsic:
        estimates = [
            f"{e.name} {e.value:.1f}" if e.value is not None else f"{e.name} no answer ({e.reason})"
            for e in found.estimates
        ]
        sentences.append(
            f"Estimates of the images' own dimension, from {plural(found.images, 'training image')}: "
            f"{listed(estimates)}. They disagree because each means something else by a dimension, and none says what "
            "a network of that size keeps."
        )
    return sentences


def nested_sentences(results: Results) -> list[str]:
    """How far the nested network is from those that were trained for one size."""
    curve = results.curve
    if not curve:
        return []
    if curve.reason:
        return [f"The training of the nested network failed: {curve.reason}."]
    apart = [f"{signed(size.above)} at {size.latent_dim}" for size in spoken(results, curve.apart or ())]
    compared = f"; relative to networks trained for one size they are {listed(apart)}" if apart else ""
    return [
        f"One nested network with {dims(curve.latent_dim)}, trained with randomly truncated codes (nested dropout), "
        f"estimates the test errors of all sizes{compared}.",
        "These estimates are too poor to be drawn, and no answer rests on them; they are in results.json.",
    ]
