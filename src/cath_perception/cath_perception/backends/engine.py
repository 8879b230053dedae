"""TensorRT engines: what one depends on, where it is kept, how it is built, checked and loaded."""

from __future__ import annotations

import fcntl
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cath_perception.backends.agreement import compare, made_frames
from cath_perception.backends.base import Answer, Options
from cath_perception.backends.cache import Identity, check, facts_of, folder_name, model_identity, store
from cath_perception.backends.cuda_runner import check_cuda
from cath_perception.backends.faults import device_errors
from cath_perception.backends.torch_tensorrt_import import Product, import_torch_tensorrt
from cath_perception.bundle import ModelBundle
from cath_perception.errors import BackendError, EngineMissingError
from cath_perception.network.precision import in_precision

ENGINE = "engine.pt2"  # PyTorch goes by the ending
PRECISION = torch.float16
SETTINGS: dict[str, Any] = {"min_block_size": 1, "truncate_double": True, "use_explicit_typing": True}
"""For ``torch_tensorrt.compile``. ``use_explicit_typing``: every layer in the type the module gives it; newer versions
know nothing else and have no such setting."""
COMPARED_FRAMES = 8


@dataclass(frozen=True, slots=True)
class EnginePlace:
    """Where the engine of one model for one GPU is kept, and everything it depends on.

    One folder for each model, batch and GPU: after an update of driver or library the old engine is found there, and
    what has changed is said before it is replaced.
    """

    product: Product
    device: str
    folder: Path
    identity: Identity

    @classmethod
    def of(cls, bundle: ModelBundle, options: Options) -> EnginePlace:
        """For this machine's GPU; BackendError or DeviceError where there is none to build for."""
        device = options.cuda_device
        root = options.cache / "tensorrt"
        product = import_torch_tensorrt(root / "scratch")
        check_cuda(device)
        with device_errors("asking the GPU what it is"):
            torch.cuda.set_device(device)  # Torch-TensorRT builds and runs on the current one
            gpu = torch.cuda.get_device_properties(device)
        model = model_identity(bundle) | {
            "batch": str(options.batch),
            "precision": str(PRECISION).removeprefix("torch."),
            "gpu": gpu.name,
        }
        whole = model | {
            "compute_capability": f"{gpu.major}.{gpu.minor}",
            "driver": driver_version(),
            "tensorrt": product.tensorrt,
            "product": product.name,
            "torch_tensorrt": product.version,
            "torch": torch.__version__,
        }
        return cls(product, device, root / folder_name(model), whole)

    def missing(self) -> str | None:
        """Why the engine cannot be used, or None if it can."""
        if not self.folder.exists():
            return "none was built for this model and GPU"
        reason = check(self.folder, self.identity, (ENGINE,))
        return f"the one in {self.folder} cannot be used: {reason}" if reason else None

    def load(self) -> torch.nn.Module:
        """The engine as a module; EngineMissingError with the reason where there is none to be trusted.

        Its file is unpickled in part, which can run code: hence only a file that ``check`` found to be this user's
        own, writable by no one else, and with the hash that was noted when it was built here.
        """
        if reason := self.missing():
            raise EngineMissingError(f"no engine: {reason}; ./cath build-engine makes one")
        return _load(self.product, self.folder / ENGINE)

    def facts(self) -> dict[str, Any]:
        """The manifest: identity, precision as built, agreement with eager PyTorch, seconds."""
        return facts_of(self.folder)


def build_engine(
    bundle: ModelBundle, place: EnginePlace, say: Callable[[str], None], anew: bool = False
) -> None:
    """Build, compare with eager float32 PyTorch, and keep an engine; takes minutes.

    ``say`` is called with what is being done. A usable engine is left alone unless it is to be made ``anew``. Raises
    BackendError or DeviceError; then nothing is kept that was not there before.
    """
    say(
        f"{place.product.name} {place.product.version}, TensorRT {place.product.tensorrt}, {place.identity['gpu']}"
    )
    place.folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (place.folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two at once would slow each other, and take twice the memory
        if (reason := place.missing()) is None and not anew:
            say("a usable engine is there already")
            return
        say(f"building: {reason or 'asked for'}")
        store(place.folder, place.identity, (ENGINE,), lambda part: _make(part / ENGINE, bundle, place, say))


def _make(path: Path, bundle: ModelBundle, place: EnginePlace, say: Callable[[str], None]) -> dict[str, Any]:
    began, batch = time.monotonic(), int(place.identity["batch"])
    with device_errors("building the engine"), torch.no_grad():
        say("exporting the network")
        example = torch.rand((batch, 1, bundle.input_size, bundle.input_size), device=place.device) * 4095.0
        program = torch.export.export(in_precision(bundle.build(), PRECISION).to(place.device), (example,))
        say("compiling (some minutes)")
        compiled = compile_program(place.product, program, example)
        built = precision_built(program, compiled)
        say("saving")
        place.product.module.save(compiled, str(path), output_format="exported_program", arg_inputs=[example])
        del compiled, program
        say("comparing with eager float32 PyTorch on the CPU")
        agreement = compare(
            answers_of(bundle.build(), "cpu", batch),
            answers_of(_load(place.product, path), place.device, batch),
            made_frames(bundle.input_size, COMPARED_FRAMES),
        )
    if refusal := agreement.refusal():
        raise BackendError(f"the engine is not used: it {refusal}")
    return {"precision": built, "agreement": agreement.facts(), "seconds": round(time.monotonic() - began, 1)}


def compile_program(product: Product, program: torch.export.ExportedProgram, example: torch.Tensor) -> Any:
    """The exported network compiled for the GPU of ``example``."""
    known = signature(product.module.dynamo.compile).parameters
    settings = {name: value for name, value in SETTINGS.items() if name in known}
    return product.module.compile(program, ir="dynamo", arg_inputs=[example], **settings)


def answers_of(network: torch.nn.Module, device: str, batch: int) -> Callable[[NDArray[np.float32]], Answer]:
    """A function from an ``(S, S)`` frame to ``network``'s answer to the last of ``batch`` copies of it."""

    def answer(frame: NDArray[np.float32]) -> Answer:
        image = torch.from_numpy(frame)[None, None].repeat(batch, 1, 1, 1).to(device)
        candidates, mask = network(image)
        return candidates[-1].cpu().numpy(), mask[-1].cpu().numpy()

    return answer


def precision_built(program: torch.export.ExportedProgram, compiled: Any) -> dict[str, Any]:
    """What was built in which precision: convolutions by type, engines, what was left to PyTorch, engines' layers."""
    engines, left, layers = 0, Counter[str](), Counter[str]()
    for name, child in compiled.named_children():
        if "_run_on_acc" in name:
            engines += 1
            with suppress(RuntimeError, AttributeError):  # not every version and product has an inspector
                layers += layer_types(child.get_layer_info())
        elif "_run_on_gpu" in name:
            left.update(str(node.target) for node in child.graph.nodes if node.op == "call_function")
    convolutions = Counter(
        str(node.meta["val"].dtype).removeprefix("torch.")
        for node in program.graph.nodes
        if node.op == "call_function" and "conv" in str(node.target)
    )
    if not engines:
        raise BackendError("nothing of the network was compiled for TensorRT")
    return {
        "convolutions": dict(convolutions),
        "engines": engines,
        "left_to_pytorch": dict(left),
        "layers": dict(layers),
    }


def layer_types(information: str) -> Counter[str]:
    """Layers of an engine by the type of their first output, from the inspector's JSON; ``unnamed`` where not told."""
    try:
        layers = json.loads(information).get("Layers", [])
    except (ValueError, AttributeError):
        return Counter()
    return Counter(_layer_type(layer) for layer in layers)


def _layer_type(layer: Any) -> str:
    outputs = layer.get("Outputs") if isinstance(layer, dict) else None
    text = str(outputs[0].get("Format/Datatype", "")) if outputs and isinstance(outputs[0], dict) else ""
    for name, pattern in (
        ("float16", r"FP16|Half"),
        ("bfloat16", r"BF16|BFloat16"),
        ("float32", r"FP32|Float"),
        ("integer", r"Int|INT|Bool|BOOL"),
    ):
        if re.search(pattern, text):
            return name
    return "unnamed"


def driver_version() -> str:
    """The NVIDIA kernel driver's version, "unknown" where the kernel does not say."""
    try:
        text = Path("/proc/driver/nvidia/version").read_text(encoding="ascii", errors="replace")
    except OSError:
        return "unknown"
    found = re.search(r"\b(\d+\.\d+(?:\.\d+)*)\b", text)
    return found.group(1) if found else "unknown"


def _load(product: Product, path: Path) -> torch.nn.Module:
    with device_errors("loading the engine"):
        network: torch.nn.Module = product.module.load(str(path)).module()
    return network
