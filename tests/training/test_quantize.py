"""The 8-bit form: made, chosen, kept with the weights it was made of, and as exact in positions as float32."""

import shutil

import numpy as np
import pytest
import torch
import yaml

from cath_perception.backends import create_backend
from cath_perception.backends.openvino_backend import multiplies_bf16
from cath_perception.bundle import INT8, ModelBundle, default_bundle_path
from cath_perception.errors import BackendError, BundleError
from cath_perception.network import build
from cath_perception.perceptor import Perceptor
from cath_perception.scoring import match
from cath_training.quantize import add_int8, calibration_images
from cath_training.synthetic.still import TEST_SEED, draw_still

openvino = pytest.importorskip("openvino")


@pytest.fixture(scope="module")
def quantized(tmp_path_factory):
    torch.manual_seed(4)
    architecture = {"name": "light", "widths": [8, 16, 16, 24, 32], "decoder": [24, 16, 16], "hidden": 8}
    description = ModelBundle(name="random", architecture=architecture, input_size=96)
    return add_int8(description.save(tmp_path_factory.mktemp("model"), build(architecture)), frames=2)


@pytest.fixture
def copy(quantized, tmp_path):
    return shutil.copytree(quantized.path, tmp_path / "copy")


def test_convolutions_are_in_8_bits_and_decoding_is_not(quantized):
    model = openvino.Core().read_model(*quantized.int8_model())
    rounded = {
        target.get_node().get_friendly_name()
        for node in model.get_ops()
        if node.get_type_name() == "FakeQuantize"
        for target in node.output(0).get_target_inputs()
    }
    convolutions = [node for node in model.get_ops() if node.get_type_name() == "Convolution"]
    kinds = {node.input_value(1).get_node().get_type_name() for node in convolutions}
    assert len(convolutions) > 15
    assert "Constant" not in kinds  # weights pass a scale, they are not floats
    assert not [name for name in rounded if name.startswith(("__module.rule", "aten::"))]


def test_each_calibration_frame_is_another():
    first, second, third = calibration_images(64, 3, ())
    assert first.shape == (1, 1, 64, 64)
    for one, other in ((first, second), (second, third), (first, third)):
        assert np.abs(one - other).mean() > 1.0  # of 255


def test_auto_takes_it_and_bf16_where_there_is_none(quantized, tmp_path):
    for asked, name in (("auto", "int8"), ("int8", "int8"), ("f32", "f32")):
        with create_backend("openvino", quantized, cache_dir=tmp_path, openvino_precision=asked) as backend:
            assert backend.description.endswith(f"CPU, {name}")
    plain = quantized.save(tmp_path / "plain", quantized.build().network)
    assert not plain.int8
    with create_backend("openvino", plain, cache_dir=tmp_path) as backend:
        # where bf16 differs too much from f32 this one is taken, and why is said
        assert ("bf16" if multiplies_bf16(openvino.Core()) else "CPU, f32") in backend.description
    with pytest.raises(BundleError, match="no 8-bit form"):
        create_backend("openvino", plain, openvino_precision="int8")
    with pytest.raises(BackendError, match="openvino_precision: expected auto, f32, bf16, int8, got 'int4'"):
        create_backend("openvino", plain, openvino_precision="int4")


@pytest.mark.parametrize("name", INT8)
def test_changed_files_are_refused(copy, name):
    path = copy / name
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(BundleError, match=f"{name}: truncated or changed"):
        ModelBundle.load(copy)
    path.unlink()
    with pytest.raises(BundleError, match=f"{name}: missing"):
        ModelBundle.load(copy)


def test_form_made_of_other_weights_is_refused(copy):
    manifest = yaml.safe_load((copy / "model.yaml").read_text())
    manifest["int8"]["of"] = "0" * 64
    (copy / "model.yaml").write_text(yaml.safe_dump(manifest))
    with pytest.raises(BundleError, match="made of other weights"):
        ModelBundle.load(copy)


def test_another_summary_leaves_it_as_it_is(copy):
    before = ModelBundle.load(copy)
    after = before.with_training({"figures": {"recall": 0.5}})
    assert after.training == {"figures": {"recall": 0.5}}
    assert after.int8 == before.int8
    assert after.int8_model() == before.int8_model()


def test_shipped_form_finds_what_float32_finds_at_the_same_places():
    found: list[np.ndarray] = []
    stills = [draw_still(seed).pixels for seed in range(TEST_SEED + 20, TEST_SEED + 28)]
    for precision in ("f32", "int8"):
        options = {"openvino_precision": precision, "want_mask": False, "want_centerlines": False}
        with Perceptor.open(default_bundle_path(), "openvino", **options) as perceptor:
            answers = [perceptor(pixels).electrodes for pixels in stills]
        found.append([np.array([(e.x, e.y) for e in electrodes]).reshape(-1, 2) for electrodes in answers])
    pairs = [match(one, other, 4.0) for one, other in zip(*found, strict=True)]
    apart = np.concatenate([distance for _, distance in pairs])
    assert len(apart) > 0.9 * sum(map(len, found[0])) > 60
    assert len(apart) > 0.9 * sum(map(len, found[1]))
    assert np.median(apart) < 0.1
    assert np.quantile(apart, 0.95) < 0.5
