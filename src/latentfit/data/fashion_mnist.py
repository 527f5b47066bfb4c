"""Fashion-MNIST: found on this machine or downloaded, and verified by its hash.

Each of the four files is identified by the sha256 of the bytes inside its gzip. It may be in any folder and packed by
anyone, but other data under the same names, such as MNIST, are refused. Downloaded files stay gzipped and are unpacked
in memory, so no unverified copy is on disk.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from ..errors import InputError
from . import idx
from .cache import cache_folder
from .images import ImageSet
from .reading import existing_path

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
    """One of the four files: length and sha256 of the published gzip, and of the bytes inside."""

    name: str
    packed_bytes: int
    packed_sha256: str
    bytes: int
    sha256: str


# fmt: off
FILES = (
    File("train-images-idx3-ubyte", 26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
         47_040_016, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
    File("train-labels-idx1-ubyte", 29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
         60_008, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
    File("t10k-images-idx3-ubyte", 4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
         7_840_016, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
    File("t10k-labels-idx1-ubyte", 5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
         10_008, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
)
# fmt: on


def load(data_dir: str | Path | None = None) -> ImageSet:
    """Load Fashion-MNIST; download the files that are not on this machine.

    Each file comes from the first place that has it: `data_dir` (which must exist), `$FASHION_MNIST_DIR`, the user's
    cache (or `$LATENTFIT_CACHE_DIR`), the mirrors. In the first two, the files may be unpacked, or gzipped by anyone.

    Raises:
        InputError: A file in the first two places is damaged or has other data, no mirror can be reached, or the
            cache cannot be written.
    """
    folders, cache = _folders(data_dir), cache_folder() / "fashion-mnist"
    data = {file: _read_local(file, folders, cache) for file in FILES}
    missing = [file for file in FILES if data[file] is None]
    if missing:
        _download(missing, cache, searched=(*folders, cache))
        data |= {file: _read_verified(cache / f"{file.name}.gz", file) for file in missing}
    x_train, y_train, x_test, y_test = (idx.parse(content) for content in data.values() if content)
    return ImageSet("fashion-mnist", x_train, x_test, y_train, y_test, CLASSES)


def _folders(data_dir: str | Path | None) -> list[Path]:
    named = os.environ.get("FASHION_MNIST_DIR")
    folders = [Path(named).expanduser()] if named else []
    if data_dir is None:
        return folders
    folder = existing_path(data_dir)
    if folder is None or not folder.is_dir():
        raise InputError(f"{data_dir}: no such folder; expected one with Fashion-MNIST's four files")
    return [folder, *folders]


def _read_local(file: File, folders: list[Path], cache: Path) -> bytearray | None:
    for folder in folders:
        if path := idx.find(folder, file.name):
            return _read_verified(path, file)
    try:
        return _read_verified(cache / f"{file.name}.gz", file)
    except InputError:  # missing or damaged: download it
        return None


def _read_verified(path: Path, file: File) -> bytearray:
    data = idx.unpack(path, file.bytes)
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != file.sha256:
        size = f"{len(data):,}" if len(data) <= file.bytes else f"more than {file.bytes:,}"
        raise InputError(
            f"{path}: not Fashion-MNIST's: expected {file.bytes:,} bytes inside with sha256 "
            f"{file.sha256[:12]}..., found {size} with {sha256[:12]}...; put the right file there, or remove "
            "it to have it fetched; to use other data under these names, give the folder by its path"
        )
    return data


class _Refused(Exception):
    """An answer that a retry cannot change; the message is the reason."""


def _download(files: list[File], cache: Path, searched: tuple[Path, ...]) -> None:
    import requests

    reasons = []
    for mirror in MIRRORS:
        try:
            return _download_from(mirror, files, cache)
        except (_Refused, requests.RequestException, ValueError) as error:
            reasons.append(f"{mirror}: {_explain(error)[0]}")
        except OSError as error:
            raise InputError(
                f"cannot write to the cache folder {cache}: {error.strerror or error}; "
                "name one that can be written in LATENTFIT_CACHE_DIR"
            ) from error
    raise InputError(
        f"cannot fetch Fashion-MNIST: not in {', '.join(map(str, searched))}, and no mirror gave it; put the "
        "four files into a folder and name it with --data-dir or FASHION_MNIST_DIR, or use `garments`",
        tuple(reasons),
    )


def _download_from(mirror: str, files: list[File], cache: Path) -> None:
    import pooch

    cache.mkdir(parents=True, exist_ok=True)
    hashes = {f"{file.name}.gz": f"sha256:{file.packed_sha256}" for file in files}
    downloads = pooch.create(cache, mirror, registry=hashes, retry_if_failed=RETRIES)
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")
    try:
        for file in files:
            # Safe for concurrent processes: pooch verifies a file with a unique name, then renames it.
            downloads.fetch(f"{file.name}.gz", downloader=functools.partial(_download_file, size=file.packed_bytes))
    finally:
        logger.setLevel(level)


def _download_file(url: str, output_file: str, pooch: Any, *, size: int) -> None:
    """Download one file for pooch; stop as soon as the answer cannot be the file."""
    import requests
    from pooch import HTTPDownloader

    with contextlib.ExitStack() as responses, Path(output_file).open("wb") as file:
        download = HTTPDownloader(
            progressbar=sys.stderr.isatty(),
            chunk_size=1 << 16,
            timeout=TIMEOUTS,
            headers={"Accept-Encoding": "identity"},  # or a server may gzip, and requests unpack, a second time
            hooks={"response": [lambda response, **_: responses.enter_context(response), _require_https]},
        )
        try:
            download(url, _Bounded(file, size), pooch)
        except requests.RequestException as error:
            reason, final = _explain(error)
            if final:
                raise _Refused(reason) from error
            raise


class _Bounded:
    """A file that accepts up to `size` bytes, and no web page."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.file, self.size = file, size
        self.flush = file.flush

    def write(self, chunk: bytes) -> None:
        if self.file.tell() == 0 and chunk.lstrip()[:1] == b"<":
            raise _Refused("sent a web page in place of the file (a sign-in page?)")
        if self.file.tell() + len(chunk) > self.size:
            raise _Refused("sent more bytes than the file has")
        self.file.write(chunk)


def _require_https(response: Any, **_: Any) -> None:
    target = urlsplit(urljoin(response.url, response.headers.get("location", "")))
    if response.is_redirect and response.url.startswith("https:") and target.scheme != "https":
        raise _Refused(f"redirects to {target.scheme}://{target.hostname}, which is not encrypted")


def _explain(error: Exception) -> tuple[str, bool]:
    """The reason for a failed download, and whether it is final, so that a retry cannot help."""
    import socket

    import requests

    causes = list(_causes(error))
    messages = [cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror]
    refused_certificate = isinstance(error, requests.exceptions.SSLError)
    if isinstance(error, _Refused):
        return str(error), True
    if isinstance(error, requests.HTTPError) and error.response is not None:
        status = error.response.status_code
        return f"answered {status} {error.response.reason}", 400 <= status < 500
    if isinstance(error, requests.Timeout) or any(isinstance(cause, TimeoutError) for cause in causes):
        connecting = isinstance(error, requests.ConnectTimeout)
        return f"no answer within {TIMEOUTS[0 if connecting else 1]:g} s", connecting or refused_certificate
    if refused_certificate:
        return "its certificate was not accepted", True
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "its name could not be found (is there a network?)", True
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "closed the connection early", False
    if isinstance(error, requests.RequestException):
        return messages[-1].lower() if messages else "the connection failed", False
    return "sent wrong bytes (their sha256 is not the published one)", False


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
