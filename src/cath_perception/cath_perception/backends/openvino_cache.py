"""The cache of converted models: one folder each, with a manifest of hashes, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import cath_perception.network
from cath_perception.bundle import ModelBundle
from cath_perception.errors import BackendError

_log = logging.getLogger(__name__)
MODEL, WEIGHTS, MANIFEST = "model.xml", "model.bin", "manifest.json"


def converted_model(openvino: Any, core: Any, bundle: ModelBundle, cache: Path) -> Any:
    """The bundle as an OpenVINO model of static shapes: from the cache where it is whole, else converted now.

    A cache that cannot be written costs time at every start, and a warning, but no failure. Raises BackendError
    where conversion needs PyTorch and there is none.
    """
    identity = _identity(openvino, bundle)
    folder = cache / hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:24]
    reason = check(folder, identity)
    if reason is None:
        return core.read_model(folder / MODEL)
    if folder.exists():
        _log.warning("converted model %s is made anew: %s", folder, reason)
    model = convert(openvino, bundle)
    try:
        _store(openvino, model, folder, identity)
    except OSError as error:
        _log.warning("converted model not kept in %s: %s", folder, error)
    return model


def convert(openvino: Any, bundle: ModelBundle) -> Any:
    """Convert the deployed network with a static ``(1, 1, S, S)`` input."""
    try:
        import torch
    except ImportError as error:
        raise BackendError(f"converting the model for the first time needs PyTorch: {error}") from error
    network = bundle.build()
    shape = (1, 1, bundle.input_size, bundle.input_size)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # three forward passes' worth of work: on a busy machine more threads only wait
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer warns of sizes becoming constants, as they should
            traced = torch.jit.trace(network, torch.rand(shape), check_trace=False)
            return openvino.convert_model(traced, input=list(shape))
    finally:
        torch.set_num_threads(threads)


def check(folder: Path, identity: dict[str, str]) -> str | None:
    """None if the folder holds what ``identity`` describes, untouched; otherwise what is wrong with it."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        if not isinstance(manifest, dict) or manifest.get("identity") != identity:
            return "it was made for another model or version"
        for name in (MODEL, WEIGHTS):
            if _sha256(folder / name) != manifest.get(name):
                return f"{name} is truncated or changed"
    except (OSError, ValueError) as error:
        return str(error)
    return None


def _identity(openvino: Any, bundle: ModelBundle) -> dict[str, str]:
    """Everything the converted model depends on: the weights, the manifest's figures, the code and OpenVINO."""
    sources = hashlib.sha256()
    for path in sorted(Path(cath_perception.network.__file__).parent.glob("*.py")):
        sources.update(path.read_bytes())
    return {
        "weights": bundle.weights_sha256,
        "architecture": json.dumps(bundle.architecture, sort_keys=True),
        "input_size": str(bundle.input_size),
        "intensity": f"{bundle.low} {bundle.high}",
        "network_code": sources.hexdigest(),
        "openvino": str(openvino.__version__),
    }


def _store(openvino: Any, model: Any, folder: Path, identity: dict[str, str]) -> None:
    """Write beside the place and rename into it, so that another process never sees a part."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
    try:
        openvino.save_model(model, part / MODEL, compress_to_fp16=False)
        manifest = {"identity": identity} | {name: _sha256(part / name) for name in (MODEL, WEIGHTS)}
        (part / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        part.replace(folder)
    except RuntimeError as error:
        raise OSError(str(error)) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
