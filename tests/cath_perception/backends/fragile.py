"""A small real backend that fails as GPUs do, when a file beside the model says so: how failures are met."""

import os
import time

import numpy as np

from cath_perception.backends.base import Backend
from cath_perception.backends.faults import device_errors
from cath_perception.errors import BackendError, EngineMissingError


class FragileBackend(Backend):
    """Answers with the frame's mean in the first candidate's score; obeys ``order`` in the model's folder.

    Orders: ``fail`` a frame, lose the device, crash, hang, answer slowly; ``absent``: there is no device when it is
    opened; ``engine``: there is no engine; ``broken``: it can never work.
    """

    name = "fragile"
    resizes = True

    def __init__(self, bundle, options):
        super().__init__(bundle, options)
        self.description = f"process {os.getpid()}, {options.device}"
        order = self.order()
        if order == "absent":
            with device_errors("opening the device"):
                raise RuntimeError("CUDA error: no CUDA-capable device is detected")
        if order == "engine" and not (bundle.path / "engine").exists():
            raise EngineMissingError("no engine: none was built")
        if order == "broken":
            raise BackendError("needs a library that is not installed")
        if order == "never":
            time.sleep(60)

    def order(self):
        path = self.bundle.path / "order"
        return path.read_text() if path.exists() else ""

    def infer(self, image):
        order = self.order()
        if order == "fail":
            raise ValueError("this frame is odd")
        if order == "crash":
            os.abort()
        if order == "hang":
            time.sleep(60)
        with device_errors("inference"):
            if order == "lose":
                raise RuntimeError("CUDA error: unspecified launch failure")
            if order == "memory":
                raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        candidates = np.zeros((8, 5), np.float32)
        candidates[0] = (image.shape[1], image.shape[0], 1, 1, image.mean() / 255)
        return candidates, np.full((self.size // 2, self.size // 2), image[0, 0] / 255, np.float32)

    def close(self):
        pass


class SecondBackend(FragileBackend):
    """Another backend on the same device, which obeys no orders."""

    name = "second"

    def order(self):
        return ""
