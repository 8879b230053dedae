"""Image formation as batched torch, on CPU and GPU alike: background, Beer-Lambert, glare, blur, noise, display.

Geometry (attenuation maps and labels) is made once and reused under affine changes; everything here is drawn anew
for each sample.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


def uniform(generator: torch.Generator, count: int, low: float, high: float, device: torch.device) -> Tensor:
    """``count`` values in [low, high) shaped ``(count, 1, 1, 1)``."""
    return (low + (high - low) * torch.rand(count, generator=generator)).view(-1, 1, 1, 1).to(device)


def log_uniform(
    generator: torch.Generator, count: int, low: float, high: float, device: torch.device
) -> Tensor:
    """``count`` values between low and high, uniform in the logarithm, ``(count, 1, 1, 1)``."""
    span = torch.log(torch.tensor([low, high]))
    return uniform(generator, count, float(span[0]), float(span[1]), device).exp()


def sometimes(generator: torch.Generator, count: int, share: float, device: torch.device) -> Tensor:
    """1.0 for about ``share`` of ``count`` samples, else 0.0, ``(count, 1, 1, 1)``."""
    return (torch.rand(count, generator=generator) < share).float().view(-1, 1, 1, 1).to(device)


def gaussian_blur(images: Tensor, sigma: Tensor, radius: int = 4) -> Tensor:
    """Separable blur of ``(B, 1, H, W)`` with a standard deviation per sample in px, ``(B, 1, 1, 1)``."""
    count = len(images)
    taps = torch.arange(-radius, radius + 1, device=images.device).float()
    kernel = torch.exp(-0.5 * (taps / sigma.view(-1, 1).clamp_min(0.05)) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).view(count, 1, 1, -1)
    flat = F.pad(images.transpose(0, 1), (radius, radius, 0, 0), mode="reflect")
    flat = F.conv2d(flat, kernel, groups=count)
    flat = F.pad(flat, (0, 0, radius, radius), mode="reflect")
    return F.conv2d(flat, kernel.transpose(2, 3), groups=count).transpose(0, 1)


@dataclass(frozen=True, slots=True)
class Exposure:
    """How frames are taken and shown; every value is ``(B, 1, 1, 1)``, so a sequence can keep one exposure.

    Attributes:
        contrast: factor on the line integrals (tube voltage). glare: share of light spread over the whole frame.
        blur: detector blur, standard deviation in px. quanta: per px at full intensity, low dose to cine.
        grain: 1 where noise is correlated, with ``grain_blur`` in px. sharpen, sharpen_blur: unsharp mask.
        edges: ``(B, 4, 1, 1)`` shutter positions from the centre, 1 the border; round_edge: radius of a round shutter
        (large: none). softness, shade: of the shutters' edge and of what lies behind them.
        gamma, gain, base, invert: the display.
    """

    contrast: Tensor
    glare: Tensor
    blur: Tensor
    quanta: Tensor
    grain: Tensor
    grain_blur: Tensor
    sharpen: Tensor
    sharpen_blur: Tensor
    edges: Tensor
    round_edge: Tensor
    softness: Tensor
    shade: Tensor
    gamma: Tensor
    gain: Tensor
    base: Tensor
    invert: Tensor


LIT = 0.3  # share of the light above which a shutter hides nothing
OPEN = 9.0  # a shutter this far out is not there


def draw_exposure(
    generator: torch.Generator, count: int, device: torch.device, inverted: float = 0.06
) -> Exposure:
    """Exposures as varied as angiography and electrophysiology labs; ``inverted``: share with white catheters."""

    def u(low: float, high: float) -> Tensor:
        return uniform(generator, count, low, high, device)

    def log_u(low: float, high: float) -> Tensor:
        return log_uniform(generator, count, low, high, device)

    def maybe(share: float) -> Tensor:
        return sometimes(generator, count, share, device)

    shuttered, is_round = maybe(0.3), maybe(0.25)
    square = shuttered * (1 - is_round)
    edges = [
        torch.where(square * maybe(0.5) > 0, u(0.5, 1.0), torch.full_like(square, OPEN)) for _ in range(4)
    ]
    return Exposure(
        contrast=log_u(0.65, 1.5),
        glare=u(0.0, 0.25),
        blur=log_u(0.4, 1.3),
        quanta=log_u(150.0, 8000.0),
        grain=maybe(0.5),
        grain_blur=u(0.5, 1.4),
        sharpen=maybe(0.45) * u(0.2, 1.6),
        sharpen_blur=u(0.9, 2.2),
        edges=torch.cat(edges, dim=1),
        round_edge=torch.where(shuttered * is_round > 0, u(0.85, 1.35), torch.full_like(square, OPEN)),
        softness=log_u(0.004, 0.05),
        shade=u(0.0, 0.25),
        gamma=log_u(0.55, 1.7),
        gain=u(0.45, 1.0),
        base=u(0.0, 0.25),
        invert=maybe(inverted),
    )


def open_field(exposure: Exposure, height: int, width: int) -> Tensor:
    """What the shutters leave open: ``(B, 1, H, W)``, 1 inside, 0 behind them, soft between."""
    device = exposure.softness.device
    y = torch.linspace(-1, 1, height, device=device).view(1, 1, -1, 1)
    x = torch.linspace(-1, 1, width, device=device).view(1, 1, 1, -1)
    field = torch.sigmoid((exposure.round_edge - torch.sqrt(x * x + y * y)) / exposure.softness)
    for k, axis in enumerate((x, -x, y, -y)):
        field = field * torch.sigmoid((exposure.edges[:, k : k + 1] - axis) / exposure.softness)
    return field


def _noise(shape: torch.Size, exposure: Exposure, generator: torch.Generator) -> Tensor:
    fine = torch.randn(shape, generator=generator).to(exposure.grain.device)
    coarse = gaussian_blur(fine, exposure.grain_blur)
    coarse = coarse / coarse.std((2, 3), keepdim=True).clamp_min(1e-3)
    return exposure.grain * coarse + (1 - exposure.grain) * fine


def expose(
    background: Tensor, attenuation: Tensor, exposure: Exposure, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Take frames.

    Args:
        background: ``(B, 1, H, W)`` intensity 0..1 without catheters.
        attenuation: ``(B, 1, H, W)`` line integrals >= 0 (Beer-Lambert).
        generator: of the noise.

    Returns:
        Frames ``(B, 1, H, W)`` 0..1 quantized to 8 bits, and the open field 0..1 of the same shape.
    """
    light = background * torch.exp(-attenuation * exposure.contrast)
    light = light * (1 - exposure.glare) + exposure.glare * light.mean((2, 3), keepdim=True)
    light = gaussian_blur(light, exposure.blur)
    sigma = torch.sqrt((light.clamp_min(0) + 0.02) / exposure.quanta)
    light = light + _noise(light.shape, exposure, generator) * sigma
    light = light + exposure.sharpen * (light - gaussian_blur(light, exposure.sharpen_blur))
    field = open_field(exposure, *light.shape[2:])
    light = light * field + exposure.shade * light.mean((2, 3), keepdim=True) * (1 - field)
    light = exposure.base + exposure.gain * light.clamp(0, 1) ** exposure.gamma
    light = exposure.invert * (1 - light) + (1 - exposure.invert) * light
    return torch.round(light.clamp(0, 1) * 255) / 255, field
