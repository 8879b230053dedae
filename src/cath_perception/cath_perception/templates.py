"""The electrode patterns by which catheters are recognized, read from a YAML file. Lengths are mm."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from cath_perception.errors import CathError

Floats = NDArray[np.float64]

_LARGEST_FILE = 1 << 20


class TemplateError(CathError):
    """A templates file that is missing or not as described in ``templates.yaml``."""


@dataclass(frozen=True, slots=True)
class Template:
    """One pattern: ``centres`` and ``lengths`` ``(N,)`` of its electrodes along the shaft, and its diameter, in mm."""

    type: str
    centres: Floats
    lengths: Floats
    circle: bool = False
    diameter: float = 2.0


def default_templates() -> Path:
    """The templates that come with the package."""
    return Path(__file__).parent / "templates.yaml"


def load_templates(path: str | Path | None = None) -> tuple[Template, ...]:
    """Templates of a YAML file (None: those of the package). Raises TemplateError with the reason."""
    path = default_templates() if path is None else Path(path)
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise TemplateError(f"{path}: expected at most {_LARGEST_FILE} bytes of templates")
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TemplateError(f"{path}: templates cannot be read: {error}") from error
    if (
        not isinstance(data, dict)
        or data.get("schema_version") != 1
        or not isinstance(data.get("templates"), list)
    ):
        raise TemplateError(f"{path}: expected 'schema_version: 1' and a list 'templates'")
    return tuple(_template(entry, f"{path}, template {i + 1}") for i, entry in enumerate(data["templates"]))


def _template(entry: Any, where: str) -> Template:
    needed = {"type", "electrodes", "gaps_mm", "tip_mm", "ring_mm"}
    if not isinstance(entry, dict) or not needed <= set(entry) <= needed | {"circle", "diameter_mm"}:
        raise TemplateError(
            f"{where}: expected {', '.join(sorted(needed))} and, if need be, circle and diameter_mm"
        )
    count, gaps = entry["electrodes"], entry["gaps_mm"]
    if not isinstance(count, int) or not 2 <= count <= 64:
        raise TemplateError(f"{where}: electrodes: expected 2 to 64, got {count!r}")
    diameter = entry.get("diameter_mm", 2.0)
    lengths_mm = [
        entry["tip_mm"],
        entry["ring_mm"],
        diameter,
        *(gaps if isinstance(gaps, list) and gaps else [None]),
    ]
    if not all(isinstance(value, (int, float)) and 0 < value <= 100 for value in lengths_mm):
        raise TemplateError(
            f"{where}: gaps_mm (a list), tip_mm, ring_mm, diameter_mm: expected mm in (0, 100]"
        )
    if not isinstance(entry["type"], str) or not entry["type"]:
        raise TemplateError(f"{where}: type: expected a name, got {entry['type']!r}")
    lengths = np.array([entry["tip_mm"]] + [entry["ring_mm"]] * (count - 1), dtype=np.float64)
    between = np.array([gaps[i % len(gaps)] for i in range(count - 1)], dtype=np.float64)
    centres = np.concatenate(([0.0], np.cumsum(between + (lengths[:-1] + lengths[1:]) / 2.0)))
    return Template(entry["type"], centres, lengths, bool(entry.get("circle", False)), float(diameter))
