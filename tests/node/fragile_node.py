"""The perception node with a backend that fails as GPUs do: how the node meets a device that goes and comes back."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "cath_perception" / "backends"))

from cath_perception import backends, node, parameters
from cath_perception.backends import Registered, supervised

if __name__ == "__main__":
    backends.BACKENDS["fragile"] = Registered("fragile", "FragileBackend", True)
    choices = (*parameters.BY_NAME["backend"].choices, "fragile")
    object.__setattr__(parameters.BY_NAME["backend"], "choices", choices)
    supervised.SupervisedBackend.__init__.__defaults__ = (supervised.Pace(60.0, 2.0, 0.5, 1.0),)  # type: ignore[misc]
    sys.exit(node.main())
