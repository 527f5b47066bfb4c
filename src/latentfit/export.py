"""A network for other programs: ONNX, safetensors, and a model card in the format of the Hugging Face hub.

The graphs are written as the network is, layer after layer, so that they are the same bytes each time and hold nothing
of the machine. Before a folder gets its name they run in onnxruntime beside the network itself.

N inputs, D numbers an item, K latent dimensions.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import card
from .errors import InputError
from .hardware import reproducible
from .model import Network, Stack
from .recipe import Job
from .sweep.files import PART, sync
from .sweep.store import Study, model_folder
from .sweep.weights import load_network

Array = NDArray[Any]

INPUTS = 2000  # on which the graphs are compared with the network
TOLERANCE = 1e-5  # of the largest output, or of 1
OPSET, IR = 17, 8  # of 2022: what reads them is old enough
LARGEST = (1 << 31) - (1 << 16)  # bytes of a file that protobuf reads; larger ones have their numbers beside them
PARTS = {"encoder": ("x", "z"), "decoder": ("z", "x_hat"), "autoencoder": ("x", "x_hat")}
COPIED = ("model.json", "model.safetensors")
OURS = ("README.md", *COPIED, *(f"{name}.onnx{end}" for name in PARTS for end in ("", ".data")))


def load(folder: str | Path) -> Network:
    """The network of a folder that `write` made; an InputError if its files are missing or damaged."""
    network = load_network(Path(folder))
    assert isinstance(network, Network)
    return network


def write(study: Study, out: str | Path, latent_dim: int | None = None, seed: int | None = None) -> Job:
    """Write a folder with a network of a study: ONNX, safetensors and a model card.

    The graphs take float32 (N, D) with pixels in [0, 1] or rows in the data's units, or codes (N, K), for any N.

    Args:
        study: Whose network.
        out: The folder: new, empty, or an earlier export, which is replaced when the new one is whole.
        latent_dim: Size of the network, see `Study.chosen`.
        seed: Its seed, see `Study.chosen`.

    Raises:
        InputError: There is no such network; the folder holds other files; onnx or onnxruntime is not installed; or
            an output differs from the network's by more than 1e-5 of the largest, or of 1. Nothing was written.
    """
    if study.own_name is not None:
        raise InputError(
            f"{study.folder} has networks of your own ({study.own_name}); expected a study of latentfit's own layers; "
            "export the module with torch.onnx"
        )
    onnx, _ = _libraries()
    job, folder = study.chosen(latent_dim, seed), _checked(Path(out))
    network = study.network(*job)
    assert isinstance(network, Network)
    text = card.write(study, job)
    with _replacing(folder) as part:
        for name in PARTS:
            model = graph(network, name)
            beside = model.ByteSize() > LARGEST
            onnx.save_model(model, part / f"{name}.onnx", save_as_external_data=beside, location=f"{name}.onnx.data")
        check(network, part, *inputs(study, job))
        for name in COPIED:
            shutil.copyfile(model_folder(study.folder, job) / name, part / name)
        (part / "README.md").write_text(text, encoding="utf-8")
    return job


def _libraries() -> tuple[Any, Any]:
    try:
        return import_module("onnx"), import_module("onnxruntime")
    except ImportError as error:
        raise InputError(
            "an export takes onnx and onnxruntime, which are not installed; expected both; install them with "
            "pip install 'latentfit[onnx]'"
        ) from error


def _checked(folder: Path) -> Path:
    if folder.exists() and (not folder.is_dir() or {path.name for path in folder.iterdir()} - {*OURS}):
        raise InputError(f"{folder} holds other files; expected a new folder, or an earlier export; name another")
    if not folder.absolute().parent.is_dir():
        raise InputError(f"{folder} is in no folder that exists; expected one; make it, or name another")
    return folder


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """A folder that takes this name when it is whole."""
    part = Path(tempfile.mkdtemp(dir=folder.absolute().parent, prefix=f".{folder.name}.", suffix=PART))
    try:
        (new := part / "new").mkdir()
        yield new
        for path in new.iterdir():
            sync(path)
        if folder.exists():
            folder.rename(part / "old")
        new.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def graph(network: Network, name: str) -> Any:
    """The ONNX model of a network's `encoder`, its `decoder`, or both, `autoencoder`."""
    from onnx import TensorProto, helper

    source, target = PARTS[name]
    nodes: list[Any] = []
    weights: list[Any] = []
    h = source
    if name != "decoder":
        h = _add_stack(nodes, weights, network.encoder, "encoder", h)
    if name != "encoder":
        h = _add_output(nodes, weights, network.output, _add_stack(nodes, weights, network.decoder, "decoder", h))
    nodes.append(helper.make_node("Identity", [h], [target], name=target))
    widths = {"x": network.pixels, "z": network.latent_dim, "x_hat": network.pixels}
    ends = [helper.make_tensor_value_info(end, TensorProto.FLOAT, ["batch", widths[end]]) for end in (source, target)]
    made = helper.make_graph(nodes, name, ends[:1], ends[1:], weights)
    producer = {"producer_name": "latentfit", "producer_version": version("latentfit")}
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, **producer)


def _add_stack(nodes: list[Any], weights: list[Any], stack: Stack, name: str, source: str) -> str:
    """Add the layers of an encoder or a decoder, as `Stack.forward` has them; the name of what they give."""
    from onnx import helper, numpy_helper

    def add(kind: str, taken: list[str], made: str, **options: Any) -> str:
        nodes.append(helper.make_node(kind, taken, [f"{name}.{made}"], name=f"{name}.{made}", **options))
        return f"{name}.{made}"

    for key, tensor in stack.state_dict().items():
        weights.append(numpy_helper.from_array(tensor.numpy(), f"{name}.{key}"))
    h = source
    for i in range(len(stack.layers)):
        if i and stack.activation == "relu":
            h = add("Relu", [h], f"{i}.relu")
        elif i:
            h = add("Mul", [h, add("Sigmoid", [h], f"{i}.sigmoid")], f"{i}.silu")
        h = add("Gemm", [h, f"{name}.{i}.weight", f"{name}.{i}.bias"], f"{i}.out", transB=1)
    if stack.linear is not None:
        path = add("Gemm", [source, f"{name}.linear.weight"], "linear.out", transB=1)
        h = add("Add", [h, path], "sum")
    return h


def _add_output(nodes: list[Any], weights: list[Any], output: str, source: str) -> str:
    from onnx import helper, numpy_helper

    if output == "sigmoid":
        nodes.append(helper.make_node("Sigmoid", [source], ["output"], name="output"))
    elif output == "clamp":
        weights += [numpy_helper.from_array(np.array(end, np.float32), key) for key, end in (("low", 0), ("high", 1))]
        nodes.append(helper.make_node("Clip", [source, "low", "high"], ["output"], name="output"))
    return source if output == "linear" else "output"


def inputs(study: Study, job: Job) -> tuple[Array, Array]:
    """Items (N, D) and codes (N, K) on which graphs are compared: shown images, random ones, and extremes."""
    rng = np.random.default_rng(0)
    shown = np.concatenate([study.shown[split] for split in ("train", "test")])
    scaling = study.scaling
    if scaling is None:
        known = (shown / 255 if shown.dtype == np.uint8 else shown).reshape(len(shown), -1)
        low, high = np.zeros(known.shape[1]), np.ones(known.shape[1])
    else:
        low, high = scaling.mean.copy(), scaling.mean.copy()  # (D,)
        low[scaling.columns] -= 5 * scaling.scale
        high[scaling.columns] += 5 * scaling.scale
        known = np.repeat(scaling.mean[None], len(shown), axis=0)
        known[:, scaling.columns] = scaling.undo(shown)
    codes = study.found.trained[job].codes
    first, last = np.array(codes.low), np.array(codes.high)
    return _spread(known, low, high, rng), _spread(np.empty((0, len(first))), 2 * first - last, 2 * last - first, rng)


def _spread(known: Array, low: Array, high: Array, rng: np.random.Generator) -> Array:
    """Those known, then the ends of the range, a corner of it for each third of the rest, and points within."""
    rest = INPUTS - len(known) - 2
    share = rng.random((rest, len(low)))
    share[::3] = rng.integers(0, 2, share[::3].shape)
    return np.concatenate([known, [low], [high], low + share * (high - low)]).astype(np.float32)


def check(network: Network, folder: Path, x: Array, z: Array) -> None:
    """Run the graphs of a folder beside the network, on items (N, D) and codes (N, K).

    Raises:
        InputError: An output differs by more than 1e-5 of the largest output, or of 1.
    """
    _, runtime = _libraries()
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    for name, (source, target) in PARTS.items():
        given = {"x": x, "z": z}[source]
        functions: dict[str, Callable[[Tensor], Tensor]] = {
            "encoder": network.encode,
            "decoder": network.decode,
            "autoencoder": network,
        }
        with torch.no_grad(), reproducible():
            expected = functions[name](torch.from_numpy(given)).numpy()
        session = runtime.InferenceSession(folder / f"{name}.onnx", options, providers=["CPUExecutionProvider"])
        (found,) = session.run([target], {source: given})
        apart = float(np.abs(found.astype(float) - expected).max()) if found.shape == expected.shape else np.inf
        limit = TOLERANCE * max(1.0, float(np.abs(expected).max()))
        if not apart <= limit:
            raise InputError(
                f"{name}.onnx differs from the network by {apart:.2g} on {len(given):,} inputs; expected at most "
                f"{limit:.2g}; nothing was written; subtract a constant from columns far from 0, or take another "
                "onnxruntime"
            )
