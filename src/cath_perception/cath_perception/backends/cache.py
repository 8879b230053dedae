"""What converted models and engines are kept in: a folder each with a manifest of hashes, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cath_perception.network
from cath_perception.bundle import INTENSITY_RULE, ModelBundle

MANIFEST = "manifest.json"
_ABANDONED_S = 86400.0
Identity = dict[str, str]


def model_identity(bundle: ModelBundle) -> Identity:
    """Everything that what is made of a bundle depends on: weights, the manifest's figures, the networks' code."""
    sources = hashlib.sha256()
    for path in sorted(Path(cath_perception.network.__file__).parent.glob("*.py")):
        sources.update(path.read_bytes())
    return {
        "weights": bundle.weights_sha256,
        "architecture": json.dumps(bundle.architecture, sort_keys=True),
        "input_size": str(bundle.input_size),
        "intensity": f"{INTENSITY_RULE}: {bundle.low} {bundle.high}",
        "network_code": sources.hexdigest(),
    }


def folder_name(identity: Identity) -> str:
    """A name that stands for ``identity``."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:24]


def check(folder: Path, identity: Identity, files: Sequence[str]) -> str | None:
    """None if the folder holds what ``identity`` describes, ours alone and untouched; otherwise what is wrong.

    Folder and files must belong to this user and be writable by no one else, for some of them are trusted when read.
    """
    try:
        for path in (folder, *(folder / name for name in (MANIFEST, *files))):
            if reason := _stranger(path):
                return reason
        manifest = json.loads((folder / MANIFEST).read_bytes())
        found = manifest.get("identity") if isinstance(manifest, dict) else None
        if found != identity:
            return f"it was made for another model or version{difference(identity, found)}"
        for name in files:
            if sha256(folder / name) != manifest.get(name):
                return f"{name} is truncated or changed"
    except (OSError, ValueError) as error:
        return str(error)
    return None


def difference(expected: Identity, found: Any) -> str:
    """``: key is a, was b`` for every key that differs; "" where there is nothing to compare."""
    if not isinstance(found, dict):
        return ""
    keys = sorted(key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key))
    parts = [f"{key} is {str(expected.get(key))[:40]}, was {str(found.get(key))[:40]}" for key in keys]
    return f": {'; '.join(parts)}" if parts else ""


def store(
    folder: Path, identity: Identity, files: Sequence[str], write: Callable[[Path], dict[str, Any]]
) -> None:
    """Let ``write`` make ``files`` beside the place, then rename the whole, so that no one ever sees a part.

    What ``write`` returns is kept in the manifest. What it raises comes through, and leaves what was there before.
    """
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for left in folder.parent.glob(".part-*"):  # by a process that was killed
        if left.lstat().st_mtime < time.time() - _ABANDONED_S:
            shutil.rmtree(left, ignore_errors=True)
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))  # for this user only
    try:
        facts = write(part)
        for name in files:
            (part / name).chmod(0o600)
        manifest = {"identity": identity} | facts | {name: sha256(part / name) for name in files}
        (part / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        (part / MANIFEST).chmod(0o600)
        shutil.rmtree(folder, ignore_errors=True)
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def facts_of(folder: Path) -> dict[str, Any]:
    """The manifest of a folder that ``check`` found in order."""
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
    return manifest


def sha256(path: Path) -> str:
    """A file's hash in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _stranger(path: Path) -> str | None:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return f"{path.name} is a link"
    if status.st_uid != os.geteuid():
        return f"{path.name} belongs to another user"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others may write {path.name}"
    return None
