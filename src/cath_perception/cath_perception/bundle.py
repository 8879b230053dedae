"""Model bundles: a folder with ``model.yaml`` and ``weights.safetensors``. Nothing is unpickled.

A bundle may also hold the same network in 8-bit integers, ``int8.xml`` and ``int8.bin``, as OpenVINO reads it.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

import cath_perception
from cath_perception.errors import BundleError

if TYPE_CHECKING:
    from torch import nn

    from cath_perception.network.deployed import DeployedNetwork

SCHEMA_VERSION = 1
INTENSITY_RULE = "percentile of the middle half"
MANIFEST, WEIGHTS = "model.yaml", "weights.safetensors"
INT8 = ("int8.xml", "int8.bin")
MAX_MANIFEST_BYTES = 1 << 20
MAX_WEIGHTS_BYTES = 1 << 30
MAX_INPUT_SIZE = 2048


@dataclass(frozen=True)
class ModelBundle:
    """A model as it is stored.

    Attributes:
        name: what to call it.
        architecture: ``{"name": ..., **keyword arguments}`` for ``cath_perception.network.build``.
        input_size: side of the square network input in px, a multiple of 32.
        low, high: percentiles of the intensity rule.
        electrode_threshold, mask_threshold: 0..1.
        sigma_floor, sigma_slope: an electrode's sigma is ``floor + slope * (1 - score)`` network-input px.
        training: a free summary of how the weights came to be.
        weights_sha256: of the weights file, in hex.
        int8: of the 8-bit form the files' hashes, the hash of the weights it was made of (``of``), and how it was
            made; empty where there is none.
        path: the folder it was loaded from or saved to.
    """

    name: str
    architecture: dict[str, Any]
    input_size: int
    low: float = 1.0
    high: float = 99.0
    electrode_threshold: float = 0.3
    mask_threshold: float = 0.5
    sigma_floor: float = 0.3
    sigma_slope: float = 1.0
    training: dict[str, Any] = field(default_factory=dict)
    weights_sha256: str = ""
    int8: dict[str, Any] = field(default_factory=dict)
    path: Path = Path()

    @classmethod
    def load(cls, path: str | Path) -> ModelBundle:
        """Read the manifest and check the weights against its hash; torch is not imported.

        Raises BundleError for anything missing, unknown, out of range, truncated or changed.
        """
        folder = Path(path)
        manifest = _read_manifest(folder / MANIFEST)
        bundle = _from_manifest(manifest, folder)
        for name in (WEIGHTS, *(INT8 if bundle.int8 else ())):
            bundle._checked(name)
        return bundle

    def build(self) -> DeployedNetwork:
        """The network with these weights in eval mode on the CPU. BundleError where they do not fit."""
        from safetensors import SafetensorError
        from safetensors.torch import load as load_tensors

        from cath_perception.network import build
        from cath_perception.network.deployed import DeployedNetwork

        network = build(self.architecture)
        try:
            network.load_state_dict(load_tensors(self._checked(WEIGHTS)))
        except (SafetensorError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise BundleError(f"{self.path / WEIGHTS}: does not fit {self.architecture}: {reason}") from error
        return DeployedNetwork(network, self.low, self.high).eval()

    def int8_model(self) -> tuple[bytes, bytes]:
        """OpenVINO's description and weights of the 8-bit form. BundleError where there is none."""
        if not self.int8:
            raise BundleError(f"{self.path}: has no 8-bit form; ./cath export makes one")
        description, weights = (self._checked(name) for name in INT8)
        return description, weights

    def save(self, path: str | Path, network: nn.Module, *, half: bool = False) -> ModelBundle:
        """Write this description and ``network``'s weights as a bundle and return it as loaded from there.

        ``network`` is the bare network, not a DeployedNetwork. With ``half``, weights of two and more
        dimensions are stored as float16 (the network built from them computes in float32 all the same). An 8-bit
        form is not taken along; see ``add_int8``.
        """
        import torch
        from safetensors.torch import save as dump_tensors

        tensors = {
            key: value.detach()
            .cpu()
            .to(torch.float16 if half and value.ndim > 1 else value.dtype)
            .contiguous()
            for key, value in network.state_dict().items()
        }
        data = dump_tensors(tensors)
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        plain = replace(self, weights_sha256=hashlib.sha256(data).hexdigest(), int8={})
        return plain._write(folder, {WEIGHTS: data})

    def add_int8(self, description: bytes, weights: bytes, facts: dict[str, Any]) -> ModelBundle:
        """Keep OpenVINO's 8-bit form of these weights beside them, with ``facts`` on how it was made."""
        files = dict(zip(INT8, (description, weights), strict=True))
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        return replace(self, int8={"of": self.weights_sha256} | facts | hashes)._write(self.path, files)

    def with_training(self, training: dict[str, Any]) -> ModelBundle:
        """The same with another summary, in its place; the files of weights stay as they are."""
        return replace(self, training=training)._write(self.path, {})

    def _write(self, folder: Path, files: dict[str, bytes]) -> ModelBundle:
        manifest = self._manifest()
        _from_manifest(manifest, folder)
        for name, data in files.items():
            write_atomically(folder / name, data)
        write_atomically(folder / MANIFEST, yaml.safe_dump(manifest, sort_keys=False).encode())
        return ModelBundle.load(folder)

    def _checked(self, name: str) -> bytes:
        """One of the bundle's files, if it is as the manifest says."""
        expected = self.weights_sha256 if name == WEIGHTS else str(self.int8.get(name))
        data = _read(self.path / name, MAX_WEIGHTS_BYTES)
        found = hashlib.sha256(data).hexdigest()
        if found != expected:
            raise BundleError(
                f"{self.path / name}: truncated or changed: {MANIFEST} expects sha256 {expected[:16]}..., "
                f"the file has {found[:16]}...; fetch or export the bundle again"
            )
        return data

    def _manifest(self) -> dict[str, Any]:
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "architecture": _plain(self.architecture),
            "input_size": self.input_size,
            "intensity": {"rule": INTENSITY_RULE, "low": self.low, "high": self.high},
            "electrode_threshold": self.electrode_threshold,
            "mask_threshold": self.mask_threshold,
            "sigma": {"floor": self.sigma_floor, "slope": self.sigma_slope},
            "training": _plain(self.training),
            "weights_sha256": self.weights_sha256,
        }
        return manifest | ({"int8": _plain(self.int8)} if self.int8 else {})


def default_bundle_path() -> Path:
    """Where the model that ships with the package lies."""
    return _models() / "light"


def resolve_bundle(model: str | Path) -> Path:
    """The folder of a shipped model by its name, or of any bundle by its path; BundleError if there is none."""
    shipped = _models() / str(model)
    if str(model) and os.sep not in str(model) and (shipped / MANIFEST).is_file():
        return shipped
    if str(model) and Path(model).is_dir():
        return Path(model)
    names = sorted(folder.parent.name for folder in _models().glob(f"*/{MANIFEST}"))
    raise BundleError(
        f"model {str(model)!r}: expected a bundle's folder or one of {names or 'no shipped models'}"
    )


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader finds the old one or the whole new one, never a part."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _models() -> Path:
    return Path(cath_perception.__file__).parent / "models"


def _read(path: Path, limit: int) -> bytes:
    try:
        size = path.stat().st_size
        if not 0 < size <= limit:
            raise BundleError(f"{path}: expected 1 to {limit} bytes, got {size}")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise BundleError(f"{path}: missing; a bundle is a folder with {MANIFEST} and {WEIGHTS}") from error
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from error


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = yaml.safe_load(_read(path, MAX_MANIFEST_BYTES))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BundleError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(manifest, dict):
        raise BundleError(f"{path}: expected a mapping, got {type(manifest).__name__}")
    return manifest


def _from_manifest(manifest: dict[str, Any], folder: Path) -> ModelBundle:
    """Check every value; unknown and missing keys are errors, for a typing error must not change a threshold."""
    reader = _Reader(manifest, str(folder / MANIFEST))
    version = reader.take("schema_version", int)
    if version != SCHEMA_VERSION:
        raise BundleError(
            f"{reader.where}: schema_version: expected {SCHEMA_VERSION}, got {version}; update the package"
        )
    intensity = _Reader(reader.take("intensity", dict), f"{reader.where}: intensity")
    rule = intensity.take("rule", str)
    if rule != INTENSITY_RULE:
        raise BundleError(
            f"{intensity.where}: rule: expected {INTENSITY_RULE!r}, got {rule!r}; export the model with this version"
        )
    sigma = _Reader(reader.take("sigma", dict), f"{reader.where}: sigma")
    bundle = ModelBundle(
        name=reader.take("name", str),
        architecture=reader.take("architecture", dict),
        input_size=int(reader.number("input_size", 32, MAX_INPUT_SIZE, multiple=32)),
        low=intensity.number("low", 0.0, 100.0),
        high=intensity.number("high", 0.0, 100.0),
        electrode_threshold=reader.number("electrode_threshold", 0.0, 1.0),
        mask_threshold=reader.number("mask_threshold", 0.0, 1.0),
        sigma_floor=sigma.number("floor", 0.0, 100.0),
        sigma_slope=sigma.number("slope", 0.0, 100.0),
        training=reader.take("training", dict),
        weights_sha256=reader.take("weights_sha256", str),
        int8=reader.take("int8", dict) if "int8" in manifest else {},
        path=folder,
    )
    for part in (reader, intensity, sigma):
        part.finish()
    if not bundle.low < bundle.high:
        raise BundleError(f"{intensity.where}: expected low < high, got {bundle.low} and {bundle.high}")
    if bundle.int8 and bundle.int8.get("of") != bundle.weights_sha256:
        raise BundleError(f"{reader.where}: int8: made of other weights; ./cath export makes it anew")
    return bundle


class _Reader:
    """Takes checked values out of a mapping and complains about what is left."""

    def __init__(self, mapping: dict[str, Any], where: str) -> None:
        self.rest = dict(mapping)
        self.where = where

    def take(self, key: str, kind: type) -> Any:
        if key not in self.rest:
            raise BundleError(f"{self.where}: {key}: missing")
        value = self.rest.pop(key)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise BundleError(f"{self.where}: {key}: expected {kind.__name__}, got {value!r}")
        return value

    def number(self, key: str, low: float, high: float, multiple: int = 0) -> float:
        value = self.take(key, object)
        usable = isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
        if not usable or (multiple and value % multiple):
            step = f" in multiples of {multiple}" if multiple else ""
            raise BundleError(f"{self.where}: {key}: expected a number {low} to {high}{step}, got {value!r}")
        return float(value)

    def finish(self) -> None:
        if self.rest:
            raise BundleError(f"{self.where}: unknown keys {sorted(map(str, self.rest))}")


def _plain(value: Any) -> Any:
    """Tuples to lists and paths to strings, so that YAML's safe form can hold them."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
