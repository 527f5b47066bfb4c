"""The words: they say what the numbers carry, and no more."""

import copy
import json
import re
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest

from latentfit import formatting, stats
from latentfit.measure import gates, interpolation, network, rule, verdict
from latentfit.measure.interpolation import Walked
from latentfit.measure.network import PerImage
from latentfit.recipe import RECIPES, Job, Recipe, first_seeds
from latentfit.report import comparisons, findings, tradeoffs
from latentfit.sweep import run
from latentfit.sweep.request import recipe_dict

N = 400
CLASSES = ["shirt", "shoe", "bag"]
PCA = {1: 0.08, 2: 0.07, 4: 0.05, 8: 0.04, 16: 0.03, 24: 0.025, 32: 0.022, 48: 0.02}


def per_image(level, seed):
    """Values of N images around a level; two networks differ by noise of a twentieth."""
    common = np.random.default_rng(0).uniform(0.5, 1.5, N)
    noise = np.random.default_rng([seed, 1]).normal(0, 0.05, (7, N))
    return PerImage(level * (common + noise[0]), 0.5 + noise[1] / 10, Walked(*(0.5 + noise[2:] / 10)))


def pca_errors(k, values):
    """PCA's error of each image with k components: their mean is the curve's."""
    errors = values(PCA[k], 1000 + k).test_mse
    return errors * PCA[k] / errors.mean()


def model(k, seed, errors, **changes):
    error = float(errors.mean())
    numbers = {
        "train_mse": 0.9 * error,
        "test_mse": error,
        "test_psnr": 20.0,
        "test_ssim": 0.8,
        "test_mse_by_class": [1.2 * error, error, 0.8 * error],
        "effective_dim": 3.0,
        "train_explained_variance": 1 - 9 * error,
        "test_explained_variance": 1 - 10 * error,
        "test_sharpness": 0.7,
        "pca_components_for_test_mse": 60,
        "last_tenth_fall": 0.001,
        "dims_in_use": k,
        "codes": {"std": [1.0] * k, "low": [-3.0] * k, "high": [3.0] * k},
    }
    assert set(numbers) == set(network.NUMBERS)
    row = {"latent_dim": k, "seed": seed, "status": "ok", "reason": None, "gates": []} | numbers | changes
    return row | {"gates": gates.fired(row, PCA[k], 0.1, (512, 256), row["codes"]["std"])}


def study(errors, changes=None, failed=(), values=per_image, **parts):
    """What `results.json` holds of a study.

    Args:
        errors: Mean test error of each network, by latent size or by (latent size, seed).
        changes: Numbers that every row has in place of its own.
        failed: Networks that could not be trained.
        values: Mean error and a number to the values of a network.
        parts: What the study holds in place of its own.
    """
    jobs = {Job(*job) if isinstance(job, tuple) else Job(job, 0): error for job, error in errors.items()}
    each = {job: values(error, i) for i, (job, error) in enumerate(jobs.items())}
    broken = [network.failed_row(Job(*job), "the error was no longer a finite number") for job in failed]
    rows = [model(*job, each[job].test_mse, **(changes or {})) for job in jobs]
    walk = {"evenness": 0.8, "detour": 1.3, "midpoint_distance": 0.9, "drift": 0.1, "midpoint_sharpness": 0.6}
    first = first_seeds(jobs)
    tests = interpolation.against(
        {job: each[job].walked for job in first}, dict.fromkeys(first, values(0, 1000).walked)
    )
    interpolated = {
        "pairs": [[0, 1], [2, 3]],
        "measured_pairs": 500,
        "models": [
            job._asdict() | walk | {"against": dict.fromkeys(("cross_fade", "pca"), tests[job])} for job in first
        ],
        "spherical": [job._asdict() | walk for job in first],
        "cross_fade": walk | {"evenness": 1.0, "drift": None, "midpoint_sharpness": 0.9},
        "pca": [{"latent_dim": job.latent_dim} | walk for job in first],
    }
    dataset = {
        "name": "clothes",
        "fingerprint": "sha256:0",
        "train_images": 60_000,
        "test_images": 10_000,
        "image_shape": [28, 28],
        "classes": CLASSES,
        "stand_in": False,
        "value_range": None,
        "test_share": None,
    }
    dataset |= parts.pop("dataset", {})
    sizes = sorted({job.latent_dim for job in jobs} | {k for k, _ in failed})
    results = {
        "schema": 1,
        "dataset": dataset,
        "recipe": recipe_dict(Recipe()),
        "environment": {},
        "models": sorted([*rows, *broken], key=lambda m: (m["latent_dim"], m["seed"])),
        "pca": [{"latent_dim": k, "train_mse": PCA[k], "test_mse": PCA[k]} for k in sizes],
        "interpolation": interpolated,
        "verdict": verdict.not_asked(),
        "variance": {"train": 0.1, "test": 0.1},
        "pca_curve": [],
        "comparisons": network.comparisons(each),
        "against_pca": [
            {
                "latent_dim": job.latent_dim,
                "seed": job.seed,
                "components": job.latent_dim,
                "test_mse": stats.paired(pca_errors(job.latent_dim, values), value.test_mse) | {"family": 1},
            }
            for job, value in each.items()
        ],
        "shown": {"train": [], "test": [], "worst": [], "gained": []},
        "sampling": [{"latent_dim": k, "test_mse": [0, 1], "test_explained_variance": [0.8, 0.81]} for k in PCA][:1],
        "lost": {
            "by_class": None,
            "worst_errors": [],
            "gained_errors": [],
            "neighbours": {
                "neighbours": 10,
                "train_images": 1000,
                "test_images": 500,
                "pixels": 0.8,
                "models": [job._asdict() | {"accuracy": 0.75} for job in first],
            },
            "compression": {
                "raw_bytes": int(np.prod(dataset["image_shape"])),
                "png_bytes": 500.0,
                "zlib_bytes": 400.0,
                "packed_images": 1000,
                "models": [
                    job._asdict()
                    | {
                        "decoder_bytes": 1000,
                        "bits": [
                            {"bits": b, "bytes": b * job.latent_dim / 8, "test_mse": 0.01, "added_mse": added}
                            for b, added in ((32, 0.0), (8, 1e-5), (6, 1e-4), (4, 1e-3))
                        ],
                    }
                    for job in first
                ],
            },
        },
    }
    results |= parts
    rows = results["models"]
    if not first:
        results["lost"] = None
    results |= {"intrinsic": None, "curve": None, "quality": parts.get("quality", {"notes": []})}
    derived = {
        "sizes": network.sizes(rows),
        "size_comparisons": network.size_comparisons(rows),
        "answers": [verdict.verdict(rows, keep) | {"pca_components": 9} for keep in rule.KEEPS],
    }
    order = [
        *(name for name in results if name not in ("sampling", "lost", "curve", "intrinsic", "quality")),
        "sizes",
        "size_comparisons",
    ]
    everything = results | derived
    return {name: everything[name] for name in (*order, "sampling", "answers", "lost", "curve", "intrinsic", "quality")}


def constant(level, _):
    """The same error for every image, so that all means are exact."""
    return PerImage(np.full(N, level), np.full(N, 0.5), Walked(*np.full((5, N), 0.5)))


def said(results):
    return {finding.title: " ".join(finding.sentences) for finding in findings.analysis(results)}


def errors_said(results):
    return said(results)["Error and latent dimension"]


BETTER = {16: 0.02, 48: 0.01}
EQUAL = {16: 0.02, 48: 0.02}
WORSE = {16: 0.01, 48: 0.02}
MANY = {1: 0.06, 2: 0.05, 4: 0.04, 8: 0.03, 16: 0.03, 24: 0.015, 32: 0.023, 48: 0.01}
STUDIES = {
    "better": study(BETTER),
    "equal": study(EQUAL),
    "worse": study(WORSE),
    "three sizes": study({4: 0.04, 16: 0.02, 48: 0.01}),
    "many sizes": study(MANY),
    "many sizes and seeds": study({(k, seed): e * (1 + seed / 50) for k, e in MANY.items() for seed in (0, 1, 2)}),
    "seeds": study({(16, 0): 0.02, (16, 1): 0.021, (48, 0): 0.01, (48, 1): 0.012}),
    "single": study({16: 0.02}),
    "one dimension": study({1: 0.02}),
    "one dimension and more": study({1: 0.06, 4: 0.04, 16: 0.02}),
    "one dimension is as good": study({1: 0.02, 16: 0.02}),
    "one dimension is better": study({1: 0.01, 16: 0.02}),
    "one dimension failed": study({16: 0.02}, failed=[(1, 0)]),
    "one dimension as PCA": study({1: 0.08, 16: 0.03}),
    "worse than PCA": study({16: 0.04, 48: 0.03}),
    "colour": study(BETTER, dataset={"image_shape": [28, 28, 3]}),
    "still falling": study({1: 0.06, 16: 0.02}, {"last_tenth_fall": 0.03}),
    "two classes": study({1: 0.06, 16: 0.02}, {"test_mse_by_class": [0.03, None, 0.01]}),
    "one failed": study({16: 0.02}, failed=[(48, 0)]),
    "all failed": study({}, failed=[(16, 0), (48, 0)]),
    "all seeds failed": study({}, failed=[(16, 0), (16, 1)]),
    "first seed failed": study({(16, 1): 0.02, (48, 1): 0.01}, failed=[(16, 0), (48, 0)]),
    "first seed failed once": study({(16, 0): 0.02, (16, 1): 0.02, (48, 1): 0.01}, failed=[(48, 0)]),
    "no labels": study(BETTER, {"test_mse_by_class": None}, dataset={"classes": None}),
    "small images": study(BETTER, {"test_ssim": None}, dataset={"image_shape": [8, 8]}),
    "equal images": study(
        BETTER, {"train_explained_variance": None, "test_explained_variance": None, "test_sharpness": None}
    ),
    "one epoch": study(BETTER, {"last_tenth_fall": None}),
    "empty classes": study(BETTER, {"test_mse_by_class": [None, 0.02, None]}),
    "one test image": study(
        BETTER, values=lambda error, _: PerImage(*np.full((2, 1), error), Walked(*np.full((5, 1), error)))
    ),
    "nothing lost": study({16: 0.0, 48: 0.0}, {"test_psnr": None, "test_mse_by_class": [0.0, 0.1, 0.2]}),
}


@pytest.fixture(params=STUDIES.values(), ids=STUDIES)
def any_study(request):
    return request.param


def test_the_tables_of_these_tests_are_like_those_of_a_study(images, quick, tmp_path):
    with ThreadPoolExecutor(1) as executor:
        real = run.study(images, [2, 5], recipe=quick, out=tmp_path / "study", executor=executor).results
    made = study(BETTER)
    assert list(made) == list(real)
    for part in ("dataset", "recipe", "variance", "interpolation"):
        assert list(made[part]) == list(real[part])
    for part in ("models", "pca", "comparisons", "against_pca"):
        assert list(made[part][0]) == list(real[part][0])
        assert len(made[part]) == len(real[part])
    for part in ("comparisons", "against_pca"):
        assert list(made[part][0]["test_mse"]) == list(real[part][0]["test_mse"])
    assert list(made["interpolation"]["models"][0]) == list(real["interpolation"]["models"][0])
    assert list(said(made)) == list(said(real))


def test_every_study_finds_words_in_whole_sentences(any_study):
    found = findings.analysis(any_study)
    assert found
    for finding in found:
        assert finding.title
        assert finding.sentences
        for sentence in finding.sentences:
            assert sentence[0].isupper() or sentence[0].isdigit()
            assert sentence.endswith(".")
            assert not {"nan", "inf", "None"} & set(sentence.replace(",", " ").replace("(", " ").split())


PLURALS = "dimensions|latent dimensions|components|PCA components|pairs|random pairs|epochs|comparisons"


def test_one_of_a_thing_is_singular_in_every_sentence(any_study):
    one_pair = any_study | {"interpolation": any_study["interpolation"] | {"measured_pairs": 1}}
    for results in (any_study, one_pair):
        everything = " ".join(said(results).values())
        assert not re.search(rf"(?<![\d.,])1 ({PLURALS})\b", everything)
        assert not re.search(rf"(?<![\d.,])(?!1 )\d+ ({PLURALS.replace('s|', '|').removesuffix('s')})\b", everything)


def test_one_dimension_is_singular():
    told = said(study({1: 0.06, 16: 0.02}))
    assert findings.headline(STUDIES["one dimension"]).startswith("The network with 1 latent dimension reconstructs")
    assert findings.headline(STUDIES["one dimension is better"]).startswith("The network with 1 latent dimension recon")
    assert "The network with 1 dimension and seed 0 failed" in errors_said(STUDIES["one dimension failed"])
    assert "With 1 dimension the network's test error is" in told["Against PCA"]
    assert "that of 1 PCA component (" in told["Against PCA"]
    assert "is 70 % with 1 dimension and 70 % with 16 of" in told["Sharpness"]
    assert "A code of 1 dimension is 4 bytes as float32" in told["What it means for compression"]
    assert (formatting.dims(1), formatting.dims(2), formatting.dims(16)) == (
        "1 dimension",
        "2 dimensions",
        "16 dimensions",
    )
    assert (formatting.latent(1), formatting.latent(16)) == ("1 latent dimension", "16 latent dimensions")


def test_the_headline_is_the_first_sentence(any_study):
    assert findings.headline(any_study) == findings.analysis(any_study)[0].sentences[0]


def test_words_survive_json_and_leave_the_results_alone(any_study):
    before = copy.deepcopy(any_study)
    again = json.loads(json.dumps(any_study, allow_nan=False))
    assert findings.analysis(again) == findings.analysis(any_study)
    assert findings.table(again) == findings.table(any_study)
    assert any_study == before


def test_a_smaller_error_is_told_with_its_numbers():
    results = study(BETTER)
    test = results["comparisons"][0]["test_mse"]
    low, high = test["means"][1], test["means"][0]
    formatting = errors_said(results)
    assert formatting.startswith(
        "The network with 48 latent dimensions reconstructs the 10,000 test images better than the one with 16"
    )
    assert f"error {low:#.3g} against {high:#.3g}, {100 * (1 - low / high):.0f} % less" in formatting
    assert f"{10 * np.log10(high / low):.2f} dB" in formatting
    assert f"lower on {100 * test['share_lower']:.0f} % of the images" in formatting
    a, b = test["interval"]
    assert (
        f"(paired difference {-test['difference']:#.3g}, 95 % interval {-b:#.3g} to {-a:#.3g}, p < 0.001)" in formatting
    )
    assert "did not help" not in formatting


def test_equal_within_noise_is_no_difference():
    results = study(EQUAL)
    formatting = errors_said(results)
    assert "no difference that the paired test carries" in formatting
    assert "better" not in formatting
    assert "less" not in formatting
    means = results["comparisons"][0]["test_mse"]["means"]
    assert f"error {means[0]:#.3g} and {means[1]:#.3g} (paired difference" in formatting


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        (0.02, 0.01, ("0.0200", "0.0100")),
        (0.02, 0.0201, ("0.0200", "0.0201")),
        (0.02, 0.02004, ("0.02000", "0.02004")),
        (0.020001, 0.02, ("0.020001", "0.020000")),
    ],
)
def test_errors_are_told_with_the_digits_that_tell_them_apart(a, b, told):
    assert formatting.apart(a, b) == told


def test_errors_that_agree_in_three_digits_are_told_with_more():
    formatting = errors_said(study({16: 0.020001, 48: 0.02}, values=constant))
    assert "with 48 latent dimensions reconstructs the 10,000 test images better" in formatting
    assert "error 0.020000 against 0.020001, under 1 % less" in formatting
    assert " 0 % less" not in formatting
    pca = said(study({16: 0.029999, 48: 0.020001}, values=constant))["Against PCA"]
    assert "is under 1 % below that of 16 PCA components (0.029999 against 0.030000, paired p < 0.001)" in pca
    assert "is above that of 48 PCA components (0.020001 against 0.020000, paired p < 0.001)" in pca


@pytest.mark.parametrize(
    ("low", "told"),
    [(0.5, "50 %"), (0.988, "1 %"), (0.994, "under 1 %"), (0.001, "over 99 %"), (0.0, "100 %")],
)
def test_a_difference_is_never_told_as_none(low, told):
    assert formatting.less(low, 1.0) == told


@pytest.mark.parametrize("p", [0.05, 0.2, 1.0, None])
def test_what_the_test_does_not_carry_is_not_called_a_difference(p):
    results = study(BETTER)
    results["comparisons"][0]["test_mse"]["p"] = p
    assert "no difference" in errors_said(results)
    results["comparisons"][0]["test_mse"]["p"] = 0.049
    assert "better" in errors_said(results)
    assert "p = 0.049" in errors_said(results)


def test_a_larger_size_that_is_worse_is_said_to_be_worse():
    results = study(WORSE)
    formatting = errors_said(results)
    assert "The network with 16 latent dimensions" in formatting
    assert "better than the one with 48" in formatting
    assert "More dimensions did not help: 48 came out worse than 16." in formatting
    share = results["comparisons"][0]["test_mse"]["share_higher"]
    assert f"lower on {100 * share:.0f} % of the images" in formatting


def test_of_three_sizes_the_widest_comparison_comes_first():
    sentences = findings.analysis(STUDIES["three sizes"])[0].sentences
    better = [sentence.split(" latent dimensions")[0] for sentence in sentences[:3]]
    assert better == [f"The network with {k}" for k in (48, 48, 16)]
    assert ["one with 4:" in sentence for sentence in sentences[:3]] == [True, False, True]


def test_of_many_sizes_the_ends_are_told_and_the_steps_between_in_short():
    first, steps, worse, equal, *_ = findings.analysis(STUDIES["many sizes"])[0].sentences
    assert first.startswith("The network with 48 latent dimensions reconstructs")
    assert "better than the one with 1:" in first
    assert re.match(
        r"Of the 7 steps from a size to the next, 5 lower the error, by 5\d % from 32 to 48 the most, by", steps
    )
    assert re.search(r"by 1\d % from 1 to 2 the least \(paired over the images, Holm over 8 comparisons\)\.$", steps)
    assert worse == "More dimensions came out worse from 24 to 32."
    assert equal == "No difference is carried from 8 to 16."


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        ([0.06, 0.05, 0.05, 0.05, 0.05], r"Of the 4 steps .*, 1 lowers the error, by 1\d % from 1 to 2 \(paired"),
        ([0.05, 0.05, 0.05, 0.05, 0.05], r"Of the 4 steps .*, none lowers the error \(paired"),
        ([0.05, 0.04999, 0.04, 0.03, 0.02], r"by 3\d % from 8 to 16 the most, by under 1 % from 1 to 2 the least"),
    ],
)
def test_steps_are_told_however_few_lower_the_error(errors, told):
    results = study(dict(zip((1, 2, 4, 8, 16), errors, strict=True)), values=constant)
    assert re.search(told, errors_said(results))


def test_where_all_seeds_but_the_first_say_otherwise_the_sizes_are_told():
    errors = {
        (k, seed): e * (1 + seed / 100) for k, e in {1: 0.06, 2: 0.05, 4: 0.04, 16: 0.02}.items() for seed in range(6)
    }
    errors |= {(8, 0): 0.036} | {(8, seed): 0.055 + seed / 1e4 for seed in range(1, 6)}
    results = study(dict(sorted(errors.items())))
    told = errors_said(results)
    assert "4 lower the error" in told
    assert "As sizes, more dimensions are worse from 4 to 8." in told
    header, rows = comparisons.table(results)
    cells = dict(zip(header, rows[2], strict=True))
    assert (cells["change"][0], cells["change over seeds"][0]) == ("-", "+")


def test_one_epoch_cannot_tell_whether_training_was_finished():
    told = said(STUDIES["one epoch"])["Was the training finished?"]
    assert told.startswith("At 16 and 48 a gate fires: one epoch cannot show whether training was finished; try")
    assert "changed by" not in told


def test_a_gate_of_any_seed_is_told():
    results = study({(16, 0): 0.02, (16, 1): 0.02, (48, 0): 0.01, (48, 1): 0.011}, {"train_mse": 0.0095})
    results["sizes"][0]["gates"], results["sizes"][1]["gates"] = [], ["overfitted"]
    assert "At 48 a gate fires: test error more than 30 %" in said(results)["Was the training finished?"]
    assert "of each size's first network changed by" in said(results)["Was the training finished?"]


def test_of_many_sizes_the_seeds_are_told_in_short():
    told = errors_said(STUDIES["many sizes and seeds"])
    assert "As sizes, 48 is better than 1: mean test error" in told
    assert "the mean test error of the larger size is lower in 6 of 8 pairs of sizes compared (Welch, Holm)." in told
    assert "As sizes, more dimensions are worse from 24 to 32." in told
    assert "not told apart over the seeds (Welch, Holm): 8 and 16." in told


def test_of_many_sizes_a_sentence_lists_four_and_the_tables_all():
    results = STUDIES["many sizes"]
    told = said(results)
    assert "is 70 % with 1 dimension, 70 % with 4, 70 % with 24 and 70 % with 48 of that" in told["Sharpness"]
    assert told["What it means for compression"].count("as float32") == 4
    tables = (
        tradeoffs.codes_table,
        tradeoffs.walk_table,
        findings.trust_table,
        findings.table,
        tradeoffs.compression_table,
    )
    for table in tables:
        first = {row[0].removesuffix(" dimensions").removesuffix(" dimension") for row in table(results)[1]}
        assert {str(k) for k in MANY} <= first, table
    assert [row[:2] for row in comparisons.table(results)[1]] == [
        *([str(a), str(b)] for a, b in pairwise(MANY)),
        ["1", "48"],
    ]


def test_a_network_that_is_not_below_pca_is_told_however_many_there_are():
    told = said(STUDIES["many sizes"])["Against PCA"]
    assert "With 32 dimensions the network's test error is above that of 32 PCA components" in told
    assert re.search(r"With \d+ and \d+ dimensions it is below PCA's too \(in the table\)\.", told)
    assert told.count("below that of") == 4


def test_the_table_of_comparisons_says_what_was_tested():
    header, rows = comparisons.table(STUDIES["many sizes and seeds"])
    cells = [dict(zip(header, row, strict=True)) for row in rows]
    test = STUDIES["many sizes and seeds"]["comparisons"][0]["test_mse"]
    assert cells[0]["lower on"] == formatting.most(test["share_lower"]) == "over 99 %"
    assert cells[0]["change"] == f"{100 * (test['means'][1] / test['means'][0] - 1):+.2g} %"
    over = STUDIES["many sizes and seeds"]["size_comparisons"][0]["test_mse"]["means"]
    assert cells[0]["change over seeds"] == f"{100 * (over[1] / over[0] - 1):+.2g} %"
    assert float(cells[3]["p over seeds"]) > 0.05
    assert cells[4]["p over seeds"] == "< 0.001"
    alone = comparisons.table(STUDIES["many sizes"])[1]
    assert float(alone[3][6]) > 0.05
    assert alone[4][6] == "< 0.001"
    assert "p over seeds" not in comparisons.table(STUDIES["many sizes"])[0]
    assert comparisons.table(STUDIES["better"]) is None


def test_what_the_numbers_rest_on_is_a_row_a_size():
    _, rows = findings.trust_table(STUDIES["seeds"])
    assert [row[:2] for row in rows] == [["16", "2"], ["48", "2"]]
    kept = STUDIES["seeds"]["sizes"][0]["test_explained_variance"]["interval"]
    assert rows[0][2] == f"± {50 * (kept[1] - kept[0]):.2f}"
    assert rows[0][4:6] == ["-0.1 %", "+11.1 %"]
    assert findings.trust_table(STUDIES["all failed"])[1][0] == ["16", "0", "-", "-", "-", "-", "failed"]


@pytest.mark.parametrize("errors", [BETTER, EQUAL, WORSE])
def test_one_seed_speaks_of_these_networks_and_not_of_the_sizes(errors):
    assert "this compares these trained networks, not the sizes" in errors_said(study(errors))


def test_several_seeds_are_told_with_their_means():
    formatting = errors_said(STUDIES["seeds"])
    by_size = {16: [], 48: []}
    for m in STUDIES["seeds"]["models"]:
        by_size[m["latent_dim"]].append(m["test_mse"])
    assert "trained once" not in formatting
    assert "The networks compared are those of each size's first seed that trained." in formatting
    for k, errors in by_size.items():
        assert len(errors) == 2
        spread = f"{min(errors):#.3g} to {max(errors):#.3g}"
        assert f"{np.mean(errors):#.3g} at {k} ({spread}, 2 trained)" in formatting


def test_seeds_that_failed_are_not_counted():
    formatting = errors_said(STUDIES["first seed failed once"])
    assert re.search(r"at 16 \([^()]*, 2 trained\)", formatting)
    assert re.search(r"at 48 \(1 trained\)", formatting)


def test_a_size_whose_first_seed_failed_is_told_of_by_its_next():
    told = said(STUDIES["first seed failed once"])
    assert "The network with 48 latent dimensions reconstructs" in told["Error and latent dimension"]
    assert "those of each size's first seed that trained" in told["Error and latent dimension"]
    for title in told.keys() - {"Classes told apart by their codes"}:
        assert {"16", "48"} <= set(re.findall(r"\d+", told[title])), title


@pytest.mark.parametrize("name", ["one failed", "all failed", "all seeds failed", "first seed failed"])
def test_every_failure_is_told_with_its_reason(name):
    failed = [m for m in STUDIES[name]["models"] if m["status"] == "failed"]
    formatting = errors_said(STUDIES[name])
    assert failed
    for m in failed:
        who = f"The network with {m['latent_dim']} dimensions and seed {m['seed']} failed: {m['reason']}."
        assert who in formatting


def test_where_nothing_was_trained_that_is_the_headline():
    assert findings.headline(STUDIES["all failed"]) == "No network of this study could be trained."
    assert list(said(STUDIES["all failed"])) == ["Error and latent dimension"]


def test_a_single_size_is_told_and_not_compared():
    formatting = said(STUDIES["single"])
    (m,) = STUDIES["single"]["models"]
    assert findings.headline(STUDIES["single"]).startswith("The network with 16 latent dimensions")
    assert f"{m['test_mse']:#.3g}" in findings.headline(STUDIES["single"])
    assert f"{100 * m['test_explained_variance']:.1f} %" in findings.headline(STUDIES["single"])
    for sentences in formatting.values():
        assert "than the one with" not in sentences
        assert "Against 16" not in sentences


def against(p, own=0.02, **changes):
    """What is said of a network of 16 dimensions beside PCA (0.03), where the paired test has this p."""
    results = study({16: own}, changes, values=constant)
    results["against_pca"][0]["test_mse"]["p"] = p
    return said(results)["Against PCA"]


def test_pca_that_the_network_beats_is_told_with_what_it_would_need():
    results = study(BETTER)
    small = results["models"][0]["test_mse"]
    formatting = said(results)["Against PCA"]
    share = f"{100 * (1 - small / 0.03):.0f} %"
    assert f"With 16 dimensions the network's test error is {share} below that of 16 PCA components" in formatting
    assert f"({small:#.3g} against 0.0300, paired p < 0.001); PCA needs 60 components for the same." in formatting
    assert formatting.count("PCA needs 60 components for the same") == 2
    assert against(0.049) == (
        "With 16 dimensions the network's test error is 33 % below that of 16 PCA components "
        "(0.0200 against 0.0300, paired p = 0.049); PCA needs 60 components for the same."
    )


def test_pca_that_never_reaches_the_network():
    formatting = said(study(BETTER, {"pca_components_for_test_mse": None}))["Against PCA"]
    assert formatting.count("no number of PCA components reaches it") == 2


def test_a_network_that_loses_to_pca_is_said_to_lose():
    results = study({16: 0.04, 48: 0.01})
    own = results["models"][0]["test_mse"]
    formatting = said(results)["Against PCA"]
    assert "With 16 dimensions the network's test error is above that of 16 PCA components " in formatting
    assert f"({own:#.3g} against 0.0300, paired p < 0.001)." in formatting
    assert "With 48 dimensions the network's test error is" in formatting
    assert formatting.count("below") == formatting.count("PCA needs 60 components") == 1
    assert against(0.001, own=0.04).endswith("(0.0400 against 0.0300, paired p = 0.001).")
    assert "below" not in against(0.001, own=0.04)


@pytest.mark.parametrize(("p", "told"), [(0.05, "p = 0.050"), (0.3, "p = 0.300"), (1.0, "p = 1.000"), (None, "p unk")])
@pytest.mark.parametrize("own", [0.02, 0.04])
def test_a_network_and_pca_are_not_told_apart_by_chance(p, told, own):
    formatting = against(p, own)
    assert formatting.startswith(
        "With 16 dimensions the network's test error and that of 16 PCA components are not told ap"
    )
    assert f"({own:#.3g} against 0.0300, {told}" in formatting
    assert not re.search("above|below|better|needs|reaches", formatting)


def test_errors_equal_to_pcas_within_noise_are_not_told_apart():
    same = 0.03 / per_image(1, 0).test_mse.mean()
    formatting = said(study({16: same, 48: 0.01}))["Against PCA"]
    assert "16 PCA components are not told apart" in formatting
    assert "below that of 48 PCA components" in formatting


def test_pca_with_fewer_components_than_dimensions_is_told_with_its_own():
    results = study({48: 0.01})
    results["against_pca"][0]["components"] = 15
    assert "With 48 dimensions the network's test error is" in said(results)["Against PCA"]
    assert "below that of 15 PCA components" in said(results)["Against PCA"]


@pytest.mark.parametrize(
    ("errors", "networks"),
    [
        (BETTER, "the networks' falls by 50 %"),
        (EQUAL, "no difference between the networks' is carried"),
        (WORSE, "the networks' rises by 100 %"),
        ({16: 0.02, 48: 0.015}, "the networks' falls by 25 %"),
    ],
)
def test_use_of_the_added_dimensions_is_held_against_a_linear_map(errors, networks):
    formatting = said(study(errors, values=constant))["Against PCA"]
    assert f"From 16 to 48, PCA's error falls by 33 %; {networks}." in formatting
    assert "make" not in formatting


@pytest.mark.parametrize("errors", [{16: 0.0, 48: 0.0}, {16: 0.02}])
def test_a_change_from_nothing_or_to_nothing_else_is_not_told(errors):
    assert "From 16" not in said(study(errors))["Against PCA"]


def test_training_that_still_fell_is_not_called_finished():
    formatting = said(study(BETTER, {"last_tenth_fall": 0.03}))["Was the training finished?"]
    assert "In the last 2 epochs of 20 the training error changed by -3.0 % with 16 and -3.0 % with 48." in formatting
    assert "At 16 and 48 a gate fires: training error still fell by more than 1 % in the last tenth" in formatting
    assert "try --recipe thorough or more epochs." in formatting


def test_a_thorough_training_is_told_to_go_on_for_longer():
    recipe = recipe_dict(RECIPES["thorough"])
    formatting = said(study(BETTER, {"last_tenth_fall": 0.03}, recipe=recipe))["Was the training finished?"]
    assert "in the last tenth of the epochs; try more epochs." in formatting


def test_only_the_networks_that_still_fell_are_named():
    results = study(BETTER)
    results["sizes"][1]["gates"] = ["still_falling"]
    assert "At 48 a gate fires: training error still fell" in said(results)["Was the training finished?"]


def test_training_that_got_worse_is_told_with_its_sign():
    formatting = said(study(BETTER, {"last_tenth_fall": -0.014}))["Was the training finished?"]
    assert "changed by +1.4 % with 16" in formatting
    assert "+1.4 % with 48" in formatting
    assert "a gate fires" not in formatting


def test_training_that_settled_is_not_called_unfinished():
    assert "a gate fires" not in said(study(BETTER))["Was the training finished?"]


def test_overfitting_is_told_as_test_against_training_error():
    assert "+11.1 % with 16 and +11.1 % with 48" in said(study(BETTER))["Was the training finished?"]


def test_classes_are_ranked_in_the_best_network_and_their_gains_told():
    results = study(BETTER)
    results["models"][0]["test_mse_by_class"] = [0.04, 0.04, 0.04]
    results["models"][1]["test_mse_by_class"] = [0.03, 0.01, 0.06]
    formatting = said(results)["Which classes lose most"]
    assert "With 48 dimensions the largest errors are those of bag (0.0600) and shirt (0.0300)" in formatting
    assert "the smallest is that of shoe (0.0100)" in formatting
    assert "From 16 to 48 dimensions the error falls most for shoe (-75 %) and least for bag (+50 %)." in formatting


def test_classes_without_an_image_are_left_out():
    results = study(BETTER, {"test_mse_by_class": [0.03, None, 0.01]})
    formatting = said(results)["Which classes lose most"]
    assert "shoe" not in formatting
    assert "the largest error is that of shirt (0.0300); the smallest is that of bag (0.0100)" in formatting


def test_gains_of_classes_are_ranked_where_there_are_two():
    results = study(BETTER, {"test_mse_by_class": [0.03, 0.02, 0.01]})
    results["models"][0]["test_mse_by_class"] = [0.03, None, None]
    formatting = said(results)["Which classes lose most"]
    assert "the largest errors are those of shirt (0.0300) and shoe (0.0200)" in formatting
    assert "falls most" not in formatting


@pytest.mark.parametrize("name", ["no labels", "empty classes"])
def test_without_classes_nothing_is_said_of_them(name):
    assert "Which classes lose most" not in said(STUDIES[name])


def test_hostile_names_stay_as_they_are():
    names = ["<img src=x onerror=alert(1)>", "{{7*7}}", "$x$ %s {0}"]
    formatting = said(study(BETTER, dataset={"classes": names}))["Which classes lose most"]
    for name in names:
        assert name in formatting
    assert "&" not in formatting


def sharper(difference, p):
    results = study(BETTER)
    for name in ("sharpness", "evenness", "midpoint_sharpness"):
        results["comparisons"][0][name] |= {"difference": difference, "p": p}
    return said(results)


@pytest.mark.parametrize(("difference", "winner", "other"), [(0.1, 48, 16), (-0.1, 16, 48)])
def test_who_is_sharper_and_more_even_follows_the_sign(difference, winner, other):
    formatting = sharper(difference, 0.01)
    tail = f"than the one with {other} (paired p = 0.010)"
    assert f"with {winner} dimensions gave sharper pictures {tail}" in formatting["Sharpness"]
    interpolation = formatting["What the interpolations show"]
    assert f"with {winner} dimensions changed the picture more evenly {tail}" in interpolation
    assert f"with {winner} dimensions gave sharper pictures half way {tail}" in interpolation


@pytest.mark.parametrize("p", [0.05, 0.8, None])
def test_who_is_sharper_is_not_settled_by_chance(p):
    formatting = sharper(0.1, p)
    assert "is not settled" in formatting["Sharpness"]
    assert (
        len(
            re.findall("more evenly is not settled|half way is not settled", formatting["What the interpolations show"])
        )
        == 2
    )
    assert "than the one with" not in formatting["Sharpness"] + formatting["What the interpolations show"]


def test_shares_are_told_for_every_network():
    formatting = said(study(BETTER))
    assert "is 70 % with 16 dimensions and 70 % with 48 of that of the originals" in formatting["Sharpness"]
    interpolation = formatting["What the interpolations show"]
    assert "Over 500 random pairs of training images" in interpolation
    assert "is 80 % with 16 dimensions and 80 % with 48 of its largest step" in interpolation
    assert "is 60 % with 16 dimensions and 60 % with 48 of that of the real pictures" in interpolation
    assert "half-and-half fade is 90 %" in interpolation


def test_compression_by_hand():
    results = study(BETTER)
    results["models"][0]["test_explained_variance"] = 0.801
    results["models"][1]["test_explained_variance"] = 0.902
    told = said(results)["What it means for compression"]
    assert (
        "An image is 784 bytes (one for each number), 500 as PNG and 400 when many are packed together by zlib" in told
    )
    code = (
        "A code of {} dimensions is {} bytes as float32, a ratio of {}; at 8 bits a dimension {} bytes, a ratio of {} "
    )
    assert code.format(16, 64, 12.2, 16, "49.0") + "with 1.00e-05 more error." in told
    assert code.format(48, 192, 4.1, 48, 16.3) + "with 1.00e-05 more error." in told
    assert f"decoder's 1,000 bytes spread over all 70,000 images the ratio is {784 / (16 + 1000 / 70000):.1f}." in told
    assert "48 take 3 times the bytes and keep 10.1 points of variance more" in told


def test_bytes_of_a_colour_image_count_its_channels():
    told = said(STUDIES["colour"])["What it means for compression"]
    assert "An image is 2,352 bytes (one for each number)" in told
    assert "64 bytes as float32, a ratio of 36.8;" in told
    assert "192 bytes as float32, a ratio of 12.2;" in told
    assert "pixel" not in told


def test_floats_that_are_no_bytes_have_no_png():
    results = study(BETTER)
    results["lost"]["compression"] |= {"raw_bytes": 3136, "png_bytes": None, "zlib_bytes": None}
    told = said(results)["What it means for compression"]
    assert told.startswith(
        "An image is 3,136 bytes (four a number, as float32); it has no size as PNG or with zlib, because bytes cannot "
        "hold its numbers. A code of 16 dimensions is 64 bytes as float32, a ratio of 49.0;"
    )
    assert tradeoffs.compression_table(results)[1][0][5:8] == ["49.0", "-", "-"]


def test_the_table_of_bytes_by_hand():
    header, rows = tradeoffs.compression_table(study(BETTER))
    assert len(rows) == 8
    assert {len(row) for row in rows} == {len(header)}
    assert rows[0] == ["16", "32", "64", "0.0100", "0.0e+00", "12.2", "7.8", "6.2", "12.2"]
    assert rows[7] == ["48", "4", "24", "0.0100", "1.0e-03", "32.7", "20.8", "16.7", "32.6"]
    assert tradeoffs.compression_table(STUDIES["all failed"]) is None


def test_the_table_of_walks_names_every_way():
    header, rows = tradeoffs.walk_table(study(BETTER))
    assert [row[0] for row in rows] == [
        "16 dimensions",
        "48 dimensions",
        "16 dimensions, spherical",
        "48 dimensions, spherical",
        "16 PCA components",
        "48 PCA components",
        "fading",
    ]
    assert {len(row) for row in rows} == {len(header)}
    assert rows[0][1:] == ["0.800", "1.300", "0.900", "0.100", "0.600"]
    assert rows[-1][4] == "-"


def widest_walks(**tests):
    """What is said of the widest pair's walks where the tests of some quantities have this difference and p."""
    results = study({4: 0.04, 16: 0.02, 48: 0.01})
    for comparison in results["comparisons"]:
        for name in ("detour", "midpoint_distance", "drift"):
            difference, p = tests.get(name, (0, 1))
            comparison[name] |= {"difference": difference, "p": p, "family": 1}
    (told,) = (
        s for s in tradeoffs.walk_references(results) if s.startswith("Of the networks with 4 and 48 dimensions")
    )
    return told.partition(", ")[2]


def test_which_walks_are_better_is_told_of_the_widest_pair_as_far_as_it_is_carried():
    nothing = "went straighter (paired p = 1.000)"
    nearer, less = "came nearer to training images half way (paired p {})", "drifted less (paired p {})"
    assert widest_walks(detour=(-1, 0.01), midpoint_distance=(-1, 0.0001), drift=(-1, 0.02)) == (
        f"the one with 48 went straighter (paired p = 0.010), {nearer.format('< 0.001')} and {less.format('= 0.020')}."
    )
    assert widest_walks(midpoint_distance=(1, 0.01), drift=(-1, 0.02)) == (
        f"the one with 48 {less.format('= 0.020')}, and the one with 4 {nearer.format('= 0.010')}, "
        f"and which one {nothing} is not settled."
    )
    assert widest_walks(midpoint_distance=(1, None)) == (
        f"which one {nothing}, which one {nearer.format('unknown')} and which one {less.format('= 1.000')} "
        "is not settled."
    )


def test_without_a_second_network_no_walks_are_compared():
    assert not [s for s in tradeoffs.walk_references(STUDIES["single"]) if s.startswith("Of the networks")]


def test_differences_from_fading_and_pca_are_grouped_by_size():
    results = study({1: 0.06, 4: 0.04, 16: 0.02, 48: 0.01})
    outcomes = {  # reference and quantity: difference and p at 1, 4, 16 and 48
        ("cross_fade", "midpoint_distance"): [(-1, 0.6), (-1, 0.01), (-1, 0.001), (-1, 0.04)],
        ("cross_fade", "midpoint_sharpness"): [(-1, 0.01)] * 4,
        ("pca", "midpoint_distance"): [(1, 0.01), (1, 0.01), (-1, 0.01), (1, None)],
        ("pca", "midpoint_sharpness"): [(1, 0.01), (-1, 0.01), (1, 0.01), (1, 0.01)],
    }
    for i, model in enumerate(results["interpolation"]["models"]):
        model["against"] = {
            reference: {
                name: {"difference": told[i][0], "p": told[i][1]}
                for (of, name), told in outcomes.items()
                if of == reference
            }
            for reference in ("cross_fade", "pca")
        }
    assert (
        "Tested in pairs over the same walks, pictures half way are, against fading, nearer to training images at "
        "4, 16 and 48, not told apart in distance at 1, blurrier at all sizes; against as many PCA components, nearer "
        "to training images at 16, farther from training images at 1 and 4, not told apart in distance at 48, blurrier "
        "at 4, sharper at 1, 16 and 48."
    ) in tradeoffs.walk_references(results)


def test_estimates_of_the_images_own_dimension_are_told_with_their_sample_and_gaps():
    found = [{"name": "TwoNN", "value": 14.24, "reason": None}, {"name": "MLE", "value": None, "reason": "gave nan"}]
    results = study(BETTER) | {"intrinsic": {"images": 2000, "estimates": found}}
    told = said(results)["The shape of the code"]
    assert "is 3.0 of 16 and 3.0 of 48." in told
    assert "from 2,000 training images: TwoNN 14.2 and MLE no answer (gave nan)." in told
    assert "dimension, from" not in said(study(BETTER))["The shape of the code"]


def test_a_screening_is_told_with_how_far_it_is_from_the_trained_sizes():
    results = study(BETTER)
    assert "All sizes from one training" not in said(results)
    curve = {
        "latent_dim": 48,
        "seed": 0,
        "status": "ok",
        "reason": None,
        "sizes": [16, 32, 48],
        "test_mse": [0.022, 0.02, 0.018],
    }
    apart = network.curve_apart(curve, results["sizes"])
    told = said(results | {"curve": curve | {"apart": apart}})["All sizes from one training"]
    trained = [size["test_mse"]["mean"] for size in results["sizes"]]
    expected = [f"{100 * (error / mean - 1):+.0f} %" for error, mean in zip((0.022, 0.018), trained, strict=True)]
    assert f"its test error is {expected[0]} at 16 and {expected[1]} at 48." in told
    assert "no answer rests on it" in told


def test_a_screening_that_failed_says_why():
    curve = {
        "latent_dim": 48,
        "seed": 0,
        "status": "failed",
        "reason": "it burst",
        "sizes": [16, 48],
        "test_mse": [None] * 2,
    }
    results = study(BETTER) | {"curve": curve | {"apart": []}}
    assert (
        said(results)["All sizes from one training"] == "The screening of all sizes with one network failed: it burst."
    )


def test_classes_told_apart_are_held_against_the_pixels():
    (told,) = findings.analysis(study(BETTER))[-2].sentences
    assert told == (
        "A 10-nearest-neighbour classifier (learning from 1,000 images, asked about 500) is right on 80.0 % of the "
        "test images from the pixels, and on 75.0 % from 16 dimensions and 75.0 % from 48 dimensions."
    )


def test_variance_that_is_lost_is_said_to_be_less():
    results = study(WORSE)
    results["models"][0]["test_explained_variance"] = 0.902
    results["models"][1]["test_explained_variance"] = 0.801
    assert "keep 10.1 points of variance less" in said(results)["What it means for compression"]


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("equal images", "Sharpness"),
    ],
)
def test_what_was_not_measured_is_not_told(name, title):
    assert title in said(STUDIES["better"])
    assert title not in said(STUDIES[name])


def test_walks_without_sharpness_are_told_by_their_evenness():
    results = study(BETTER)
    results["interpolation"]["models"][0]["midpoint_sharpness"] = None
    interpolation = said(results)["What the interpolations show"]
    assert "largest step" in interpolation
    assert "Half way, the sharpness" not in interpolation


def test_words_beside_the_errors_are_about_the_first_seed():
    results = STUDIES["seeds"]
    other = copy.deepcopy(results)
    for m in other["models"]:
        if m["seed"] == 1:
            m |= {"test_mse": 9.0, "train_mse": 9.0, "test_sharpness": 9.0, "last_tenth_fall": 0.9}
    for test in other["against_pca"]:
        if test["seed"] == 1:
            test["test_mse"] |= {"means": [9.0, 9.0], "p": None}
    for m in other["interpolation"]["models"]:
        if m["seed"] == 1:
            m["evenness"] = 9.0
    before, after = said(results), said(other)
    for title in before.keys() - {"Error and latent dimension"}:
        assert before[title] == after[title]


def test_the_table_has_a_row_for_every_size():
    header, rows = findings.table(study({16: 0.02}, failed=[(48, 0)]))
    assert header == list(findings.HEADER)
    (m,) = (m for m in study({16: 0.02})["models"])
    train, test = f"{m['train_mse']:#.3g}", f"{m['test_mse']:#.3g}"
    kept = f"{100 * m['test_explained_variance']:.1f} %"
    assert rows == [
        ["16", "1", train, test, "20.00", "0.800", kept, "0.0300", "60", "-"],
        ["48", "0", "failed", "-", "-", "-", "-", "0.0200", "-", "failed"],
    ]


def test_with_seeds_the_table_has_means_and_half_intervals():
    results = study({(16, 0): 0.02, (16, 1): 0.022}, values=constant)
    (row,) = findings.table(results)[1]
    half = 12.7062 * 0.001  # Student's t for one degree of freedom, times the standard error of the mean
    assert row[3] == f"0.0210 ± {half:.5f}"
    assert row[6] == f"79.0 ± {1000 * half:.2f} %"


def test_every_row_of_every_table_is_as_long_as_its_header(any_study):
    header, rows = findings.table(any_study)
    assert len(rows) == len({m["latent_dim"] for m in any_study["models"]})
    assert {len(row) for row in rows} == {len(header)}
    assert all(isinstance(cell, str) and cell for row in rows for cell in row)


def test_the_table_shows_a_dash_for_what_was_not_measured():
    _, rows = findings.table(study({16: 0.02}, {"test_ssim": None, "pca_components_for_test_mse": None}))
    assert (rows[0][5], rows[0][8]) == ("-", "-")


@pytest.mark.parametrize(
    ("value", "text"), [(0.02, "0.0200"), (0.012345, "0.0123"), (1.0, "1.00"), (0.00012, "0.000120"), (0, "0.00")]
)
def test_errors_have_three_digits(value, text):
    assert formatting.mse(value) == text


def test_lists_and_percentages():
    assert [formatting.listed("abc"[:n]) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]
    assert (formatting.percent(0.1234), formatting.percent(0.1234, 1), formatting.percent(None)) == (
        "12 %",
        "12.3 %",
        "-",
    )


@pytest.mark.parametrize("errors", [{4: 0.04, 16: 0.02, 48: 0.02}, {4: 0.02, 16: 0.02, 48: 0.01}])
def test_neighbours_that_are_equal_are_not_made_to_differ_by_the_others(errors):
    sentences = findings.analysis(study(errors))[0].sentences
    for small, large in [*pairwise(errors), (4, 48)]:
        (about,) = (s for s in sentences[:3] if {str(small), str(large)} <= set(s.replace(":", " ").split()))
        assert ("no difference" in about) == (errors[small] == errors[large])


def test_images_that_tie_are_not_counted_as_better():
    tied = {2: np.repeat([0.0, 0.5], 50), 4: np.repeat([0.0, 0.6], 50)}
    values = {Job(k, 0): PerImage(e, np.full(100, 0.5), Walked(*np.full((5, 100), 0.5))) for k, e in tied.items()}
    (comparison,) = network.comparisons(values)
    results = {"dataset": {"test_images": 100}}
    assert "lower on 50 % of the images" in comparisons._compared(results, comparison)


def test_p_of_several_comparisons_is_told_as_holms():
    results = study({4: 0.04, 16: 0.02, 48: 0.01})
    for comparison in results["comparisons"]:
        assert comparison["test_mse"]["family"] == comparison["sharpness"]["family"] == 3
        comparison["test_mse"] |= {"p": 0.1}
        comparison["sharpness"] |= {"p": 0.03}
        comparison["evenness"] |= {"p": None}
    formatting = said(results)
    assert formatting["Error and latent dimension"].count(", p = 0.100 by Holm over 3 comparisons).") == 3
    assert "(paired p = 0.030 by Holm over 3 comparisons)" in formatting["Sharpness"]
    assert "(paired p unknown)" in formatting["What the interpolations show"]
    assert "Holm" not in formatting["Against PCA"]


@pytest.mark.parametrize("name", ["better", "equal", "worse", "seeds", "single"])
def test_a_single_comparison_needs_no_holm(name):
    assert "Holm" not in " ".join(said(STUDIES[name]).values())


@pytest.mark.fault("no-variance")
@pytest.mark.parametrize("errors", [BETTER, MANY, {(k, s): e for k, e in BETTER.items() for s in (0, 1)}])
def test_images_without_variance_are_told_and_nothing_is_compared(errors):
    none = {"train_explained_variance": None, "test_explained_variance": None}
    results = study(errors, none, variance={"train": 5.7e-10, "test": 5.8e-10}, sampling=[])
    told = " ".join(said(results).values())
    assert findings.headline(results).startswith("The training and test images hold next to no variance")
    assert findings.headline(results) in told
    assert not re.search("better|no difference|below that of|PCA needs|Over all seeds|points of variance", told)
    assert comparisons.table(results) is None
    assert findings.sampling(results) is None
    assert {row[6] for row in findings.table(results)[1]} == {"-"}


@pytest.mark.fault("no-variance")
def test_networks_worse_than_the_mean_image_are_told_and_not_compared():
    results = study({1: 0.02, 16: 109.3, 48: 0.01})
    told = said(results)
    assert (
        "The network with 16 latent dimensions reconstructs the test images worse than the mean training image would: "
        f"error {formatting.mse(results['models'][1]['test_mse'])}, that of the mean image is 0.100. This explains no"
    ) in told["Error and latent dimension"]
    assert [c["latent_dims"] for c in comparisons.comparable(results)] == [[1, 48]]
    assert findings.table(results)[1][1][6] == "none (below 0)"
    assert not re.search(r"\d{3} points|-\d{4}", " ".join(told.values()))


@pytest.mark.fault("no-variance")
def test_of_networks_that_are_all_worse_than_the_mean_image_none_is_called_better():
    for seeds in ((0,), (0, 1)):
        results = study({(k, s): e for k, e in ((16, 0.3), (48, 0.2)) for s in seeds})
        told = " ".join(said(results).values())
        errors = " and ".join(formatting.mse(m["test_mse"]) for m in comparisons.trained(results))
        assert findings.headline(results) == (
            "The networks with 16 and 48 latent dimensions reconstruct the test images worse than the mean training "
            f"image would: error {errors}, that of the mean image is 0.100. This explains no variance, and is not "
            "compared."
        )
        assert not re.search("is better than|better than the one|difference that|points of variance|trained once", told)
        assert comparisons.table(results) is None
        assert not comparisons.differ(results)


def test_notes_are_those_of_the_study_and_older_studies_have_none():
    assert findings.notes(study(BETTER, quality={"notes": ["Odd."]})) == ["Odd."]
    assert findings.notes({name: part for name, part in study(BETTER).items() if name != "quality"}) == []


@pytest.mark.fault("no-variance")
def test_how_far_a_share_below_0_could_move_is_not_told():
    moved = [{"latent_dim": k, "test_mse": [0, 1], "test_explained_variance": [-60.0, -50.0]} for k in (16, 48)]
    results = study({(k, s): e + s for k, e in ((16, 3.0), (48, 2.0)) for s in (0, 1)}, sampling=moved)
    assert findings.sampling(results) is None
    assert {(row[2], row[3]) for row in findings.trust_table(results)[1]} == {("-", "-")}
