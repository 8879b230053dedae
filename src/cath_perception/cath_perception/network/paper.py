"""The network of Xi et al. (IJCARS 2025), section 2.1: a trunk to stride 16, attention, a decoder with skips, heads.

Where the text is silent the blocks are those of the STCN family (Cheng et al. 2021), with which the parameter count
comes out as published; ``paper-literal`` is what the text says and no more.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cath_perception.network.backbones import BACKBONES

EMBEDDING = 512
DECODED = 256
CENTRE_BIAS = -2.19  # a prior of 0.1 for the focal loss


class Cbam(nn.Module):
    """Channel attention, then spatial attention (Woo et al. 2018).

    Args:
        channels: of its input.
        reduction: by how much the shared perceptron narrows.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // reduction, 1)
        self.excite = nn.Conv2d(channels // reduction, channels, 1)
        self.spatial = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as ``x``."""
        mean, peak = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        channel = self.excite(F.relu(self.squeeze(mean))) + self.excite(F.relu(self.squeeze(peak)))
        x = x * channel.sigmoid()
        pooled = torch.cat((x.amax(1, keepdim=True), x.mean(1, keepdim=True)), 1)
        return x * self.spatial(pooled).sigmoid()


class ResidualBlock(nn.Module):
    """Pre-activation residual block without normalisation; a 3x3 shortcut where the channels change."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, h, w)`` to ``(B, outputs, h, w)``."""
        return self.shortcut(x) + self.second(F.relu(self.first(F.relu(x))))


class LiteralAttention(nn.Module):
    """One projection to the embedding and x + CBAM(x)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(inputs, EMBEDDING, 3, padding=1)
        self.attention = Cbam(EMBEDDING)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, h, w)`` to ``(B, 512, h, w)``."""
        x = self.project(x)
        return x + self.attention(x)


class FusionAttention(nn.Module):
    """Two projections side by side, fused: residual block, x + CBAM(x), residual block."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(inputs, 2 * EMBEDDING, 3, padding=1)  # both projections in one convolution
        self.first = ResidualBlock(2 * EMBEDDING, EMBEDDING)
        self.attention = Cbam(EMBEDDING)
        self.second = ResidualBlock(EMBEDDING, EMBEDDING)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, h, w)`` to ``(B, 512, h, w)``."""
        x = self.first(self.project(x))
        return self.second(x + self.attention(x))


class UpBlock(nn.Module):
    """Twice the resolution: the up-sampled feature plus the convolved skip, through a residual block."""

    def __init__(self, skip: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.skip = nn.Conv2d(skip, inputs, 3, padding=1)
        self.mix = ResidualBlock(inputs, outputs)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """``(B, inputs, h, w)`` and ``(B, skip, 2h, 2w)`` to ``(B, outputs, 2h, 2w)``."""
        return self.mix(self.skip(skip) + F.interpolate(x, scale_factor=2.0, mode="bilinear"))


class Head(nn.Sequential):
    """Two 3x3 convolutions of 64 channels and a 1x1."""

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0) -> None:
        last = nn.Conv2d(64, outputs, 1)
        assert last.bias is not None
        nn.init.constant_(last.bias, bias)
        super().__init__(
            nn.Conv2d(inputs, 64, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(64, 64, 3, padding=1),
            nn.ReLU(inplace=True),
            last,
        )


class PaperNet(nn.Module):
    """The paper's multi-task network, with the fusion block that its parameter count asks for.

    Args:
        backbone: one of ``BACKBONES``; vgg16 and the HRNets need timm.
        offset: with a head for the position inside a cell. Without it positions are whole cells of 4 px.

    ``forward`` takes ``(B, 1, H, W)`` float images after the intensity rule, H and W multiples of 16, and returns
    ``centre`` logits ``(B, 1, H/4, W/4)``, ``size`` ``(B, 2, H/4, W/4)`` in cells (width, height), ``offset``
    ``(B, 2, H/4, W/4)`` in cells if it has that head, and ``mask`` logits ``(B, 1, H/2, W/2)``: made at stride 4 and
    up-sampled here, as all of this project's masks leave the network at half size.
    """

    stride = 4
    attention: type[nn.Module] = FusionAttention

    def __init__(self, backbone: str = "resnet34", offset: bool = True) -> None:
        super().__init__()
        if backbone not in BACKBONES:
            raise ValueError(f"backbone: expected one of {', '.join(BACKBONES)}, got {backbone!r}")
        self.trunk = BACKBONES[backbone]()
        skip4, skip8, deep = self.trunk.channels  # type: ignore[misc, union-attr]
        self.embed = self.attention(deep)
        self.up8 = UpBlock(skip8, EMBEDDING, DECODED)  # type: ignore[arg-type]
        self.up4 = UpBlock(skip4, DECODED, DECODED)  # type: ignore[arg-type]
        self.centre = Head(DECODED, 1, CENTRE_BIAS)
        self.size = Head(DECODED, 2)
        self.offset = Head(DECODED, 2) if offset else None
        self.mask = Head(DECODED, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Raw maps of a batch of images, see the class."""
        x4, x8, x16 = self.trunk(x)
        feature = self.up4(self.up8(self.embed(x16), x8), x4)
        maps = {"centre": self.centre(feature), "size": self.size(feature)}
        if self.offset is not None:
            maps["offset"] = self.offset(feature)
        maps["mask"] = F.interpolate(self.mask(feature), scale_factor=2.0, mode="bilinear")
        return maps


class PaperLiteralNet(PaperNet):
    """The network as the text describes it: one projection, x + CBAM(x), and no offset head unless asked for."""

    attention = LiteralAttention

    def __init__(self, backbone: str = "resnet34", offset: bool = False) -> None:
        super().__init__(backbone, offset)
