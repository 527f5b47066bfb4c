"""Networks of the user's own: a study of them from the first check to the report."""

from __future__ import annotations

import importlib
import json
import pickle
import random
import re
import sys
import threading
import types
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial

import cloudpickle
import numpy as np
import pytest
import torch
from helpers import RECIPE, Inline, contents, small_clothes
from safetensors.numpy import load_file
from torch import nn

import latentfit
from latentfit import cli, codes, evaluate, export, hardware, latent, report, train
from latentfit.data.images import ImageSet
from latentfit.errors import InputError, Lost
from latentfit.hardware import reproducible
from latentfit.model import Network, to_tensor
from latentfit.recipe import CONVERGED, OWN, REFERENCE, Recipe
from latentfit.results import ModelResult
from latentfit.sweep import sending
from latentfit.sweep import weights as stored
from latentfit.sweep.job import train_group
from latentfit.sweep.own import Own
from latentfit.sweep.own_network import PART, OwnNetwork
from latentfit.sweep.remote import Remote
from latentfit.sweep.running import Run

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # as a script or a notebook is
IMAGES = small_clothes(150, 45)
THREE = Recipe(name="three", epochs=3, batch_size=16, learning_rate=0.01)
TWO = Recipe(name="two", epochs=2, batch_size=64)


class Flat(nn.Module):
    """Rows in, rows out, with what a plain network does not have: normalisation, dropout, a buffer."""

    def __init__(self, latent_dim, pixels=784, width=12):
        super().__init__()
        self.into = nn.Linear(pixels, width)
        self.norm = nn.BatchNorm1d(width)
        self.drop = nn.Dropout(0.1)
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))  # as attention has it
        self.code = nn.Linear(width, latent_dim)
        self.back = nn.Linear(latent_dim, width)
        self.out = nn.Linear(width, pixels)

    def encode(self, x):
        return self.code(self.drop(torch.relu(self.norm(self.into(x)))))

    def decode(self, z):
        return torch.sigmoid(self.out(torch.relu(self.back(z))))


class Pictures(nn.Module):
    takes_images = True

    def __init__(self, latent_dim, channels=1, side=28):
        super().__init__()
        half = side // 2
        self.down = nn.Conv2d(channels, 3, 3, stride=2, padding=1)
        self.code = nn.LazyLinear(latent_dim)
        self.back = nn.Linear(latent_dim, 3 * half * half)
        self.up = nn.ConvTranspose2d(3, channels, 4, stride=2, padding=1)
        self.half = half

    def encode(self, x):
        return self.code(torch.relu(self.down(x)).flatten(1))

    def decode(self, z):
        return torch.sigmoid(self.up(torch.relu(self.back(z)).unflatten(1, (3, self.half, self.half))))


def study(out, make=Flat, sizes=(2, 4), images=IMAGES, **options):
    return latentfit.study(images, sizes, out=out, network=make, **{"recipe": TWO, "executor": Inline()} | options)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Two sizes and two seeds of `Flat`, drawn."""
    found = study(tmp_path_factory.mktemp("own"), seeds=2)
    report.write(found)
    return found


def test_it_is_trained_by_the_same_loop_under_the_seed(done):
    """By hand: the module's weights from torch's generator, `train.fit`, and the error of the test images."""
    (trained,) = train_group([(4, 1)], IMAGES, TWO.for_own(), own=Own(Flat))
    network = done.network(4, 1)
    for name, tensor in network.module.state_dict().items():
        assert torch.equal(tensor, torch.from_numpy(np.asarray(trained.weights[name]))), name
    assert not network.training
    with reproducible():
        assert evaluate.mse(network, IMAGES.x_test) == done.found.trained[4, 1].test_mse
    model = done.found.trained[4, 1]
    assert model.test_mse < done.history(4, 1)[0].test_mse
    assert [row.latent_dim for row in done.found.against_pca] == [2, 2, 4, 4]
    start = Own(Flat).build((28, 28), 4, 1).state_dict()
    assert not torch.equal(start["into.weight"], Own(Flat).build((28, 28), 4, 2).state_dict()["into.weight"])


def test_global_generators_are_left_alone(tmp_path):
    before = torch.get_rng_state(), random.getstate()
    study(tmp_path, sizes=(2,))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]


def test_nothing_is_built_while_a_network_is_saved_as_others_may_be_training_in_this_process(tmp_path, monkeypatch):
    built, during, save = [], [], Run.save

    def make(latent_dim):
        built.append(latent_dim)
        return Flat(latent_dim)

    def saving(run, trained):
        before = len(built)
        save(run, trained)
        during.extend(built[before:])

    monkeypatch.setattr(Run, "save", saving)
    study(tmp_path, make, seeds=2)
    assert built
    assert during == []


def test_processes_and_executors_give_the_same_bytes_also_of_a_function_without_a_name(tmp_path):
    def make(latent_dim):
        return Flat(latent_dim, width=9)

    study(tmp_path / "here", make)
    study(tmp_path / "workers", make, executor=None)
    with ProcessPoolExecutor(1) as executor:  # which pickles as Python does
        study(tmp_path / "executor", make, executor=executor)
    assert contents(tmp_path / "here") == contents(tmp_path / "workers") == contents(tmp_path / "executor")


def test_a_function_that_is_not_there_in_another_process_is_told():
    own = pickle.loads(pickle.dumps(Own(lambda k: Flat(k))))
    assert own.build((28, 28), 3).latent_dim == 3
    there = types.ModuleType("only_here")
    exec("def make(latent_dim): pass", vars(there))
    sys.modules["only_here"] = there
    sent = pickle.dumps(Own(there.make))
    del sys.modules["only_here"]
    with pytest.raises(InputError, match="network make is not there in another process: it raises ModuleNotFoundError"):
        pickle.loads(sent).build((28, 28), 3)


NETS = """
from torch import nn

from {blocks} import Block


class Net(Block):
    def encode(self, x):
        return self.code(x)

    def decode(self, z):
        return self.back(z)
"""
BLOCKS = """
from torch import nn


class Block(nn.Module):
    def __init__(self, latent_dim):
        super().__init__()
        self.code, self.back = nn.Linear(784, latent_dim), nn.Linear(latent_dim, 784)
"""


@pytest.mark.parametrize(("name", "files"), [
    ("own_conv", {"own_conv.py": BLOCKS + NETS.format(blocks=__name__).replace(f"from {__name__} import Block", "")}),
    ("own_nets.conv", {"own_nets/__init__.py": "", "own_nets/blocks.py": BLOCKS,
                       "own_nets/conv.py": NETS.format(blocks="own_nets.blocks")}),
])  # fmt: skip
@pytest.mark.parametrize("wrap", [lambda net: net, partial], ids=["class", "partial"])
def test_a_file_or_a_package_of_the_users_own_need_not_be_on_a_worker(tmp_path, monkeypatch, name, files, wrap):
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    before = cloudpickle.list_registry_pickle_by_value()
    monkeypatch.syspath_prepend(tmp_path)
    sent = pickle.dumps(Own(wrap(importlib.import_module(name).Net)))
    assert cloudpickle.list_registry_pickle_by_value() == before
    for module in [module for module in sys.modules if module.startswith("own_")]:
        del sys.modules[module]
    monkeypatch.undo()
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(name)
    assert pickle.loads(sent).build((28, 28), 3).latent_dim == 3


def test_what_is_installed_or_cannot_be_pickled_is_sent_by_name(tmp_path, monkeypatch):
    for installed in (nn.Linear, json.JSONEncoder, Network):
        assert len(sending.dumps(installed)) < 100
    (tmp_path / "own_lock.py").write_text("import threading\n\nLOCK = threading.Lock()\n\n\ndef make(k):\n    LOCK\n")
    monkeypatch.syspath_prepend(tmp_path)
    make = importlib.import_module("own_lock").make
    assert pickle.loads(sending.dumps(make)) is make


def test_the_files_hold_the_modules_own_names(done):
    at = done.folder / "models" / "k004-s0"
    weights = load_file(at / "model.safetensors")
    expected = Flat(4).state_dict()
    assert {name: tuple(array.shape) for name, array in weights.items()} == {
        name: tuple(tensor.shape) for name, tensor in expected.items()
    }
    assert weights["norm.num_batches_tracked"].dtype == np.int64
    assert weights["norm.num_batches_tracked"] == 2 * 3  # two epochs of three batches
    assert json.loads((at / "model.json").read_text())["network"] == "Flat"
    asked = json.loads((done.folder / "study.json").read_text())
    assert asked["network"]["name"] == "Flat"
    assert asked["network"]["tensors"]["code.weight"] == [2, 12]
    assert {name: asked["recipe"][name] for name in OWN} == {k: list(v) if v == () else v for k, v in OWN.items()}


def test_loading_wants_the_same_function(done, capsys):
    again = latentfit.load(done.folder, network=Flat)
    x = IMAGES.x_test[:5]
    np.testing.assert_array_equal(latent.encode(again.network(2), x), latent.encode(done.network(2), x))
    plain = latentfit.load(done.folder)
    assert plain.found == done.found  # the results need no network
    with pytest.raises(InputError, match=r"holds a network of your own, 'Flat', .*latentfit\.load\(FOLDER, network="):
        plain.network(2)
    with pytest.raises(InputError, match="does not fit the network of the function that was given"):
        latentfit.load(done.folder, network=partial(Flat, width=13)).network(2)
    with pytest.raises(InputError, match="network is a module; expected a function"):
        latentfit.load(done.folder, network=Flat(2))


@pytest.mark.parametrize(
    "command",
    ["report {}", "encode {} {}/x.npy --latent-dim 2 --out c.npy", "decode {} {}/c.npy --latent-dim 2 --out x.npy",
     "export {} --latent-dim 2 --out made"],
)  # fmt: skip
def test_the_command_line_refuses_in_one_line(done, tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "x.npy", IMAGES.x_test)
    np.save(tmp_path / "c.npy", np.zeros((3, 2), np.float32))
    before = contents(done.folder, ())
    assert cli.main(command.format(done.folder, tmp_path).split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(r"networks? of your own", line)
    assert contents(done.folder, ()) == before
    assert not (tmp_path / "made").exists()


def test_the_command_line_does_not_go_on_with_it(done, capsys):
    assert cli.main(["study", "garments", "--out", str(done.folder)]) == 2
    assert "is for a network of your own" in capsys.readouterr().err


def test_codes_in_and_out_with_the_function(done, tmp_path):
    codes.encode(done, IMAGES, tmp_path / "z.npy", 4, errors=False)
    codes.decode(done, tmp_path / "z.npy", tmp_path / "x.npy", 4, 0)
    z, x_hat = np.load(tmp_path / "z.npy"), np.load(tmp_path / "x.npy")
    every = np.concatenate([IMAGES.x_train, IMAGES.x_test])
    seed = done.chosen(4).seed
    np.testing.assert_allclose(z, latent.encode(done.network(4, seed), every), atol=1e-5)
    assert x_hat.shape == every.shape
    with pytest.raises(InputError, match=r"has networks of your own \(Flat\)"):
        export.write(done, tmp_path / "out", 4)


def test_the_report_says_that_the_explorer_is_for_plain_networks(done):
    page = (done.folder / "report.html").read_text()
    assert "The explorer runs networks of plain layers alone" in page
    assert 'id="explorer-data"' not in page
    assert "a network of the user&#39;s own (Flat), adam at 0.001" in page
    assert report.is_current(done)
    assert "variance-by-size.png" in {path.name for path in (done.folder / "figures").iterdir()}


def test_more_sizes_and_seeds_go_on_and_end_with_the_same_bytes(done, tmp_path):
    study(tmp_path, sizes=(4,))
    second = Inline()
    report.write(study(tmp_path, seeds=2, executor=second))
    assert sorted(second.jobs) == [(2, 0), (2, 1), (4, 1)]
    assert contents(tmp_path) == contents(done.folder)


def test_another_network_is_refused_with_the_difference(done):
    before = contents(done.folder, ())
    with pytest.raises(
        InputError, match=r"another study.*\n  network\.tensors\.into\.weight: there \[12, 784\], asked"
    ):
        study(done.folder, partial(Flat, width=13))
    with pytest.raises(InputError, match="another study"):
        latentfit.study(IMAGES, (2, 4), recipe=TWO, out=done.folder)

    def renamed(latent_dim):
        return Flat(latent_dim)

    assert contents(done.folder, ()) == before
    nothing = Inline()
    study(done.folder, renamed, executor=nothing)  # another name is no other network
    assert nothing.jobs == []


def test_another_function_of_the_same_tensors_is_refused(tmp_path):
    images = partial(study, tmp_path / "images", recipe=THREE)
    done = images(sizes=(2,), seeds=2)
    other = _made(encode=lambda self, x: self.code(torch.tanh(self.norm(self.into(x)))))
    before = contents(done.folder, ())
    with pytest.raises(InputError, match=r"is of another network than Odd with the same tensors: .*fresh=True") as told:
        images(other, seeds=2, executor=(nothing := Inline()))
    assert str(done.folder) in str(told.value)
    assert nothing.jobs == []
    assert contents(done.folder, ()) == before
    with pytest.raises(InputError, match=r"is of another network than Odd .*fresh=True"):
        latentfit.load(done.folder, network=other).network(2, 1)

    class Twice(Narrow):
        def decode(self, z):
            return super().decode(2 * z)

    study(tmp_path / "rows", Narrow, (1,), ROWS)
    study(tmp_path / "rows", Narrow, (1,), ROWS, executor=nothing)
    assert nothing.jobs == []
    with pytest.raises(InputError, match=r"is of another network than .*Twice"):
        study(tmp_path / "rows", Twice, (1,), ROWS)
    assert study(tmp_path / "rows", Twice, (1,), ROWS, fresh=True).network(1).latent_dim == 1


def test_images_come_as_channels_height_and_width(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (80, 6, 4, 3), np.uint8)
    seen = []

    class Colour(nn.Module):
        takes_images = True

        def __init__(self, latent_dim):
            super().__init__()
            self.code, self.back = nn.Linear(72, latent_dim), nn.Linear(latent_dim, 72)

        def encode(self, x):
            seen.append(x)
            return self.code(x.flatten(1))

        def decode(self, z):
            return self.back(z).unflatten(1, (3, 6, 4))

    network = Own(Colour).build((6, 4, 3), 2)
    with torch.no_grad():
        codes_of = network.encode(to_tensor(x))
        made = network.decode(codes_of)
        right = network.module.decode(codes_of).permute(0, 2, 3, 1).flatten(1)
    np.testing.assert_array_equal(seen[-1].numpy(), x.transpose(0, 3, 1, 2).astype(np.float32) / 255)
    np.testing.assert_array_equal(made.numpy(), right.numpy())
    grey = study(tmp_path, Pictures, sizes=(3,))
    assert grey.network(3).module.code.weight.shape == (3, 588)  # a lazy layer has its size
    assert isinstance(grey.found.models[0], ModelResult)


def test_layers_get_a_part_of_the_images_at_a_time_when_nothing_is_trained():
    given = []

    class Counting(Flat):
        def encode(self, x):
            given.append(len(x))
            return super().encode(x)

    network = Own(Counting).build((28, 28), 2)
    latent.encode(network, IMAGES.x_train)
    assert given[-2:] == [PART, len(IMAGES.x_train) - PART]
    assert latent.encode(network, IMAGES.x_train[:0]).shape == (0, 2)


def test_the_best_weights_are_kept_with_the_buffers_of_their_time(monkeypatch):
    """Of a plateau: running means of a later epoch would not fit the weights that come back."""
    network, states, errors = Own(Flat).build((28, 28), 2), [], iter([1, 0.5, 0.4, 0.9, 0.8])

    def measured(*_):
        states.append({name: tensor.clone() for name, tensor in network.module.state_dict().items()})
        return {"val_mse": next(errors)}

    monkeypatch.setattr(train, "LOOK", 1)
    monkeypatch.setattr(train, "measured", measured)
    train.fit(network, IMAGES.x_train, replace(CONVERGED, epochs=4).for_own(), IMAGES.x_test)
    assert len(states) == 5
    assert not torch.equal(states[2]["norm.running_mean"], states[4]["norm.running_mean"])
    for name, tensor in network.module.state_dict().items():
        assert torch.equal(tensor, states[2][name]), name


def test_a_search_finds_a_size_without_short_trainings(tmp_path, monkeypatch):
    recipe, train_elsewhere, before = THREE, Remote.train, torch.get_rng_state()

    def train_wanted(remote, jobs, work, seconds=None, ahead=None):
        assert ahead is None  # jobs that nobody waits for would draw while the next sizes are tried
        return train_elsewhere(remote, jobs, work, seconds, ahead)

    monkeypatch.setattr(Remote, "train", train_wanted)
    done = latentfit.study(
        IMAGES, keep=0.3, seeds=2, recipe=recipe, network=Flat, out=tmp_path, executor=(ran := Inline())
    )
    assert torch.equal(torch.get_rng_state(), before)  # the forecast trains, with dropout
    assert not (tmp_path / "search").exists()
    assert done.found.verdict.status in {"found", "undecided", "not_reached"}
    assert len({job for job, _ in ran.jobs}) >= 1
    nothing = Inline()
    again = latentfit.study(IMAGES, keep=0.3, seeds=2, recipe=recipe, network=Flat, out=tmp_path, executor=nothing)
    assert nothing.jobs == []
    assert again.found == done.found


def test_a_search_tries_the_network_before_anything_is_written(tmp_path):
    with pytest.raises(InputError, match=r"\(8\): encode of 2 × 784 gives 2 × 3, float32; expected 2 × 8"):
        latentfit.study(IMAGES, keep=0.3, network=lambda _: Flat(3), out=tmp_path, executor=Inline())
    assert not [*tmp_path.rglob("*.json")]


def test_a_search_tries_the_sizes_of_each_step_before_it_trains_them(tmp_path):
    def make(latent_dim):
        return Flat(latent_dim if latent_dim in {1, 8, 16} else 3)

    for missing in ([(1, 0)], []):  # and again when it is resumed
        ran = Inline()
        with pytest.raises(Lost, match=r"\(4\): encode .* gives 2 × 3, .*; what is finished is kept"):
            latentfit.study(IMAGES, keep=0.3, recipe=THREE, network=make, out=tmp_path, executor=ran)
        assert ran.jobs == missing


def test_the_default_recipe_stops_by_held_out_images(tmp_path):
    done = latentfit.study(IMAGES, [2], network=Flat, epochs=3, out=tmp_path, recipe="converged", executor=Inline())
    (model,) = done.found.models
    assert model.val_mse is not None
    assert done.found.recipe == replace(CONVERGED.fitting(300), epochs=3, **OWN)


def test_too_few_images_to_hold_some_out_leave_it_untrained(tmp_path):
    few = ImageSet("few", IMAGES.x_train[:12], IMAGES.x_test[:6])
    done = latentfit.study(few, [2], network=Flat, out=tmp_path, executor=Inline(), recipe="converged")
    assert "untrained" in [gate.name for gate in done.found.models[0].gates]


X = np.random.default_rng(1).normal([5, 100, 3, 0], [1, 30, 0, 2], (90, 4)).astype(np.float32)
ROWS = ImageSet("rows", X[:70], X[70:])  # the third column is constant


class Narrow(nn.Module):
    def __init__(self, latent_dim):
        super().__init__()
        self.code, self.back = nn.Linear(3, latent_dim), nn.Linear(latent_dim, 3)

    def encode(self, x):
        return self.code(x)

    def decode(self, z):
        return self.back(z)


def test_rows_of_numbers_are_scaled_around_the_module(tmp_path):
    rows = ROWS
    done = study(tmp_path, Narrow, sizes=(1, 2), images=rows, recipe=replace(TWO, epochs=30, learning_rate=0.02))
    network, seen = done.network(2), done.seen_network(2)
    scaling = rows.seen.scaling
    assert (network.pixels, seen.pixels) == (4, 3)
    x, x_seen = rows.x_test, rows.seen.x_test
    np.testing.assert_allclose(latent.encode(network, x), latent.encode(seen, x_seen), atol=1e-5)
    made = evaluate.reconstruct(network, x)
    np.testing.assert_allclose(made[:, scaling.columns], scaling.undo(evaluate.reconstruct(seen, x_seen)), rtol=1e-4)
    assert (made[:, 2] == 3).all()  # the constant column
    model = done.found.trained[2, 0]
    assert evaluate.mse(network, x) == pytest.approx(model.test_mse, rel=1e-4)
    assert model.test_explained_variance > done.found.trained[1, 0].test_explained_variance > 0
    report.write(done)
    codes.encode(done, rows, tmp_path / "z.npy", 2)
    codes.decode(done, tmp_path / "z.npy", tmp_path / "x.npy", 2)
    assert np.load(tmp_path / "x.npy").shape == (90, 4)


class Shared:
    module = Flat(2)


def _unseeded(latent_dim):
    module = Flat(latent_dim)
    nn.init.uniform_(module.out.bias, generator=torch.Generator().manual_seed(random.SystemRandom().getrandbits(60)))
    return module


def _made(**methods):
    """A function that makes a module with these methods in place of its own."""
    return type("Odd", (Flat,), methods)


def _with_lock():
    lock = threading.Lock()

    def make(latent_dim):
        with lock:
            return Flat(latent_dim)

    return make


BAD = {
    "no function": (7, "network is 7; expected a function that takes a latent size and makes a module"),
    "a module": (Flat(2), "network is a module; expected a function"),
    "raises": (lambda k: Flat(k, width=-k), "(2) raises RuntimeError: "),
    "takes nothing": (lambda: Flat(2), "raises TypeError: "),
    "gives a dict": (lambda k: {"encode": k}, "(2) is a dict; expected a torch module with encode and decode"),
    "no decode": (lambda k: nn.Linear(784, k), "(2) has no encode and no decode; expected a torch module"),
    "another size": (lambda k: Flat(k + 1), "(2): encode of 2 × 784 gives 2 × 3, float32; expected 2 × 2, float32: "),
    "one size for all": (lambda _: Flat(2), "(4): encode of 2 × 784 gives 2 × 2, float32; expected 2 × 4"),
    "other pixels": (lambda k: Flat(k, pixels=100), "(2): encode of 2 × 784 raises RuntimeError: mat1 and mat2"),
    "other images": (_made(decode=lambda _, z: z), "decode of 2 × 2 gives 2 × 2, float32; expected 2 × 784"),
    "several outputs": (_made(encode=lambda _, x: (x, x)), "encode of 2 × 784 gives a tuple; expected a tensor, 2 × 2"),
    "doubles": (lambda k: Flat(k).double(), "(2) has the parameter into.weight of type float64; expected float32"),
    "nothing to train": (lambda k: Flat(k).requires_grad_(False), "has no parameters that can be trained"),
    "one module": (lambda _: Shared.module, "(2) gives the same module twice; expected a new one at each call"),
    "unseeded": (_unseeded, "(2) draws its weights otherwise than from torch's global generator, which is seeded"),
    "cannot be trained": (
        _made(encode=lambda self, x: torch.from_numpy(self.code(self.into(x)).numpy())),
        "a step of 64 images raises RuntimeError: Can't call numpy() on Tensor that requires grad",
    ),
    "draws codes": (
        _made(encode=lambda self, x: (z := self.code(self.into(x))) + torch.randn_like(z)),
        "(2) in evaluation mode: encode gives other values each time; expected draws only if self.training",
    ),
    "draws images": (
        _made(decode=lambda self, z: torch.dropout(self.out(self.back(z)), 0.5, True)),
        "(2) in evaluation mode: decode gives other values each time; expected draws only if self.training",
    ),
    "cannot be sent": (_with_lock(), "network _with_lock.<locals>.make cannot be sent to other processes: it raises"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD)
def test_what_is_no_such_network_is_one_line_before_anything_is_trained(tmp_path, make, message):
    with pytest.raises(InputError) as caught:
        study(tmp_path / "out", make, executor=(nothing := Inline()))
    assert message in str(caught.value)
    assert str(caught.value).isprintable()
    assert nothing.jobs == []
    assert not [*tmp_path.rglob("*.json")]


def test_a_last_batch_of_one_image_is_tried_beforehand(tmp_path):
    odd = ImageSet("odd", IMAGES.x_train[:65], IMAGES.x_test)
    with pytest.raises(
        InputError, match=r"a step of 1 image raises ValueError: Expected more than 1 value per channel"
    ):
        study(tmp_path, images=odd)


REFUSED = {
    "knee": ({"keep": "knee", "sizes": None, "recipe": "converged"}, "the knee is looked for with short trainings"),
    "curve": ({"curve": True}, r"a nested network \(curve\) is one of latentfit's own layers"),
    "bf16": ({"precision": "bf16"}, "precision bf16 is for latentfit's own layers"),
    "widths": ({"recipe": RECIPE}, r"recipe small has hidden \(24,\), and a network of your own brings its own"),
    "output": ({"recipe": replace(REFERENCE, output="linear")}, "recipe reference has output 'linear'"),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_go_with_it_is_refused(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        study(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_recipe_for_such_a_network_is_for_no_other(tmp_path):
    own = REFERENCE.for_own()
    with pytest.raises(InputError, match="is for a network of your own"):
        latentfit.study(IMAGES, [2], recipe=own, out=tmp_path / "out")
    with pytest.raises(InputError, match="is for a network of your own"):
        train.build(784, own, 2, 0)
    with pytest.raises(InputError, match="own for a part"):
        replace(own, hidden=(3,))


def test_memory_is_that_of_weights_and_layers():
    own, other = Own(Pictures), Own(partial(Pictures, side=28))
    few, many = own.need(IMAGES, 2, 10), other.need(IMAGES, 2, 1000)
    kept = 4 * (784 + 2 * 3 * 14 * 14 + 784)  # bytes an image, at least: what goes into each layer
    assert many - few > 2 * kept * (1000 - PART)
    assert Own(Flat).need(IMAGES, 2, 64) > Own(partial(Flat, width=6)).need(IMAGES, 2, 64)


def test_the_decoder_is_counted_by_the_weights_that_it_uses():
    decoder = [*Flat(4).back.parameters(), *Flat(4).out.parameters()]
    assert Own(Flat).build((28, 28), 4).decoder_weights == sum(weight.numel() for weight in decoder)
    plain = Network(784, 4, hidden=(12,))
    assert plain.decoder_weights == sum(weight.numel() for weight in decoder)


def test_a_damaged_file_is_trained_again(tmp_path):
    before = contents((done := study(tmp_path, sizes=(2,))).folder)
    path = tmp_path / "models" / "k002-s0" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(stored.ModelError, match="damaged"):
        done.network(2)
    study(tmp_path, sizes=(2,), executor=(again := Inline()))
    assert again.jobs == [(2, 0)]
    assert contents(tmp_path) == before


@pytest.mark.parametrize("odd", [
    {"latent_dim": 10**9}, {"latent_dim": 785}, {"latent_dim": True}, {"input_shape": [2**20, 2**20]},
    {"input_shape": [784] + [1] * 3}, {"input_shape": [10**9]},
], ids=str)  # fmt: skip
def test_a_file_that_asks_for_too_much_is_refused_before_the_function_is_called(done, tmp_path, odd):
    at = done.folder / "models" / "k002-s0"
    spec = json.loads((at / "model.json").read_text()) | odd
    (tmp_path / "model.json").write_text(json.dumps(spec))
    with pytest.raises(stored.ModelError, match=f"{next(iter(odd))} "):
        stored.load_network(tmp_path, Own(lambda _: pytest.fail("it was called")))


def test_bf16_is_refused_where_buffers_would_be_lost(monkeypatch):
    monkeypatch.setitem(hardware.PRODUCTS, "bf16-tensors", lambda: True)
    with pytest.raises(InputError, match=r"a copy in bf16 would keep its buffer mask to itself"):
        train.fit(Flat(2), IMAGES.x_train, TWO, products="bf16-tensors")


def test_what_it_is_called_as_text():
    assert repr(Own(Narrow).build((3,), 2)).startswith("OwnNetwork(Narrow(")
    assert isinstance(Own(Narrow).build((3,), 2), OwnNetwork)
