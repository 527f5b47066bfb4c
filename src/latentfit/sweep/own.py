"""The user's own function that makes networks, and what is asked of it.

`make(latent_dim)` gives a torch module with `encode` and `decode`. It is checked here, before anything is trained; from
then on it is an `OwnNetwork`, and nothing else in the package knows of it but what stores networks. Code cannot be
compared, so a network is recognised by the names and shapes of its tensors at one size, and by its errors.

B images a batch, D numbers an image, K latent dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cloudpickle
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from .. import gradient
from ..data.images import ImageSet
from ..data.reading import shape_text
from ..errors import InputError
from ..formatting import plural
from ..model import to_tensor
from . import sending
from .own_network import PART, OwnNetwork, Tensors, kind_of
from .workers import BASE, COPIES, MEASURED

Make = Callable[[int], nn.Module]

SIZES = (8, 16)  # at which a network is tried where a search will choose the sizes
NEAR, LEAST = 1e-4, 1e-10  # by which an error may differ on another machine: as a share, and in all
KINDS = ("float32", "float64", "int64", "int32", "int16", "int8", "uint8", "bool")  # of buffers


@contextmanager
def seeded(*numbers: int, device: str = "cpu") -> Iterator[None]:
    """Draw from torch's global generators by these numbers within this context, and leave them as they were."""
    state = np.random.SeedSequence(numbers).generate_state(1, np.uint64)
    cuda = range(torch.cuda.device_count()) if device == "cuda" else ()
    with torch.random.fork_rng(cuda):
        torch.default_generator.manual_seed(int(state[0]))  # `torch.manual_seed` would seed every device
        if cuda:
            torch.cuda.manual_seed_all(int(state[0]))
        yield


@dataclass(frozen=True)
class Described:
    """What `study.json` says of a network of the user's own.

    Attributes:
        name: Of the function that makes it; another name is no other network.
        latent_dim: The size whose tensors are described.
        tensors: Shape of each parameter and buffer at that size.
    """

    name: str
    latent_dim: int
    tensors: dict[str, tuple[int, ...]]


class Own:
    """The user's function that makes a network; its pickle holds the function itself, also one of a notebook.

    Args:
        make: The function.

    Attributes:
        name: What the function is called.
    """

    def __init__(self, make: Make) -> None:
        if isinstance(make, nn.Module) or not callable(make):
            what = "a module" if isinstance(make, nn.Module) else repr(make)
            raise InputError(f"network is {what}; expected a function that takes a latent size and makes a module")
        self.make, self.tried = make, dict[tuple[tuple[int, ...], int], Tensors]()
        self.name = str(getattr(make, "__qualname__", type(make).__qualname__))

    def __getstate__(self) -> tuple[str, bytes]:
        return self.name, self.pickled

    def __setstate__(self, state: tuple[str, bytes]) -> None:
        self.name, self.pickled = state
        self.tried = {}

    @cached_property
    def pickled(self) -> bytes:
        """The function for other processes."""
        with _as_input_error(
            f"network {self.name} cannot be sent to other processes: it", "define it in a file or a notebook"
        ):
            return sending.dumps(self.make)

    @cached_property
    def make(self) -> Make:
        """The function, in another process from its pickle: an error there is told when it is used."""
        expected = "define it, and what it uses, in one file or package, or install that there"
        with _as_input_error(f"network {self.name} is not there in another process: it", expected):
            made: Make = cloudpickle.loads(self.pickled)
            return made

    def build(self, image_shape: Sequence[int], latent_dim: int, seed: int = 0) -> OwnNetwork:
        """An untrained network in evaluation mode; its weights are drawn by (seed, latent_dim).

        Args:
            image_shape: Of what it gets: (H, W), (H, W, 3), or (D,) of rows.
            latent_dim: K.
            seed: Of the initial weights.

        Raises:
            InputError: What the function makes is no such network.
        """
        call = f"network {self.name}({latent_dim})"
        with seeded(seed, latent_dim), torch.no_grad():
            with _as_input_error(call, "expected a torch module"), torch.enable_grad():
                module = self.make(latent_dim)
            if fault := _fault_of_module(module):
                raise InputError(f"{call} {fault}")
            network = OwnNetwork(module.cpu(), image_shape, latent_dim).eval()
            if network.takes_images and len(network.image_shape) == 1:
                raise InputError(f"{call} takes images, and these are rows of numbers; expected takes_images false")
            _try(call, network)
        if fault := _fault_of_tensors(module):
            raise InputError(f"{call} {fault}")
        return network

    def check(self, images: ImageSet, latent_dims: Iterable[int], batch_size: int) -> None:
        """Try the network at these sizes, on the first images.

        Args:
            images: As networks see them, without those that are held out.
            latent_dims: The sizes.
            batch_size: Images of a step; the last one of an epoch has fewer.

        Raises:
            InputError: It cannot be trained, its weights are not drawn by the seed, or the function that makes it
                cannot be sent to other processes.
        """
        count, shape = len(images.x_train), tuple(images.image_shape)
        for k in sorted({*latent_dims} - {size for at, size in self.tried if at == shape}):
            call = f"network {self.name}({k})"
            network, other = (self.build(images.image_shape, k) for _ in range(2))
            if {id(tensor) for tensor in _tensors(network)} & {id(tensor) for tensor in _tensors(other)}:
                raise InputError(f"{call} gives the same module twice; expected a new one at each call")
            if not all(map(torch.equal, _tensors(network), _tensors(other))):
                raise InputError(
                    f"{call} draws its weights otherwise than from torch's global generator, which is seeded; "
                    "expected the same weights for the same seed"
                )
            with (
                seeded(0, k),
                torch.no_grad(),
                _as_input_error(f"{call} in evaluation mode", "expected codes and images"),
            ):
                if fault := _fault_of_evaluation(network, to_tensor(images.x_train[: min(batch_size, PART)])):
                    raise InputError(f"{call} {fault}")
            for size in sorted({min(batch_size, count), count % batch_size} - {0}, reverse=True):
                with (
                    seeded(0, k),
                    _as_input_error(f"{call}: a step of {plural(size, 'image')}", "expected one that trains"),
                ):
                    gradient.by_autograd(network.train(), to_tensor(images.x_train[:size]))
            self.tried[shape, k] = other.tensors
        self.__getstate__()

    def tensors(self, image_shape: Sequence[int], latent_dim: int) -> Tensors:
        """Shape and type of each tensor at a size; of one that was tried nothing is built, as jobs may be drawing."""
        known = self.tried.get((tuple(image_shape), latent_dim))
        return known or self.build(image_shape, latent_dim).tensors

    def recognise(self, folder: Path, recorded: float, found: float) -> None:
        """Compare the error of a stored network, as this function makes it, with what was measured after training.

        Raises:
            InputError: They differ: its tensors are those of this function, and what it does with them is not.
        """
        if not math.isclose(recorded, found, rel_tol=NEAR, abs_tol=LEAST):
            raise InputError(
                f"{folder} is of another network than {self.name} with the same tensors: its error on test images was "
                f"{recorded:.4g} and is {found:.4g}; expected the function it was trained with; or train anew with "
                "fresh=True"
            )

    def describe(self, image_shape: Sequence[int], latent_dim: int) -> Described:
        """The network at a size, for `study.json`; errors as of `build`."""
        return Described(self.name, latent_dim, self.tensors(image_shape, latent_dim)[0])

    def need(self, images: ImageSet, latent_dim: int, batch_size: int) -> int:
        """Bytes of memory that a worker needs: weights, and what the layers keep of a batch for its gradient."""
        network, kept = self.build(images.image_shape, latent_dim).train(), dict[int, int]()

        def note(saved: Tensor) -> Tensor:
            kept[saved.untyped_storage().data_ptr()] = saved.untyped_storage().nbytes()
            return saved

        with seeded(0, latent_dim), torch.autograd.graph.saved_tensors_hooks(note, lambda saved: saved):
            network(torch.zeros(2, network.pixels))
        weights = sum(tensor.numel() for tensor in network.parameters())
        layers = max(0, sum(kept.values()) - 4 * weights) // 2  # an image
        rest = MEASURED * network.pixels * min(len(images.x_train), 1000)
        return BASE + COPIES * 4 * weights + rest + 2 * layers * max(batch_size, PART)


@contextmanager
def _as_input_error(what: str, expected: str) -> Iterator[None]:
    """Tell an error of the user's code as an InputError."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        raise InputError(f"{what} raises {type(error).__name__}: {text}; {expected}") from error


def _fault_of_module(module: object) -> str | None:
    """What is wrong with what a function made; None if nothing is."""
    if not isinstance(module, nn.Module):
        return f"is {_indefinite(type(module).__name__)}; expected a torch module with encode and decode"
    if lacking := [name for name in ("encode", "decode") if not callable(getattr(module, name, None))]:
        return f"has no {' and no '.join(lacking)}; expected a torch module with encode and decode"
    for name, parameter in module.named_parameters():
        if parameter.dtype != torch.float32:
            return f"has the parameter {name} of type {kind_of(parameter)}; expected float32; call .float()"
    return None


def _fault_of_tensors(module: nn.Module) -> str | None:
    """The same of what is trained and stored."""
    if not any(parameter.requires_grad for parameter in module.parameters()):
        return "has no parameters that can be trained; expected some"
    for name, tensor in module.state_dict().items():
        kind = kind_of(tensor) if isinstance(tensor, Tensor) else type(tensor).__name__
        if isinstance(tensor, UninitializedParameter | UninitializedBuffer) or kind not in KINDS:
            return f"has {name} of type {kind} in its state; expected tensors of {', '.join(KINDS)}"
    return None


def _fault_of_evaluation(network: OwnNetwork, x: Tensor) -> str | None:
    """The same of what it gives for the same images (B, D) twice."""
    z = network.encode(x)
    for name, step, given in (("encode", network.encode, x), ("decode", network.decode, z)):
        if not torch.equal(step(given).nan_to_num(), step(given).nan_to_num()):
            return f"in evaluation mode: {name} gives other values each time; expected draws only if self.training"
    return None


def _try(call: str, network: OwnNetwork) -> None:
    """Encode and decode two images of 0; an InputError where that fails or the shapes are wrong."""
    x = network.as_images(torch.zeros(2, network.pixels))
    given = shape_text(x.shape)
    with _as_input_error(f"{call}: encode of {given}", "expected codes"):
        z = network.module.encode(x)  # type: ignore[operator]
    _check_shape(f"{call}: encode of {given}", z, (2, network.latent_dim), "one code of the latent size for each image")
    with _as_input_error(f"{call}: decode of {shape_text(z.shape)}", "expected images"):
        x_hat = network.module.decode(z)  # type: ignore[operator]
    _check_shape(f"{call}: decode of {shape_text(z.shape)}", x_hat, tuple(x.shape), "what encode takes")


def _check_shape(what: str, value: object, shape: tuple[int, ...], meaning: str) -> None:
    if not isinstance(value, Tensor):
        raise InputError(f"{what} gives {_indefinite(type(value).__name__)}; expected a tensor, {shape_text(shape)}")
    if tuple(value.shape) != shape or value.dtype != torch.float32:
        found = f"{shape_text(value.shape)}, {kind_of(value)}"
        raise InputError(f"{what} gives {found}; expected {shape_text(shape)}, float32: {meaning}")


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]


def _indefinite(name: str) -> str:
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
