"""What this machine can do, and how its products are made: processor, device, precision, threads."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
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


def check(precision: str, device: str) -> None:
    """Raise an InputError where this machine cannot train so."""
    for what, value, known in (("precision", precision, PRECISIONS), ("device", device, DEVICES)):
        if value not in known:
            raise InputError(f"{what} {value!r} is not known; expected {', '.join(known)} or, for a study, auto")
    if not DEVICES[device]():
        raise InputError(f"device {device}: PyTorch finds none on this machine; take --device cpu")
    if precision == "bf16" and device != "cpu":
        raise InputError(f"precision bf16 is for the CPU; with device {device} take --precision fp32")
    if precision == "bf16" and not has_bf16():
        told = "PyTorch finds no instructions for it in this processor"
        raise InputError(f"precision bf16: {told}; take --precision fp32")


def has_bf16() -> bool:
    """Whether this processor has instructions for bfloat16 products, by its own word."""
    tell: Callable[[], Mapping[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)  # older releases cannot tell
    return any(tell().get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def best_precision(device: str) -> str:
    """The fastest precision whose error is as good: bf16 on a processor that has it, fp32 elsewhere."""
    return "bf16" if device == "cpu" and has_bf16() else "fp32"


def best_device() -> str:
    """CUDA where there is one, otherwise the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def products(precision: str) -> Iterator[None]:
    """The precision of fp32 matrix products on the CPU while this lasts: `fp32` or `bf16`."""
    matmul: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = matmul.fp32_precision
    matmul.fp32_precision = {"fp32": "ieee", "bf16": "bf16"}[precision]
    try:
        yield
    finally:
        matmul.fp32_precision = before


@contextmanager
def no_denormals() -> Iterator[None]:
    """Numbers below the smallest normal one are 0 in this thread while this lasts.

    The moments of a weight whose unit has died shrink into that range and stay there, where a processor takes
    many times as long for each operation.
    """
    before = bool(torch.full((), 1e-40).mul(1) == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


@contextmanager
def reproducible() -> Iterator[None]:
    """One thread, fp32 and no denormals for products while this lasts: their bytes depend on all three."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1), products("fp32"), no_denormals():
            yield
    finally:
        torch.set_num_threads(before)


def peak_memory() -> int | None:
    """The most memory this process has held at once, in bytes, mapped files included; None on Windows."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def processor() -> str:
    """The processor's own name for itself."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
