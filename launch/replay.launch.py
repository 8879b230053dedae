"""Plays a bag in real time with /clock: with `ros2 bag play`, or with this package's own player where that is missing."""

from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from cath_perception.bags import BagReader
from cath_perception.playback import moved

ARGUMENTS = (
    DeclareLaunchArgument("bag", description="Bag to play: its folder, or an .mcap file."),
    DeclareLaunchArgument("rate", default_value="1.0", description="Speed; 2.0 plays twice as fast."),
    DeclareLaunchArgument(
        "loop",
        default_value="false",
        choices=["true", "false", "True", "False"],
        description="Play it for ever.",
    ),
    DeclareLaunchArgument(
        "start", default_value="0.0", description="Seconds of the bag to leave out at its start."
    ),
    DeclareLaunchArgument(
        "image_topic",
        default_value="",
        description="Play the images, and camera info beside them, here; empty: as recorded.",
    ),
)


def has_ros2_bag() -> bool:
    """Whether `ros2 bag play` is installed."""
    try:
        get_package_prefix("ros2bag")
        get_package_prefix("rosbag2_transport")
    except PackageNotFoundError:
        return False
    return True


def play(context: LaunchContext) -> list[ExecuteProcess]:
    """The player with the arguments as given."""
    bag, rate, loop, start, images = (
        LaunchConfiguration(name).perform(context) for name in ("bag", "rate", "loop", "start", "image_topic")
    )
    again = ["--loop"] if loop.lower() == "true" else []
    if has_ros2_bag():
        command = [
            "ros2",
            "bag",
            "play",
            bag,
            "--clock",
            "100",
            "--rate",
            rate,
            "--start-offset",
            start,
            *again,
        ]
        with BagReader(Path(bag)) as reader:
            recorded = reader.image_topic()
        if images and recorded:
            command += ["--remap", *(f"{old}:={new}" for old, new in moved(recorded, images).items())]
        return [ExecuteProcess(cmd=command, name="replay", output="screen")]
    arguments = [bag, "--rate", rate, "--start", start, *again]
    if images:
        arguments += ["--image-topic", images]
    return [Node(package="cath_perception", executable="replay", arguments=arguments, output="screen")]


def generate_launch_description() -> LaunchDescription:
    """Arguments, then the player."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=play)])
