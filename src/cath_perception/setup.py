"""Installs the package for colcon; libraries that have no rosdep key are in requirements/."""

from glob import glob

from setuptools import find_packages, setup

NAME = "cath_perception"

setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["py.typed", "templates.yaml", "models/*/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", sorted(glob("launch/*.launch.py"))),
        (f"share/{NAME}/config", sorted(glob("config/*.yaml") + glob("config/*.xml"))),
    ],
    install_requires=["setuptools"],
    zip_safe=False,
    maintainer="Catheter perception maintainers",
    maintainer_email="maintainers@example.com",
    description="Finds electrodes, catheter masks and centrelines in X-ray fluoroscopy.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "perception_node = cath_perception.node:main",
            "replay = cath_perception.commands.replay:main",
        ]
    },
)
