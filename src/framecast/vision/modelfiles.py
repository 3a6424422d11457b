"""Model files into the models folder, and whether those that are there are what they should be."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from framecast.core.errors import FramecastError
from framecast.vision.catalog import LARGEST_BYTES, SUFFIX, Found, Model, why_not

PIECE_BYTES = 1 << 16
SILENCE_S = 30.0
"""A server that says nothing for so long is given up."""

Progress = Callable[[int], None]
"""Is told how many bytes have come."""


class ModelError(FramecastError):
    """A model can't be had, or is not what it should be; the message says why."""


def fetch(model: Model, folder: Path, url: str = "", progress: Progress | None = None) -> Path:
    """Download a model of the list into ``folder``; returns its path. Nothing is left behind when it fails.

    Args:
        model: Which.
        folder: Made if it isn't there.
        url: Another place that has the same file.
        progress: See there.

    Raises:
        ModelError: It can't be reached, or what came is not that file.
    """
    where = url or model.url
    if urllib.parse.urlsplit(where).scheme not in ("http", "https"):
        raise ModelError(f"{where}: models are fetched from http:// and https:// addresses")
    request = urllib.request.Request(where, headers={"User-Agent": "framecast"})
    try:
        with urllib.request.urlopen(request, timeout=SILENCE_S) as answer, _landing(folder / model.file) as target:
            _take(answer, target, model, where, progress)
    except urllib.error.HTTPError as error:
        error.close()
        raise ModelError(f"{where} answers {error.code} {error.reason}; {_otherwise(model)}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        cause = getattr(error, "reason", error)
        reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
        raise ModelError(f"{where} can't be fetched: {reason}; {_otherwise(model)}") from None
    return folder / model.file


def take(model: Model, source: Path, folder: Path) -> Path:
    """Copy a model of the list from a file into ``folder``; returns its path.

    Raises:
        ModelError: The file is not that model, or can't be read or kept.
    """
    try:
        found = sum_of(source)
        if found not in (model.sha256, *model.also_sha256):
            reason = why_not(source) or f"its SHA-256 is {found}, and that of {model.name} is {model.sha256}"
            raise ModelError(f"{source} is not {model.name}: {reason}; give a model of your own another name")
        return _copy(source, folder / model.file)
    except OSError as error:
        raise ModelError(f"{error.filename or source}: {error.strerror or error}") from None


def take_own(name: str, source: Path, folder: Path, labels: Path | None = None) -> Path:
    """Copy an object model of the user's own into ``folder``, after it was opened; returns its path.

    Raises:
        ModelError: It is no object model that can be used, or can't be kept.
    """
    from framecast.vision.objects import OnnxObjects, UnusableModel

    try:
        OnnxObjects(source)
    except UnusableModel as error:
        raise ModelError(str(error)) from None
    try:
        if labels is not None:
            _copy(labels, folder / f"{name}.txt")
        return _copy(source, folder / f"{name}{SUFFIX}")
    except OSError as error:
        raise ModelError(f"{error.filename or source}: {error.strerror or error}") from None


def fault(found: Found) -> str:
    """What is wrong with a model file that is here; empty when nothing is.

    One of the list has to have its sum; one of the user's own has to be an object model that can be opened.

    Raises:
        ModuleNotFoundError: What opens models is not installed.
    """
    if reason := why_not(found.path):
        return reason
    if found.model is not None:
        try:
            sha256 = sum_of(found.path)
        except OSError as error:
            return f"it can't be read: {error.strerror or error}"
        if sha256 in (found.model.sha256, *found.model.also_sha256):
            return ""
        return f"its SHA-256 is {sha256}, and that of {found.name} is {found.model.sha256}"
    from framecast.vision.objects import OnnxObjects, UnusableModel

    try:
        OnnxObjects(found.path)
    except UnusableModel as error:
        return str(error).removeprefix(f"{found.path}: ")
    return ""


def sum_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal; raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _take(
    answer: http.client.HTTPResponse, target: BinaryIO, model: Model, where: str, progress: Progress | None
) -> None:
    digest, size = hashlib.sha256(), 0
    while piece := answer.read(PIECE_BYTES):
        size += len(piece)
        if size > LARGEST_BYTES:
            raise ModelError(f"{where} sends more than {LARGEST_BYTES >> 20} MiB; {_otherwise(model)}")
        digest.update(piece)
        target.write(piece)
        if progress is not None:
            progress(size)
    sha256 = digest.hexdigest()
    if sha256 not in (model.sha256, *model.also_sha256):
        raise ModelError(
            f"{where} sent {size} bytes with SHA-256 {sha256}, and {model.name} has {model.size_bytes} with"
            f" {model.sha256}: nothing was kept; {_otherwise(model)}"
        )


def _copy(source: Path, target: Path) -> Path:
    with source.open("rb") as file, _landing(target) as into:
        while piece := file.read(PIECE_BYTES):
            into.write(piece)
    return target


@contextmanager
def _landing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its place, whole, when all went well."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with open(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def _otherwise(model: Model) -> str:
    return f"with the file at hand: framecast models install {model.name} --from FILE"
