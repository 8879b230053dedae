import json

import numpy as np
import pytest

from cath_perception import bench_report, benchmark, peers, roofline
from cath_perception.backends import Options
from cath_perception.backends.agreement import compare, made_frames
from cath_perception.bundle import ModelBundle, default_bundle_path
from cath_perception.errors import BackendError, CathError


def test_percentiles_leave_out_what_did_not_run():
    assert benchmark.percentiles([1.0, 2.0, 3.0, float("nan")])["p50"] == 2.0
    assert np.isnan(benchmark.percentiles([])["p99"])


def test_contenders_answer_the_same_frames_and_refusals_are_kept(bundle):
    frames = [np.full((60, 80), value, np.uint8) for value in range(25)]
    entries = benchmark.networks(["openvino", "eager", "abacus"], bundle, Options(threads=1), frames)
    assert [entry["name"] for entry in entries] == ["openvino", "eager", "abacus"]
    for entry in entries[:2]:
        assert entry["frames"] == 25
        assert 0 < entry["ms"]["best"] <= entry["ms"]["p50"] <= entry["ms"]["p99"]
        assert entry["cpu_ms"]["p50"] > 0
    assert (
        "expected one of tensorrt, openvino, torch, eager, compiled, openvino_f32, onnxruntime"
        in entries[2]["refused"]
    )


def test_onnxruntime_answers_as_pytorch_does(bundle):
    pytest.importorskip("onnxruntime")
    eager = peers.open_contender("eager", bundle, Options(device="cpu"))
    other = peers.open_contender("onnxruntime", bundle, Options())
    assert compare(eager.infer, other.infer, made_frames(96)).refusal(0.05, 0.01) is None


def test_a_peer_that_is_not_installed_says_so(bundle, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(BackendError, match="onnxruntime is not installed"):
        peers.open_contender("onnxruntime", bundle, Options())


def test_cost_of_the_shipped_model_is_what_its_layers_say():
    work = roofline.cost(ModelBundle.load(default_bundle_path()))
    assert work.flops / 2 == pytest.approx(3.402e9, rel=0.02)  # multiply-adds, at 512 px
    assert work.weight_values == pytest.approx(3.50e6, rel=0.01)
    assert work.bytes(4) == 2 * work.bytes(2)


def test_bounds_name_what_binds():
    work = roofline.Cost(flops=2_000_000, weight_values=500, activation_values=500)
    peak = roofline.Peak("cpu", "float32", flops=1e9, bytes=1e6)
    found = roofline.bounds(work, peak, 4)
    assert (found["arithmetic_ms"], found["traffic_ms"], found["bound"]) == (2.0, 4.0, "traffic")


def figures():
    ms = {"best": 9.0, "p50": 10.0, "p95": 12.0, "p99": 20.0}
    slow = ms | {"p50": 25.0}
    run = {
        "backend": "openvino (OpenVINO, CPU)", "rate_hz": 240.0, "highest": True, "frames": 100, "missed": 40,
        "answered_hz": 33.3, "publish_to_receive_ms": ms, "node_less_network_ms": ms, "cpu_cores": 1.2,
        "memory_mb": 300.4,
    }  # fmt: skip
    return {
        "made": "2026-01-01",
        "machine": {
            "cores": 2, "cpu": "a CPU", "memory_gb": 8.0, "load_before": 0.1, "gpu": None,
            "packages": {"torch": "2.13.0", "onnxruntime": ""},
        },
        "model": {"name": "light", "weights_sha256": "0123456789abcdef"},
        "image": [512, 512],
        "network": [
            {"name": "openvino", "description": "OpenVINO, f32", "ms": ms, "cpu_ms": ms, "memory_mb": 100.0},
            {"name": "eager", "description": "PyTorch, f32", "ms": slow, "cpu_ms": slow, "memory_mb": 1.0},
            {"name": "tensorrt", "refused": "no engine"},
        ],
        "roofline": {
            "gflop": 2.29, "weights": 3_470_000, "activations": 6_700_000,
            "peaks": [
                {"device": "cpu", "precision": "float32", "flops": 1e11, "bytes": 1e10,
                 "arithmetic_ms": 22.9, "traffic_ms": 4.0, "bound": "arithmetic"}
            ],
        },
        "stages": [
            {"backend": "openvino (CPU)", "stages_ms": {"network": ms}, "all_but_network_ms": ms},
            {"backend": "tensorrt", "refused": "no engine"},
        ],
        "node": [run],
    }  # fmt: skip


def test_report_goes_between_the_marks(tmp_path):
    path = tmp_path / "performance.md"
    path.write_text("before\n<!-- cpu: begin -->\nold\n<!-- cpu: end -->\nafter\n")
    for _ in range(2):
        bench_report.write_report(path, "cpu", json.loads(json.dumps(figures())))
    text = path.read_text()
    assert text.startswith(
        "before\n<!-- cpu: begin -->\nMeasured 2026-01-01 on 2 cores of a CPU, 8 GB; no GPU;"
    )
    assert text.endswith("<!-- cpu: end -->\nafter\n")
    assert "old" not in text
    assert "| openvino | OpenVINO, f32 | 9 | 10 | 12 | 20 | 10 | 2.50 | 2.50 | 100 |  |" in text
    assert "| tensorrt | refused: no engine |" in text
    assert "| openvino | highest | 10 | 12 | 20 | 10 | 40 of 100 | 33.3 | 1.2 | 300 |  |" in text
    with pytest.raises(CathError, match="expected the lines <!-- gpu: begin -->"):
        bench_report.write_report(path, "gpu", figures())


def test_plot_is_a_picture(tmp_path):
    bench_report.plot(tmp_path / "bench.png", figures())
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
