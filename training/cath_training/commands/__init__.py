"""Commands of ``./cath`` that belong to training."""
