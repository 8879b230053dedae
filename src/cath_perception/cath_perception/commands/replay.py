"""``replay BAG``: publish a bag on ROS 2 topics at its own pace."""

import argparse
import sys

from cath_perception.errors import CathError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``replay`` takes to its parser."""
    parser.add_argument("bag", metavar="BAG", help="bag folder or .mcap file")
    parser.add_argument("--rate", type=float, default=1.0, metavar="R", help="speed (default 1)")
    parser.add_argument("--loop", action="store_true", help="begin again at the end; stamps keep rising")
    parser.add_argument(
        "--start", type=float, default=0.0, metavar="S", help="start so many seconds into the bag"
    )
    parser.add_argument("--clock", type=float, metavar="HZ", help="rate of /clock (default 100; 0: none)")
    wait = parser.add_mutually_exclusive_group()
    wait.add_argument(
        "--wait-for-subscribers",
        type=int,
        default=1,
        metavar="N",
        help="begin when the images have N subscribers (default 1)",
    )
    wait.add_argument("--no-wait", action="store_true", help="begin at once")
    parser.add_argument(
        "--wait-timeout",
        type=float,
        default=30.0,
        metavar="S",
        help="begin anyway after S seconds (30)",
    )
    parser.add_argument("--image-topic", metavar="NAME", help="publish the images under this name")
    parser.add_argument(
        "--stamp-now",
        action="store_true",
        help="stamp messages with the present time, for nodes without use_sim_time; then no /clock",
    )


def run(args: argparse.Namespace, ros_args: list[str] | None = None) -> int:
    """Replay until the end or an interrupt; both are a success. Raises ``SourceError``."""
    from cath_perception.replay import ReplayOptions, replay, say

    clock_hz = args.clock if args.clock is not None else (0.0 if args.stamp_now else 100.0)
    options = ReplayOptions(
        rate=args.rate,
        start_s=args.start,
        loop=args.loop,
        clock_hz=clock_hz,
        subscribers=0 if args.no_wait else args.wait_for_subscribers,
        wait_s=args.wait_timeout,
        image_topic=args.image_topic,
        stamp_now=args.stamp_now,
    )
    try:
        summary = replay(args.bag, options, ros_args)
    except KeyboardInterrupt:
        say("interrupted before the first message")
        return 0
    say(f"replayed {summary}{' (interrupted)' if summary.interrupted else ''}")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Entry point of the console script; takes ``--ros-args`` too, as launch files give them."""
    from rclpy.utilities import remove_ros_args

    command_line = list(sys.argv if argv is None else ["replay", *argv])
    parser = argparse.ArgumentParser(prog="replay", description=__doc__)
    add_arguments(parser)
    try:
        return run(parser.parse_args(remove_ros_args(command_line)[1:]), command_line)
    except CathError as error:
        print(f"cath: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
