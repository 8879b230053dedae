import shutil

import pytest
import torch
import yaml

from cath_perception import bundle as module
from cath_perception.bundle import ModelBundle, default_bundle_path, resolve_bundle
from cath_perception.errors import BundleError
from cath_perception.network import build


@pytest.fixture
def copy(bundle, tmp_path):
    """A copy of the bundle that may be spoilt."""
    return shutil.copytree(bundle.path, tmp_path / "copy")


def edit(folder, **changes):
    path = folder / "model.yaml"
    manifest = yaml.safe_load(path.read_text()) | changes
    path.write_text(yaml.safe_dump({k: v for k, v in manifest.items() if v is not ...}))


def test_saved_weights_come_back(bundle):
    network = bundle.build()
    again = ModelBundle.load(bundle.path).build()
    assert not network.training
    for (name, first), second in zip(network.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(first, second), name
    frame = torch.rand(1, 1, 96, 96)
    assert torch.equal(network(frame)[0], again(frame)[0])


def test_half_precision_is_smaller_and_near(bundle, tmp_path):
    full = bundle.build()
    half = bundle.save(tmp_path, full.network, half=True)
    whole, part = ((b.path / "weights.safetensors").stat().st_size for b in (bundle, half))
    assert part < 0.65 * whole
    weights = half.build().state_dict()
    for name, value in full.state_dict().items():
        assert weights[name].dtype == value.dtype
        assert torch.allclose(weights[name], value, rtol=1e-3, atol=1e-4), name


def test_training_summary_is_kept(bundle, tmp_path):
    summary = {"seed": 3, "command": "train", "figures": {"recall": 0.5}, "sizes": (1, 2)}
    described = ModelBundle(bundle.name, bundle.architecture, bundle.input_size, training=summary)
    saved = described.save(tmp_path, build(bundle.architecture))
    assert saved.training == summary | {"sizes": [1, 2]}


@pytest.mark.parametrize("name", ["model.yaml", "weights.safetensors"])
def test_missing_and_empty_files(copy, name):
    (copy / name).write_bytes(b"")
    with pytest.raises(BundleError, match="expected 1 to"):
        ModelBundle.load(copy)
    (copy / name).unlink()
    with pytest.raises(BundleError, match=f"{name}: missing"):
        ModelBundle.load(copy)


def test_tampered_and_truncated_weights(copy):
    path = copy / "weights.safetensors"
    data = path.read_bytes()
    for spoilt in (data[:-1], data[: len(data) // 2], data[:-1] + bytes([data[-1] ^ 1]), data + b"0"):
        path.write_bytes(spoilt)
        with pytest.raises(BundleError, match="truncated or changed"):
            ModelBundle.load(copy)


def test_weights_changed_after_loading(copy):
    loaded = ModelBundle.load(copy)
    (copy / "weights.safetensors").write_bytes(b"x")
    with pytest.raises(BundleError, match="truncated or changed"):
        loaded.build()


def test_size_is_bounded_before_reading(copy, monkeypatch):
    monkeypatch.setattr(module, "MAX_WEIGHTS_BYTES", 100)
    with pytest.raises(BundleError, match="expected 1 to 100 bytes"):
        ModelBundle.load(copy)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"electrode_treshold": 0.5}, "unknown keys"),
        ({"sigma": {"floor": 0.3, "slope": 1.0, "top": 2}}, "sigma: unknown keys"),
        (
            {"intensity": {"rule": "minmax", "low": 1, "high": 99}},
            "expected 'percentile of the middle half', got 'minmax'; export",
        ),
        ({"intensity": {"rule": "percentile of the middle half", "low": 99.0, "high": 1.0}}, "low < high"),
        ({"input_size": 100}, "multiples of 32"),
        ({"input_size": 1 << 20}, "input_size"),
        ({"input_size": "320"}, "input_size"),
        ({"electrode_threshold": 1.5}, "electrode_threshold"),
        ({"mask_threshold": True}, "mask_threshold"),
        ({"mask_threshold": float("nan")}, "mask_threshold"),
        ({"schema_version": 2}, "update the package"),
        ({"name": ...}, "name: missing"),
        ({"architecture": "light"}, "expected dict"),
        ({"weights_sha256": "0" * 64}, "truncated or changed"),
    ],
)
def test_manifest_is_checked(copy, changes, words):
    edit(copy, **changes)
    with pytest.raises(BundleError, match=words):
        ModelBundle.load(copy)


@pytest.mark.parametrize("text", ["- 1\n", "a: [", "!!python/object/apply:os.system ['true']\n", "\x00"])
def test_manifest_that_is_no_mapping(copy, text):
    (copy / "model.yaml").write_text(text)
    with pytest.raises(BundleError, match=r"model\.yaml"):
        ModelBundle.load(copy)


@pytest.mark.parametrize(
    ("architecture", "words"),
    [
        ({"name": "heavy"}, "expected a name out of light"),
        ({"name": "light", "depth": 3}, "cannot be built"),
        ({"name": "light"}, "does not fit"),
    ],
)
def test_architecture_that_does_not_fit(copy, architecture, words):
    edit(copy, architecture=architecture)
    loaded = ModelBundle.load(copy)
    with pytest.raises(BundleError, match=words):
        loaded.build()


def test_pickled_weights_are_refused(bundle, tmp_path, monkeypatch):
    from safetensors import torch as safetensors_torch

    pickled = tmp_path / "pickled"
    torch.save(bundle.build().network.state_dict(), pickled)
    monkeypatch.setattr(safetensors_torch, "save", lambda tensors: pickled.read_bytes())
    saved = bundle.save(tmp_path / "bundle", build(bundle.architecture))
    with pytest.raises(BundleError, match="does not fit"):
        saved.build()


def test_resolving(bundle, tmp_path):
    assert resolve_bundle(bundle.path) == bundle.path
    assert default_bundle_path().name == "light"
    for model in ("no-such-model", str(tmp_path / "none"), ""):
        with pytest.raises(BundleError, match="expected a bundle's folder or one of"):
            resolve_bundle(model)
