"""Image formation as batched torch, on CPU and GPU alike: background, Beer-Lambert, glare, blur, noise, display.

Geometry (attenuation maps and labels) is made once and reused under affine changes; everything here is drawn anew
for each sample.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def uniform(generator: torch.Generator, count: int, low: float, high: float, device: torch.device) -> Tensor:
    """``count`` values in [low, high) shaped ``(count, 1, 1, 1)``."""
    return (low + (high - low) * torch.rand(count, generator=generator)).view(-1, 1, 1, 1).to(device)


def log_uniform(generator: torch.Generator, count: int, low: float, high: float, device: torch.device) -> Tensor:
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


def collimate(images: Tensor, generator: torch.Generator, share: float = 0.3) -> tuple[Tensor, Tensor]:
    """Shutters with soft edges on some samples. Returns the images and the open field ``(B, 1, H, W)``, 0..1."""
    count, _, height, width = images.shape
    device = images.device
    y = torch.linspace(-1, 1, height, device=device).view(1, 1, -1, 1)
    x = torch.linspace(-1, 1, width, device=device).view(1, 1, 1, -1)
    soft = log_uniform(generator, count, 0.004, 0.05, device)
    field = torch.ones_like(images)
    for axis in (x, -x, y, -y):
        edge = uniform(generator, count, 0.5, 1.0, device) + 5 * (1 - sometimes(generator, count, 0.5, device))
        field = field * torch.sigmoid((edge - axis) / soft)
    radius = uniform(generator, count, 0.85, 1.35, device)
    round_field = torch.sigmoid((radius - torch.sqrt(x * x + y * y)) / soft)
    round_one = sometimes(generator, count, 0.25, device)
    field = round_one * round_field + (1 - round_one) * field
    used = sometimes(generator, count, share, device)
    field = used * field + (1 - used)
    shade = uniform(generator, count, 0.0, 0.25, device) * images.mean((2, 3), keepdim=True)
    return images * field + shade * (1 - field), field


def form(background: Tensor, attenuation: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw fluoroscopy frames.

    Args:
        background: ``(B, 1, H, W)`` intensity 0..1 without catheters.
        attenuation: ``(B, 1, H, W)`` line integrals >= 0.

    Returns:
        Frames ``(B, 1, H, W)`` 0..1 quantized to 8 bits, and the collimated field 0..1 of the same shape.
    """
    count, device = len(background), background.device
    u = lambda low, high: uniform(generator, count, low, high, device)  # noqa: E731
    light = background * torch.exp(-attenuation * log_uniform(generator, count, 0.65, 1.5, device))
    glare = u(0.0, 0.25)
    light = light * (1 - glare) + glare * light.mean((2, 3), keepdim=True)
    light = gaussian_blur(light, log_uniform(generator, count, 0.4, 1.3, device))
    noise = torch.randn(light.shape, generator=generator).to(device)
    coarse = gaussian_blur(noise, u(0.5, 1.4))
    coarse = coarse / coarse.std((2, 3), keepdim=True).clamp_min(1e-3)
    grain = sometimes(generator, count, 0.5, device)
    noise = grain * coarse + (1 - grain) * noise
    quanta = log_uniform(generator, count, 150.0, 8000.0, device)  # per pixel at full intensity: low dose to cine
    light = light + noise * torch.sqrt((light.clamp_min(0) + 0.02) / quanta)
    sharpen = sometimes(generator, count, 0.45, device) * u(0.2, 1.6)
    light = light + sharpen * (light - gaussian_blur(light, u(0.9, 2.2)))
    light, field = collimate(light, generator)
    light = light.clamp(0, 1) ** log_uniform(generator, count, 0.55, 1.7, device)
    gain, base = u(0.45, 1.0), u(0.0, 0.25)
    light = base + gain * light
    invert = sometimes(generator, count, 0.06, device)
    light = invert * (1 - light) + (1 - invert) * light
    return torch.round(light.clamp(0, 1) * 255) / 255, field
