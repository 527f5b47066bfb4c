"""Tables whose rows are no pixels: columns by their names, labels, groups and names of rows, and what is refused."""

import numpy as np
import pandas
import pytest

from latentfit import data
from latentfit.data import delimited
from latentfit.data.images import ImageSet
from latentfit.errors import InputError

RNG = np.random.default_rng(0)
N = 40
FRAME = pandas.DataFrame(
    {
        "mass": RNG.normal(70, 9, N).round(2),
        "height": RNG.normal(1.7, 0.1, N).round(3),
        "legs": np.full(N, 2),
        "count": RNG.integers(-5, 900, N),
    }
)
KIND = [("cat", "dog")[i % 2] for i in range(N)]
PLANT = [f"p{i // 4}" for i in range(N)]
NUMBERS = FRAME.to_numpy(np.float32)


def write(frame, path, **options):
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, **{"index": False, **options})
    return path


def error_of(path, **options):
    with pytest.raises(InputError) as caught:
        data.load(path, **options)
    return str(caught.value)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.parquet"])
def test_a_table_is_rows_of_numbers(tmp_path, name):
    images = data.load(write(FRAME, tmp_path / name, sep="\t" if name == "a.tsv" else ","))
    assert images.is_rows
    assert images.columns == ("mass", "height", "legs", "count")
    np.testing.assert_array_equal(images.x_test, NUMBERS[9::10])
    np.testing.assert_array_equal(images.x_train, np.delete(NUMBERS, np.arange(9, N, 10), axis=0))
    assert images.x_train.dtype == np.float32
    assert images.classes is None
    assert images.description.scale == "columns"
    assert images.seen.columns == ("mass", "height", "count")
    assert data.load(tmp_path / name, scale="none").description.scale == "none"
    assert len(data.load(tmp_path / name, test_share=0.5).x_test) == 20


SEPARATORS = {",": ",", "semicolon": ";", "tab": "\t"}


@pytest.mark.parametrize("mark", SEPARATORS.values(), ids=SEPARATORS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_separators_and_line_ends(tmp_path, mark, end):
    path = write(FRAME.assign(label=KIND), tmp_path / "a.csv", sep=mark, lineterminator=end)
    images = data.load(path)
    np.testing.assert_array_equal(images.x_test, NUMBERS[9::10])
    assert images.classes == ("cat", "dog")


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_labels(tmp_path, name):
    path = tmp_path / name
    write(FRAME.assign(label=KIND), path)
    images = data.load(path)
    assert images.classes == ("cat", "dog")
    assert images.y_test.tolist() == [i % 2 for i in range(9, N, 10)]
    write(FRAME.assign(species=KIND, label=range(N)), path)
    images = data.load(path, label="species")
    assert images.classes == ("cat", "dog")
    assert images.columns[-1] == "label"
    assert images.reading.flags == " --label species"
    assert "has no column 'kind'; expected one of 'mass', 'height', 'legs', 'count', 'species'" in error_of(
        path, label="kind"
    )
    write(FRAME.assign(label=KIND, target=KIND), path)
    assert "'label' and 'target' may be labels; expected one; name it with --label" in error_of(path)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_target_of_fractions_is_left_out_and_told(tmp_path, name):
    path = write(FRAME.assign(target=RNG.normal(size=N)), tmp_path / name)
    images = data.load(path)
    assert images.columns == ("mass", "height", "legs", "count")
    assert images.classes is None
    assert images.reading.dropped == ("Column 'target' is left out: its numbers are no classes.",)
    assert "the labels 'target' are fractions; expected classes" in error_of(path, label="target")


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_groups_are_on_one_side_of_every_split(tmp_path, name):
    patient = [f"p{i // 4}" for i in range(N)]
    path = write(FRAME.assign(patient=patient, label=KIND), tmp_path / name)
    images = data.load(path, group="patient", test_share=0.3)
    assert len(images.x_test) == 12
    place = {tuple(row): patient[i] for i, row in enumerate(NUMBERS.tolist())}
    train, test = ({place[tuple(row)] for row in x.tolist()} for x in (images.x_train, images.x_test))
    assert not train & test
    assert train | test == set(patient)
    assert images.groups.tolist() == [place[tuple(row)] for row in images.x_train.tolist()]
    held_out = images.seen.with_held_out()
    assert held_out.x_val is not None
    assert not {*held_out.groups.tolist()} & {*images.groups.tolist()} - {*held_out.groups.tolist()}
    assert len(held_out.x_val) % 4 == 0
    write(FRAME.assign(patient="p"), path)
    assert "all 40 are of one group, 'p'; expected at least 2 groups" in error_of(path, group="patient")
    assert "has no column 'ward'" in error_of(path, group="ward")


def test_names_of_rows(tmp_path):
    named = FRAME.set_axis([f"cell {i}" for i in range(N)])
    for images in (
        data.load(write(named, tmp_path / "a.csv", index=True)),
        data.load(write(named, tmp_path / "a.parquet")),
    ):
        assert images.columns == ("mass", "height", "legs", "count")
        assert images.names.test == ("cell 9", "cell 19", "cell 29", "cell 39")
    for label, told in ((None, ()), ("id", ("Column 'id' is taken for names of the rows, and not trained on.",))):
        numbered = data.load(write(FRAME, tmp_path / "b.csv", index=True, index_label=label))
        assert numbered.columns == ("mass", "height", "legs", "count")
        assert numbered.names.test == ("9", "19", "29", "39")
        assert numbered.reading.dropped == told


def test_tables_for_training_and_test(tmp_path):
    write(FRAME[:30].assign(label=KIND[:30]), tmp_path / "train.csv")
    write(FRAME[30:].assign(label=KIND[30:]), tmp_path / "test.csv")
    images = data.load(tmp_path)
    np.testing.assert_array_equal(images.x_test, NUMBERS[30:])
    assert images.classes == ("cat", "dog")
    write(FRAME[30:].rename(columns={"mass": "weight"}), tmp_path / "test.csv")
    assert "the columns of test.csv are not those of train.csv: 'mass' is in one of them" in error_of(tmp_path)
    write(FRAME[30:][["height", "mass", "legs", "count"]], tmp_path / "test.csv")
    assert "the columns of test.csv are not those of train.csv: they are in another order" in error_of(tmp_path)
    both = [FRAME[:30].assign(ward="a"), FRAME[30:].assign(ward="a")]
    for frame, name in zip(both, ("train.csv", "test.csv"), strict=True):
        write(frame, tmp_path / name)
    assert "group 'a' is in train.csv and in test.csv, and 0 more are" in error_of(tmp_path, group="ward")
    with pytest.raises(InputError, match="group 'a' is in train and in test"):
        ImageSet.of(both[0], test=both[1], group="ward")
    with pytest.raises(InputError, match="the columns of test are not those of train: they are in another order"):
        ImageSet.of(FRAME, test=FRAME[FRAME.columns[::-1]])
    with pytest.raises(InputError, match="train: a ndarray with a group; expected a pandas frame"):
        ImageSet.of(NUMBERS, group="ward")


BAD = {
    "text": (FRAME.assign(town="Rome", land="Italy"), "columns 'town', 'land' hold text; expected numbers"),
    "a number as text": (FRAME.assign(size=["1", "2x"] * 20), "column 'size' holds text"),
    "missing": (
        FRAME.assign(mass=FRAME["mass"].where(FRAME.index % 5 > 0), size=FRAME["mass"].where(FRAME.index > 1)),
        "10 values missing, NaN or infinite: 'mass' 8, 'size' 2, the first in row 0",
    ),
    "infinite": (
        FRAME.assign(size=np.where(FRAME.index == 3, np.inf, 1.5)),
        "1 value missing, NaN or infinite: 'size' 1",
    ),
    "large": (FRAME.assign(size=FRAME["mass"] * 1e20), "numbers go to"),
    "one column": (FRAME[["mass"]], "has 1 column"),
    "one column and labels": (FRAME[["mass"]].assign(label=KIND), "has one column; expected two or more"),
    "no rows": (FRAME[:0], "rows"),
    "one row": (FRAME[:1], "expected at least 2 images"),
}


@pytest.mark.fault("table")
@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
@pytest.mark.parametrize(("frame", "message"), BAD.values(), ids=BAD)
def test_tables_that_are_refused(tmp_path, frame, message, name):
    assert message in error_of(write(frame, tmp_path / name))


@pytest.mark.fault("table")
def test_a_table_of_equal_rows_is_refused(tmp_path):
    images = data.load(write(FRAME[:1].loc[[0] * 12], tmp_path / "a.csv"))
    with pytest.raises(InputError, match="all training rows are equal"):
        _ = images.seen


def test_what_is_guessed_is_told(tmp_path):
    path = tmp_path / "a.csv"
    write(FRAME.assign(y=[i % 3 for i in range(N)]), path)
    assert data.load(path).reading.dropped == (
        "Column 'y' is taken for classes, and not trained on; --label names another.",
    )
    write(FRAME.assign(x=1.5, y=[i % 3 for i in range(N)]), path)
    assert "y" in data.load(path).columns  # a coordinate
    write(FRAME, path, header=False)
    images = data.load(path)
    assert images.columns == ("0", "1", "2", "3")
    assert len(images.x_train) + len(images.x_test) == N
    assert images.reading.dropped[0].startswith("There is no header: the first line is read as a row")
    write(FRAME.assign(kind=KIND), path, header=False)
    assert data.load(path, label="4").classes == ("cat", "dog")
    assert len(data.load(path, label="4").x_train) == 36
    assert "column '4' holds text" in error_of(path)
    write(FRAME.set_axis([1, 2, 3, 4], axis=1).astype(int), path)
    assert data.load(path).is_rows  # too small for images that nothing names


def test_a_header_of_wavelengths(tmp_path):
    path = tmp_path / "a.csv"
    waves = [f"{wave}" for wave in range(400, 500, 10)]
    spectra = pandas.DataFrame(RNG.normal(size=(N, 10)).round(4), columns=waves)
    for frame, options in (
        (spectra, {}),
        (spectra.assign(kind=KIND, plant=PLANT)[["kind", "plant", *waves]], {"label": "kind", "group": "plant"}),
        (spectra.assign(label=KIND), {}),
        (spectra[waves[::-1]], {}),
    ):
        images = data.load(write(frame, path), **options)
        assert {*images.columns} == {*waves}
        assert len(images.x_train) + len(images.x_test) == N
        assert any("--scale none compares them in it" in note for note in images.reading.dropped)
    assert data.load(path, scale="columns").reading.dropped == ()
    named = data.load(write(spectra.rename(columns=lambda wave: f"{wave}.5 nm"), path))
    assert named.columns[0] == "400.5 nm"
    assert any("--scale none" in note for note in named.reading.dropped)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1"])
def test_encodings(tmp_path, encoding):
    write(FRAME.rename(columns={"mass": "Größe"}), tmp_path / "a.csv", encoding=encoding)
    assert data.load(tmp_path / "a.csv").columns[0] == "Größe"
    write(FRAME, tmp_path / "a.csv", encoding="utf-16")
    assert "is UTF-16; expected UTF-8" in error_of(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + FRAME.to_csv(index=False, header=False).encode())
    assert len(data.load(tmp_path / "a.csv").x_train) == 36


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_missing_labels_and_groups_are_refused(tmp_path, name):
    path = write(FRAME.assign(kind=["cat", None] * 20), tmp_path / name)
    for options in ({"label": "kind"}, {"group": "kind"}):
        assert "20 values missing, NaN or infinite: 'kind' 20, the first in row 1" in error_of(path, **options)


def test_numbers_that_float32_cannot_tell_apart_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.stack([1.7e9 + np.arange(60.0), np.arange(60.0)], axis=1))
    assert "column '0' varies by less than float32 can hold" in error_of(tmp_path / "a.npy")


def test_test_rows_far_from_the_training_rows_have_a_note():
    x = RNG.normal(size=(60, 3)).astype(np.float32)
    far = x[:20].copy()
    far[3, 1] = 900
    told = ImageSet.of(x, test=far).seen.reading.dropped
    assert told[0].startswith("In the test rows column '1' lies more than 10 deviations of the training rows")


def test_the_groups_are_a_part_of_the_set(tmp_path):
    first = write(FRAME.assign(ward=[f"w{i % 5}" for i in range(N)]), tmp_path / "a.csv")
    second = write(FRAME.assign(ward=[f"w{i % 4}" for i in range(N)]), tmp_path / "b.csv")
    assert data.load(first, group="ward").fingerprint != data.load(second, group="ward").fingerprint


def test_names_come_once(tmp_path):
    (tmp_path / "a.csv").write_text("a,b,a\n1,2,3\n4,5,6\n")
    assert "has several columns 'a'" in error_of(tmp_path / "a.csv")


def test_decimal_commas_are_named(tmp_path):
    write(FRAME, tmp_path / "a.csv", sep=";", decimal=",")
    assert "column 'mass' has numbers with commas, such as 7" in error_of(tmp_path / "a.csv")


def test_a_damaged_parquet_file(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1junkPAR1")
    assert "not a sound Parquet file" in error_of(tmp_path / "a.parquet")


def test_parquet_takes_libraries_that_may_be_missing(tmp_path, monkeypatch):
    path = write(FRAME, tmp_path / "a.parquet")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    assert "install them with pip install 'latentfit[tables]'" in error_of(path)


def test_more_columns_than_rows(tmp_path):
    wide = pandas.DataFrame(RNG.normal(size=(12, 90)), columns=[f"gene {i}" for i in range(90)])
    images = data.load(write(wide, tmp_path / "a.csv"))
    assert images.seen.image_shape == (90,)


@pytest.mark.parametrize("scale", [None, "columns", "none"])
def test_arrays_of_rows(tmp_path, scale):
    np.save(tmp_path / "a.npy", NUMBERS.astype(float))
    np.savez(tmp_path / "a.npz", x_train=NUMBERS[:30], x_test=NUMBERS[30:])
    for name, test in (("a.npy", NUMBERS[9::10]), ("a.npz", NUMBERS[30:])):
        images = data.load(tmp_path / name, scale=scale)
        np.testing.assert_array_equal(images.x_test, test)
        assert images.columns == ("0", "1", "2", "3")
    bad = NUMBERS.copy()
    bad[5, 1] = np.nan
    np.save(tmp_path / "a.npy", bad)
    assert "1 value missing, NaN or infinite: '1' 1, the first in row 5" in error_of(tmp_path / "a.npy")


def test_rows_of_bytes_may_be_images_and_that_is_said(tmp_path):
    np.save(tmp_path / "a.npy", RNG.integers(0, 256, (30, 784), np.uint8))
    images = data.load(tmp_path / "a.npy")
    assert images.is_rows
    assert "If they are images, read them with --shape 28 28." in images.reading.dropped[0]
    assert data.load(tmp_path / "a.npy", shape=(28, 28)).image_shape == (28, 28)


def test_scaling_is_for_rows(tmp_path):
    np.save(tmp_path / "a.npy", RNG.integers(0, 256, (30, 8, 8), np.uint8))
    assert "with --scale, which is for rows of numbers" in error_of(tmp_path / "a.npy", scale="columns")
    with pytest.raises(InputError, match="garments is a data set whose pixels"):
        data.load("garments", scale="none")


def test_options_of_the_wrong_kind(tmp_path):
    path = write(FRAME, tmp_path / "a.csv")
    for options, message in (
        ({"scale": "sqrt"}, "scale 'sqrt'; expected columns or none"),
        ({"label": 3}, "label 3; expected text"),
        ({"resize": (3, 3)}, "expected a folder of pictures with --resize 3x3"),
    ):
        assert message in error_of(path, **options)


def test_from_python():
    images = ImageSet.of(FRAME.assign(kind=KIND, ward=[f"w{i // 10}" for i in range(N)]), label="kind", group="ward")
    assert images.columns == ("mass", "height", "legs", "count")
    assert images.classes == ("cat", "dog")
    assert len(images.x_test) == 10
    rows = ImageSet.of((NUMBERS, KIND), scale="none")
    assert rows.description.scale == "none"
    np.testing.assert_array_equal(rows.x_test, NUMBERS[9::10])
    nullable = FRAME.assign(count=FRAME["count"].astype("Int64"), legs=FRAME["legs"] == 2)
    np.testing.assert_array_equal(ImageSet.of(nullable).x_test[:, 3], NUMBERS[9::10, 3])
    with pytest.raises(InputError, match="1 value missing, NaN or infinite: 'count' 1"):
        ImageSet.of(nullable.assign(count=nullable["count"].where(FRAME.index != 2)))


def test_text_that_is_read_slowly_is_what_is_read_fast(tmp_path, monkeypatch):
    whole = pandas.DataFrame(RNG.integers(0, 999, (200, 6)), columns=[*"abcdef"]).assign(label=RNG.integers(0, 3, 200))
    path = write(whole, tmp_path / "a.csv")
    fast = data.load(path)
    monkeypatch.setattr(delimited, "_parse", lambda *_: None)
    assert data.load(path).fingerprint == fast.fingerprint
