"""What the machine can do: its products, precisions and devices, and settings that end as they began."""

import os
import platform
import re
import subprocess
import sys
from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
import torch
from helpers import each_products
from threadpoolctl import threadpool_info, threadpool_limits

from latentfit import hardware
from latentfit.errors import InputError


@pytest.fixture(autouse=True)
def as_pytorch_begins():
    """One thread, with denormals."""
    with hardware.reproducible():
        torch.set_flush_denormal(False)
        yield


def matmul_setting():
    return torch.backends.mkldnn.matmul.fp32_precision


@contextmanager
def matmul_set_to(precision):
    before = matmul_setting()
    torch.backends.mkldnn.matmul.fp32_precision = precision
    try:
        yield
    finally:
        torch.backends.mkldnn.matmul.fp32_precision = before


def denormals_are_zero():
    return bool(torch.full((), 1e-40).mul(1) == 0)


def state():
    """Threads of torch and of all libraries, denormals, and how products are computed."""
    threads = tuple(sorted((pool["filepath"], pool["num_threads"]) for pool in threadpool_info()))
    return torch.get_num_threads(), threads, denormals_are_zero(), matmul_setting()


def inside():
    """What a setting may change: threads of torch and of NumPy's BLAS (if threadpoolctl knows it), and the others."""
    blas = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    return {torch.get_num_threads()} | blas, denormals_are_zero(), matmul_setting()


@pytest.mark.parametrize("before", ["none", "ieee", "bf16"])
@pytest.mark.parametrize(
    ("setting", "threads", "flushed", "precision"),
    [
        (lambda: hardware.matmul_as("fp32"), 2, False, "ieee"),
        (lambda: hardware.matmul_as("rounded-factors"), 2, False, "bf16"),
        (lambda: hardware.matmul_as("bf16-tensors"), 2, False, "ieee"),
        (hardware.no_denormals, 2, True, None),
        (hardware.reproducible, 1, True, "ieee"),
    ],
    ids=["fp32", "rounded-factors", "bf16-tensors", "no denormals", "reproducible"],
)
def test_a_setting_ends_as_it_began_also_after_an_error(setting, threads, flushed, precision, before):
    expected = ({threads}, flushed, precision or before)
    with threadpool_limits(2), matmul_set_to(before):
        torch.set_num_threads(2)
        outside = state()
        with setting():
            assert inside() == expected
            with setting():
                pass
            assert inside() == expected
        assert state() == outside
        with pytest.raises(ZeroDivisionError), setting():
            _ = 1 / 0
        assert state() == outside


def test_tasks_side_by_side_each_use_one_thread_and_end_as_they_began():
    def found():
        threads = {pool["num_threads"] for pool in threadpool_info()}  # before torch sets its own
        return threads | {torch.get_num_threads()}, denormals_are_zero()

    before = state()
    for setting in (nullcontext, hardware.reproducible):  # threads begin with the denormals of their parent
        with setting():
            assert hardware.side_by_side(*[found] * 4) == [({1}, True)] * 4
        assert state() == before
    assert hardware.side_by_side() == []
    assert hardware.side_by_side(*(lambda n=n: n for n in range(9))) == [*range(9)]
    with pytest.raises(ZeroDivisionError):
        hardware.side_by_side(found, lambda: 1 / 0)
    assert state() == before


LAYOUTS = {  # of a training: forward, gradient of the weight, gradient of the layer's input
    "forward": ((128, 784), (784, 512)),
    "weight": ((512, 128), (128, 784)),
    "input": ((128, 512), (512, 784)),
}


@pytest.mark.fault("precision")
@each_products
@pytest.mark.parametrize("layout", LAYOUTS)
def test_products_are_computed_as_their_name_says(products, layout):
    """Against double precision: of the rounded factors, and of the factors as they are."""
    rng = np.random.default_rng(0)
    a, b = (torch.from_numpy(rng.normal(size=shape)).float() for shape in LAYOUTS[layout])
    rounded, exact = a.bfloat16().double() @ b.bfloat16().double(), a.double() @ b.double()
    assert (rounded - exact).abs().max() > 0.05  # otherwise nothing would show which of the two it is
    tensors = products == "bf16-tensors"
    with hardware.matmul_as(products):
        product = (a.bfloat16() @ b.bfloat16()).double() if tensors else (a @ b).double()
    np.testing.assert_allclose(
        product, exact if products == "fp32" else rounded, rtol=2**-8 if tensors else 0, atol=1e-2 if tensors else 2e-4
    )


@pytest.mark.fault("precision")
@pytest.mark.parametrize("probe", [hardware.rounds_factors, hardware.multiplies_bf16])
@pytest.mark.parametrize("outside", ["no denormals", "bf16", "two threads"])
def test_a_probe_has_the_same_answer_under_all_settings(probe, outside):
    right = probe.__wrapped__()
    torch.set_num_threads(2 if outside == "two threads" else 1)
    torch.set_flush_denormal(outside == "no denormals")
    with matmul_set_to("bf16" if outside == "bf16" else "ieee"):
        before = state()
        assert probe.__wrapped__() == right
        assert state() == before


@pytest.mark.fault("precision")
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the variable is of x86 processors")
@pytest.mark.parametrize(
    ("isa", "rounds", "multiplies"),
    [("AVX512_CORE_BF16", False, None), ("AVX512_CORE", False, False), ("AVX2", False, False)],
)
def test_an_emulation_is_not_taken_for_instructions(isa, rounds, multiplies):
    """In a process whose oneDNN may use less of the processor; with its instructions for bf16, what it has of them."""
    code = "from latentfit import hardware as m; print(m.rounds_factors(), m.multiplies_bf16())"
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": isa}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    found = [word == "True" for word in done.stdout.split()]
    assert found[0] == rounds
    assert multiplies is None or found[1] == multiplies


def machine_with(monkeypatch, *able, maker="AuthenticAMD"):
    for products in hardware.PRODUCTS:
        monkeypatch.setitem(hardware.PRODUCTS, products, lambda can=products in (*able, "fp32"): can)
    monkeypatch.setattr(hardware, "maker", lambda: maker)


@pytest.mark.parametrize(
    ("able", "maker", "auto", "bf16"),
    [
        (("rounded-factors", "bf16-tensors"), "GenuineIntel", "rounded-factors", "rounded-factors"),
        (("rounded-factors",), "", "fp32", "rounded-factors"),  # arm64: nobody has tried
        (("bf16-tensors",), "AuthenticAMD", "bf16-tensors", "bf16-tensors"),
        (("bf16-tensors",), "GenuineIntel", "fp32", "bf16-tensors"),  # slower there than fp32
        (("bf16-tensors",), "", "fp32", "bf16-tensors"),
        ((), "AuthenticAMD", "fp32", None),
    ],
)
def test_the_processor_decides_how_products_are_computed(monkeypatch, able, maker, auto, bf16):
    machine_with(monkeypatch, *able, maker=maker)
    assert hardware.products_of("auto", "cpu") == auto
    assert hardware.products_of("fp32", "cpu") == "fp32"
    assert hardware.products_of("auto", "cuda") == hardware.products_of("auto", "mps") == "fp32"
    if bf16:
        assert hardware.products_of("bf16", "cpu") == bf16
    else:
        with pytest.raises(InputError, match=r"precision bf16: .* no instructions .*; take --precision fp32"):
            hardware.products_of("bf16", "cpu")


@pytest.mark.parametrize(
    ("precision", "device", "message"),
    [(bad, "cpu", f"precision {bad!r} is not known; expected fp32, bf16 or auto") for bad in ("half", "FP32", None)]
    + [("bf16", "cuda", "precision bf16 is for the CPU; with device cuda take --precision fp32")],
)
def test_a_precision_that_is_not_known_or_not_for_the_device_is_refused(precision, device, message):
    with pytest.raises(InputError, match=re.escape(message)):
        hardware.products_of(precision, device)


@pytest.mark.fault("precision")
@pytest.mark.parametrize(
    ("products", "device", "message"),
    [
        ("fp32", "cpu", None),
        ("bf16-tensors", "cpu", None),
        ("fp32", "cuda", None),
        ("auto", "cpu", "products 'auto' is not known"),  # it is decided before, once for a study
        ("bf16", "cpu", "products 'bf16' is not known; expected rounded-factors, bf16-tensors, fp32"),
        ("fp32", "auto", "device 'auto' is not known"),
        (None, "cpu", "products None is not known"),
        ("fp32", "tpu", "device 'tpu' is not known; expected cpu, cuda, mps"),
        ("fp32", None, "device None is not known"),
        ("fp32", "mps", "device mps: PyTorch finds none on this machine; take --device cpu"),
        ("bf16-tensors", "cuda", "precision bf16 is for the CPU; with device cuda take --precision fp32"),
        (
            "rounded-factors",
            "cpu",
            "products rounded-factors (precision bf16) were asked for, and this processor makes bf16-tensors and fp32;",
        ),
    ],
)
def test_what_a_machine_cannot_do_is_refused(monkeypatch, products, device, message):
    """Of a machine with CUDA and bf16 tensors, without MPS."""
    monkeypatch.setitem(hardware.DEVICES, "cuda", lambda: True)
    monkeypatch.setitem(hardware.DEVICES, "mps", lambda: False)
    machine_with(monkeypatch, "bf16-tensors")
    if message is None:
        hardware.check(products, device)
        return
    with pytest.raises(InputError, match=re.escape(message)):
        hardware.check(products, device)


@pytest.mark.parametrize(("there", "best"), [(True, "cuda"), (False, "cpu")])
def test_the_best_device_is_cuda_if_there_is_one(monkeypatch, there, best):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert hardware.best_device() == best
