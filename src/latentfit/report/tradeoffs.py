"""Sentences on what a size loses and what it saves: codes, interpolations, bytes."""

from __future__ import annotations

from collections.abc import Sequence

from ..formatting import dims, listed, mse, p_text, percent, plural, signed, some_of
from ..measure.headline import widest_first
from ..results import Compression, Results, TestedInterpolation
from ..stats import PairedTest


def neighbour_sentences(results: Results) -> list[str]:
    """k-nearest-neighbour accuracy on the codes, beside that on the pixels."""
    found = results.lost and results.lost.neighbours
    if not found:
        return []
    models = [f"{percent(m.accuracy, 1)} from {dims(m.latent_dim)}" for m in some_of(found.models)]
    return [
        f"A {found.neighbours}-nearest-neighbour classifier (learning from "
        f"{plural(found.train_images, 'image')}, asked about {found.test_images:,}) is right on "
        f"{percent(found.pixels, 1)} of the test images from the pixels, and on {listed(models)}."
    ]


def compression_sentences(results: Results) -> list[str]:
    """Bytes of an image and of a code, with the decoder and without."""
    if not results.lost:
        return []
    found = results.lost.compression
    raw, count = found.raw_bytes, results.dataset.train_images + results.dataset.test_images
    sentences = [_image_bytes(found)]
    for model in some_of(found.models):
        whole, fine = model.bits[:2]
        added = f"{mse(fine.added_mse)} more error" if fine.added_mse > 0 else "no more error"
        sentences.append(
            f"A code of {dims(model.latent_dim)} is {whole.bytes:.0f} bytes as float32, a ratio of "
            f"{raw / whole.bytes:.1f}; at {fine.bits} bits a dimension {plural(round(fine.bytes), 'byte')}, a ratio of "
            f"{raw / fine.bytes:.1f} with {added}. With the decoder's {model.decoder_bytes:,} bytes spread over "
            f"all {plural(count, 'image')} the ratio is {raw / (fine.bytes + model.decoder_bytes / count):.1f}."
        )
    return sentences


def _image_bytes(found: Compression) -> str:
    raw = plural(found.raw_bytes, "byte")
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


def midpoint_sentences(results: Results) -> list[str]:
    """Whether midpoints of interpolations look like training images, beside the references; and spherical ones."""
    found = results.interpolation
    if not found.models:
        return []
    pca = {m.latent_dim: m for m in found.pca}
    some = some_of(found.models)
    distances = [
        f"{m.midpoint_distance:.2f} with {dims(m.latent_dim)} "
        f"({pca[m.latent_dim].midpoint_distance:.2f} with as many PCA components)"
        for m in some
    ]
    detours = [f"{m.detour:.2f} with {m.latent_dim}" for m in some]
    drifts = [f"{percent(m.drift)} with {m.latent_dim}" for m in some]
    sentences = [
        "Half way, the nearest training image is, in units of the usual distance between neighbours, at "
        f"{listed(distances)}; at {found.cross_fade.midpoint_distance:.2f} when one picture is faded into the other. "
        "Blur brings a picture nearer to all others, so sharpness has to be read beside it.",
        "Tested in pairs over the same walks, pictures half way are, against fading, "
        f"{_against(found.models, 'cross_fade')}; against as many PCA components, {_against(found.models, 'pca')}.",
        f"A walk's way through the pictures is longer than the straight one by a factor of {listed(detours)}; decoded "
        f"and encoded again, its middle moves by {listed(drifts)} of the walk's length.",
        *_networks_compared(results),
    ]
    if found.spherical:
        sentences.append(
            "Spherical walks (in the table) are for codes with a Gaussian prior, which lie in a shell around 0. These "
            "networks have no prior: their codes have no such centre, and a circle around 0 means nothing to them."
        )
    return sentences


def _against(models: Sequence[TestedInterpolation], reference: str) -> str:
    """The tests against a reference, grouped by size: `nearer to training images at 16 and 48, ...`."""
    words = {  # significantly lower, significantly higher, not significant
        "midpoint_distance": (
            "nearer to training images",
            "farther from training images",
            "not told apart in distance",
        ),
        "midpoint_sharpness": ("blurrier", "sharper", "not told apart in sharpness"),
    }
    parts = []
    for name, (lower, higher, open_) in words.items():
        groups: dict[str, list[str]] = {lower: [], higher: [], open_: []}
        for model in models:
            test = getattr(getattr(model.against, reference), name)
            word = open_ if not test.significant else lower if test.difference < 0 else higher
            groups[word].append(str(model.latent_dim))
        sizes = {word: "all sizes" if len(k) == len(models) > 2 else listed(k) for word, k in groups.items() if k}
        parts += [f"{word} at {where}" for word, where in sizes.items()]
    return ", ".join(parts)


def _networks_compared(results: Results) -> list[str]:
    """Which of the smallest and the largest network interpolates better, and in what; none for one size."""
    couples = widest_first(results)
    if not couples:
        return []
    widest = couples[0]
    small, large = widest.latent_dims
    better: dict[int | None, list[str]] = {large: [], small: [], None: []}
    for test, verb in (
        (widest.detour, "went straighter"),
        (widest.midpoint_distance, "came nearer to training images half way"),
        (widest.drift, "drifted less"),
    ):
        winner = None if not test.significant else large if test.difference < 0 else small
        better[winner].append(f"{verb} (paired {p_text(test.p, test.family)})")
    parts = [f"the one with {k} {listed(better[k])}" for k in (large, small) if better[k]]
    if better[None]:
        parts.append(f"{listed([f'which one {verb}' for verb in better[None]])} is not settled")
    return [f"Of the networks with {small} and {dims(large)}, {', and '.join(parts)}."]


def winner_sentence(latent_dims: tuple[int, int], test: PairedTest, verb: str) -> str:
    """Which of two networks has the higher value, as far as the paired test is significant."""
    small, large = latent_dims
    p = p_text(test.p, test.family)
    if not test.significant:
        return f"Whether the network with {small} or {large} dimensions {verb} is not settled (paired {p})."
    winner, other = (large, small) if test.difference > 0 else (small, large)
    return f"The network with {dims(winner)} {verb} than the one with {other} (paired {p})."


def by_size(values: Sequence[tuple[int, float | None]]) -> str:
    """Shares at a few sizes across the range: `66 % with 16 dimensions and 73 % with 48`."""
    (first, share), *rest = some_of(values)
    return listed([f"{percent(share)} with {dims(first)}", *(f"{percent(share)} with {k}" for k, share in rest)])


def code_sentences(results: Results) -> list[str]:
    """Effective dimension of the codes, and intrinsic dimension of the images."""
    known = [(size.latent_dim, size.effective_dim.mean) for size in results.sizes if size.effective_dim]
    if not known:
        return []
    dimensions = [f"{mean:.1f} of {k}" for k, mean in some_of(known)]
    sentences = [
        "The effective dimension of the codes (participation ratio: how many equal directions would spread as much) "
        f"is {listed(dimensions)}."
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
        return [f"The screening of all sizes with one network failed: {curve.reason}."]
    apart = [f"{signed(size.above)} at {size.latent_dim}" for size in some_of(curve.apart or ())]
    compared = f"; against the networks trained for a size its test error is {listed(apart)}" if apart else ""
    return [
        f"One network with {dims(curve.latent_dim)}, trained with codes cut at a random length for each image, "
        f"screened all sizes{compared}.",
        "It is too poor a guide to be drawn, and no answer rests on it; its errors are in results.json.",
    ]
