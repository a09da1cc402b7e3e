"""The one step of the build that pyproject.toml cannot say: the package has a copy of params.yaml.

Its place is the repository's root, where DVC reads it. With the copy, `acrl` knows the profiles outside of a clone.
"""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithProfiles(build_py):
    """Builds the package as ever, and adds params.yaml."""

    def run(self) -> None:
        """Copy all files into the build's folder; an editable install has none."""
        super().run()
        if not self.editable_mode:
            self.copy_file("params.yaml", str(Path(self.build_lib, "benchmark", "params.yaml")))

    def get_source_files(self) -> list[str]:
        """Name all files that an archive of the sources needs for the build."""
        return [*super().get_source_files(), "params.yaml"]


setup(cmdclass={"build_py": BuildWithProfiles})
