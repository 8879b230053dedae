"""Everything a GPU does to a frame as one module: resize, intensity rule, network, decoding, packing."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cath_perception.image import Letterbox

STORED: dict[np.dtype[np.generic], torch.dtype] = {
    np.dtype(np.uint8): torch.uint8,
    np.dtype(np.uint16): torch.int16,
    np.dtype(np.float32): torch.float32,
}
"""Pixels' type -> the type they are uploaded as. PyTorch computes with no uint16: its bits travel as int16."""


class DeviceLetterbox(nn.Module):
    """``image.Letterbox`` as two matrix products: OpenCV's resize and the repeated edges are linear in each axis.

    Args:
        letterbox: whose ``apply`` is reproduced; the weights are OpenCV's own, read off unit images.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, letterbox: Letterbox) -> None:
        super().__init__()
        box = letterbox
        how = cv2.INTER_AREA if box.scale < 1.0 else cv2.INTER_LINEAR
        self.register_buffer("rows", _weights(box.height, box.inner_height, box.top, box.size, how))
        self.register_buffer(
            "columns", _weights(box.width, box.inner_width, box.left, box.size, how).T.contiguous()
        )

    def forward(self, raw: Tensor) -> Tensor:
        """``(B, H, W)`` pixels as ``STORED`` to ``(B, 1, S, S)`` float32 in the pixels' own range."""
        pixels = (raw.to(torch.int32) & 0xFFFF if raw.dtype == torch.int16 else raw).to(torch.float32)
        return torch.matmul(self.rows, torch.matmul(pixels, self.columns)).unsqueeze(1)


def _weights(length: int, inner: int, before: int, size: int, how: int) -> Tensor:
    """``(size, length)``: each output row's weights of the input's rows, edges repeated into the padding."""
    units = np.eye(length, dtype=np.float32)
    scaled = cv2.resize(units, (length, inner), interpolation=how)
    padded = np.pad(scaled, ((before, size - inner - before), (0, 0)), mode="edge")
    return torch.from_numpy(np.ascontiguousarray(padded))


class FusedNetwork(nn.Module):
    """Raw pixels of one size to one packed vector.

    Args:
        deployed: takes ``(B, 1, S, S)`` float32, returns candidates and mask as ``DeployedNetwork`` does.
        letterbox: for the images' size.
    """

    def __init__(self, deployed: nn.Module, letterbox: Letterbox) -> None:
        super().__init__()
        self.resize = DeviceLetterbox(letterbox)
        self.deployed = deployed

    def forward(self, raw: Tensor) -> Tensor:
        """``(B, H, W)`` pixels as ``STORED`` to ``(B, K * 5 + (S/2) ** 2)`` float32: candidates, then mask."""
        candidates, mask = self.deployed(self.resize(raw))
        return torch.cat((candidates.flatten(1), mask.flatten(1)), dim=1)


def unpack(packed: NDArray[np.float32], size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """``(..., N)`` as ``FusedNetwork`` packs it to candidates ``(..., K, 5)`` and mask ``(..., S/2, S/2)``, as views."""
    half, leading = size // 2, packed.shape[:-1]
    split = packed.shape[-1] - half * half
    return packed[..., :split].reshape(*leading, -1, 5), packed[..., split:].reshape(*leading, half, half)
