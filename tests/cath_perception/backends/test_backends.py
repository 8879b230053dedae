import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from cath_perception.backends import create_backend
from cath_perception.backends.base import cache_folder
from cath_perception.backends.cache import check, store
from cath_perception.backends.openvino_cache import FILES
from cath_perception.errors import BackendError

openvino = pytest.importorskip("openvino")


def frames(count=4):
    rng = np.random.default_rng(5)
    ramp = np.linspace(0, 900, 96)[None] + np.zeros((96, 1))
    return [(ramp + rng.normal(500, 300, (96, 96))).astype(np.float32) for _ in range(count)]


def ordered(candidates):
    """Candidates with a score that counts, in an order that near ties do not change."""
    strong = candidates[candidates[:, 4] > 0.05]
    return strong[np.lexsort(np.round(strong[:, 1::-1]).T)]


def test_openvino_answers_as_pytorch_does(bundle, cache):
    with (
        create_backend("torch", bundle) as torch,
        create_backend("openvino", bundle, cache_dir=cache) as other,
    ):
        for frame in frames():
            candidates, mask = (answer.copy() for answer in torch.infer(frame))
            others, other_mask = other.infer(frame)
            assert len(ordered(candidates)) > 10
            np.testing.assert_allclose(ordered(others), ordered(candidates), atol=2e-2)
            np.testing.assert_allclose(other_mask, mask, atol=1e-3)
            assert (np.diff(others[:, 4]) <= 0).all()
        assert torch.name == "torch"
        assert "CPU" in other.description


def test_threads_change_nothing(bundle, cache):
    (frame,) = frames(1)
    with create_backend("openvino", bundle, threads=1, cache_dir=cache) as one:
        mask = one.infer(frame)[1].copy()
    with create_backend("openvino", bundle, cache_dir=cache) as all_of_them:
        np.testing.assert_allclose(all_of_them.infer(frame)[1], mask, atol=1e-4)


def test_auto_says_what_it_passed_over(bundle, cache):
    with create_backend("auto", bundle, cache_dir=cache, device="cpu") as backend:
        assert backend.name == "openvino"
        assert [reason.split(":")[0] for reason in backend.passed_over] == ["tensorrt"]


def test_what_cannot_be_had_is_said(bundle, cache):
    with pytest.raises(BackendError, match="expected auto, tensorrt, openvino, torch"):
        create_backend("onnx", bundle)
    with pytest.raises(BackendError, match="NVIDIA GPU"):
        create_backend("tensorrt", bundle, device="cpu")
    with pytest.raises(BackendError, match="runs on the CPU"):
        create_backend("openvino", bundle, device="cuda")
    with pytest.raises(BackendError, match="threads"):
        create_backend("openvino", bundle, threads=-1)


@pytest.mark.parametrize("name", ["torch", "openvino"])
def test_input_is_checked(name, bundle, cache):
    with create_backend(name, bundle, cache_dir=cache) as backend:
        for image in (np.zeros((64, 64), np.float32), np.zeros((96, 96))):
            with pytest.raises(BackendError, match=r"expected \(96, 96\) float32"):
                backend.infer(image)


def test_closed_backend_says_so(bundle, cache):
    backend = create_backend("openvino", bundle, cache_dir=cache)
    backend.close()
    backend.close()
    with pytest.raises(BackendError, match="closed"):
        backend.infer(frames(1)[0])


WARM = """
import sys
from cath_perception.perceptor import Perceptor
assert "torch" not in sys.modules, "the import alone needs torch"
with Perceptor.open({model!r}, "openvino", cache_dir={cache!r}) as perceptor:
    perceptor(__import__("numpy").zeros((64, 64), "uint8"))
print("torch" in sys.modules)
"""


def test_warm_start_does_without_pytorch(bundle, tmp_path):
    code = WARM.format(model=str(bundle.path), cache=str(tmp_path))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    answers = [
        subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        ).stdout.split()[-1]
        for _ in range(2)
    ]
    assert answers == ["True", "False"]


def entry_of(cache):
    (entry,) = [path for path in (cache / "openvino").iterdir() if not path.name.startswith(".")]
    return entry


@pytest.mark.parametrize("name", ["model.xml", "model.bin", "manifest.json"])
@pytest.mark.parametrize("spoil", ["truncate", "tamper", "remove"])
def test_spoilt_cache_is_noticed(name, spoil, bundle, cache, tmp_path):
    create_backend("openvino", bundle, cache_dir=cache).close()
    entry = shutil.copytree(entry_of(cache), tmp_path / "entry")
    identity = json.loads((entry / "manifest.json").read_text())["identity"]
    assert check(entry, identity, FILES) is None
    assert "openvino is 1.0, was 20" in check(entry, identity | {"openvino": "1.0"}, FILES)
    path = entry / name
    good = path.read_bytes()
    if spoil == "remove":
        path.unlink()
    else:
        path.write_bytes(good[: len(good) // 2] if spoil == "truncate" else b"x" + good[1:])
    assert check(entry, identity, FILES)


def test_spoilt_cache_is_made_anew(bundle, cache, tmp_path, caplog):
    create_backend("openvino", bundle, cache_dir=cache).close()
    shutil.copytree(cache / "openvino", tmp_path / "openvino")
    (entry_of(tmp_path) / "model.bin").write_bytes(b"not a model")
    with create_backend("openvino", bundle, cache_dir=tmp_path) as backend:
        assert np.isfinite(backend.infer(frames(1)[0])[0]).all()
    assert "made anew: model.bin is truncated or changed" in caplog.text
    caplog.clear()
    create_backend("openvino", bundle, cache_dir=tmp_path).close()
    assert not caplog.text
    assert len(list((tmp_path / "openvino").iterdir())) == 1


def test_what_a_killed_process_left_is_cleared_away(tmp_path):
    old, new = tmp_path / ".part-old", tmp_path / ".part-new"
    for part in (old, new):
        part.mkdir()
    os.utime(old, (0, 0))
    store(tmp_path / "entry", {"a": "b"}, ("x",), lambda part: {"size": (part / "x").write_text("x")})
    assert sorted(path.name for path in tmp_path.iterdir()) == [".part-new", "entry"]
    assert check(tmp_path / "entry", {"a": "b"}, ("x",)) is None
    with pytest.raises(FileNotFoundError):  # nothing was written: what was there stays
        store(tmp_path / "entry", {"a": "c"}, ("x",), lambda part: {})
    assert check(tmp_path / "entry", {"a": "b"}, ("x",)) is None


def test_cache_that_cannot_be_written_is_no_failure(bundle, tmp_path, caplog):
    occupied = tmp_path / "file"
    occupied.write_text("in the way")
    with create_backend("openvino", bundle, cache_dir=occupied) as backend:
        backend.infer(frames(1)[0])
    assert "not kept" in caplog.text


def test_cache_folder_follows_xdg(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder(None) == tmp_path / "cath_perception"
    assert cache_folder("here").name == "here"


class Capabilities:
    """What a CPU says of itself."""

    def __init__(self, *capabilities):
        self.capabilities = list(capabilities)

    def get_property(self, device, name):
        assert (device, name) == ("CPU", "OPTIMIZATION_CAPABILITIES")
        return self.capabilities


def test_bf16_needs_the_word_of_both():
    from cath_perception.backends.openvino_backend import multiplies_bf16

    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:  # noqa: PTH123
        flags = file.read()
    assert not multiplies_bf16(Capabilities("FP32", "INT8"))
    assert multiplies_bf16(Capabilities("FP32", "BF16")) == ("amx_bf16" in flags or "avx512_bf16" in flags)


def test_requests_that_differ_are_told_apart(bundle, tmp_path):
    """The check that BF16 must pass: the same model agrees with itself, one with other weights does not."""
    import torch

    from cath_perception.backends.openvino_backend import _request, agreement
    from cath_perception.backends.openvino_cache import convert
    from cath_perception.network import build

    torch.manual_seed(8)
    other = build(bundle.architecture)
    torch.nn.init.normal_(other.segment.project["mask"].weight, std=1.0)
    core = openvino.Core()
    first, second = (
        _request(core, convert(openvino, b), {}, "f32") for b in (bundle, bundle.save(tmp_path, other))
    )
    assert agreement(first, first, 96).refusal() is None
    assert "differs from float32" in agreement(first, second, 96).refusal()
