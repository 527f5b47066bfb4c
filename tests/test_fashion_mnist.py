"""Fashion-MNIST: the published figures, the places that are searched, and every failure of a server.

The servers are threads on 127.0.0.1. They serve a small random set whose hashes replace the real ones; only the test of
the published figures needs the real files.
"""

import contextlib
import gzip
import hashlib
import http.server
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pooch
import pytest
from helpers import idx_bytes

from latentfit.data import fashion_mnist, files
from latentfit.errors import InputError

REAL = Path(os.environ.get("FASHION_MNIST_DIR") or Path(__file__).parents[1] / ".." / "shared" / "fashion-mnist")
TRAIN, TRAIN_LABELS, TEST, TEST_LABELS = (file.name for file in fashion_mnist.FILES)
HTML = b"<!DOCTYPE html><html><body>Please sign in</body></html>"


def random_files(seed):
    """Four small files under the names of the real ones: name -> bytes inside."""
    rng = np.random.default_rng(seed)
    images, test_images = (rng.integers(0, 256, (n, 28, 28), np.uint8) for n in (30, 10))
    arrays = (images, rng.integers(0, 10, 30, np.uint8), test_images, rng.integers(0, 10, 10, np.uint8))
    return dict(zip((TRAIN, TRAIN_LABELS, TEST, TEST_LABELS), map(idx_bytes, arrays), strict=True))


def sha256(data):
    return hashlib.sha256(data).hexdigest()


INSIDE = random_files(0)
OTHER = random_files(1)
PACKED = {name: gzip.compress(data, mtime=0) for name, data in INSIDE.items()}
COMPLETE = {f"{name}.gz": data for name, data in PACKED.items()}
SMALL = tuple(
    fashion_mnist.File(name, len(PACKED[name]), sha256(PACKED[name]), len(data), sha256(data))
    for name, data in INSIDE.items()
)


class Request(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.rpartition("/")[2].removesuffix(".gz")
        self.server.requests.append(name)
        with contextlib.suppress(OSError):
            self.server.respond(self, name)

    def answer(self, body, status=200, length=None, **headers):
        self.send_response(status)
        for key, value in ({"Content-Length": str(len(body) if length is None else length)} | headers).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        pass  # some tests are about clients that hang up


def whole(request, name):
    request.answer(PACKED[name])


@pytest.fixture
def mirrors(monkeypatch):
    """Start servers that answer each request with `respond(request, name)`, and make them the mirrors."""
    with contextlib.ExitStack() as stack:

        def start(*responds, tls=None):
            servers = [stack.enter_context(Server(("127.0.0.1", 0), Request)) for _ in responds]
            for server, respond in zip(servers, responds, strict=True):
                if tls:
                    server.socket = tls.wrap_socket(server.socket, server_side=True)
                server.respond, server.requests, server.over = respond, [], threading.Event()
                server.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}/data/"
                threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
                stack.callback(server.shutdown)
                stack.callback(server.over.set)
            monkeypatch.setattr(fashion_mnist, "MIRRORS", tuple(server.url for server in servers))
            return servers

        yield start


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """No test uses the network, the user's cache or the user's folders; the data are the small set."""
    monkeypatch.setenv("LATENTFIT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("FASHION_MNIST_DIR", raising=False)
    for name, value in {"MIRRORS": (), "FILES": SMALL, "RETRIES": 0}.items():
        monkeypatch.setattr(fashion_mnist, name, value)
    return tmp_path / "cache" / "fashion-mnist"


def fill(folder, contents=PACKED, suffix=".gz"):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in contents.items():
        (folder / f"{name}{suffix}").write_bytes(data)
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def loads_small_set(*args):
    images = fashion_mnist.load(*args)
    arrays = (images.x_train, images.y_train, images.x_test, images.y_test)
    return [*map(idx_bytes, arrays)] == [*INSIDE.values()]


def test_the_real_files_have_the_published_figures(monkeypatch):
    if not (REAL / f"{TRAIN}.gz").exists():
        pytest.skip("Fashion-MNIST is not on this machine; name its folder in FASHION_MNIST_DIR")
    monkeypatch.undo()
    real = fashion_mnist.load(REAL)
    for x, y, n in ((real.x_train, real.y_train, 60_000), (real.x_test, real.y_test, 10_000)):
        assert (x.shape, x.dtype) == ((n, 28, 28), np.uint8)
        assert np.bincount(y).tolist() == [n // 10] * 10
    x = real.x_train
    mean_image = x.mean(axis=0)
    variance = np.square(x, dtype=np.uint16).mean(axis=0) - mean_image**2
    assert mean_image.mean() / 255 == pytest.approx(0.28604, abs=5e-6)
    assert variance.mean() / 255**2 == pytest.approx(0.08701, abs=5e-6)
    assert (real.name, real.classes[0], real.classes[9]) == ("fashion-mnist", "T-shirt/top", "Ankle boot")
    shoe, trouser = (x[real.y_train == label].mean(axis=0) for label in (9, 1))
    assert shoe[:5, :14].max() < shoe[15:20].mean()  # the upper left of a boot is empty
    assert trouser[4:, 13:15].mean() > 2 * trouser[4:, :5].mean()  # trousers are in the middle


def test_the_places_are_searched_in_order(tmp_path, monkeypatch, cache, mirrors):
    (server,) = mirrors(whole)
    given, named = fill(tmp_path / "given"), fill(tmp_path / "named", OTHER)
    monkeypatch.setenv("FASHION_MNIST_DIR", str(named))
    assert loads_small_set(given)  # the damaged files in `named` are not opened
    for _ in range(2):
        with pytest.raises(InputError, match="named"):
            fashion_mnist.load()
        fill(cache)
    fill(cache, OTHER)
    fill(named)
    assert loads_small_set()
    monkeypatch.setenv("FASHION_MNIST_DIR", str(tmp_path / "missing"))
    fill(cache)
    assert loads_small_set()
    (given / f"{TEST}.gz").unlink()
    (cache / f"{TRAIN}.gz").unlink()
    assert loads_small_set(given)  # each of the two has a file that the other lacks
    assert server.requests == []
    assert loads_small_set()
    assert server.requests == [TRAIN]
    with pytest.raises(InputError, match="no such folder"):
        fashion_mnist.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("repack", "suffix"),
    [
        (lambda data: gzip.compress(data, 1), ".gz"),
        (lambda data: gzip.compress(data[:99]) + gzip.compress(data[99:]), ".gz"),
        (lambda data: data, ""),
    ],
    ids=["another level", "two members", "not packed"],
)
def test_a_repacked_copy_is_accepted(tmp_path, repack, suffix):
    fill(tmp_path / "given", {name: repack(data) for name, data in INSIDE.items()}, suffix)
    assert loads_small_set(str(tmp_path / "given"))


@pytest.mark.fault("other-set")
def test_other_data_under_these_names_are_refused(tmp_path):
    folder = fill(tmp_path / "mnist", {name: gzip.compress(data) for name, data in OTHER.items()})
    with pytest.raises(InputError, match="not Fashion-MNIST's") as caught:
        fashion_mnist.load(folder)
    for part in (str(folder / TRAIN), SMALL[0].sha256[:12], sha256(OTHER[TRAIN])[:12]):
        assert part in str(caught.value)
    assert idx_bytes(files.load(folder).x_train) == OTHER[TRAIN]


DAMAGE = {
    "empty": lambda _: b"",
    "truncated": lambda raw: raw[: len(raw) // 2],
    "bit flip": lambda raw: raw[:200] + bytes([raw[200] ^ 1]) + raw[201:],
    "junk behind": lambda raw: raw + b"junk",
    "one byte more": lambda raw: raw + gzip.compress(b"x"),
    "bomb": lambda _: gzip.compress(bytes(1 << 24)),
}


@pytest.mark.fault("cache")
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_an_error_in_a_folder_and_downloaded_again_in_the_cache(tmp_path, cache, mirrors, damage):
    (server,) = mirrors(whole)
    for folder in (tmp_path / "given", cache):
        fill(folder)
        bad = folder / f"{TEST}.gz"
        bad.write_bytes(damage(bad.read_bytes()))
    tracemalloc.start()
    with pytest.raises(InputError) as caught:
        fashion_mnist.load(tmp_path / "given")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20
    assert str(tmp_path / "given" / TEST) in str(caught.value)
    assert "expected" in str(caught.value) or "get the file again" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert loads_small_set()
    assert server.requests == [TEST]
    assert contents(cache) == COMPLETE


@pytest.mark.parametrize("terminal", [False, True])
def test_a_download_is_kept_and_shows_progress_only_in_a_terminal(monkeypatch, cache, mirrors, capsys, terminal):
    (server,) = mirrors(whole)
    log = []
    monkeypatch.setattr(pooch.get_logger(), "handle", log.append)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert loads_small_set()
    assert contents(cache) == COMPLETE
    assert loads_small_set()
    assert server.requests == list(PACKED)
    output = capsys.readouterr()
    assert output.out == ""
    assert ("100%" in output.err) if terminal else output.err == ""
    assert log == []


def half(request, name):
    request.answer(PACKED[name][:500], length=len(PACKED[name]))


def hang(request, _):
    request.server.over.wait(30)


def hang_half_way(request, name):
    half(request, name)
    request.wfile.flush()
    hang(request, name)


def endless(request, _):
    request.send_response(200)
    request.end_headers()
    while not request.server.over.is_set():
        request.wfile.write(bytes(1 << 16))


def not_found(request, _):
    request.answer(b"", 404)


def forbidden(request, _):
    request.answer(HTML, 403)


FAILURES = {  # answer, reason, whether it is tried again
    "cut short": (half, "closed the connection early", True),
    "wrong bytes": (lambda request, name: request.answer(PACKED[name][:-1] + b"\xff"), "wrong bytes", True),
    "web page": (lambda request, _: request.answer(HTML), "web page", False),
    "403": (forbidden, "answered 403 Forbidden", False),
    "404": (not_found, "answered 404 Not Found", False),
    "500": (lambda request, _: request.answer(b"", 500), "answered 500 Internal Server Error", True),
    "hang": (hang, "no answer within 0.3 s", True),
    "hang half way": (hang_half_way, "no answer within 0.3 s", True),
    "hang up": (lambda request, _: request.connection.close(), "the connection failed", True),
    "endless": (endless, "more bytes than the file has", False),
    "empty": (lambda request, _: request.answer(b""), "wrong bytes", True),
}


@pytest.mark.fault("mirror")
@pytest.mark.parametrize(("respond", "reason", "again"), FAILURES.values(), ids=FAILURES)
def test_a_failing_mirror_leaves_no_file_and_the_next_one_is_used(monkeypatch, cache, mirrors, respond, reason, again):
    bad, good = mirrors(respond, whole)
    for name, value in {"TIMEOUTS": (0.3, 0.3), "RETRIES": 1, "MIRRORS": (bad.url,)}.items():
        monkeypatch.setattr(fashion_mnist, name, value)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    began = time.monotonic()
    with pytest.raises(InputError, match="cannot fetch Fashion-MNIST") as caught:
        fashion_mnist.load()
    assert time.monotonic() - began < 4  # the time-outs of 0.3 s apply
    assert len(bad.requests) == 1 + again
    (line,) = caught.value.details
    assert line.startswith(bad.url)
    assert reason in line
    assert "Error" not in line.removesuffix("Internal Server Error")
    assert contents(cache) == {}
    monkeypatch.setattr(fashion_mnist, "MIRRORS", (bad.url, good.url))
    assert loads_small_set()
    assert contents(cache) == COMPLETE


@pytest.mark.fault("mirror")
def test_files_of_a_mirror_that_fails_later_are_kept(mirrors):
    _, second = mirrors(lambda request, name: (whole if name == TRAIN else not_found)(request, name), whole)
    assert loads_small_set()
    assert second.requests == [TRAIN_LABELS, TEST, TEST_LABELS]


@pytest.mark.fault("mirror")
def test_the_error_has_a_line_for_each_mirror(monkeypatch, mirrors):
    resolve = socket.getaddrinfo

    def unknown(host, *args, **kwargs):
        if host == "mirror.invalid":
            raise socket.gaierror(-2, "Name or service not known")
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    refusing, gone = mirrors(forbidden, whole)
    gone.shutdown()
    gone.server_close()
    urls = (refusing.url, gone.url, "http://mirror.invalid/")
    monkeypatch.setattr(fashion_mnist, "MIRRORS", urls)
    with pytest.raises(InputError, match="--data-dir or FASHION_MNIST_DIR, or use `garments`") as caught:
        fashion_mnist.load()
    reasons = dict(line.split(": ", 1) for line in caught.value.details)
    assert list(reasons) == list(urls)
    assert reasons[gone.url] == "connection refused"
    assert "name could not be found" in reasons[urls[2]]
    assert len(str(caught.value).splitlines()) == 4


@pytest.mark.fault("mirror")
@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("http", "redirects to http://127.0.0.1, which is not encrypted"),
        ("https", None),
        ("unknown certificate", "certificate was not accepted"),
    ],
)
def test_https_stays_https_with_a_known_certificate(tmp_path, monkeypatch, cache, mirrors, target, reason):
    authority, tls = pytest.importorskip("trustme").CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    if target != "unknown certificate":
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    (last,) = mirrors(whole, tls=None if target == "http" else tls)
    if target != "unknown certificate":
        mirrors(lambda request, name: request.answer(b"", 302, Location=f"{last.url}{name}.gz"), tls=tls)
    if reason is None:
        assert loads_small_set()
        return
    with pytest.raises(InputError) as caught:
        fashion_mnist.load()
    assert reason in caught.value.details[0]
    assert last.requests == []
    assert contents(cache) == {}


@pytest.mark.fault("cache-folder")
def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch, mirrors):
    mirrors(whole)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LATENTFIT_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(InputError, match="LATENTFIT_CACHE_DIR") as caught:
        fashion_mnist.load()
    assert str(tmp_path / "file") in str(caught.value)


LOAD = """
import json, sys
from latentfit.data import fashion_mnist
fashion_mnist.MIRRORS = (sys.argv[1],)
fashion_mnist.FILES = tuple(fashion_mnist.File(*row) for row in json.loads(sys.argv[2]))
print(fashion_mnist.load().fingerprint)
"""


@pytest.mark.fault("fetch-twice")
def test_eight_processes_download_into_one_cache(cache, mirrors):
    barrier = threading.Barrier(8)

    def together(request, name):
        request.answer(b"", length=len(PACKED[name]))
        barrier.wait(90)  # each process has an open temporary file before any gets a byte
        request.wfile.write(PACKED[name])

    command = [sys.executable, "-c", LOAD, mirrors(together)[0].url, json.dumps(SMALL)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(8)]
    outputs = [process.communicate(timeout=180) for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, outputs
    assert len(set(outputs)) == 1
    assert contents(cache) == COMPLETE
