"""The tables: a row for every size, and a dash for what was not measured."""

from dataclasses import replace
from itertools import pairwise

import pytest
from factories import BETTER, MANY, MANY_SEEDS, SEEDS, results

from latentfit.measure import answer, headline
from latentfit.report import tables
from latentfit.stats import Mean, mean_interval

ERRORS = {  # of studies of all kinds
    "one seed": BETTER,
    "many sizes": MANY,
    "seeds": SEEDS,
    "many sizes and seeds": MANY_SEEDS,
    "one size": {16: 0.02},
}


def of_rows(found):
    """The same results of rows of numbers."""
    dataset = replace(found.dataset, scale="columns", columns=("mass", "height"), image_shape=(2,))
    models = tuple(replace(model, test_mse_by_column=(0.04, 3.0)) for model in found.models)
    return replace(found, dataset=dataset, models=models, pca_curve=found.pca, column_deviations=(0.5, 10.0))


def cells(table):
    """The rows of a table, each as a dict by column."""
    header, rows = table
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_sentences_name_a_few_sizes_and_the_tables_all():
    found = results(MANY)
    for table in (tables.codes, tables.interpolations, tables.trust, tables.compression):
        first = {row[0].removesuffix(" dimensions").removesuffix(" dimension") for row in table(found)[1]}
        assert {str(k) for k in MANY} <= first, table
    couples = [(row["from"], row["to"]) for row in cells(tables.compared(found))]
    assert couples == [(str(a), str(b)) for a, b in [*pairwise(MANY), (1, 48)]]


@pytest.mark.parametrize("errors", ERRORS.values(), ids=ERRORS)
def test_every_column_of_every_table_has_a_term_in_the_order_of_the_page(errors):
    drawn = tables.all_tables(results(errors))
    columns = [column for table in drawn.values() for column in table.header]
    assert list(tables.terms(drawn)) == list(dict.fromkeys(columns))
    assert all(words.endswith(".") for words in tables.terms(drawn).values())


def test_there_is_no_term_that_no_table_has():
    found = [results(errors) for errors in ERRORS.values()]
    drawn = [table for each in (*found, of_rows(found[0])) for table in tables.all_tables(each).values()]
    assert set(tables.TERMS) == {column for table in drawn for column in table.header}
    assert tables.terms({}) == {}


@pytest.mark.parametrize(("errors", "last"), [(MANY, ["lower on"]), (MANY_SEEDS, [])])
def test_comparisons_are_of_networks_or_with_seeds_of_sizes(errors, last):
    header, _ = table = tables.compared(results(errors))
    assert header == ["from", "to", "error at from", "error at to", "change", "difference", *last]
    rows = cells(table)
    assert rows[3]["difference"].endswith(", not significant")  # 8 and 16 are equal, 16 and 24 are not
    mean, _, half = rows[4]["difference"].partition(" ± ")
    (test,) = (t for sizes, t in headline.comparable(results(errors)) if sizes == (16, 24))
    assert float(mean) == pytest.approx(test.difference, rel=0.01)
    assert float(half) == pytest.approx((test.interval[1] - test.interval[0]) / 2, rel=0.2)  # one digit


def test_a_comparison_of_sizes_may_go_the_other_way_than_that_of_their_first_networks():
    errors = {(k, seed): e for k, e in ((4, 0.04), (8, 0.05), (16, 0.02)) for seed in range(3)} | {(8, 0): 0.036}
    first = cells(tables.compared(results(errors)))[0]
    assert [first[name] for name in ("from", "to", "error at from", "error at to")] == ["4", "8", "0.0400", "0.0453"]
    assert first["change"] == "+13 %"
    assert first["difference"].endswith(", not significant")


@pytest.mark.parametrize(
    ("errors", "notes"),
    [
        (
            MANY,
            {
                "Results of each size": "Each size was trained once: no number has an interval across seeds.",
                "Interpolations in numbers": "Means over 20 pairs of training images.",
            },
        ),
        (
            MANY_SEEDS,
            {
                "The codes of each size": "The k-NN accuracy is measured on the network of seed 0 at each size.",
                "Interpolations in numbers": "Means over 20 pairs of training images. Measured on the network of seed "
                "0 at each size.",
                "Bytes of a code of 8 bits a dimension": "Measured on the network of seed 0 at each size.",
                "Codes of other bits a dimension": "Measured on the network of seed 0 at each size.",
            },
        ),
    ],
)
def test_a_note_says_what_is_of_one_training(errors, notes):
    drawn = tables.all_tables(results(errors))
    assert list(drawn) == [
        "Latent size for each share of the variance",
        "Results of each size",
        "Sizes compared",
        "Interpolations in numbers",
        "The codes of each size",
        "Bytes of a code of 8 bits a dimension",
        "Codes of other bits a dimension",
        "What the numbers rest on",
    ]
    assert {name: table.note for name, table in drawn.items() if table.note} == notes


@pytest.mark.fault("no-variance")
@pytest.mark.parametrize(
    ("errors", "variance"), [(BETTER, 0.1), (MANY, 5.7e-10), ({k: 10 * e for k, e in MANY.items()}, 0.1)]
)
def test_without_two_comparisons_there_is_no_table_of_them(errors, variance):
    assert tables.compared(results(errors, variance=variance)) is None


def test_what_the_numbers_rest_on_is_a_row_a_size():
    found = results(SEEDS)
    found = replace(found, models=tuple(replace(m, last_tenth_fall=(0.001, 0.005)[m.seed]) for m in found.models))
    rows = cells(tables.trust(found))
    low, high = mean_interval([m.test_explained_variance for m in found.models if m.latent_dim == 16]).interval
    low_image, high_image = found.sampling[0].test_explained_variance
    assert list(rows[0].values()) == [
        *("16", "-", "2", f"± {50 * (high - low):.2f}", f"± {50 * (high_image - low_image):.2f}", "-0.3 %", "+11.1 %")
    ]
    failed = cells(tables.trust(results({}, failures=[(16, 0), (48, 0)])))[0]
    assert list(failed.values()) == ["16", "training failed", "0", "-", "-", "-", "-"]


@pytest.mark.fault("no-variance")
def test_how_far_an_explained_variance_below_0_could_move_is_not_reported():
    rows = cells(tables.trust(results({(k, s): e + s / 10 for k, e in ((16, 0.3), (48, 0.2)) for s in (0, 1)})))
    assert {(row["over seeds"], row["over images"]) for row in rows} == {("-", "-")}


def test_what_was_not_measured_is_a_dash_and_no_network_is_no_table():
    found, none = results(BETTER, labels=False, test_sharpness=0.7), results({}, failures=[(16, 0)])
    assert cells(tables.codes(found))[0]["k-NN accuracy"] == "-"
    assert cells(tables.interpolations(found))[-1]["drift"] == "-"
    assert tables.codes(none) is tables.compression(none) is None


def test_the_codes_have_means_over_seeds_and_an_accuracy_with_its_interval():
    found = results(SEEDS)
    models = tuple(replace(m, test_sharpness=(0.6, 0.68)[m.seed]) for m in found.models)
    sizes = (replace(found.sizes[0], effective_dim=Mean(4.0, None)), found.sizes[1])
    of = found.lost.neighbours
    neighbours = replace(of, test_images=1600, models=(replace(of.models[0], accuracy=0.9), *of.models[1:]))
    found = replace(found, models=models, sizes=sizes, lost=replace(found.lost, neighbours=neighbours))
    half = 1.96 * (0.9 * 0.1 / 1600) ** 0.5
    assert tables.codes(found)[1][0] == ["16", "4.0", "25 %", "64 %", f"90.0 ± {100 * half:.1f} %"]


def test_codes_stand_beside_pca_with_the_same_bytes_and_jpeg_with_the_same_error():
    found = results(BETTER)
    (small, large), count = found.lost.compression.models, 70_000
    rows = [replace(row, test_mse=0.021, pca_test_mse=0.031) for row in small.bits]
    rows[3] = replace(rows[3], pca_test_mse=None)
    models = (replace(small, jpeg_bytes=123.4, bits=tuple(rows), decoder_bytes=5 * count), large)
    compression = replace(found.lost.compression, models=models)
    found = replace(found, lost=replace(found.lost, compression=compression))
    header, (first, second) = tables.compression(found)
    assert header == ["latent", "bytes", "test MSE", "PCA, same bytes", "JPEG bytes", "with decoder"]
    assert first == ["16", "16", "0.0210", "0.0310", "123", "21"]
    assert (second[0], second[4]) == ("48", "4")
    header, rows = tables.bits(found)
    assert header == ["latent", "bits", "bytes", "test MSE", "PCA, same bytes"]
    assert rows[:4] == [
        ["16", "32", "64", "0.0210", "0.0310"],
        ["16", "8", "16", "0.0210", "0.0310"],
        ["16", "6", "12", "0.0210", "0.0310"],
        ["16", "4", "8", "0.0210", "-"],
    ]
    assert [row[:3] for row in rows[4:]] == [["48", str(bits), f"{6 * bits}"] for bits in (32, 8, 6, 4)]


def test_settings_say_what_was_asked():
    found = results({(16, 0): 0.02, (16, 1): 0.02, (48, 0): 0.01})
    assert [name for name, _ in tables.settings(found)] == ["Data", "Sizes", "Seeds"]
    dataset = replace(found.dataset, value_range=16.0, test_share=0.25)
    asked = dict(tables.settings(replace(found, dataset=dataset, verdict=answer.answer(found.models, 0.9))))
    assert asked["Data"] == "clothes: 60,000 training and 10,000 test images of 28 × 28 pixels"
    assert asked["Seeds"] == "1 to 2 per size (seeds 0 and 1)"
    assert (asked["Pixel values"][:7], asked["Test images"][:4], asked["To keep"][:4]) == ("0 to 16", "25 %", "90 %")
