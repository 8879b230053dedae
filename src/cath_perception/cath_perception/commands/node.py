"""``node``: the perception node, configured and activated, as ``ros2 launch`` starts it where that is not installed."""

import argparse
from contextlib import suppress
from pathlib import Path
from typing import Any

from cath_perception.bags import IMAGE_TOPIC, BagReader

SUMMARY = "start the perception node, configured and activated; Ctrl-C ends it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``node`` takes to its parser; the names are those of the launch file's arguments."""
    parser.add_argument("--image-topic", default=IMAGE_TOPIC, help=f"X-ray images (default {IMAGE_TOPIC})")
    parser.add_argument("--model", help="name of a shipped model or a bundle's folder")
    parser.add_argument("--backend", help="auto, tensorrt, openvino or torch")
    parser.add_argument(
        "--params-file", type=Path, help="parameters (default: the package's perception.yaml)"
    )
    parser.add_argument("--use-sim-time", action="store_true", help="time from /clock, for a replay")
    parser.add_argument("--bag", type=Path, help="replay this bag to the node and end with it")


def run(args: argparse.Namespace) -> int:
    """Run until Ctrl-C, or until the bag's end; the node's exit code."""
    from cath_perception.demonstration import replay_command
    from cath_perception.live import Session

    settings: dict[str, Any] = {"use_sim_time": args.use_sim_time or args.bag is not None}
    settings |= {name: value for name in ("model", "backend") if (value := getattr(args, name))}
    if args.bag is not None:
        BagReader(args.bag).close()  # an unreadable bag is said before anything starts
    with Session("launcher") as session:
        node = session.start_perception(args.image_topic, settings, None, args.params_file)
        watched = node
        if args.bag is not None:
            options = ("--image-topic", args.image_topic)
            watched = session.start(replay_command(args.bag, *options, subscribers=1), None)
        with suppress(KeyboardInterrupt):
            session.spin_until(
                lambda: watched.code is not None or node.code is not None, "the end", float("inf")
            )
        return node.stop()
