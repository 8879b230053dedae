"""The perception node with a perceptor that breaks on black frames: how the node meets the unexpected."""

import sys
from typing import Any

from numpy.typing import NDArray

from cath_perception import node
from cath_perception.perceptor import Perceptor
from cath_perception.types import PerceptionResult


class FaultyPerceptor(Perceptor):
    """Raises what no one expects for a small black frame."""

    def __call__(self, pixels: NDArray[Any], *, recognize: bool = True) -> PerceptionResult:
        if pixels.shape == (64, 64) and not pixels.any():
            raise RuntimeError("the device is on fire")
        return super().__call__(pixels, recognize=recognize)


if __name__ == "__main__":
    node.Perceptor = FaultyPerceptor
    sys.exit(node.main())
