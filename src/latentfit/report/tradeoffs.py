"""What a size loses and what it saves, in words and small tables: classes, bytes, walks.

Pure functions of `results`.
"""

from __future__ import annotations

from typing import Any

from ..formatting import carried, dims, listed, mse, or_dash, p_value, percent, plural, signed, some_of
from .comparisons import Results, Table, trained, widest_first


def neighbours(results: Results) -> list[str]:
    """How well classes can be told apart from the codes, against the pixels."""
    found = results["lost"] and results["lost"]["neighbours"]
    if not found:
        return []
    said = [f"{percent(m['accuracy'], 1)} from {dims(m['latent_dim'])}" for m in some_of(found["models"])]
    return [
        f"A {found['neighbours']}-nearest-neighbour classifier (learning from "
        f"{plural(found['train_images'], 'image')}, asked about {found['test_images']:,}) is right on "
        f"{percent(found['pixels'], 1)} of the test images from the pixels, and on {listed(said)}."
    ]


def compression(results: Results) -> list[str]:
    """What a code costs in bytes, honestly."""
    found = results["lost"] and results["lost"]["compression"]
    if not found:
        return []
    raw, count = found["raw_bytes"], results["dataset"]["train_images"] + results["dataset"]["test_images"]
    sentences = [_image_bytes(found)]
    for model in some_of(found["models"]):
        k = model["latent_dim"]
        whole, fine = model["bits"][0], model["bits"][1]
        added = f"{mse(fine['added_mse'])} more error" if fine["added_mse"] > 0 else "no more error"
        sentences.append(
            f"A code of {dims(k)} is {whole['bytes']:.0f} bytes as float32, a ratio of {raw / whole['bytes']:.1f}; at "
            f"{fine['bits']} bits a dimension {plural(round(fine['bytes']), 'byte')}, a ratio of "
            f"{raw / fine['bytes']:.1f} with {added}. With the decoder's {model['decoder_bytes']:,} bytes spread over "
            f"all {plural(count, 'image')} the ratio is {raw / (fine['bytes'] + model['decoder_bytes'] / count):.1f}."
        )
    return sentences


def _image_bytes(found: dict[str, Any]) -> str:
    raw = plural(found["raw_bytes"], "byte")
    if found["png_bytes"] is None:
        return (
            f"An image is {raw} (four a number, as float32); it has no size as PNG or with zlib, because bytes cannot "
            "hold its numbers."
        )
    return (
        f"An image is {raw} (one for each number), {found['png_bytes']:.0f} as PNG and {found['zlib_bytes']:.0f} when "
        f"many are packed together by zlib (means of {plural(found['packed_images'], 'test image')}); both of these "
        "lose nothing, a code does."
    )


def compression_table(results: Results) -> Table | None:
    """Bits a dimension, bytes, error and ratios for each size."""
    found = results["lost"] and results["lost"]["compression"]
    if not found:
        return None
    count = results["dataset"]["train_images"] + results["dataset"]["test_images"]
    header = ["latent", "bits", "bytes", "test MSE", "added", "ratio to bytes", "to PNG", "to zlib", "with decoder"]
    rows = []
    for model in found["models"]:
        for row in model["bits"]:
            wholes = [found[f"{kind}_bytes"] for kind in ("raw", "png", "zlib")]
            ratios = [whole and whole / row["bytes"] for whole in wholes]
            ratios.append(found["raw_bytes"] / (row["bytes"] + model["decoder_bytes"] / count))
            cells = [str(model["latent_dim"]), str(row["bits"]), f"{row['bytes']:g}", mse(row["test_mse"])]
            rows.append([*cells, f"{row['added_mse']:.1e}", *(or_dash(ratio, ".1f") for ratio in ratios)])
    return header, rows


WALKS = ("evenness", "detour", "midpoint_distance", "drift", "midpoint_sharpness")


def walk_table(results: Results) -> Table:
    """How walks go with each network, and with the two ways that need none."""
    walks = results["interpolation"]
    header = ["walk", "evenness", "detour", "distance half way", "drift", "sharpness half way"]
    rows = [
        *((dims(m["latent_dim"]), m) for m in walks["models"]),
        *((f"{dims(m['latent_dim'])}, spherical", m) for m in walks["spherical"]),
        *((plural(m["latent_dim"], "PCA component"), m) for m in walks["pca"]),
        ("fading", walks["cross_fade"]),
    ]
    return header, [[name, *(or_dash(m[key], ".3f") for key in WALKS)] for name, m in rows]


def walk_references(results: Results) -> list[str]:
    """Whether the middles of walks look like training images, against fading and PCA; and what spherical does."""
    walks = results["interpolation"]
    if not walks["models"]:
        return []
    pca = {m["latent_dim"]: m for m in walks["pca"]}
    said = [
        f"{m['midpoint_distance']:.2f} with {dims(m['latent_dim'])} "
        f"({pca[m['latent_dim']]['midpoint_distance']:.2f} with as many PCA components)"
        for m in some_of(walks["models"])
    ]
    sentences = [
        "Half way, the nearest training image is, in units of the usual distance between neighbours, at "
        f"{listed(said)}; at {walks['cross_fade']['midpoint_distance']:.2f} when one picture is faded into the other. "
        "Blur brings a picture nearer to all others, so sharpness has to be read beside it.",
        "Tested in pairs over the same walks, pictures half way are, against fading, "
        f"{_half_way(walks['models'], 'cross_fade')}; against as many PCA components, "
        f"{_half_way(walks['models'], 'pca')}.",
    ]
    some = some_of(walks["models"])
    ways = [f"{m['detour']:.2f} with {m['latent_dim']}" for m in some]
    drifts = [f"{percent(m['drift'])} with {m['latent_dim']}" for m in some]
    sentences.append(
        f"A walk's way through the pictures is longer than the straight one by a factor of {listed(ways)}; decoded and "
        f"encoded again, its middle moves by {listed(drifts)} of the walk's length."
    )
    sentences += _walks_compared(results)
    if walks["spherical"]:
        sentences.append(
            "Spherical walks (in the table) are for codes with a Gaussian prior, which lie in a shell around 0. These "
            "networks have no prior: their codes have no such centre, and a circle around 0 means nothing to them."
        )
    return sentences


HALF_WAY = {  # what a test against a reference says: lower, higher, not told
    "midpoint_distance": ("nearer to training images", "farther from training images", "not told apart in distance"),
    "midpoint_sharpness": ("blurrier", "sharper", "not told apart in sharpness"),
}


def _half_way(models: list[dict[str, Any]], reference: str) -> str:
    """What the tests against a reference carry, grouped by size: `nearer to training images at 16 and 48, ...`."""
    said = []
    for name, (lower, higher, open_) in HALF_WAY.items():
        groups: dict[str, list[str]] = {lower: [], higher: [], open_: []}
        for m in models:
            test = m["against"][reference][name]
            word = open_ if not carried(test) else lower if test["difference"] < 0 else higher
            groups[word].append(str(m["latent_dim"]))
        told = {word: "all sizes" if len(k) == len(models) > 2 else listed(k) for word, k in groups.items() if k}
        said += [f"{word} at {where}" for word, where in told.items()]
    return ", ".join(said)


BETTER = {  # of walks, where the value is lower
    "detour": "went straighter",
    "midpoint_distance": "came nearer to training images half way",
    "drift": "drifted less",
}


def _walks_compared(results: Results) -> list[str]:
    """Of the widest pair of sizes, whose walks are better in what; a sentence where there are two sizes."""
    couples = widest_first(results)
    if not couples:
        return []
    widest = couples[0]
    small, large = widest["latent_dims"]
    won: dict[int | None, list[str]] = {large: [], small: [], None: []}
    for name, did in BETTER.items():
        test = widest[name]
        winner = None if not carried(test) else large if test["difference"] < 0 else small
        won[winner].append(f"{did} (paired {p_value(test)})")
    parts = [f"the one with {k} {listed(won[k])}" for k in (large, small) if won[k]]
    if won[None]:
        parts.append(f"{listed([f'which one {did}' for did in won[None]])} is not settled")
    return [f"Of the networks with {small} and {dims(large)}, {', and '.join(parts)}."]


def estimates(results: Results) -> list[dict[str, Any]]:
    """What estimators of intrinsic dimension said of the images; none where they were not asked."""
    found = results["intrinsic"]
    return found["estimates"] if found else []


def shape(results: Results) -> list[str]:
    """How many directions of the code are used, and what the images themselves have."""
    known = [size for size in results["sizes"] if size["effective_dim"]]
    if not known:
        return []
    said = [f"{size['effective_dim']['mean']:.1f} of {size['latent_dim']}" for size in some_of(known)]
    sentences = [
        "The effective dimension of the codes (participation ratio: how many equal directions would spread as much) "
        f"is {listed(said)}."
    ]
    if found := estimates(results):
        told = [
            f"{e['name']} {e['value']:.1f}" if e["value"] is not None else f"{e['name']} no answer ({e['reason']})"
            for e in found
        ]
        count = plural(results["intrinsic"]["images"], "training image")
        sentences.append(
            f"Estimates of the images' own dimension, from {count}: {listed(told)}. They disagree because each means "
            "something else by a dimension, and none says what a network of that size keeps."
        )
    return sentences


def codes_table(results: Results) -> Table | None:
    """What the codes of each size are like: directions in use, sharpness of what is decoded, classes told apart."""
    known = [size for size in results["sizes"] if size["effective_dim"]]
    if not known:
        return None
    found = results["lost"] and results["lost"]["neighbours"]
    accuracy = {m["latent_dim"]: m["accuracy"] for m in found["models"]} if found else {}
    sharpness = {m["latent_dim"]: m["test_sharpness"] for m in trained(results)}
    rows = []
    for size in known:
        k, used = size["latent_dim"], size["effective_dim"]["mean"]
        rows.append([str(k), f"{used:.1f}", percent(used / k), percent(sharpness.get(k)), percent(accuracy.get(k), 1)])
    return ["latent", "effective dimension", "of the code", "sharpness", "classes told apart"], rows


def screening(results: Results) -> list[str]:
    """How far the one network for all sizes is from those that were trained for one."""
    curve = results["curve"]
    if not curve:
        return []
    if curve["reason"]:
        return [f"The screening of all sizes with one network failed: {curve['reason']}."]
    said = [f"{signed(apart['above'])} at {apart['latent_dim']}" for apart in some_of(curve["apart"])]
    first = (
        f"One network with {dims(curve['latent_dim'])}, trained with codes cut at a random length for each image, "
        "gives the dashed line"
    )
    compared = f"; against the networks trained for a size its test error is {listed(said)}" if said else ""
    return [f"{first}{compared}.", "It is a screening: it says where to look, and no answer rests on it."]
