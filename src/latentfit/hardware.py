"""What this machine can do: processor, device, precision, threads."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from .errors import InputError

PRECISIONS = ("fp32", "bf16")
DEVICES: dict[str, Callable[[], bool]] = {
    "cpu": lambda: True,
    "cuda": torch.cuda.is_available,
    "mps": torch.backends.mps.is_available,
}
# Makers of the processors on which products in bf16 were measured to be faster than fp32 (docs/log.md). Tensors of bf16
# take less than half of the time on an AMD EPYC 9004, and nearly twice as long on an Intel Xeon that hides its AMX.
FASTER = {"rounded-factors": ("GenuineIntel",), "bf16-tensors": ("AuthenticAMD",)}


def check(products: str, device: str) -> None:
    """Raise an InputError if this machine cannot train so.

    Args:
        products: How the matrix products of a training are computed, a name in PRODUCTS.
        device: `cpu`, `cuda` or `mps`.
    """
    for what, value, known in (("products", products, PRODUCTS), ("device", device, DEVICES)):
        if value not in known:
            raise InputError(f"{what} {value!r} is not known; expected {', '.join(known)}")
    if not DEVICES[device]():
        raise InputError(f"device {device}: PyTorch finds none on this machine; take --device cpu")
    check_precision(precision_of(products), device)
    if not PRODUCTS[products]():
        able = " and ".join(name for name, can in PRODUCTS.items() if can())
        raise InputError(
            f"products {products} (precision bf16) were asked for, and this processor makes {able}; "
            "go on where the study was begun, or begin another with --out or --fresh"
        )


def products_of(precision: str, device: str) -> str:
    """How this machine computes products in a precision: a name in PRODUCTS.

    Args:
        precision: `fp32`; `bf16`; or `auto`, which is bf16 where that was measured to be faster and fp32 elsewhere.
            Decided by what the processor does and by its maker, so that it is the same on all machines of a kind.
        device: `cpu`, `cuda` or `mps`.

    Raises:
        InputError: The precision is not known, or not available on this machine.
    """
    check_precision(precision, device)
    if precision == "fp32" or device != "cpu":
        return "fp32"
    found = next((name for name, can in PRODUCTS.items() if name != "fp32" and can()), None)
    if precision == "auto":
        return found if found and maker() in FASTER[found] else "fp32"
    if found is None:
        raise InputError("precision bf16: this processor has no instructions for it; take --precision fp32")
    return found


def check_precision(precision: str, device: str) -> None:
    """Raise an InputError for a precision that is not known, or not for this device."""
    if precision not in (*PRECISIONS, "auto"):
        raise InputError(f"precision {precision!r} is not known; expected {', '.join(PRECISIONS)} or auto")
    if precision == "bf16" and device != "cpu":
        raise InputError(f"precision bf16 is for the CPU; with device {device} take --precision fp32")


def precision_of(products: str) -> str:
    """The precision, `fp32` or `bf16`, of products of PRODUCTS."""
    return "fp32" if products == "fp32" else "bf16"


def best_device() -> str:
    """CUDA if there is one, otherwise the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@cache
def rounds_factors() -> bool:
    """Whether fp32 products that may round their factors to bf16 do so: oneDNN does with AMX."""
    factor = 1 + 2.0**-12  # bf16 has 8 binary digits: rounded to 1, and each sum is a whole number
    with _one_thread(flush=False), matmul_as("rounded-factors"):
        return all(bool((product == product.round()).all()) for product in _products(factor, 1.0, torch.float32))


@cache
def multiplies_bf16() -> bool:
    """Whether instructions of the processor compute products of bf16 tensors.

    The instructions flush products below the smallest normal number to 0; an emulation, which is many times slower,
    sums them in fp32. (Both round, so rounding shows nothing.)
    """
    with _one_thread(flush=False), matmul_as("fp32"):
        return all(bool((product == 0).all()) for product in _products(2.0**-70, 2.0**-60, torch.bfloat16))


# How products can be computed, the preferred first, and whether this machine can: fp32 tensors whose factors are
# rounded to bf16 within the product; tensors of bf16, with bf16 results; fp32. All sum in fp32.
PRODUCTS: dict[str, Callable[[], bool]] = {
    "rounded-factors": rounds_factors,
    "bf16-tensors": multiplies_bf16,
    "fp32": lambda: True,
}


def _products(factor: float, other: float, kind: torch.dtype) -> Iterator[torch.Tensor]:
    """Products of constants in the three layouts of a training, of sizes that torch passes to oneDNN."""
    batch, into, out = 128, 784, 512
    x, above = torch.full((batch, into), factor, dtype=kind), torch.full((batch, out), factor, dtype=kind)
    weight = torch.full((out, into), other, dtype=kind)
    yield x @ weight.t()  # forward
    yield above.t() @ torch.full_like(x, other)  # the gradient of the weight
    yield above @ weight  # the gradient of the layer's input


@contextmanager
def matmul_as(products: str) -> Iterator[None]:
    """Compute fp32 matrix products on the CPU with rounded factors, or in full fp32, within this context.

    Convolutions, which only networks of the user's own have, are in full fp32: a GPU would round their factors.
    """
    backends: Any = torch.backends
    matmul, others = backends.mkldnn.matmul, (backends.mkldnn.conv, backends.cudnn.conv)
    before = [setting.fp32_precision for setting in (matmul, *others)]
    wanted = ["bf16" if products == "rounded-factors" else "ieee", *("ieee" for _ in others)]
    try:
        for setting, precision in zip((matmul, *others), wanted, strict=True):
            setting.fp32_precision = precision
        yield
    finally:
        for setting, precision in zip((matmul, *others), before, strict=True):
            setting.fp32_precision = precision


def no_denormals() -> AbstractContextManager[None]:
    """Flush numbers below the smallest normal one to 0 in this thread, within this context.

    The moments of a weight whose unit has died shrink into that range and stay there, where each operation takes many
    times as long.
    """
    return _flush_denormals(True)


@contextmanager
def _flush_denormals(flush: bool) -> Iterator[None]:
    before = bool(torch.full((), 1e-40).mul(1) == 0)
    torch.set_flush_denormal(flush)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


@contextmanager
def _one_thread(flush: bool) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1), _flush_denormals(flush):
            yield
    finally:
        torch.set_num_threads(before)


def side_by_side(*tasks: Callable[[], Any]) -> list[Any]:
    """Run tasks in up to one thread per core, each on one core, and return their results in order.

    The libraries that they need have to be imported before: only those that are loaded are limited to one core.
    """
    threads = ThreadPoolExecutor(os.cpu_count(), initializer=_begin_thread)
    with threadpool_limits(1):
        try:
            return list(threads.map(lambda task: task(), tasks))
        finally:
            threads.shutdown(wait=False, cancel_futures=True)  # Ctrl-C does not wait for running tasks


def _begin_thread() -> None:
    torch.set_flush_denormal(True)
    threadpool_limits(1, user_api="openmp")  # each thread has its own limit


@contextmanager
def reproducible() -> Iterator[None]:
    """One thread, fp32 and no denormals within this context: the bytes of products depend on all three."""
    with _one_thread(flush=True), matmul_as("fp32"):
        yield


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Versions and hardware that the numbers of a study depend on."""

    latentfit: str
    torch: str
    device: str
    precision: str
    products: str | None = None
    processor: str


def environment(device: str, precision: str, products: str) -> Environment:
    """The environment of this machine with these settings."""
    return Environment(
        latentfit=version("latentfit"),
        torch=str(torch.__version__),
        device=device,
        precision=precision,
        products=products,
        processor=processor(),
    )


def peak_memory() -> int | None:
    """The most memory this process has held at once, in bytes, mapped files included; None on Windows."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def processor() -> str:
    """The name of the processor, as it reports it."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def maker() -> str:
    """The maker of the processor, as it reports it: `AuthenticAMD`, `GenuineIntel`; empty where it does not say."""
    return _cpuinfo("vendor_id") or platform.processor().rpartition(", ")[2]  # Windows: AMD64 Family 25, AuthenticAMD


def _cpuinfo(key: str) -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    return ""
