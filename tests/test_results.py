"""Every part of results.json goes to JSON and back unchanged, and damage is an error that names its place."""

import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Literal, Union, get_args, get_origin, get_type_hints

import pytest

from latentfit import parts, results
from latentfit.recipe import REFERENCE, Recipe
from latentfit.results import NestedCurve, Results
from latentfit.sweep.files import dump_json, from_json, to_json

COMMITTED = Path(__file__).parents[1] / "results"
REFERENCE_STUDY = (COMMITTED / "reference" / "results.json").read_bytes()
PARTS = [*dict.fromkeys(kind for file in (results, parts) for kind in vars(file).values() if is_dataclass(kind))]
PLAIN = {int: 3, float: 0.5, str: "text", bool: True, type(None): None, Recipe: REFERENCE}


def example(kind, which):
    """A value of a type: of a union its first or last (`which` is 0 or -1) type, of a list two items or none."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return inner[which]
    if origin in (UnionType, Union):
        return example(inner[which], which)
    if origin is tuple:
        kinds = inner[:1] * (2 + 2 * which) if inner[1:] == (...,) else inner
        return tuple(example(k, which) for k in kinds)
    if origin is dict:
        return {"key": example(inner[1], which)}
    if kind in PLAIN:
        return PLAIN[kind]
    hints = get_type_hints(kind)
    return kind(**{field.name: example(hints[field.name], which) for field in fields(kind)})


@pytest.mark.parametrize("which", [0, -1])
@pytest.mark.parametrize("kind", PARTS, ids=lambda kind: kind.__name__)
def test_every_part_goes_to_json_and_back(kind, which):
    value = example(kind, which)
    data = dump_json(value)
    assert from_json(kind, json.loads(data)) == value
    every = fields(getattr(kind, "KEYS_OF", kind))
    keys = [f.name for f in every if "optional" not in f.metadata or getattr(value, f.name, None) is not None]
    assert list(json.loads(data)) == keys


@pytest.mark.parametrize("name", ["reference", "flagship"])
def test_committed_results_are_read_whole(name):
    data = (COMMITTED / name / "results.json").read_bytes()
    found = from_json(Results, json.loads(data))
    assert from_json(Results, json.loads(dump_json(found))) == found
    if name == "reference":
        assert dump_json(found) == data


def test_optional_keys_are_left_out_and_others_are_null():
    found = to_json(NestedCurve(2, 0, "ok", None, (1,), (None,)))
    assert "apart" not in found
    assert found["reason"] is None


def change(path, value):
    """The results of the reference study with one value set; `...` removes its key."""
    whole = json.loads(REFERENCE_STUDY)
    *parents, last = path
    place = whole
    for key in parents:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return whole


@pytest.mark.parametrize(
    "path", [("quality",), ("environment", "products"), ("dataset", "value_range"), ("dataset", "test_share")]
)
def test_keys_that_older_files_do_not_have_are_none(path):
    value = from_json(Results, change(path, ...))
    for name in path:
        value = getattr(value, name)
    assert value is None


@pytest.mark.parametrize("path", [("later",), ("models", 0, "later"), ("interpolation", "pca", 0, "later")])
def test_unknown_keys_are_passed_over(path):
    assert dump_json(from_json(Results, change(path, [1]))) == REFERENCE_STUDY


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (("schema",), ..., "it lacks schema"),
        (("models", 1, "test_mse"), ..., r"^\.models\[1\] lacks test_mse"),
        (("lost", "compression"), ..., r"^\.lost lacks compression"),
        (("schema",), "1", r'^\.schema is "1"; expected int'),
        (("schema",), 1.0, r"^\.schema is 1.0; expected int"),
        (("schema",), True, r"^\.schema is true; expected int"),
        (("dataset", "stand_in"), 0, r"^\.dataset\.stand_in is 0; expected bool"),
        (("dataset", "name"), None, r"^\.dataset\.name is null; expected str"),
        (("models",), {}, r"^\.models is {}; expected tuple"),
        (("models", 0), [], r"^\.models\[0\] is \[\]; expected one of .*ModelResult"),
        (("models", 0, "status"), "odd", r'^\.models\[0\]\.status is "odd"; expected ok, failed$'),
        (("models", 0, "status"), ..., r"^\.models\[0\]\.status is null; expected ok, failed$"),
        (
            ("verdict", "status"),
            "odd",
            r'^\.verdict\.status is "odd"; expected found, undecided, not_reached, not_asked$',
        ),
        (("models", 0, "test_mse"), float("nan"), r"^\.models\[0\]\.test_mse is NaN; expected float"),
        (("variance", "test"), float("inf"), r"^\.variance\.test is Infinity; expected float"),
        (("models", 0, "codes", "std", 3), "wide", r'^\.models\[0\]\.codes\.std\[3\] is "wide"; expected float'),
        (("comparisons", 0, "latent_dims"), [1, 2, 3], r"^\.comparisons\[0\]\.latent_dims is \[1, 2, 3\]"),
        (("interpolation", "models", 0, "against", "pca", "detour", "p"), "x", r"\.against\.pca\.detour\.p is .x"),
        (
            ("lost", "by_class", 0, "over"),
            "days",
            r'^\.lost\.by_class\[0\]\.over is "days"; expected seeds, images, both$',
        ),
        (("recipe", "activation"), "odd", "activation 'odd'"),
    ],
    ids=str,
)
def test_damage_is_one_error_that_names_its_place(path, value, place):
    with pytest.raises(ValueError, match=place):
        from_json(Results, change(path, value))


@pytest.mark.parametrize("value", [None, [], "text", 3])
def test_results_are_an_object(value):
    with pytest.raises(ValueError, match=r"^it is .*; expected Results"):
        from_json(Results, value)


def test_nan_is_not_written():
    with pytest.raises(ValueError, match="JSON"):
        dump_json(results.Variance(0.5, float("nan")))
