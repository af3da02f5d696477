"""Compiles the hot half of the data plane with mypyc, when asked to.

    HATCH_BUILD_HOOK_ENABLE_CUSTOM=1 pip install .

The same sources, checked by the same mypy settings; only the interpreter is left out. Everything is
built in a copy, so that no stale extension module is ever found beside a source that has changed.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPILED = (
    "proxy/http",
    "proxy/http2",
    "proxy/policies",
    "proxy/routing",
    "proxy/telemetry",
    "proxy/upstream",
    "proxy/upstream/algorithms",
    "proxy/upstream/balancing",
    "proxy/upstream/connections",
    "proxy/upstream/connections/h1",
    "proxy/upstream/detection",
    "proxy/upstream/dialing",
    "proxy/upstream/evidence",
    "proxy/upstream/retries",
    "proxy/downstream",
    "proxy/downstream/guards",
    "proxy/downstream/h1",
    "proxy/downstream/h2",
    "proxy/downstream/tls",
    "proxy/request",
    "proxy/backlog.py",
    "proxy/tls/hello.py",
    "proxy/tls/hosts.py",
    "proxy/tls/session.py",
    "proxy/careful.py",
    "proxy/clock.py",
    "proxy/configuration.py",
    "proxy/dataplane.py",
    "proxy/pace.py",
    "proxy/timers.py",
)
"""What runs for every request. The model is msgspec's own C; agent and worker run once."""

LEVEL = os.environ.get("FLEETGATE_OPTIMIZE", "3")
"""Of the C compiler. Level 1 takes 55 % of the time of 3, for builds that are tested and not measured."""


class CompiledBuild(BuildHookInterface):
    """Adds the extension modules to a wheel; an editable install stays what its sources say."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel" or version == "editable":
            return
        self._directory = Path(tempfile.mkdtemp(prefix="fleetgate-build-"))
        self._compile(self._directory)
        for module in self._directory.glob("**/*.so"):
            if "build" not in module.relative_to(self._directory).parts:
                build_data["force_include"][str(module)] = str(module.relative_to(self._directory))
        build_data["infer_tag"] = True
        build_data["pure_python"] = False

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if version != "editable":
            shutil.rmtree(self._directory, ignore_errors=True)

    def _compile(self, directory: Path) -> None:
        shutil.copytree(Path(self.root) / "proxy", directory / "proxy", ignore=shutil.ignore_patterns("*.so"))
        shutil.copy(Path(self.root) / "pyproject.toml", directory / "mypy.toml")
        sources: list[str] = []
        for place in COMPILED:
            path = directory / place
            files = sorted(path.glob("*.py")) if path.is_dir() else [path]
            sources += [str(file.relative_to(directory)) for file in files]
        script = (
            "from setuptools import setup; from mypyc.build import mypycify; "
            # Without information for debuggers: less for the compiler to write
            "setup(name='fleetgate', ext_modules=mypycify(['--config-file', 'mypy.toml', "
            f"*{sources!r}], opt_level={LEVEL!r}, debug_level='0'))"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, "--quiet", "build_ext", "--inplace"],
            cwd=directory, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"mypyc could not compile the data plane:\n{done.stdout}{done.stderr}")
