"""The tables: a row for every size, and a dash for what was not measured."""

from dataclasses import replace
from itertools import pairwise

import pytest
from factories import BETTER, MANY, MANY_SEEDS, SEEDS, results

from latentfit.measure import answer
from latentfit.report import tables
from latentfit.stats import mean_interval


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


def test_comparisons_are_of_networks_and_with_seeds_also_of_sizes():
    rows = cells(tables.compared(results(MANY_SEEDS)))
    for p in ("p, paired", "p over seeds"):  # 8 and 16 are equal, 16 and 24 are not
        assert float(rows[3][p]) > 0.05
        assert rows[4][p] == "< 0.001"
    assert "p over seeds" not in tables.compared(results(MANY))[0]
    errors = {(k, seed): e for k, e in ((4, 0.04), (8, 0.05), (16, 0.02)) for seed in range(3)} | {(8, 0): 0.036}
    first = cells(tables.compared(results(errors)))[0]
    assert (first["change"], first["change over seeds"]) == ("-10 %", "+13 %")


@pytest.mark.fault("no-variance")
@pytest.mark.parametrize(
    ("errors", "variance"), [(BETTER, 0.1), (MANY, 5.7e-10), ({k: 10 * e for k, e in MANY.items()}, 0.1)]
)
def test_without_two_comparisons_there_is_no_table_of_them(errors, variance):
    assert tables.compared(results(errors, variance=variance)) is None


def test_what_the_numbers_rest_on_is_a_row_a_size():
    found = results(SEEDS)
    rows = cells(tables.trust(found))
    low, high = mean_interval([m.test_explained_variance for m in found.models if m.latent_dim == 16]).interval
    low_image, high_image = found.sampling[0].test_explained_variance
    assert list(rows[0].values()) == [
        *("16", "2", f"± {50 * (high - low):.2f}", f"± {50 * (high_image - low_image):.2f}", "-0.1 %", "+11.1 %", "-")
    ]
    failed = cells(tables.trust(results({}, failures=[(16, 0), (48, 0)])))[0]
    assert list(failed.values()) == ["16", "0", "-", "-", "-", "-", "failed"]


@pytest.mark.fault("no-variance")
def test_how_far_an_explained_variance_below_0_could_move_is_not_reported():
    rows = cells(tables.trust(results({(k, s): e + s / 10 for k, e in ((16, 0.3), (48, 0.2)) for s in (0, 1)})))
    assert {(row["over seeds"], row["over images"]) for row in rows} == {("-", "-")}


def test_what_was_not_measured_is_a_dash_and_no_network_is_no_table():
    found, none = results(BETTER, labels=False, test_sharpness=0.7), results({}, failures=[(16, 0)])
    assert tables.codes(found)[1][0] == ["16", "3.0", "19 %", "70 %", "-"]
    assert cells(tables.interpolations(found))[-1]["drift"] == "-"
    compression = replace(found.lost.compression, raw_bytes=3136, png_bytes=None, zlib_bytes=None)
    _, rows = tables.compression(replace(found, lost=replace(found.lost, compression=compression)))
    assert rows[0][5:8] == ["49.0", "-", "-"]
    assert [row[:3] for row in rows[:4]] == [["16", str(bits), f"{2 * bits}"] for bits in (32, 8, 6, 4)]
    assert tables.codes(none) is tables.compression(none) is None


def test_settings_say_what_was_asked():
    found = results({(16, 0): 0.02, (16, 1): 0.02, (48, 0): 0.01})
    assert [name for name, _ in tables.settings(found)] == ["Data", "Sizes", "Trainings"]
    dataset = replace(found.dataset, value_range=16.0, test_share=0.25)
    asked = dict(tables.settings(replace(found, dataset=dataset, verdict=answer.answer(found.models, 0.9))))
    assert asked["Data"] == "clothes: 60,000 training and 10,000 test images of 28 × 28 pixels"
    assert asked["Trainings"] == "1 to 2 trainings of each size, seeds 0 and 1"
    assert (asked["Pixel values"][:7], asked["Test images"][:4], asked["To keep"][:4]) == ("0 to 16", "25 %", "90 %")
