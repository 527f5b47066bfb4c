"""Fashion-MNIST: the published figures, where it is looked for, and every way a server can fail.

The servers here are threads on 127.0.0.1. They serve a small set made up below, whose hashes take the
place of the real ones; only the tests of the figures need the real files.
"""

import contextlib
import gzip
import hashlib
import http.server
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pooch
import pytest

from latentfit.data import fashion_mnist, files
from latentfit.errors import InputError

REAL = Path(os.environ.get("FASHION_MNIST_DIR") or Path(__file__).parents[1] / ".." / "shared" / "fashion-mnist")
TRAIN, TRAIN_LABELS, TEST, TEST_LABELS = (file.name for file in fashion_mnist.FILES)
HTML = b"<!DOCTYPE html><html><body>Please sign in</body></html>"


def packed(array):
    return b"\0\0\x08" + struct.pack(f">B{array.ndim}I", array.ndim, *array.shape) + array.tobytes()


def made_up(seed):
    """Four small files under the names of the real ones: name -> bytes inside."""
    rng = np.random.default_rng(seed)
    arrays = (
        rng.integers(0, 256, (30, 28, 28), np.uint8),
        rng.integers(0, 10, 30, np.uint8),
        rng.integers(0, 256, (10, 28, 28), np.uint8),
        rng.integers(0, 10, 10, np.uint8),
    )
    return dict(zip((TRAIN, TRAIN_LABELS, TEST, TEST_LABELS), map(packed, arrays), strict=True))


INSIDE = made_up(0)
PACKED = {name: gzip.compress(data, mtime=0) for name, data in INSIDE.items()}
SMALL = tuple(
    fashion_mnist.File(
        name,
        len(PACKED[name]),
        hashlib.sha256(PACKED[name]).hexdigest(),
        len(data),
        hashlib.sha256(data).hexdigest(),
    )
    for name, data in INSIDE.items()
)


def whole(request, name):
    request.answer(PACKED[name])


class Request(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.rpartition("/")[2].removesuffix(".gz")
        self.server.asked.append(name)
        with contextlib.suppress(OSError):
            self.server.behave(self, name)

    def answer(self, body, status=200, length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        pass  # a client that hangs up is what some tests are about


@pytest.fixture
def serve():
    """Start a server that answers each request with `behave(request, name)`."""
    with contextlib.ExitStack() as stack:

        def start(behave=whole, tls=None):
            server = stack.enter_context(Server(("127.0.0.1", 0), Request))
            if tls:
                server.socket = tls.wrap_socket(server.socket, server_side=True)
            server.behave, server.asked, server.over = behave, [], threading.Event()
            server.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}/data/"
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            stack.callback(server.shutdown)
            stack.callback(server.over.set)
            return server

        yield start


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """No test touches the network, the user's cache or the user's folders; the data is the small set."""
    monkeypatch.setenv("LATENTFIT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("FASHION_MNIST_DIR", raising=False)
    monkeypatch.setattr(fashion_mnist, "MIRRORS", ())
    monkeypatch.setattr(fashion_mnist, "FILES", SMALL)
    monkeypatch.setattr(fashion_mnist, "RETRIES", 0)
    return tmp_path / "cache" / "fashion-mnist"


def fill(folder, contents=PACKED, suffix=".gz"):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in contents.items():
        (folder / f"{name}{suffix}").write_bytes(data)
    return folder


def assert_small_set(images):
    for name, array in (
        (TRAIN, images.x_train),
        (TRAIN_LABELS, images.y_train),
        (TEST, images.x_test),
        (TEST_LABELS, images.y_test),
    ):
        assert packed(array) == INSIDE[name]


def held(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


COMPLETE = {f"{name}.gz": data for name, data in PACKED.items()}


@pytest.fixture(scope="module")
def real():
    if not (REAL / f"{TRAIN}.gz").exists():
        pytest.skip("Fashion-MNIST is not on this machine; name its folder in FASHION_MNIST_DIR")
    return fashion_mnist.load(REAL)


@pytest.mark.parametrize("split", ["train", "test"])
def test_real_shapes_and_labels(real, split):
    n = {"train": 60_000, "test": 10_000}[split]
    x, y = getattr(real, f"x_{split}"), getattr(real, f"y_{split}")
    assert x.shape == (n, 28, 28)
    assert x.dtype == np.uint8
    assert np.bincount(y).tolist() == [n // 10] * 10


def test_real_figures(real):
    x = real.x_train
    mean_image = x.mean(axis=0)
    variance = np.square(x, dtype=np.uint16).mean(axis=0) - mean_image**2
    assert mean_image.mean() / 255 == pytest.approx(0.28604, abs=5e-6)
    assert variance.mean() / 255**2 == pytest.approx(0.08701, abs=5e-6)


def test_real_classes(real):
    assert real.name == "fashion-mnist"
    assert real.classes is not None
    assert (real.classes[0], real.classes[9]) == ("T-shirt/top", "Ankle boot")
    shoe, trouser = (real.x_train[real.y_train == k].mean(axis=0) for k in (9, 1))
    assert shoe[:5, :14].max() < shoe[15:20].mean()  # a boot leaves the upper left empty
    assert trouser[4:, 13:15].mean() > 2 * trouser[4:, :5].mean()  # trousers stand in the middle


def test_the_order_of_the_search(tmp_path, monkeypatch, cache, serve):
    server = serve()
    monkeypatch.setattr(fashion_mnist, "MIRRORS", (server.url,))
    given, named = tmp_path / "given", fill(tmp_path / "named", made_up(1))
    fill(given)
    monkeypatch.setenv("FASHION_MNIST_DIR", str(named))
    assert_small_set(fashion_mnist.load(given))  # the spoiled files in `named` are not even opened
    with pytest.raises(InputError, match="named"):
        fashion_mnist.load()
    fill(cache)
    with pytest.raises(InputError, match="named"):
        fashion_mnist.load()
    fill(cache, made_up(1))
    fill(named)
    assert_small_set(fashion_mnist.load())
    monkeypatch.setenv("FASHION_MNIST_DIR", str(tmp_path / "not there"))
    fill(cache)
    assert_small_set(fashion_mnist.load())
    assert server.asked == []
    (cache / f"{TEST}.gz").unlink()
    assert_small_set(fashion_mnist.load())
    assert server.asked == [TEST]


def test_files_missing_from_one_place_come_from_the_next(tmp_path, cache):
    given = fill(tmp_path / "given", {TRAIN: PACKED[TRAIN]})
    fill(cache, {name: data for name, data in PACKED.items() if name != TRAIN})
    assert_small_set(fashion_mnist.load(given))


@pytest.mark.parametrize("packing", ["another level", "two members", "not at all"])
def test_a_repacked_copy_is_fine(tmp_path, packing):
    def repack(data):
        half = len(data) // 2
        if packing == "two members":
            return gzip.compress(data[:half]) + gzip.compress(data[half:])
        return gzip.compress(data, 1) if packing == "another level" else data

    contents = {name: repack(data) for name, data in INSIDE.items()}
    fill(tmp_path / "given", contents, "" if packing == "not at all" else ".gz")
    assert_small_set(fashion_mnist.load(str(tmp_path / "given")))


@pytest.mark.fault("other-set")
def test_other_data_under_these_names(tmp_path):
    other = made_up(1)
    folder = fill(tmp_path / "mnist", {name: gzip.compress(data) for name, data in other.items()})
    with pytest.raises(InputError, match="not Fashion-MNIST's") as caught:
        fashion_mnist.load(folder)
    assert str(folder / TRAIN) in str(caught.value)
    assert SMALL[0].sha256[:12] in str(caught.value)
    assert hashlib.sha256(other[TRAIN]).hexdigest()[:12] in str(caught.value)
    assert packed(files.load(folder).x_train) == other[TRAIN]


DAMAGE = {
    "empty": lambda _: b"",
    "truncated": lambda raw: raw[: len(raw) // 2],
    "bit flip": lambda raw: raw[:200] + bytes([raw[200] ^ 1]) + raw[201:],
    "junk behind": lambda raw: raw + b"junk",
    "one byte more": lambda raw: raw + gzip.compress(b"x"),
    "bomb": lambda _: gzip.compress(bytes(1 << 24)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_in_a_folder_is_named(tmp_path, damage):
    folder = fill(tmp_path / "given")
    bad = folder / f"{TEST}.gz"
    bad.write_bytes(DAMAGE[damage](bad.read_bytes()))
    tracemalloc.start()
    with pytest.raises(InputError) as caught:
        fashion_mnist.load(folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20
    assert str(bad) in str(caught.value)
    assert "expected" in str(caught.value) or "get the file again" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.fault("cache")
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_in_the_cache_is_fetched_again(monkeypatch, cache, serve, damage):
    server = serve()
    monkeypatch.setattr(fashion_mnist, "MIRRORS", (server.url,))
    bad = fill(cache) / f"{TRAIN}.gz"
    bad.write_bytes(DAMAGE[damage](bad.read_bytes()))
    assert_small_set(fashion_mnist.load())
    assert server.asked == [TRAIN]
    assert held(cache) == COMPLETE


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        fashion_mnist.load(tmp_path / "nowhere")


def test_a_fetched_set_is_kept_and_quiet(monkeypatch, cache, serve, capfd):
    server, chatter = serve(), []
    monkeypatch.setattr(pooch.get_logger(), "handle", chatter.append)
    monkeypatch.setattr(fashion_mnist, "MIRRORS", (server.url,))
    assert_small_set(fashion_mnist.load())
    assert held(cache) == COMPLETE
    assert_small_set(fashion_mnist.load())
    assert server.asked == list(PACKED)
    assert capfd.readouterr() == ("", "")
    assert chatter == []


def test_a_terminal_sees_the_progress(monkeypatch, serve, capsys):
    monkeypatch.setattr(fashion_mnist, "MIRRORS", (serve().url,))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fashion_mnist.load()
    told = capsys.readouterr()
    assert "100%" in told.err
    assert told.out == ""


def cut_short(request, name):
    request.answer(PACKED[name][:500], length=len(PACKED[name]))


def hang(request, _):
    request.server.over.wait(30)


def hang_half_way(request, name):
    request.answer(PACKED[name][:500], length=len(PACKED[name]))
    request.wfile.flush()
    request.server.over.wait(30)


def hang_up(request, _):
    request.connection.close()


def endless(request, _):
    request.send_response(200)
    request.end_headers()
    while not request.server.over.is_set():
        request.wfile.write(bytes(1 << 16))


def same_length(request, name):
    request.answer(PACKED[name][:-1] + b"\xff")


FAILURES = {
    "cut short": (cut_short, "closed the connection half way"),
    "wrong bytes": (same_length, "wrong bytes"),
    "web page": (lambda request, _: request.answer(HTML), "web page"),
    "403": (lambda request, _: request.answer(HTML, 403), "answered 403 Forbidden"),
    "404": (lambda request, _: request.answer(b"", 404), "answered 404 Not Found"),
    "500": (lambda request, _: request.answer(b"", 500), "answered 500 Internal Server Error"),
    "hang": (hang, "no answer within 0.3 s"),
    "hang half way": (hang_half_way, "no answer within 0.3 s"),
    "hang up": (hang_up, "the connection failed"),
    "endless": (endless, "more bytes than the file has"),
    "empty": (lambda request, _: request.answer(b""), "wrong bytes"),
}


@pytest.mark.fault("mirror")
@pytest.mark.parametrize("failure", FAILURES)
def test_a_failing_mirror(monkeypatch, cache, serve, failure):
    behave, told = FAILURES[failure]
    bad, good = serve(behave), serve()
    monkeypatch.setattr(fashion_mnist, "TIMEOUTS", (0.3, 0.3))
    monkeypatch.setattr(fashion_mnist, "MIRRORS", (bad.url,))
    began = time.monotonic()
    with pytest.raises(InputError, match="cannot fetch Fashion-MNIST") as caught:
        fashion_mnist.load()
    assert time.monotonic() - began < 4  # the time-outs of 0.3 s were heeded
    (line,) = caught.value.details
    assert line.startswith(bad.url)
    assert told in line
    assert "Error" not in line.removesuffix("Internal Server Error")
    assert held(cache) == {}
    monkeypatch.setattr(fashion_mnist, "MIRRORS", (bad.url, good.url))
    assert_small_set(fashion_mnist.load())
    assert held(cache) == COMPLETE


@pytest.mark.fault("mirror")
def test_a_mirror_that_fails_half_way_keeps_what_is_right(monkeypatch, serve):
    def half(request, name):
        request.answer(*((PACKED[name],) if name == TRAIN else (b"", 404)))

    first, second = serve(half), serve()
    monkeypatch.setattr(fashion_mnist, "MIRRORS", (first.url, second.url))
    assert_small_set(fashion_mnist.load())
    assert second.asked == [TRAIN_LABELS, TEST, TEST_LABELS]


@pytest.mark.fault("mirror")
def test_every_mirror_has_its_line(monkeypatch, serve):
    resolve = socket.getaddrinfo

    def unknown(host, *args, **kwargs):
        if host == "mirror.invalid":
            raise socket.gaierror(-2, "Name or service not known")
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    gone = serve()
    gone.shutdown()
    gone.server_close()
    urls = (serve(FAILURES["403"][0]).url, gone.url, "http://mirror.invalid/")
    monkeypatch.setattr(fashion_mnist, "MIRRORS", urls)
    with pytest.raises(InputError, match="--data-dir or FASHION_MNIST_DIR, or use `garments`") as caught:
        fashion_mnist.load()
    reasons = dict(line.split(": ", 1) for line in caught.value.details)
    assert list(reasons) == list(urls)
    assert reasons[urls[1]] == "connection refused"
    assert "name could not be found" in reasons[urls[2]]
    assert len(str(caught.value).splitlines()) == 4


@pytest.mark.fault("mirror")
@pytest.mark.parametrize(("behave", "times"), [(cut_short, 2), (FAILURES["404"][0], 1)])
def test_only_what_may_pass_is_tried_again(monkeypatch, serve, behave, times):
    server = serve(behave)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(fashion_mnist, "RETRIES", 1)
    monkeypatch.setattr(fashion_mnist, "MIRRORS", (server.url,))
    with pytest.raises(InputError):
        fashion_mnist.load()
    assert len(server.asked) == times


@pytest.fixture
def tls(tmp_path, monkeypatch):
    trustme = pytest.importorskip("trustme")
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    return context


def redirect_to(url):
    return lambda request, name: request.answer(b"", 302, Location=f"{url}{name}.gz")


@pytest.mark.fault("mirror")
def test_https_never_becomes_http(monkeypatch, cache, serve, tls):
    plain = serve()
    secure = serve(redirect_to(plain.url), tls)
    monkeypatch.setattr(fashion_mnist, "MIRRORS", (secure.url,))
    with pytest.raises(InputError) as caught:
        fashion_mnist.load()
    assert "redirects to http://127.0.0.1, which is not encrypted" in caught.value.details[0]
    assert plain.asked == []
    assert held(cache) == {}


def test_https_may_redirect_to_https(monkeypatch, serve, tls):
    secure = serve(redirect_to(serve(whole, tls).url), tls)
    monkeypatch.setattr(fashion_mnist, "MIRRORS", (secure.url,))
    assert_small_set(fashion_mnist.load())


def test_a_stranger_s_certificate_is_not_accepted(monkeypatch, serve, tls):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    monkeypatch.setattr(fashion_mnist, "MIRRORS", (serve(whole, tls).url,))
    with pytest.raises(InputError) as caught:
        fashion_mnist.load()
    assert "certificate was not accepted" in caught.value.details[0]


@pytest.mark.fault("cache-folder")
def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch, serve):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LATENTFIT_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr(fashion_mnist, "MIRRORS", (serve().url,))
    with pytest.raises(InputError, match="LATENTFIT_CACHE_DIR") as caught:
        fashion_mnist.load()
    assert str(tmp_path / "file") in str(caught.value)


TWIN = """
import json, sys
from latentfit.data import fashion_mnist
fashion_mnist.MIRRORS = (sys.argv[1],)
fashion_mnist.FILES = tuple(fashion_mnist.File(*row) for row in json.loads(sys.argv[2]))
print(fashion_mnist.load().fingerprint)
"""


@pytest.mark.fault("fetch-twice")
def test_eight_processes_fetch_into_one_cache(cache, serve):
    all_of_them = threading.Barrier(8)

    def together(request, name):
        request.answer(b"", length=len(PACKED[name]))
        all_of_them.wait(90)  # each holds an open temporary file before either gets a byte
        request.wfile.write(PACKED[name])

    command = [sys.executable, "-c", TWIN, serve(together).url, json.dumps(SMALL)]
    twins = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(8)]
    told = [twin.communicate(timeout=180) for twin in twins]
    assert [twin.returncode for twin in twins] == [0] * 8, told
    assert len(set(told)) == 1
    assert held(cache) == COMPLETE
