"""Fashion-MNIST: looked for on this machine, then fetched, and believed only by its hash.

The one idea: each of the four files is known by the sha256 of the bytes inside its gzip. So it does not
matter where a file lies or who packed it, and nothing else can pass for it, MNIST under the same names
least of all. Fetched files stay gzipped, each with its own hash, and are unpacked in memory: there is no
second copy on disk that would have to be trusted.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from platformdirs import user_cache_path

from ..errors import InputError
from . import idx
from .images import ImageSet

CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

MIRRORS = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
)
TIMEOUTS = (5.0, 20.0)  # seconds to connect to one address, and between two reads
RETRIES = 2


class File(NamedTuple):
    """One of the four files: its length and sha256 as published in gzip, and those of the bytes inside."""

    name: str
    packed_bytes: int
    packed_sha256: str
    bytes: int
    sha256: str


# fmt: off
FILES = (
    File("train-images-idx3-ubyte", 26_421_880,
         "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
         47_040_016, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
    File("train-labels-idx1-ubyte", 29_515,
         "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
         60_008, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
    File("t10k-images-idx3-ubyte", 4_422_102,
         "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
         7_840_016, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
    File("t10k-labels-idx1-ubyte", 5_148,
         "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
         10_008, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
)
# fmt: on


def load(data_dir: str | Path | None = None) -> ImageSet:
    """Load Fashion-MNIST, fetching what is on no disk.

    Each file comes from the first place that has it: `data_dir`, `$FASHION_MNIST_DIR`, the user's cache
    (`$LATENTFIT_CACHE_DIR` moves it), the mirrors. In the first two, gzip may be missing or anyone's.

    Args:
        data_dir: Folder to look into first; it has to exist.

    Returns:
        uint8 images (60000, 28, 28) and (10000, 28, 28), uint8 labels 0 to 9.

    Raises:
        InputError: A file in the first two places is damaged or other data, or no mirror can be reached,
            or the cache cannot be written.
    """
    folders, cache = _folders(data_dir), _cache()
    data = {file.name: _own(file, folders) or _cached(file, cache) for file in FILES}
    missing = [file for file in FILES if data[file.name] is None]
    if missing:
        _fetch(missing, cache, looked=(*folders, cache))
        data |= {file.name: _verified(cache / f"{file.name}.gz", file) for file in missing}
    x_train, y_train, x_test, y_test = (idx.parse(part) for part in data.values() if part)
    return ImageSet("fashion-mnist", x_train, x_test, y_train, y_test, CLASSES)


def _folders(data_dir: str | Path | None) -> list[Path]:
    named = [os.environ["FASHION_MNIST_DIR"]] if os.environ.get("FASHION_MNIST_DIR") else []
    if data_dir is None:
        return [Path(folder).expanduser() for folder in named]
    try:
        if Path(data_dir).expanduser().is_dir():
            return [Path(folder).expanduser() for folder in (data_dir, *named)]
    except (OSError, RuntimeError):  # a name longer than any folder's; the home of nobody
        pass
    raise InputError(f"{data_dir}: no such folder; expected one with Fashion-MNIST's four files")


def _cache() -> Path:
    moved = os.environ.get("LATENTFIT_CACHE_DIR")
    root = Path(moved).expanduser() if moved else user_cache_path("latentfit")
    return root / "fashion-mnist"


def _own(file: File, folders: list[Path]) -> bytearray | None:
    paths = (idx.find(folder, file.name) for folder in folders)
    path = next((path for path in paths if path), None)
    return None if path is None else _verified(path, file)


def _cached(file: File, cache: Path) -> bytearray | None:
    try:
        return _verified(cache / f"{file.name}.gz", file)
    except InputError:  # missing or damaged: both are mended by fetching it
        return None


def _verified(path: Path, file: File) -> bytearray:
    data = idx.unpack(path, file.bytes)
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        held = f"{len(data):,}" if len(data) <= file.bytes else f"more than {file.bytes:,}"
        raise InputError(
            f"{path}: not Fashion-MNIST's: expected {file.bytes:,} bytes inside with sha256 "
            f"{file.sha256[:12]}..., found {held} with {found[:12]}...; put the right file there, or remove "
            "it to have it fetched; to use other data under these names, give the folder by its path"
        )
    return data


class _Refused(Exception):
    """An answer that asking again will not change; the message is the reason in plain words."""


def _fetch(files: list[File], cache: Path, looked: tuple[Path, ...]) -> None:
    import requests

    reasons = []
    for mirror in MIRRORS:
        try:
            _fetch_from(mirror, files, cache)
            return
        except (_Refused, requests.RequestException, ValueError) as error:
            reasons.append(f"{mirror}: {_reason(error)}")
        except OSError as error:
            raise InputError(
                f"cannot write to the cache folder {cache}: {error.strerror or error}; "
                "name one that can be written in LATENTFIT_CACHE_DIR"
            ) from error
    raise InputError(
        f"cannot fetch Fashion-MNIST: not in {', '.join(map(str, looked))}, and no mirror gave it; put the "
        "four files into a folder and name it with --data-dir or FASHION_MNIST_DIR, or use `garments`",
        tuple(reasons),
    )


def _fetch_from(mirror: str, files: list[File], cache: Path) -> None:
    import pooch

    cache.mkdir(parents=True, exist_ok=True)
    shelf = pooch.create(
        path=cache,
        base_url=mirror,
        registry={f"{file.name}.gz": f"sha256:{file.packed_sha256}" for file in files},
        retry_if_failed=RETRIES,
    )
    with _quiet(pooch.get_logger()):
        for file in files:
            # Safe for two at once: pooch writes under a unique name and renames what has the right hash.
            shelf.fetch(f"{file.name}.gz", downloader=_Downloader(file.packed_bytes))


@contextlib.contextmanager
def _quiet(logger: Any) -> Iterator[None]:
    level = logger.level
    logger.setLevel("WARNING")
    try:
        yield
    finally:
        logger.setLevel(level)


class _Downloader:
    """What pooch calls to fetch one file; refuses what it can tell is wrong before the hash would."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        import requests
        from pooch import HTTPDownloader

        opened: list[requests.Response] = []
        get = HTTPDownloader(
            progressbar=sys.stderr.isatty(),
            chunk_size=1 << 16,
            timeout=TIMEOUTS,
            headers={"Accept-Encoding": "identity"},  # else a helpful server's gzip is undone on the way
            hooks={"response": [lambda response, **_: opened.append(response), _stay_secure]},
        )
        try:
            with Path(output_file).open("wb") as file:
                get(url, _Bounded(file, self.size), pooch)
        except requests.RequestException as error:
            if _is_final(error):
                raise _Refused(_reason(error)) from error
            raise
        finally:
            for response in opened:
                response.close()


class _Bounded:
    """A file that takes what was expected and no more, and no web page."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.file, self.left = file, size
        self.flush = file.flush

    def write(self, chunk: bytes) -> None:
        if self.file.tell() == 0 and chunk.lstrip()[:1] == b"<":
            raise _Refused("sent a web page in place of the file (a sign-in page?)")
        self.left -= len(chunk)
        if self.left < 0:
            raise _Refused("sent more bytes than the file has")
        self.file.write(chunk)


def _stay_secure(response: Any, **_: Any) -> None:
    target = urlsplit(urljoin(response.url, response.headers.get("location", "")))
    if response.is_redirect and response.url.startswith("https:") and target.scheme != "https":
        raise _Refused(f"redirects to {target.scheme}://{target.hostname}, which is not encrypted")


def _is_final(error: Exception) -> bool:
    import socket

    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return 400 <= error.response.status_code < 500
    never = (requests.ConnectTimeout, requests.exceptions.SSLError)
    return isinstance(error, never) or any(isinstance(cause, socket.gaierror) for cause in _causes(error))


def _reason(error: Exception) -> str:
    import socket

    import requests

    causes = list(_causes(error))
    told = [cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror]
    if isinstance(error, _Refused):
        return str(error)
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout) or any(isinstance(cause, TimeoutError) for cause in causes):
        limit = TIMEOUTS[0] if isinstance(error, requests.ConnectTimeout) else TIMEOUTS[1]
        return f"no answer within {limit:g} s"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate was not accepted"
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "its name could not be found (is there a network?)"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "closed the connection half way"
    if isinstance(error, requests.RequestException):
        return told[-1].lower() if told else "the connection failed"
    return "sent wrong bytes (their sha256 is not the published one)"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
