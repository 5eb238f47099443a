"""Says what pyproject.toml cannot: the version stands in Cargo.toml, and the wheel carries a library of one platform."""
import pathlib
import re

from setuptools import setup
from setuptools.dist import Distribution

here = pathlib.Path(__file__).resolve().parent
manifest = next(path for path in (here / "Cargo.toml", here.parents[1] / "Cargo.toml") if path.exists())


class PlatformDistribution(Distribution):
    """A distribution for one platform, though nothing is compiled here."""

    def has_ext_modules(self):
        return True


try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # setuptools before 70.1
    from wheel.bdist_wheel import bdist_wheel


class AnyPython(bdist_wheel):
    """The library is reached through ctypes, so one wheel serves every version of Python 3."""

    def get_tag(self):
        return ("py3", "none", super().get_tag()[2])


setup(
    version=re.search(r'^version = "([0-9.]+)"', manifest.read_text(), re.M).group(1),
    distclass=PlatformDistribution,
    cmdclass={"bdist_wheel": AnyPython},
)
