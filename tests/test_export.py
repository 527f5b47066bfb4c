"""Exports: what other programs compute is what the network computes, and the folder is whole or not there."""

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from helpers import contents
from PIL import Image

import latentfit
from latentfit import card, cli, export
from latentfit.data.images import ImageSet
from latentfit.errors import InputError
from latentfit.measure import gates
from latentfit.model import ACTIVATIONS, OUTPUTS, Network
from latentfit.recipe import CONVERGED, Job, Recipe

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "export.md").read_text()
RECIPE = Recipe("quick", hidden=(24,), learning_rate=0.01, batch_size=16, epochs=2)
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def study(images, tmp_path_factory):
    return latentfit.study(images, [2, 5], seeds=2, recipe=RECIPE, out=tmp_path_factory.mktemp("export") / "study")


@pytest.fixture(scope="module")
def of_rows(tmp_path_factory):
    x = RNG.normal(size=(200, 5)).astype(np.float32) * [1, 100, 1e-3, 5, 0] + [0, 1000, 0, 5, 3]
    images = replace(
        ImageSet.of(x.astype(np.float32), name="five columns"), columns=("mass <b>", "height", "image|s", "d", "e")
    )
    recipe = replace(CONVERGED, hidden=(8,), epochs=2)
    return latentfit.study(images, [2], recipe=recipe, out=tmp_path_factory.mktemp("rows") / "study")


@pytest.fixture(params=["study", "of_rows"])
def exported(request, tmp_path):
    study = request.getfixturevalue(request.param)
    assert export.write(study, tmp_path / "out", 2, 0) == Job(2, 0)
    return study, tmp_path / "out"


def run(path, **given):
    (found,) = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, given)
    return found


@pytest.mark.parametrize("count", [1, 7, 300])
def test_graphs_compute_what_the_network_does_for_any_number_of_items(exported, count):
    study, folder = exported
    network = study.network(2, 0)
    x = export.inputs(study, Job(2, 0))[0][:count]
    with torch.no_grad():
        z = network.encode(torch.tensor(x)).numpy()
        x_hat = network(torch.tensor(x)).numpy()
    close = {"rtol": 1e-4, "atol": 1e-4 * max(1, np.abs(x_hat).max())}
    np.testing.assert_allclose(run(folder / "encoder.onnx", x=x), z, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(run(folder / "decoder.onnx", z=z), x_hat, **close)
    np.testing.assert_allclose(run(folder / "autoencoder.onnx", x=x), x_hat, **close)


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_kind_of_network(tmp_path, activation, output, linear):
    network = Network(20, 3, (9, 7), activation, output, seed=1, linear=linear)
    with torch.no_grad():
        for path in network.linear_path:
            path.normal_(generator=torch.Generator().manual_seed(0))
    for name in export.PARTS:
        made = export.graph(network, name)
        onnx.checker.check_model(made, full_check=True)
        onnx.save_model(made, tmp_path / f"{name}.onnx")
    x, z = (RNG.uniform(-3, 3, (50, n)).astype(np.float32) for n in (20, 3))
    export.check(network, tmp_path, x, z)
    with torch.no_grad():
        network.decoder.layers[-1].bias += 1e-2
    with pytest.raises(InputError, match=r"decoder\.onnx differs from the network by 0\.0"):
        export.check(network, tmp_path, x, z)


def test_a_network_of_no_hidden_layers(tmp_path):
    network = Network(20, 3, ())
    for name in export.PARTS:
        onnx.save_model(export.graph(network, name), tmp_path / f"{name}.onnx")
    export.check(network, tmp_path, np.zeros((2, 20), np.float32), np.zeros((2, 3), np.float32))


def test_graphs_are_compared_on_2000_inputs_with_extremes(study, of_rows):
    for found in (study, of_rows):
        x, z = export.inputs(found, Job(2, 0))
        assert (len(x), len(z), x.dtype, z.dtype) == (2000, 2000, np.float32, np.float32)
        codes = found.found.trained[Job(2, 0)].codes
        assert (z.max(axis=0) > codes.high).all()
        assert (z.min(axis=0) < codes.low).all()
    x = export.inputs(study, Job(2, 0))[0]
    assert {0.0, 1.0} <= {row.min() for row in x if row.min() == row.max()}
    corners = np.isin(x, (0, 1)).all(axis=1)
    assert corners.sum() > 600
    shown = study.shown["test"].reshape(8, -1) / np.float32(255)
    assert (np.abs(x[:, None] - shown).max(axis=-1).min(axis=0) < 1e-6).all()
    rows, scaling = export.inputs(of_rows, Job(2, 0))[0], of_rows.scaling
    deviations = (rows[:, scaling.columns] - scaling.mean[scaling.columns]) / scaling.scale
    assert deviations.max() == pytest.approx(5, rel=1e-3)
    assert (rows[:, 4] == 3).all()


def test_an_export_that_differs_is_not_written(study, tmp_path, monkeypatch, capsys):
    graph = export.graph

    def other(network, name):
        if name == "autoencoder":
            with torch.no_grad():
                network.decoder.layers[0].weight[0, 0] += 1
            made = graph(network, name)
            with torch.no_grad():
                network.decoder.layers[0].weight[0, 0] -= 1
            return made
        return graph(network, name)

    monkeypatch.setattr(export, "graph", other)
    flags = ["--latent-dim", "2", "--seed", "0", "--out", str(tmp_path / "out")]
    assert cli.main(["export", str(study.folder), *flags]) == 2
    error = capsys.readouterr().err
    assert re.match(r"latentfit: error: autoencoder\.onnx differs from the network by .* nothing was written", error)
    assert len(error.splitlines()) == 1
    assert not [*tmp_path.iterdir()]


def test_files_are_the_same_bytes_and_name_no_place(exported, tmp_path):
    study, folder = exported
    export.write(study, tmp_path / "another name", 2, 0)
    assert contents(folder) == contents(tmp_path / "another name")
    assert {*contents(folder)} == {"README.md", *export.COPIED, *(f"{name}.onnx" for name in export.PARTS)}
    for name, content in contents(folder).items():
        assert str(tmp_path).encode() not in content, name
        assert str(study.folder).encode() not in content, name
        assert str(ROOT).encode() not in content, name
    for name in export.PARTS:
        onnx.checker.check_model(folder / f"{name}.onnx", full_check=True)


def test_numbers_beyond_what_protobuf_reads_are_beside_the_graph(study, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "LARGEST", 1000)
    export.write(study, tmp_path / "out", 2, 0)
    assert (tmp_path / "out/encoder.onnx.data").stat().st_size > 1000
    assert len(run(tmp_path / "out/encoder.onnx", x=np.zeros((4, 132), np.float32))) == 4
    export.write(study, tmp_path / "out", 2, 0)  # replaces its own files


def test_a_folder_is_replaced_only_if_it_is_an_export(study, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    export.write(study, out, 2, 0)
    before = contents(out)
    export.write(study, out, 5, 1)
    assert contents(out) != before
    assert export.load(out).latent_dim == 5
    (out / "mine.txt").write_text("mine")
    for folder, message in (
        (out, "holds other files; expected a new folder, or an earlier export"),
        (out / "mine.txt", "holds other files"),
        (tmp_path / "no/out", "is in no folder that exists"),
    ):
        with pytest.raises(InputError, match=message):
            export.write(study, folder, 2, 0)
    assert (out / "mine.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_an_export_is_loaded_as_the_network(exported):
    study, folder = exported
    made, network = export.load(folder), study.network(2, 0)
    assert repr(made) == repr(network)
    for name, tensor in network.state_dict().items():
        assert torch.equal(made.state_dict()[name], tensor)
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(InputError, match="is damaged: its sha256 is not"):
        export.load(folder)


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_what_to_install_is_said_in_one_line(study, tmp_path, monkeypatch, capsys, missing):
    monkeypatch.setitem(__import__("sys").modules, missing, None)
    assert cli.main(["export", str(study.folder), "--latent-dim", "2", "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.endswith("install them with pip install 'latentfit[onnx]'\n")
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def front_of(text):
    """The facts that the hub reads: JSON in YAML."""
    _, front, body = text.split("---\n", 2)
    return {key: json.loads(value) for key, value in (line.split(": ", 1) for line in front.splitlines())}, body


def test_the_card_has_the_study_s_numbers(study):
    facts, body = front_of(card.write(study, Job(2, 0)))
    model = study.found.trained[Job(2, 0)]
    (result,) = facts["model-index"][0]["results"]
    assert {m["type"]: m["value"] for m in result["metrics"]} == {
        "mse": model.test_mse, "explained_variance": model.test_explained_variance}  # fmt: skip
    assert (facts["license"], facts["library_name"]) == ("unknown", "latentfit")
    headings = re.findall(r"^## (.*)$", body, re.M)
    assert headings == ["Data", "Recipe", "Errors", "Training checks", "Use", "Limits", "Licence"]
    assert f"| network | {model.train_mse:#.3g} | {model.test_mse:#.3g} |" in body
    assert f"| PCA, as many components | | {study.found.pca_errors[2]:#.3g} |" in body
    assert "90 training and 40 test images" in body
    assert "layers 132-24-2-24-132" in body
    failed = re.findall(r"^- (.*): .* \(found ", body, re.M)
    assert failed == [gates.check_of(gate.name, study.found.recipe).short for gate in model.gates]
    assert ("None failed." in body) == (not failed)


def test_the_card_of_rows_speaks_of_rows_and_escapes_names(of_rows):
    facts, body = front_of(card.write(of_rows, Job(2, 0)))
    assert facts["pipeline_tag"] == "feature-extraction"
    assert "180 training and 20 test rows" in body
    assert r"mass &lt;b&gt;, height, image\|s, d, e" in body
    assert "<b>" not in body
    assert "the data's own units" in body
    assert card.plain("<script>*a*|`b`") == r"&lt;script&gt;\*a\*\|\`b\`"


def test_the_card_names_the_licence_of_known_data_and_stand_ins(study):
    found = replace(study.found, dataset=replace(study.found.dataset, name="garments", stand_in=True))
    named = object.__new__(type(study))
    vars(named).update(vars(study) | {"found": found})
    facts, body = front_of(card.write(named, Job(2, 0)))
    assert facts["license"] == "mit"
    assert "**Stand-in data**" in body


def test_the_commands_of_the_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LATENTFIT_CACHE_DIR", str(tmp_path / "cache"))
    Path("photos").mkdir()
    for i in range(60):
        ramp = np.add.outer(np.arange(9) * (i % 5), np.arange(8) * (i % 7)) % 256
        Image.fromarray(ramp.astype(np.uint8)).save(f"photos/{i}.png")
    commands = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.splitlines()]
    assert len(commands) == 2
    for command in commands:
        assert cli.main(shlex.split(command)[1:]) == 0, (command, capsys.readouterr().err)
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.S):
        found = {}
        exec(block, found)
        assert found["z"].shape == (5, 3) if "z" in found else found["network"].latent_dim == 3
    listed = re.findall(r"^\| `(\S+)` \|", PAGE, re.M)
    assert sorted(listed) == sorted(path.name for path in Path("photos-3").iterdir())
    text = Path("photos-3/README.md").read_text()
    monkeypatch.chdir("photos-3")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
    found = {}
    exec(code, found)
    assert found["x_hat"].shape == (1, 72)
