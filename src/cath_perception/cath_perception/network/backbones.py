"""Backbones of the paper network: ResNet written out here; VGG16 and HRNet from timm, which they alone need.

A backbone returns its features at strides 4, 8 and 16 and says their ``channels``.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cath_perception.errors import BundleError

Features = tuple[Tensor, Tensor, Tensor]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, projected where the shape changes (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, h, w)`` to ``(B, outputs, h/stride, w/stride)``."""
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class ResNet(nn.Module):
    """ResNet without its last stage, for one-channel images; parameters are named as in torchvision and timm.

    Args:
        depths: blocks at strides 4, 8 and 16; (2, 2, 2) is ResNet18, (3, 4, 6) ResNet34.
    """

    channels = (64, 128, 256)

    def __init__(self, depths: tuple[int, int, int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = self._stage(64, 64, depths[0], stride=1)
        self.layer2 = self._stage(64, 128, depths[1], stride=2)
        self.layer3 = self._stage(128, 256, depths[2], stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @staticmethod
    def _stage(inputs: int, outputs: int, depth: int, stride: int) -> nn.Sequential:
        rest = [BasicBlock(outputs, outputs, 1) for _ in range(depth - 1)]
        return nn.Sequential(BasicBlock(inputs, outputs, stride), *rest)

    def forward(self, x: Tensor) -> Features:
        """``(B, 1, H, W)`` to features at strides 4, 8 and 16."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x4 = self.layer1(x)
        x8 = self.layer2(x4)
        return x4, x8, self.layer3(x8)


class TimmBackbone(nn.Module):
    """Features at strides 4, 8 and 16 of a timm model with random weights.

    Args:
        name: of the model in timm.
        stages: indices of its features at those strides.
    """

    def __init__(self, name: str, stages: tuple[int, int, int]) -> None:
        super().__init__()
        self.body = _import_timm(name).create_model(
            name, pretrained=False, features_only=True, in_chans=1, out_indices=stages
        )
        self.channels = tuple(self.body.feature_info.channels())
        strides = tuple(self.body.feature_info.reduction())
        if strides != (4, 8, 16):
            raise BundleError(
                f"backbone {name!r}: expected strides 4, 8, 16 from timm, got {strides}; another timm?"
            )

    def forward(self, x: Tensor) -> Features:
        """``(B, 1, H, W)`` to features at strides 4, 8 and 16."""
        x4, x8, x16 = self.body(x)
        return x4, x8, x16


# Schemas of the two operators without which a torchvision made for another torch build cannot be imported.
_NMS = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_declared: list[torch.library.Library] = []  # a library lives as long as its declarations are needed


def _import_timm(name: str):  # type: ignore[no-untyped-def]  # timm may be absent, so its type cannot be named
    """timm, which imports torchvision without using its operators; those are declared where they are missing."""
    if not _declared and not hasattr(torch.ops.torchvision, "nms"):
        try:
            import torchvision  # noqa: F401
        except RuntimeError:  # CUDA build beside a CPU torch: its compiled part does not load
            _declared.append(torch.library.Library("torchvision", "FRAGMENT"))
            for operator in ("nms", "qnms"):
                _declared[0].define(operator + _NMS)
        except ImportError:
            pass  # said below, in timm's own words
    try:
        import timm
    except ImportError as error:
        raise BundleError(
            f"backbone {name!r} needs timm ({error}): pip install -r requirements/backbones.txt"
        ) from error
    return timm


BACKBONES: dict[str, Callable[[], nn.Module]] = {
    "resnet18": lambda: ResNet((2, 2, 2)),
    "resnet34": lambda: ResNet((3, 4, 6)),
    "vgg16": lambda: TimmBackbone("vgg16", (2, 3, 4)),
    "hrnet_w18": lambda: TimmBackbone("hrnet_w18", (1, 2, 3)),
    "hrnet_w32": lambda: TimmBackbone("hrnet_w32", (1, 2, 3)),
}
"""Name -> what makes it with fresh weights."""
