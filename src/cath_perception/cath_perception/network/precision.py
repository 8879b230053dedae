"""The deployed network with its convolutions in half precision, written into the module itself.

So PyTorch computes on a GPU what TensorRT is made to build: newer Torch-TensorRT, and TensorRT-RTX always, take each
layer's type from the module and change none. The intensity rule and the decoding stay in float32: percentiles of
16-bit pixels and positions of hundreds of px do not fit float16's 11 bits.
"""

import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse

from cath_perception.network.deployed import DeployedNetwork


class CastNetwork(nn.Module):
    """A network that takes and returns float32 and computes in ``dtype``, batch norms folded into convolutions.

    Args:
        network: in eval mode; it is copied, in float32, before anything is rounded.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.stride = network.stride
        self.network = fuse(network).to(dtype)
        self.dtype = dtype

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """The network's maps in float32."""
        return {name: value.float() for name, value in self.network(x.to(self.dtype)).items()}


def in_precision(deployed: DeployedNetwork, dtype: torch.dtype = torch.float16) -> DeployedNetwork:
    """A copy of ``deployed`` whose network computes in ``dtype``; rule and decoding stay in float32."""
    if dtype == torch.float32:
        return deployed
    rule, network = deployed.rule, CastNetwork(deployed.network.eval(), dtype)
    return DeployedNetwork(network, rule.low, rule.high, deployed.candidates).eval()
