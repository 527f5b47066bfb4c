"""Folders of pictures: the layouts, what becomes of each kind of picture, and each fault as a line that names it."""

import io
import json
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from latentfit import data
from latentfit.data import cache, pictures, quality
from latentfit.data.decoding import decode_all
from latentfit.data.layout import scan
from latentfit.data.reading import Reading, choose_by_class
from latentfit.errors import InputError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (6, 5), np.uint8)
COLOUR = RNG.integers(0, 256, (6, 5, 3), np.uint8)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LATENTFIT_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def photos(tmp_path):
    """An empty folder."""
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


def put(folder, name, picture=GREY, **options):
    """Save an array, a Pillow image or bytes as a file in the folder."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(picture, bytes):
        path.write_bytes(picture)
        return path
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(path, **options)
    return path


def encoded(picture, kind, **options):
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, kind, **options)
    return stream.getvalue()


def number(i, shape=(3, 4)):
    """A grey picture that shows its number."""
    return np.full(shape, i, np.uint8)


def error_of(path, **options):
    with pytest.raises(InputError) as caught:
        data.load(path, **options)
    assert str(path) in caught.value.args[0]
    assert "\n" not in caught.value.args[0]
    return caught.value


# Layouts: files by picture number, then the expected numbers of each split and the classes.
LAYOUTS = {
    "classes": ({f"{'ab'[i % 2]}/{i:02}.png": i for i in range(20)}, 18, 2, 0, ("a", "b")),
    "flat": ({f"{i:02}.png": i for i in range(20)}, 18, 2, 0, None),
    "one class": ({f"a/{i}.png": i for i in range(10)}, 9, 1, 0, None),
    "nested": ({f"{'ab'[i % 2]}/x/y/{i}.png": i for i in range(10)}, 9, 1, 0, ("a", "b")),
    "train and test": (
        {f"{'train' if i < 8 else 'test'}/{'ab'[i % 2]}/{i}.png": i for i in range(12)},
        8, 4, 0, ("a", "b"),
    ),
    "flat train and test": ({"Train/1.png": 1, "Train/2.png": 2, "TEST/3.png": 3}, 2, 1, 0, None),
    "with val": ({"train/1.png": 1, "train/2.png": 2, "test/3.png": 3, "valid/4.png": 4}, 2, 1, 1, None),
    "train and val": ({f"train/{i}.png": i for i in range(10)} | {"val/11.png": 11}, 9, 1, 1, None),
    "one folder above": ({f"x/photos/{'ab'[i % 2]}/{i}.png": i for i in range(10)}, 9, 1, 0, ("a", "b")),
    "numbers as classes": ({f"{i}/{i}.png": i for i in (10, 9, 1)} | {f"{i}/b.png": i for i in (10, 9, 1)}, 5, 1, 0,
                           ("1", "9", "10")),
    "classes of one split": ({"train/a/1.png": 1, "train/b/2.png": 2, "test/3.png": 3}, 2, 1, 0, None),
    "a class called test": ({f"{c}/{i}.png": i for i, c in enumerate(["test", "cat"] * 5)}, 9, 1, 0, ("cat", "test")),
}  # fmt: skip


@pytest.mark.fault("image-folder")
@pytest.mark.parametrize(("tree", "train", "test", "val", "classes"), LAYOUTS.values(), ids=LAYOUTS)
def test_each_layout(photos, tree, train, test, val, classes):
    for name, i in tree.items():
        put(photos, name, number(i))
    images = data.load(photos)
    splits = [images.x_train, images.x_test, [] if images.x_val is None else images.x_val]
    assert [len(x) for x in splits] == [train, test, val]
    assert images.classes == classes
    assert sorted(int(image[0, 0]) for x in splits for image in x) == sorted(tree.values())
    for x, y, names in zip(splits, [images.y_train, images.y_test, None], images.names, strict=True):
        for i, (image, name) in enumerate(zip(x, names, strict=True)):
            (path,) = [path for path in tree if path.endswith(name)]
            assert tree[path] == image[0, 0]
            if y is not None:
                assert images.classes[y[i]] in path.split("/")
    assert images.name == "photos"
    assert data.load(photos).fingerprint == images.fingerprint


def test_files_that_are_no_pictures_are_told(photos):
    for name in (".DS_Store", ".hidden.png", "a/Thumbs.db", "__MACOSX/a/._1.png", "desktop.ini", ".git/1.png"):
        put(photos, name, b"junk")
    for i in range(4):
        put(photos, f"a/{i}.png", number(i))
    put(photos, "labels.csv", b"1,2")
    put(photos, "nothing", b"no picture")
    put(photos, "a/without-a-suffix", encoded(number(4), "PNG"))
    images = data.load(photos)
    assert len(images.x_train) + len(images.x_test) == 5
    assert images.reading.prepared == ("2 other files left alone: labels.csv, nothing",)


def test_classes_without_pictures_and_of_one_split_are_told(photos):
    for name in ("train/a/1.png", "train/b/2.png", "test/3.png"):
        put(photos, name)
    (photos / "train" / "c").mkdir()
    images = data.load(photos)
    assert images.reading.dropped == ("The classes are left out: test/ has no folder for each.",)
    assert images.reading.dropped[0] in quality.notes(quality.look(images))


CONTRADICTIONS = {
    "test alone": (["test/1.png", "val/2.png"], "no train/"),
    "two of a kind": (["train/1.png", "test/1.png", "val/2.png", "valid/3.png"], "val/ and valid/ mean the same"),
    "one picture": (["1.png"], "holds 1 picture to train on and test; expected at least 2"),
    "one of training": (["train/1.png", "val/1.png"], "holds 1 picture to train on and test; expected at least 2"),
}


@pytest.mark.fault("image-folder")
@pytest.mark.parametrize(("names", "message"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_layouts_that_are_unclear_are_refused(photos, names, message):
    for name in names:
        put(photos, name)
    assert message in str(error_of(photos))


@pytest.mark.fault("image-folder")
def test_an_empty_folder_and_one_of_junk_are_refused(photos):
    assert "no pictures; expected a folder of pictures (PNG, JPEG, BMP, WebP or TIFF)" in str(error_of(photos))
    put(photos, ".DS_Store", b"junk")
    (photos / "a").mkdir()
    assert "no pictures" in str(error_of(photos))


OVER = np.dstack([COLOUR, np.tile(np.array([0, 128, 255, 255, 255], np.uint8), (6, 1))])
DEEP = RNG.integers(0, 65536, (6, 5), np.uint16)


def over_white(rgba):
    return np.asarray(Image.alpha_composite(Image.new("RGBA", (5, 6), "white"), Image.fromarray(rgba)).convert("RGB"))


def palette(transparency=None):
    image = Image.fromarray(GREY % 3)
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    return image, {} if transparency is None else {"transparency": transparency}


RED_GREEN_BLUE = (np.eye(3, dtype=np.uint8) * 255)[GREY % 3]
CONVERTED = {  # file name, picture, options of saving, expected pixels, what is told
    "grey": ("a.png", GREY, {}, GREY, ""),
    "colour": ("a.png", COLOUR, {}, COLOUR, ""),
    "grey in colour": ("a.png", np.dstack([GREY] * 3), {}, GREY, "1 of 1 stored in colour and grey"),
    "one bit": ("a.png", Image.fromarray(GREY > 99), {}, (GREY > 99) * np.uint8(255), ""),
    "bmp": ("a.bmp", COLOUR, {}, COLOUR, ""),
    "webp": ("a.webp", COLOUR, {"lossless": True}, COLOUR, ""),
    "tiff": ("a.tif", COLOUR, {}, COLOUR, ""),
    "packed tiff": ("a.tiff", GREY, {"compression": "tiff_lzw"}, GREY, ""),
    "palette": ("a.png", *palette(), RED_GREEN_BLUE, ""),
    "palette, transparent": ("a.png", *palette(0), np.where((GREY % 3 == 0)[..., None], 255, RED_GREEN_BLUE),
                             "transparency, laid over white"),
    "RGBA": ("a.png", OVER, {}, over_white(OVER), "1 of 1 with transparency, laid over white"),
    "RGBA, opaque": ("a.png", np.dstack([COLOUR, GREY * 0 + 255]), {}, COLOUR, ""),
    "grey and alpha": ("a.png", Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(GREY * 0)]), {},
                       GREY * 0 + 255, "laid over white"),
    "16 bits": ("a.png", DEEP, {}, np.rint(DEEP / 257).astype(np.uint8), "1 of 1 of 16 bits, divided by 257"),
    "16 bits, tiff": ("a.tif", DEEP, {}, np.rint(DEEP / 257).astype(np.uint8), "divided by 257"),
    "CMYK": ("a.tif", Image.fromarray(COLOUR).convert("CMYK"), {}, COLOUR, "from CMYK"),
    "name": ("a.png", encoded(COLOUR, "TIFF"), {}, COLOUR, "1 of 1 of another format than the name says"),
}  # fmt: skip


@pytest.mark.fault("image-folder")
@pytest.mark.parametrize(("name", "picture", "options", "pixels", "told"), CONVERTED.values(), ids=CONVERTED)
def test_every_kind_of_picture_is_converted_as_stated(photos, name, picture, options, pixels, told):
    put(photos, f"test/{name}", picture, **options)
    for i in range(2):
        put(photos, f"train/{i}.png", np.resize(GREY, (6, 5)))
    images = data.load(photos)
    found = images.x_test[0]
    if pixels.ndim == 2:
        assert images.x_train.ndim == 3
    np.testing.assert_array_equal(found, pixels)
    assert told.replace("of 1 ", "of 3 ") in "; ".join(images.reading.prepared)
    assert bool(images.reading.prepared) == bool(told)
    assert images.description.prepared == (images.reading.prepared or None)


def test_a_set_is_in_colour_if_one_picture_is(photos):
    for i in range(9):
        put(photos, f"{i}.png", GREY)
    put(photos, "9.png", COLOUR)
    images = data.load(photos)
    assert images.image_shape == (6, 5, 3)
    every = {name: x for names, xs in zip(images.names, (images.x_train, images.x_test), strict=False)
             for name, x in zip(names, xs, strict=True)}  # fmt: skip
    np.testing.assert_array_equal(every["0.png"], np.dstack([GREY] * 3))
    np.testing.assert_array_equal(every["9.png"], COLOUR)


def test_a_photograph_is_turned_as_its_camera_was_held(photos):
    exif = Image.Exif()
    exif[0x0112] = 6
    for i in range(2):
        put(photos, f"{i}.png", COLOUR, exif=exif)
    images = data.load(photos)
    np.testing.assert_array_equal(images.x_train[0], np.rot90(COLOUR, -1))
    assert images.reading.prepared == ("2 of 2 turned as EXIF says",)


def test_a_photograph_with_previews_is_one_picture(photos):
    for i in range(2):
        put(photos, f"{i}.jpg", frames("MPO"))
    images = data.load(photos)
    assert images.image_shape == (6, 5, 3)
    assert images.reading.prepared == ()
    np.testing.assert_array_equal(images.x_test[0], np.asarray(Image.open(io.BytesIO(encoded(COLOUR, "JPEG")))))


def png_header(width, height):
    """A PNG that claims a size and holds nothing."""
    body = b"IHDR" + struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


def frames(kind, count=2, **options):
    stream = io.BytesIO()
    pages = [Image.fromarray(COLOUR // (i + 1)) for i in range(count)]
    pages[0].save(stream, kind, save_all=True, append_images=pages[1:], **options)
    return stream.getvalue()


WHOLE = encoded(RNG.integers(0, 256, (64, 64, 3), np.uint8), "PNG")
REJECTED = {  # file name, content, reason
    "truncated PNG": ("bad.png", WHOLE[: len(WHOLE) // 2], "damaged"),
    "truncated JPEG": ("bad.jpg", encoded(COLOUR, "JPEG")[:-30], "damaged: "),
    "half a header": ("bad.png", WHOLE[:20], ""),
    "empty": ("bad.png", b"", "no PNG, JPEG, BMP, WebP or TIFF inside"),
    "text": ("bad.jpg", b"<html>", "no PNG, JPEG, BMP, WebP or TIFF inside"),
    "a GIF named png": ("bad.png", encoded(GREY, "GIF"), "no PNG, JPEG, BMP, WebP or TIFF inside"),
    "a PPM named png": ("bad.png", encoded(GREY, "PPM"), "no PNG, JPEG, BMP, WebP or TIFF inside"),
    "GIF": ("bad.gif", encoded(GREY, "GIF"), "a GIF file; expected PNG, JPEG, BMP, WebP or TIFF; convert it"),
    "HEIC": ("bad.HEIC", b"ftypheic", "a HEIC file; expected PNG"),
    "bomb": ("bad.png", png_header(30_000, 30_000), "has more than 89,478,485 pixels"),
    "large": ("bad.png", png_header(9_500, 9_500), "has 9,500 × 9,500 pixels; expected at most 89,478,485"),
    "animated PNG": ("bad.png", frames("PNG"), "has 2 frames or pages; expected one picture"),
    "animated WebP": ("bad.webp", frames("WEBP"), "has 2 frames or pages"),
    "pages": ("bad.tif", frames("TIFF", 3), "has 3 frames or pages"),
    "32 bits": ("bad.tif", encoded(DEEP.astype(np.int32), "TIFF"), "holds integers of 32 bits"),
    "floats": ("bad.tif", encoded(DEEP.astype(np.float32), "TIFF"), "holds floats"),
}


@pytest.mark.fault("image-folder")
@pytest.mark.parametrize(("name", "content", "reason"), REJECTED.values(), ids=REJECTED)
def test_what_cannot_be_read_is_listed_with_its_reason_or_skipped(photos, name, content, reason):
    for i in range(3):
        put(photos, f"{i}.png")
    put(photos, name, content)
    error = error_of(photos)
    assert "1 of 4 pictures cannot be used" in error.args[0]
    assert "--skip-bad" in error.args[0]
    (line,) = error.details
    assert line.startswith(f"{name}: {reason}")
    assert str(photos) not in line
    images = data.load(photos, skip_bad=True)
    assert len(images.x_train) + len(images.x_test) == 3
    (told,) = images.reading.dropped
    assert told.startswith(f"1 picture left out as --skip-bad says: {name} (")
    assert images.reading.flags == " --skip-bad"
    assert data.load(photos, skip_bad=True).reading == images.reading
    (photos / name).unlink()
    assert data.load(photos).fingerprint == images.fingerprint


def test_every_rejected_file_is_listed_and_nothing_is_kept(photos, tmp_path):
    for i in range(300):
        put(photos, f"{i}.png", GREY if i == 7 else b"")
    error = error_of(photos)
    assert "299 of 300 pictures" in error.args[0]
    assert error.details[0].startswith("0.png: no PNG")
    assert error.details[9].startswith("10.png")
    assert error.details[-1] == "and 99 more"
    assert len(error.details) == 201
    assert [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []
    few = error_of(photos, skip_bad=True)
    assert "holds 1 picture to train on and test; expected at least 2" in few.args[0]
    assert few.details == error.details


@pytest.mark.fault("image-folder")
def test_links_out_of_the_folder_are_rejected(photos, tmp_path):
    put(tmp_path, "outside/secret.png")
    for name in ("a/1.png", "a/2.png", "b/3.png", "b/4.png"):
        put(photos, name)
    (photos / "a" / "out.png").symlink_to(tmp_path / "outside" / "secret.png")
    (photos / "c").symlink_to(tmp_path / "outside")
    (photos / "b" / "dangling.png").symlink_to(photos / "missing.png")
    (photos / "d").symlink_to(photos / "a")
    (photos / "b" / "same.png").symlink_to("3.png")
    (photos / "notes.txt").symlink_to("/etc/hostname")
    assert {line.partition(";")[0] for line in error_of(photos).details} == {
        "a/out.png: a symbolic link that leads out of the folder",
        "b/dangling.png: a symbolic link to nothing",
        "c: a symbolic link that leads out of the folder",
        "d: a symbolic link to another folder",
    }
    images = data.load(photos, skip_bad=True)
    assert images.classes == ("a", "b")
    assert sorted(sum(images.names, ())) == ["a/1.png", "a/2.png", "b/3.png", "b/4.png", "b/same.png"]
    (tmp_path / "link").symlink_to(photos)
    assert len(data.load(tmp_path / "link", skip_bad=True).x_train) == 4


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_read(photos):
    put(photos, "1.png")
    put(photos, "2.png")
    os.mkfifo(photos / "pipe")
    assert len(data.load(photos).x_train) == 1
    os.mkfifo(photos / "3.png")
    assert error_of(photos).details == ("3.png: no regular file; remove it",)


@pytest.mark.fault("image-folder")
@pytest.mark.parametrize("count", [3, 100])
def test_mixed_sizes_are_counted_and_resized(photos, count):
    for i in range(count):
        put(photos, f"{i:03}.png", number(i, (8, 6)))
    put(photos, "050.png" if count > 3 else "x.png", number(255, (4, 12)))
    error = error_of(photos)
    assert "pictures have 2 sizes; expected one; bring them to one with --resize 6x8" in error.args[0]
    assert error.details[0].startswith(f"6 × 8: {count - (count > 3)} pictures, such as 000.png")
    assert error.details[1].startswith("12 × 4: 1 picture, such as ")
    images = data.load(photos, resize="3x2")
    assert images.image_shape == (2, 3)
    assert images.reading.prepared == (
        "scaled (Lanczos) to cover 3 × 2 pixels, and cropped at the centre",
        f"{len(images.x_train) + len(images.x_test)} of {len(images.x_train) + len(images.x_test)} cropped at the "
        "centre to the proportions asked for",
    )
    assert images.reading.flags == " --resize 3x2"


def test_sizes_that_first_differ_while_reading(photos, monkeypatch):
    monkeypatch.setattr(pictures, "PROBED", 1)
    for i in range(5):
        put(photos, f"{i}.png", number(i, (4, 4) if i == 2 else (3, 4)))
    assert "have 2 sizes" in str(error_of(photos))


def test_resizing_keeps_the_proportions_and_the_centre(photos):
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = (255, 0, 128)
    put(photos, "1.png", wide)
    put(photos, "2.jpg", wide, quality=100, subsampling=0)
    images = data.load(photos, resize=(10, 10))
    for x in (images.x_train[0], images.x_test[0]):
        np.testing.assert_allclose(x[2:-2, 2:-2], np.full((6, 6, 3), (255, 0, 128)), atol=3)
    assert "enlarged" not in str(images.reading.prepared)
    assert "2 of 2 enlarged" in data.load(photos, resize="40x40").reading.prepared


@pytest.mark.parametrize("size", ["64", "0x3", "ax3", "3x4x5", (1.5, 2), "5000x2", (True, "x"), "-1x3", "²x3"])
def test_sizes_that_are_none(photos, size):
    with pytest.raises(InputError, match="expected width and height"):
        data.load(photos, resize=size)


def test_pictures_of_12_bits_take_their_range(photos):
    for i in range(2):
        put(photos, f"{i}.png", DEEP // 16)
    assert data.load(photos).x_train.max() < 16
    images = data.load(photos, value_range=4095)
    np.testing.assert_array_equal(images.x_test[0], np.rint((DEEP // 16) * (255 / 4095)))
    assert images.reading.value_range == 4095
    assert images.reading.prepared == ("2 of 2 of 16 bits, scaled by --range",)
    assert "expected none above 255" in error_of(photos, value_range=255).details[0]
    put(photos, "3.png", GREY)
    assert error_of(photos, value_range=4095).details[0].startswith("3.png: has 8 bits, and --range 4095")


def test_test_images_are_a_share_of_each_class(photos):
    for i in range(60):
        put(photos, f"{'aab'[i % 3]}/{i}.png", number(i))
    images = data.load(photos, test_share=0.25)
    assert np.bincount(images.y_test).tolist() == [10, 5]
    assert images.reading.flags == " --test 0.25"
    assert images.reading.split == "by-class"
    assert np.bincount(data.load(photos).y_test).tolist() == [4, 2]
    put(photos, "train/a/1.png")
    put(photos, "test/a/1.png")
    for folder in "ab":
        (photos / folder).rename(photos / "train" / f"{folder}2")
    assert "has test images of its own" in str(error_of(photos, test_share=0.25))


@pytest.mark.parametrize(
    ("counts", "share", "total"),
    [
        ([50, 30, 20], 0.1, 10),
        ([1, 1, 8], 0.2, 2),
        ([1] * 4, 0.5, 2),
        ([2], 0.1, 1),
        ([3, 2], 0.9, 4),
        ([997, 3], 0.1, 100),
    ],
)
def test_the_random_share_keeps_classes(counts, share, total):
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    mask = choose_by_class(labels, share)
    assert mask.sum() == total
    drawn = np.bincount(labels[mask], minlength=len(counts))
    assert (np.abs(drawn - share * np.array(counts)) <= 1).all()
    assert (drawn < counts).all() or sum(counts) - len(counts) < total
    np.testing.assert_array_equal(mask, choose_by_class(labels, share))


def test_frames_of_a_film_are_told_as_such(photos):
    steps = np.cumsum(RNG.normal(0, 4, (120, 8, 8)), axis=0)
    for i, frame in enumerate(np.rint(255 * (steps - steps.min()) / np.ptp(steps)).astype(np.uint8)):
        put(photos, f"frame{i}.png", frame)
    found = quality.look(data.load(photos))
    assert found.beside > 10
    assert any("Neighbours in this file are alike" in note for note in quality.notes(found))


def entries(tmp_path):
    return sorted(path for path in (tmp_path / "cache" / "pictures").glob("*/*"))


def test_the_second_time_nothing_is_decoded(photos, tmp_path, monkeypatch):
    for i in range(5):
        put(photos, f"{i}.png", number(i))
    images = data.load(photos)
    assert isinstance(images.x_train, np.memmap)
    assert len(entries(tmp_path)) == 1
    with monkeypatch.context() as patch:
        patch.setattr(pictures, "_decode", None)
        assert data.load(photos).fingerprint == images.fingerprint
    put(photos, "0.png", number(9))
    assert data.load(photos).fingerprint != images.fingerprint
    assert len(entries(tmp_path)) == 1  # the older one is gone
    data.load(photos, resize="2x2")
    assert len(entries(tmp_path)) == 2


DAMAGE = {
    "flipped bit": lambda entry: flip(entry / "pixels"),
    "cut pixels": lambda entry: os.truncate(entry / "pixels", 7),
    "no pixels": lambda entry: (entry / "pixels").unlink(),
    "cut index": lambda entry: os.truncate(entry / "index.json", 7),
    "another index": lambda entry: (entry / "index.json").write_text("[1, 2]"),
    "flipped bit in the index": lambda entry: flip(entry / "index.json"),
    "a false shape": lambda entry: lie(entry / "index.json"),
    "a file in its place": lambda entry: (entry.rename(entry.with_suffix(".x")), entry.write_bytes(b"")),
}


def flip(path):
    raw = bytearray(path.read_bytes())
    raw[3] ^= 1
    path.write_bytes(raw)


def lie(path):
    text = json.dumps(json.loads(path.read_text().partition("\n")[0]) | {"shape": [2**40, 2**40, 1]})
    path.write_text(f"{text}\n{zlib.crc32(text.encode())}")


@pytest.mark.fault("image-folder", "cache")
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_cache_is_made_again(photos, tmp_path, damage):
    for i in range(5):
        put(photos, f"{i}.png", number(i))
    expected = data.load(photos).fingerprint
    (entry,) = entries(tmp_path)
    damage(entry)
    assert data.load(photos).fingerprint == expected
    assert entries(tmp_path) == [entry]
    assert cache.opened(entry)


@pytest.mark.fault("image-folder", "cache-folder")
def test_a_cache_that_cannot_be_written_is_named(photos, tmp_path, monkeypatch):
    put(photos, "1.png")
    put(photos, "2.png")
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(InputError, match=r"cannot write to the cache folder .*LATENTFIT_CACHE_DIR"):
        data.load(photos)
    (tmp_path / "cache").unlink()
    monkeypatch.setattr(pictures.shutil, "disk_usage", lambda _: os.statvfs_result([0] * 10) and Room())
    assert "take 60 bytes, and the cache folder" in str(error_of(photos))


class Room:
    free = 59


LOAD = """
import sys
from latentfit import data
print(data.load(sys.argv[1]).fingerprint)
"""


@pytest.mark.fault("image-folder", "fetch-twice")
def test_several_processes_at_once_and_one_that_was_killed(photos, tmp_path):
    for i in range(300):
        put(photos, f"{i}.png", number(i % 256))
    command = [sys.executable, "-c", LOAD, str(photos)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    printed = {process.communicate(timeout=120)[0] for process in running}
    assert {process.returncode for process in running} == {0}
    assert printed == {f"{data.load(photos).fingerprint}\n"}
    (entry,) = entries(tmp_path)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = entry.parent / f"{cache.PART}{cache.socket.gethostname()}-{dead.pid}-x"
    mine = entry.parent / f"{cache.PART}{cache.socket.gethostname()}-{os.getpid()}-x"
    left.mkdir()
    mine.mkdir()
    put(photos, "new.png", number(3))
    data.load(photos)
    assert not left.exists()
    assert mine.exists()  # its process lives


def test_processes_and_threads_give_the_same(photos, monkeypatch):
    for i in range(230):
        put(photos, f"{i}.png", number(i) if i != 7 else b"broken")
    one = data.load(photos, skip_bad=True)
    monkeypatch.setattr(pictures, "MANY", 1)
    monkeypatch.setattr(cache, "VERSION", -1)
    other = data.load(photos, skip_bad=True)
    assert (other.fingerprint, other.names, other.reading) == (one.fingerprint, one.names, one.reading)


@pytest.mark.fault("names")
def test_names_of_any_kind_are_one_line(photos):
    for i in range(4):
        put(photos, f"{'a<b>' if i % 2 else 'two' + chr(10) + 'lines'}/{i}.png", number(i))
    images = data.load(photos)
    assert images.classes == ("a<b>", r"two\nlines")
    put(photos, "bad\nname.png", b"")
    assert error_of(photos).details[0].startswith(r"bad\nname.png: beside a<b>/ and two\nlines/")


def test_too_many_classes_are_left_out(photos, monkeypatch):
    monkeypatch.setattr(pictures, "MAX_CLASSES", 3)
    for i in range(8):
        put(photos, f"{i % 4}/{i}.png", number(i))
    images = data.load(photos)
    assert images.classes is None
    assert images.reading.labels_left_out == 4


def test_names_follow_images_that_are_held_out(photos):
    for i in range(60):
        put(photos, f"{i}.png", number(i))
    images = data.load(photos).with_held_out()
    for x, names in zip((images.x_train, images.x_test, images.x_val), images.names, strict=True):
        assert [f"{image[0, 0]}.png" for image in x] == [*names]
    with pytest.raises(InputError, match="names for"):
        data.ImageSet("a", images.x_train, images.x_test, names=images.names)


GROUPED = {  # group, files by group, whether there are classes
    "folders below classes": ("folder", lambda i: (f"{'ab'[i % 2]}/p{i // 6 % 12}/{i}.png", f"p{i // 6 % 12}"), True),
    "folders": ("folder", lambda i: (f"p{i % 12}/{i}.png", f"p{i % 12}"), False),
    "names in classes": ("prefix", lambda i: (f"{'ab'[i % 2]}/p{i // 6 % 12}_{i}.png", f"p{i // 6 % 12}"), True),
    "names": ("prefix", lambda i: (f"p{i % 12}-{i}_x.png", f"p{i % 12}"), False),
}


@pytest.mark.parametrize(("kind", "place", "has_classes"), GROUPED.values(), ids=GROUPED)
def test_groups_stay_on_one_side_of_every_split(photos, kind, place, has_classes):
    groups = {}
    for i in range(240):
        name, groups[i] = place(i)
        put(photos, name, number(i))
    images = data.load(photos, group=kind, test_share=0.25).with_held_out()
    assert (images.classes is not None) == has_classes
    found = [{groups[int(x[0, 0])] for x in part} for part in (images.x_train, images.x_test, images.x_val)]
    assert all(found)
    assert sum(map(len, found)) == len(set.union(*found)) == 12
    assert 30 <= len(images.x_test) <= 90
    assert images.reading.flags == f" --test 0.25 --group {kind}"
    plain = data.load(photos, test_share=0.25)
    assert {groups[int(x[0, 0])] for x in plain.x_test} & {groups[int(x[0, 0])] for x in plain.x_train}


def test_groups_that_are_none_are_refused(photos):
    for i in range(9):
        put(photos, f"a/{i}.png", number(i))
        put(photos, f"b/IMG_{i}.png", number(i + 9))
    with pytest.raises(InputError, match="expected folder or prefix"):
        data.load(photos, group="column")
    for i in range(9):
        (photos / "a" / f"{i}.png").rename(photos / "a" / f"IMG_{i + 9}.png")
    with pytest.raises(InputError, match="all 18 are of one group, 'IMG'"):
        data.load(photos, group="prefix")
    put(photos / "c", "1.png")
    with pytest.raises(InputError, match="is in no folder below; expected one for each group"):
        data.load(photos / "b", group="folder")


def test_options_of_pictures_are_refused_elsewhere(tmp_path):
    np.save(tmp_path / "a.npy", RNG.integers(0, 256, (20, 3, 3), np.uint8))
    for option in ({"resize": "3x3"}, {"skip_bad": True}, {"group": "folder"}):
        assert "expected a folder of pictures" in str(error_of(tmp_path / "a.npy", **option))
        with pytest.raises(InputError, match="leave that out"):
            data.load("garments", **option)


def test_a_scan_needs_folders_that_can_be_read(photos, monkeypatch):
    def deny(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", deny)
    with pytest.raises(InputError, match=r"Permission denied; expected a folder that can be read"):
        scan(photos)


def test_any_exception_of_a_decoder_is_a_reason(photos, monkeypatch):
    path = put(photos, "a.png")

    def explode(*_, **__):
        raise RecursionError(f"deep in {path}")

    monkeypatch.setattr(Image, "open", explode)
    assert decode_all([str(path)], None, None) == ["damaged: deep in a.png; get the file again"]


def test_the_requested_reading_is_repeated_by_its_flags():
    reading = Reading.requested(4095, 0.2, (64, 48), True, (28, 28), "prefix")
    assert reading.flags == " --range 4095 --test 0.2 --shape 28 28 --resize 64x48 --group prefix --skip-bad"
    assert Reading.requested().flags == ""
