"""What runs on the device: intensity rule, network and heat-map decoding as one module of static shapes.

Training applies the same ``IntensityRule`` to its batches and the same ``decode_maps`` to its maps, so that there
is one pre-processing and one decoding.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LARGEST = 1e30  # beyond this a pixel counts as not finite: differences of such values would overflow float32


class IntensityRule(nn.Module):
    """Percentiles of the picture's middle to 0..1, whatever the range of the pixels.

    The middle is half of each side: shutters and round fields leave black or white round the picture, which would take
    most of the range.

    Args:
        low, high: percentiles (0..100) that become 0 and 1, measured on every second row and column.
    """

    def __init__(self, low: float = 1.0, high: float = 99.0) -> None:
        super().__init__()
        if not 0.0 <= low < high <= 100.0:
            raise ValueError(f"percentiles: expected 0 <= low < high <= 100, got low {low}, high {high}")
        self.low = float(low)
        self.high = float(high)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, 1, H, W)`` float32 of any range to the same shape within -0.5..1.5.

        Values that are not finite count as 0; a constant image becomes 0. Raises TypeError for integers, whose
        differences would wrap around.
        """
        if not x.is_floating_point():
            raise TypeError(f"pixels: expected float32, got {x.dtype}: convert them with x.float()")
        x = torch.where(x.abs() <= _LARGEST, x, torch.zeros_like(x))
        down, across = int(x.shape[2]) // 4, int(x.shape[3]) // 4
        middle = x[:, :, down : int(x.shape[2]) - down : 2, across : int(x.shape[3]) - across : 2]
        values = middle.flatten(2)
        last = int(values.shape[2]) - 1
        below = round(last * self.low / 100.0)
        above = last - round(last * self.high / 100.0)
        # The two ends of the sorted values; sorting all of them would cost ten times as much.
        low = values.topk(below + 1, dim=2, largest=False).values[:, :, below].unsqueeze(2).unsqueeze(3)
        high = values.topk(above + 1, dim=2).values[:, :, above].unsqueeze(2).unsqueeze(3)
        eps = 1e-6 + 1e-5 * torch.maximum(low.abs(), high.abs())
        return ((x - low) / torch.maximum(high - low, eps)).clamp(-0.5, 1.5)


def decode_maps(maps: dict[str, Tensor], stride: int, candidates: int = 128) -> Tensor:
    """Peaks of the centre map with their offsets and sizes.

    Args:
        maps: ``centre`` logits ``(B, 1, h, w)``, ``size`` ``(B, 2, h, w)`` in cells and, unless the network has no
            such head, ``offset`` ``(B, 2, h, w)`` in cells from the cell's centre.
        stride: network-input px per cell.
        candidates: K, at most h * w.

    Returns ``(B, K, 5)``: x, y, width, height in network-input px and score 0..1, by falling score. Where fewer than K
    peaks exist the rest has score 0.
    """
    logits = maps["centre"]
    centre = logits.sigmoid()
    height, width = int(centre.shape[2]), int(centre.shape[3])
    # Compared before the sigmoid: a compiler that computes that twice must not lose peaks to its rounding.
    peaks = centre * (F.max_pool2d(logits, 3, stride=1, padding=1) == logits).to(centre.dtype)
    score, index = peaks.flatten(1).topk(min(candidates, height * width), dim=1)
    row = torch.div(index, width, rounding_mode="floor")
    cell = torch.stack((index - row * width, row), dim=1).to(centre.dtype)
    both = index.unsqueeze(1).expand(-1, 2, -1)
    size = maps["size"].flatten(2).gather(2, both).clamp(min=0.0) * stride
    if "offset" in maps:
        cell = cell + maps["offset"].flatten(2).gather(2, both)
    position = (cell + 0.5) * stride - 0.5
    return torch.cat((position, size, score.unsqueeze(1)), dim=1).transpose(1, 2)


class DeployedNetwork(nn.Module):
    """A network with its intensity rule in front and its decoding behind.

    Args:
        network: has ``stride`` and returns maps as ``LightNet`` does.
        low, high: percentiles of the intensity rule.
        candidates: how many peaks are returned.
    """

    def __init__(
        self, network: nn.Module, low: float = 1.0, high: float = 99.0, candidates: int = 128
    ) -> None:
        super().__init__()
        self.rule = IntensityRule(low, high)
        self.network = network
        self.stride = int(network.stride)  # type: ignore[arg-type]
        self.candidates = candidates

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, 1, S, S)`` float32 raw pixels of any range, S a multiple of 32, to candidates and mask.

        Candidates are ``(B, K, 5)`` float32 (x, y, width, height in network-input px, score; by falling score), the
        mask is a probability ``(B, S/2, S/2)`` float32.
        """
        maps = self.network(self.rule(image))
        mask = maps["mask"]
        half = (int(image.shape[2]) // 2, int(image.shape[3]) // 2)
        if tuple(mask.shape[2:]) != half:
            mask = F.interpolate(mask, size=half, mode="bilinear", align_corners=False)
        return decode_maps(maps, self.stride, self.candidates), mask.sigmoid().squeeze(1)
