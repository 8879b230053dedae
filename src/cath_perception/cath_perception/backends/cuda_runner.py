"""Runs a network on a CUDA device: one upload of raw pixels, one CUDA graph, one small download."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cath_perception.backends.base import Answer
from cath_perception.backends.faults import device_errors
from cath_perception.errors import BackendError
from cath_perception.image import Letterbox, check_size
from cath_perception.network.fused import STORED, FusedNetwork, unpack

WARM_UPS = 3
"""Runs before a graph is captured: libraries choose kernels and take their memory in the first ones."""


def check_cuda(device: str) -> None:
    """Raise DeviceError unless PyTorch can use ``device``, BackendError where it was built without CUDA."""
    if torch.version.cuda is None:
        raise BackendError(f"needs a PyTorch with CUDA, and {torch.__version__} was built without")
    with device_errors(f"opening {device}"):
        torch.cuda.init()  # says why, where is_available() says only that it cannot
        torch.cuda.get_device_properties(device)


class CudaRunner:
    """A network with everything around it on the device, for images of any size; what a size needs is kept.

    Args:
        network: ``(B, 1, S, S)`` float32 on ``device`` to candidates and mask, as ``DeployedNetwork``.
        size: S.
        device: a CUDA device.
        batch: B; images are ``(H, W)`` for 1 and ``(B, H, W)`` else.

    Attributes:
        graph_refusal: why frames run without a CUDA graph; "" if they do not.
    """

    def __init__(self, network: torch.nn.Module, size: int, device: str, batch: int = 1) -> None:
        self.graph_refusal = ""
        self._network: torch.nn.Module | None = network
        self._size, self._batch = size, batch
        self._device = torch.device(device)
        self._stream = torch.cuda.Stream(self._device)  # the default stream cannot be captured
        self._session: _Session | None = None

    def __call__(self, image: NDArray[Any]) -> Answer:
        """Candidates and mask of raw uint8, uint16 or float32 pixels; overwritten by the next call.

        Raises DeviceError or BackendError.
        """
        with device_errors("inference on the GPU failed"), torch.cuda.device(self._device), torch.no_grad():
            session = self._session_for(image)
            packed = session.run(image)
        answer = unpack(packed, self._size)
        return answer if self._batch > 1 else (answer[0][0], answer[1][0])

    def warm_up(self) -> None:
        """Make now what a first frame would wait for."""
        square = (self._size, self._size)
        self(np.zeros(square if self._batch == 1 else (self._batch, *square), np.uint8))

    @property
    def how(self) -> str:
        """Whether a CUDA graph is used, for people."""
        return f"no CUDA graph: {self.graph_refusal}" if self.graph_refusal else "CUDA graph"

    def close(self) -> None:
        """Let go of graph and memory."""
        self._session = self._network = None

    def _session_for(self, image: NDArray[Any]) -> _Session:
        if self._network is None:
            raise BackendError("inference failed: the backend is closed")
        leading = (self._batch,) if self._batch > 1 else ()
        if image.ndim != 2 + len(leading) or image.shape[:-2] != leading or image.dtype not in STORED:
            raise BackendError(
                f"image: expected ({', '.join([*map(str, leading), 'height', 'width'])}) of uint8, uint16 or "
                f"float32, got {image.shape} of {image.dtype}"
            )
        session = self._session
        if session is None or (session.shape, session.dtype) != (image.shape, image.dtype):
            check_size(image.shape[-1], image.shape[-2])
            self._session = None  # its memory goes before the new one takes any
            letterbox = Letterbox.fit(image.shape[-1], image.shape[-2], self._size)
            fused = FusedNetwork(self._network, letterbox)
            fused.resize.to(self._device)
            session = self._session = _Session(fused, image, self._stream)
            self.graph_refusal = session.graph_refusal
        return session


class _Session:
    """Buffers and graph for images of one size and type."""

    def __init__(self, fused: FusedNetwork, image: NDArray[Any], stream: torch.cuda.Stream) -> None:
        self.shape, self.dtype = image.shape, image.dtype
        self.graph_refusal = ""
        self._fused, self._stream = fused, stream
        self._upload = torch.empty(image.shape, dtype=STORED[image.dtype], pin_memory=True)
        self._host = self._upload.numpy().view(image.dtype)
        self._raw = torch.empty(image.shape, dtype=self._upload.dtype, device=stream.device)
        self._raw = self._raw.view(-1, *image.shape[-2:])
        np.copyto(self._host, image)
        with torch.cuda.stream(stream):
            self._raw.view(image.shape).copy_(self._upload)
            for _ in range(WARM_UPS):
                packed = fused(self._raw)
        stream.synchronize()
        self._download = torch.empty(packed.shape, dtype=packed.dtype, pin_memory=True)
        self._packed = packed
        self._graph = self._capture()

    def run(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """One frame: ``(B, N)`` float32, as packed."""
        np.copyto(self._host, image)
        with torch.cuda.stream(self._stream):
            self._raw.view(self.shape).copy_(self._upload, non_blocking=True)
            if self._graph is None:
                self._packed = self._fused(self._raw)
            else:
                self._graph.replay()
            self._download.copy_(self._packed, non_blocking=True)
        self._stream.synchronize()
        answer: NDArray[np.float32] = self._download.numpy()
        return answer

    def _capture(self) -> torch.cuda.CUDAGraph | None:
        """The graph of one run, or None with the reason in ``graph_refusal``: the frame is then launched op by op."""
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=self._stream):
                self._packed = self._fused(self._raw)
        except RuntimeError as error:
            torch.cuda.synchronize()  # raises where it was the device that failed
            self.graph_refusal = " ".join(str(error).split())[:160]
            return None
        return graph
