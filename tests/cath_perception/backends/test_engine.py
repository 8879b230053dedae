"""Engines, all but TensorRT itself: a stand-in product keeps the exported network where TensorRT would keep its engine."""

import json
import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cath_perception.backends import create_backend
from cath_perception.backends.base import Options, gpu_is_present
from cath_perception.backends.cache import model_identity
from cath_perception.backends.engine import (
    ENGINE,
    EnginePlace,
    answers_of,
    build_engine,
    compile_program,
    driver_version,
    layer_types,
    precision_built,
)
from cath_perception.backends.torch_tensorrt_import import Product, import_torch_tensorrt
from cath_perception.cli import main
from cath_perception.errors import BackendError, DeviceError, DeviceFault, EngineMissingError


class Engine(torch.nn.Module):
    """An exported network as one engine; it answers with ``shift`` more in every mask."""

    def __init__(self, program, shift=0.0):
        super().__init__()
        self.network, self.shift = program.module(), shift

    def forward(self, image):
        candidates, mask = self.network(image)
        return candidates, mask + self.shift

    def get_layer_info(self):
        layer = {"Name": "conv", "Outputs": [{"Format/Datatype": "Half"}]}
        return json.dumps({"Layers": [layer, layer, "a name only"]})


class StandIn:
    """``torch_tensorrt`` as far as it is used here."""

    def __init__(self, shift=0.0):
        self.shift, self.settings = shift, None
        self.dynamo = SimpleNamespace(compile=lambda program, min_block_size, truncate_double: None)

    def compile(self, program, *, ir, arg_inputs, **settings):
        self.settings = {"ir": ir, **settings}
        compiled = torch.nn.Module()
        if program is not None:
            compiled.add_module("_run_on_acc_0", Engine(program, self.shift))
        return compiled

    def save(self, compiled, path, *, output_format, arg_inputs):
        engine = compiled.get_submodule("_run_on_acc_0")
        torch.export.save(torch.export.export(engine, tuple(arg_inputs)), path)

    def load(self, path):
        return torch.export.load(path)


def place(bundle, folder, shift=0.0, **identity):
    told = model_identity(bundle) | {"batch": "1", "gpu": "none", "driver": "550.1"} | identity
    product = Product(StandIn(shift), "torch-tensorrt", "2.13.0", "11.0")
    return EnginePlace(product, "cpu", folder / "engine", told)


@pytest.fixture(scope="module")
def bundle(bundle, tmp_path_factory):
    """The random bundle with calmer offsets and sizes, which do not magnify float16's rounding."""
    network = bundle.build().network
    with torch.no_grad():
        for name in ("offset", "size"):
            network.detect.project[name].weight.mul_(0.1)
    return bundle.save(tmp_path_factory.mktemp("calm"), network)


@pytest.fixture(scope="module")
def built(bundle, tmp_path_factory):
    lines = []
    where = place(bundle, tmp_path_factory.mktemp("tensorrt"))
    build_engine(bundle, where, lines.append)
    return where, lines


def test_an_engine_is_built_compared_and_loaded(bundle, built):
    where, lines = built
    assert [line.split()[0] for line in lines] == [
        "torch-tensorrt", "building:", "exporting", "compiling", "saving", "comparing",
    ]  # fmt: skip
    assert "none was built" in lines[1]
    facts = where.facts()
    assert facts["identity"]["driver"] == "550.1"
    assert facts["precision"]["engines"] == 1
    assert set(facts["precision"]["convolutions"]) == {"float16"}
    assert facts["precision"]["layers"] == {"float16": 2, "unnamed": 1}
    assert facts["agreement"]["candidates"] > 10
    assert 0 < facts["agreement"]["position_px"] < 0.1
    assert where.product.module.settings == {"ir": "dynamo", "min_block_size": 1, "truncate_double": True}
    frame = np.random.default_rng(1).random((96, 96), np.float32)
    answer, reference = answers_of(where.load(), "cpu", 1), answers_of(bundle.build(), "cpu", 1)
    with torch.no_grad():
        # float16 rounds differently on CPUs that multiply in it (0.021 at most, on one px of 2304)
        np.testing.assert_allclose(answer(frame)[1], reference(frame)[1], atol=0.05)
    again = []
    build_engine(bundle, where, again.append)
    assert again[-1] == "a usable engine is there already"


def test_two_planes_are_answered_together(bundle, tmp_path):
    where = place(bundle, tmp_path, batch="2")
    build_engine(bundle, where, lambda text: None)
    with torch.no_grad():
        candidates, mask = where.load()(torch.rand(2, 1, 96, 96))
    assert candidates.shape == (2, 128, 5)
    assert mask.shape == (2, 48, 48)


def test_what_differs_from_eager_pytorch_is_not_kept(bundle, tmp_path):
    where = place(bundle, tmp_path, shift=0.5)
    with pytest.raises(BackendError, match=r"not used: it differs from float32: .* mask by 0\.5"):
        build_engine(bundle, where, lambda text: None)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"driver": "560.2"}, "driver is 560.2, was 550.1"),
        ({"tensorrt": "11.1"}, "tensorrt is 11.1, was None"),
        ({"weights": "0" * 64}, "weights is 0000"),
    ],
)
def test_an_engine_of_other_versions_is_refused_with_what_changed(bundle, built, change, reason):
    where, _ = built
    changed = EnginePlace(where.product, "cpu", where.folder, where.identity | change)
    assert reason in changed.missing()
    with pytest.raises(EngineMissingError, match=r"no engine: .*build-engine makes one"):
        changed.load()


def spoilt(path, how):
    good = path.read_bytes()
    if how == "truncate":
        path.write_bytes(good[: len(good) // 2])
    elif how == "tamper":
        path.write_bytes(b"x" + good[1:])
    elif how == "share":
        path.chmod(0o666)
    elif how == "link":
        path.rename(path.with_suffix(".real"))
        path.symlink_to(path.with_suffix(".real"))
    else:
        path.unlink()


def copied(built, tmp_path):
    """The engine in a folder of its own, to be spoilt."""
    where, _ = built
    shutil.copytree(where.folder, tmp_path / "engine")
    (tmp_path / "engine").chmod(0o700)
    product = Product(SimpleNamespace(load=None), "torch-tensorrt", "2.13.0", "11.0")  # may not even be tried
    return EnginePlace(product, "cpu", tmp_path / "engine", where.identity)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("truncate", "truncated or changed"),
        ("tamper", "truncated or changed"),
        ("share", "others may write"),
        ("link", "is a link"),
        ("remove", "No such file"),
    ],
)
def test_a_spoilt_engine_is_never_read(built, tmp_path, how, reason):
    where = copied(built, tmp_path)
    assert where.missing() is None
    spoilt(where.folder / ENGINE, how)
    with pytest.raises(EngineMissingError, match=reason):
        where.load()


def test_a_spoilt_engine_is_made_anew_with_the_reason(bundle, built, tmp_path):
    spoilt(copied(built, tmp_path).folder / ENGINE, "truncate")
    lines = []
    build_engine(bundle, place(bundle, tmp_path), lines.append)
    assert "engine.pt2 is truncated or changed" in lines[1]
    assert place(bundle, tmp_path).missing() is None


def test_a_folder_others_may_write_is_not_trusted(built, tmp_path):
    where, _ = built
    assert where.folder.stat().st_mode & 0o777 == 0o700
    assert (where.folder / ENGINE).stat().st_mode & 0o777 == 0o600
    mine = copied(built, tmp_path)
    mine.folder.chmod(0o777)
    assert "others may write engine" in mine.missing()


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file away needs root")
def test_an_engine_of_another_user_is_not_trusted(built, tmp_path):
    where = copied(built, tmp_path)
    os.chown(where.folder / ENGINE, 12345, 12345)
    assert "belongs to another user" in where.missing()


def test_precision_is_counted(bundle):
    program = torch.export.export(bundle.build(), (torch.rand(1, 1, 96, 96),))
    left = torch.fx.symbolic_trace(torch.nn.Sequential(torch.nn.Flatten()))
    compiled = StandIn().compile(program, ir="dynamo", arg_inputs=[])
    compiled.add_module("_run_on_gpu_1", torch.fx.GraphModule(left, _calls()))
    found = precision_built(program, compiled)
    assert set(found["convolutions"]) == {"float32"}
    assert sum(found["left_to_pytorch"].values()) == 1
    with pytest.raises(BackendError, match="nothing of the network"):
        precision_built(program, torch.nn.Module())


def _calls():
    graph = torch.fx.Graph()
    graph.output(graph.call_function(torch.relu, (graph.placeholder("x"),)))
    return graph


def test_only_settings_that_are_known_are_given(bundle):
    stand_in = StandIn()
    stand_in.dynamo.compile = lambda program, use_explicit_typing: None
    compile_program(Product(stand_in, "torch-tensorrt", "2.11.0", "10"), None, None)
    assert stand_in.settings == {"ir": "dynamo", "use_explicit_typing": True}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Channel major FP16 format where channel % 8 == 0", "float16"),
        ("Half", "float16"),
        ("Row major linear FP32", "float32"),
        ("Float", "float32"),
        ("BFloat16", "bfloat16"),
        ("Row major Int32 format", "integer"),
        ("", "unnamed"),
    ],
)
def test_layers_are_told_apart_by_type(text, kind):
    layer = {"Outputs": [{"Format/Datatype": text}]}
    assert layer_types(json.dumps({"Layers": [layer]})) == {kind: 1}
    assert layer_types("not JSON") == {}


def test_driver_version_is_a_version_or_unknown():
    assert driver_version() == "unknown" or driver_version()[0].isdigit()


@pytest.mark.skipif(gpu_is_present(), reason="this machine has an NVIDIA GPU")
def test_without_gpu_it_is_said(bundle, tmp_path, capsys):
    with pytest.raises(DeviceError, match="no device: needs an NVIDIA GPU, and there is none") as raised:
        create_backend("tensorrt", bundle, cache_dir=tmp_path)
    assert raised.value.fault is DeviceFault.NO_DEVICE
    assert main(["build-engine", str(bundle.path), "--cache-dir", str(tmp_path)]) == 2
    assert "needs an NVIDIA GPU, and there is none" in capsys.readouterr().err
    with pytest.raises(BackendError, match="device asked for is the CPU"):
        EnginePlace.of(bundle, Options(device="cpu"))


def test_a_cuda_device_has_an_index(monkeypatch):
    """Much of ``torch.cuda`` refuses a device without one."""
    monkeypatch.setattr("cath_perception.backends.base.gpu_is_present", lambda: True)
    found = [Options(device=device).cuda_device for device in ("auto", "cuda", "cuda:1")]
    assert found == ["cuda:0", "cuda:0", "cuda:1"]


def test_missing_torch_tensorrt_is_said(tmp_path):
    pytest.importorskip("torch")
    try:
        import_torch_tensorrt(tmp_path)
    except BackendError as error:
        assert "torch_tensorrt" in str(error)  # noqa: PT017 - it may be installed and work
