"""Ways of training compared at an equal, small budget and several seeds: ``./cath train --experiment NAME``."""
