"""The bundle as an OpenVINO model, from the cache where it is whole."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

from cath_perception.backends.cache import check, folder_name, model_identity, store
from cath_perception.bundle import ModelBundle
from cath_perception.errors import BackendError

_log = logging.getLogger(__name__)
MODEL, WEIGHTS = "model.xml", "model.bin"
FILES = (MODEL, WEIGHTS)


def converted_model(openvino: Any, core: Any, bundle: ModelBundle, cache: Path) -> Any:
    """The bundle as an OpenVINO model of static shapes: from the cache where it is whole, else converted now.

    A cache that cannot be written costs time at every start, and a warning, but no failure. Raises BackendError
    where conversion needs PyTorch and there is none.
    """
    identity = model_identity(bundle) | {"openvino": str(openvino.__version__)}
    folder = cache / folder_name(identity)
    reason = check(folder, identity, FILES)
    if reason is None:
        return core.read_model(folder / MODEL)
    if folder.exists():
        _log.warning("converted model %s is made anew: %s", folder, reason)
    model = convert(openvino, bundle)

    def write(part: Path) -> dict[str, Any]:
        openvino.save_model(model, part / MODEL, compress_to_fp16=False)
        return {}

    try:
        store(folder, identity, FILES, write)
    except (OSError, RuntimeError) as error:
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
