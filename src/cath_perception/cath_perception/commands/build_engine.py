"""``build-engine``: make the TensorRT engine of a model for this machine's GPU, and check it."""

import argparse
import signal
import sys
import time
from pathlib import Path

from cath_perception.backends.base import Options
from cath_perception.bundle import ModelBundle, resolve_bundle
from cath_perception.errors import BackendError

SUMMARY = "build the TensorRT engine of a model for the GPU of this machine"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``build-engine`` takes to its parser."""
    parser.add_argument(
        "model",
        nargs="?",
        default="light",
        help="name of a shipped model or a bundle's folder (default light)",
    )
    parser.add_argument("--device", default="auto", help="CUDA device, such as cuda:1")
    parser.add_argument("--batch", type=int, default=1, choices=(1, 2), help="2 for bi-plane systems")
    parser.add_argument("--cache-dir", type=Path, help="where engines are kept (default: the user's cache)")
    parser.add_argument("--force", action="store_true", help="build though a usable engine is there")


def run(args: argparse.Namespace) -> int:
    """Build unless there is a usable engine; prints each step with its time, and what was built."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was begun is cleared away
    try:
        from cath_perception.backends.engine import EnginePlace, build_engine
    except ImportError as error:
        raise BackendError(f"needs PyTorch: {error}") from error
    bundle = ModelBundle.load(resolve_bundle(args.model))
    options = Options(cache_dir=args.cache_dir, device=args.device, batch=args.batch)
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)

    place = EnginePlace.of(bundle, options)
    build_engine(bundle, place, say, args.force)
    facts = place.facts()
    say(f"precision {facts['precision']}")
    say(f"agreement {facts['agreement']}")
    say(f"engine in {place.folder}")
    return 0
