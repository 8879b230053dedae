"""``cath COMMAND ...``: finds the command's module, and turns known errors into one line and an exit code.

Exit codes: 0 done, 1 done in part (the command says which), 2 an error that the message tells how to mend, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from cath_perception import __version__
from cath_perception.errors import CathError

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("cath_perception.commands.demo", "run a recording through the node and show what it found"),
    "predict": (
        "cath_perception.commands.predict",
        "find catheters in images, recordings or videos, without ROS",
    ),
    "record": (
        "cath_perception.commands.record",
        "make a bag from a DICOM file, images, a video or synthetic frames",
    ),
    "replay": ("cath_perception.commands.replay", "publish a bag at its own pace"),
    "node": ("cath_perception.commands.node", "start the perception node where ros2 launch is not installed"),
    "build-engine": (
        "cath_perception.commands.build_engine",
        "build a model's TensorRT engine for this machine's GPU",
    ),
    "bench": ("cath_perception.commands.bench", "measure what a frame costs"),
    "train": ("cath_training.commands.train", "train a network"),
    "eval": ("cath_training.commands.evaluate", "measure a model against the truth"),
    "export": ("cath_training.commands.export", "make a model bundle of a training run"),
    "synth": ("cath_training.commands.synth", "look at synthetic fluoroscopy"),
}
"""Command -> (module, one line of help). Modules are imported when their command is run."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(__version__)
        return 0
    name = arguments.pop(0)
    try:
        module = _module(name)
        parser = argparse.ArgumentParser(
            prog=f"cath {name}", description=COMMANDS[name][1].capitalize() + "."
        )
        module.add_arguments(parser)
        return int(module.run(parser.parse_args(arguments)))
    except CathError as error:
        print(f"cath: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("cath: interrupted", file=sys.stderr)
        return 130


def usage() -> str:
    """The list of commands."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        ["usage: cath COMMAND [ARGUMENT ...]", "", *lines, "", "cath COMMAND --help tells more."]
    )


def _module(name: str) -> ModuleType:
    if name not in COMMANDS:
        raise CathError(f"command: expected one of {', '.join(COMMANDS)}, got {name!r}")
    path = COMMANDS[name][0]
    try:
        return import_module(path)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        raise CathError(f"{name} needs the Python module {missing}, which is not installed here") from error


if __name__ == "__main__":
    sys.exit(main())
