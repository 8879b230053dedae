"""Networks by name. Importing this package does not import torch; ``build`` does."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cath_perception.errors import BundleError

if TYPE_CHECKING:
    from torch import nn

NETWORKS: dict[str, tuple[str, str]] = {
    "light": ("cath_perception.network.light", "LightNet"),
    "paper": ("cath_perception.network.paper", "PaperNet"),
    "paper-literal": ("cath_perception.network.paper", "PaperLiteralNet"),
}
"""Architecture name -> (module, class). A class takes keyword arguments only and has a ``stride``."""


def build(architecture: dict[str, Any]) -> nn.Module:
    """Make the network that ``{"name": ..., **keyword arguments}`` describes, with fresh weights.

    Raises BundleError for a name that is not known or arguments that the network does not take.
    """
    arguments = dict(architecture)
    name = arguments.pop("name", None)
    if name not in NETWORKS:
        raise BundleError(f"architecture: expected a name out of {', '.join(sorted(NETWORKS))}, got {name!r}")
    module, cls = NETWORKS[name]
    try:
        network: nn.Module = getattr(import_module(module), cls)(**arguments)
    except (TypeError, ValueError) as error:
        raise BundleError(f"architecture {name!r} cannot be built from {arguments}: {error}") from error
    return network
