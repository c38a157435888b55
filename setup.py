"""What pyproject.toml cannot say: the stored trainings of the lectures travel inside gencourse (gencourse/runs.py)."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["genlib*", "gencourse*"]), "gencourse.stored"],
    package_dir={"gencourse.stored": "lectures/runs"},
)
