"""The light network: one encoder-decoder for the centre map, offset, size and mask, sized for two CPU cores.

Every convolution but the stem runs at stride 4 or coarser; the heads write four stride-4 channels per
output channel and a pixel shuffle turns them into a stride-2 map, so that the two rings of a pair
(about 5 px apart at the network's input) fall on different cells without paying for stride-2 features.
"""

from torch import Tensor, nn
from torch.nn import functional as F


class ConvUnit(nn.Sequential):
    """3x3 (or 1x1) convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvUnit(channels, channels)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as ``x``."""
        return F.relu(x + self.second(self.first(x)))


class Merge(nn.Module):
    """Up-sample the coarse feature, add the projected skip, mix."""

    def __init__(self, coarse: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.reduce = ConvUnit(coarse, outputs, kernel=1)
        self.project = nn.Conv2d(skip, outputs, 1, bias=False)
        self.mix = ConvUnit(outputs, outputs)

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        """``coarse`` ``(B, C, h, w)`` and ``skip`` ``(B, S, 2h, 2w)`` to the latter's size."""
        up = F.interpolate(self.reduce(coarse), scale_factor=2.0, mode="nearest")
        return self.mix(up + self.project(skip))


class Head(nn.Module):
    """A 3x3 unit and a 1x1 projection for every map, pixel-shuffled from stride 4 to stride 2.

    One projection that is cut into maps afterwards costs a twelfth of the whole network's time on a CPU.
    """

    def __init__(self, inputs: int, hidden: int, maps: dict[str, int], bias: float = 0.0) -> None:
        super().__init__()
        self.hidden = ConvUnit(inputs, hidden)
        self.project = nn.ModuleDict({name: _projection(hidden, 4 * n, bias) for name, n in maps.items()})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """``(B, C, h, w)`` to a map ``(B, count, 2h, 2w)`` for every name."""
        hidden = self.hidden(x)
        return {name: F.pixel_shuffle(project(hidden), 2) for name, project in self.project.items()}


def _idle(block: ResidualBlock) -> ResidualBlock:
    """The block with its second normalization at 0: what is not negative passes unchanged until it has learnt."""
    normalization = block.second[1]
    assert isinstance(normalization, nn.BatchNorm2d)
    nn.init.zeros_(normalization.weight)
    return block


def _projection(inputs: int, outputs: int, bias: float) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, 1)
    nn.init.normal_(layer.weight, std=0.01)
    assert layer.bias is not None
    nn.init.constant_(layer.bias, bias)
    return layer


class LightNet(nn.Module):
    """Light multi-task network (heads as in Xi et al., IJCARS 2025, section 2.1; encoder ours).

    Args:
        widths: channels at strides 2, 4, 8, 16 and 32.
        decoder: channels of the decoder at strides 16, 8 and 4.
        hidden: channels inside each head.
        refine: residual blocks on the decoder's last feature. Before training they change nothing, so that weights of a
            network without them can be gone on from.

    ``forward`` takes ``(B, 1, H, W)`` float images after the intensity rule, H and W multiples of 32, and
    returns raw maps at stride 2: ``centre`` logits ``(B, 1, H/2, W/2)``, ``offset`` ``(B, 2, ...)`` in cells,
    ``size`` ``(B, 2, ...)`` in cells (width, height) and ``mask`` logits ``(B, 1, ...)``.
    """

    stride = 2

    def __init__(
        self,
        widths: tuple[int, int, int, int, int] = (16, 32, 56, 112, 256),
        decoder: tuple[int, int, int] = (96, 56, 40),
        hidden: int = 32,
        refine: int = 0,
    ) -> None:
        super().__init__()
        w2, w4, w8, w16, w32 = widths
        d16, d8, d4 = decoder
        self.stem = ConvUnit(4, w2)
        self.stage4 = nn.Sequential(ConvUnit(w2, w4, stride=2), ResidualBlock(w4))
        self.stage8 = nn.Sequential(ConvUnit(w4, w8, stride=2), ResidualBlock(w8), ResidualBlock(w8))
        self.stage16 = nn.Sequential(ConvUnit(w8, w16, stride=2), ResidualBlock(w16), ResidualBlock(w16))
        self.stage32 = nn.Sequential(ConvUnit(w16, w32, stride=2), ResidualBlock(w32), ResidualBlock(w32))
        self.merge16 = Merge(w32, w16, d16)
        self.merge8 = Merge(d16, w8, d8)
        self.merge4 = Merge(d8, w4, d4)
        self.refine = nn.Sequential(*(_idle(ResidualBlock(d4)) for _ in range(refine)))
        self.detect = Head(d4, hidden, {"centre": 1, "offset": 2, "size": 2})
        self.segment = Head(d4, hidden // 2, {"mask": 1}, bias=-2.0)
        # a prior of 0.01 keeps the focal loss calm at the start
        self.detect.project["centre"] = _projection(hidden, 4, -4.6)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Raw maps of a batch of images, see the class."""
        x2 = self.stem(F.pixel_unshuffle(x, 2))
        x4 = self.stage4(x2)
        x8 = self.stage8(x4)
        x16 = self.stage16(x8)
        x32 = self.stage32(x16)
        feature = self.refine(self.merge4(self.merge8(self.merge16(x32, x16), x8), x4))
        return self.detect(feature) | self.segment(feature)
