"""The real helm, built like the programs of the control plane, and a registry."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from berth.controlplane.binaries import program
from tests.contract.charts import support

#: Runs helm with its caches in the test's own directory.
Helm = Callable[..., str]


@pytest.fixture(scope="session")
def helm_program() -> Path:
    """The real helm, built where it is not there."""
    return program("helm", report=print)


@pytest.fixture
def helm(helm_program: Path, tmp_path: Path) -> Helm:
    """`helm ARGUMENTS...`, without a cluster unless one is named."""

    def run(*arguments: str, succeed: bool = True, kubeconfig: Path | None = None) -> str:
        return support.helm(helm_program, *arguments, home=tmp_path, succeed=succeed, kubeconfig=kubeconfig)

    return run


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an OCI registry on this machine, of the Go module that `registry/` pins."""
    folder = tmp_path_factory.mktemp("registry")
    for file in (Path(__file__).parent / "registry").iterdir():
        shutil.copy(file, folder / file.name.removesuffix(".txt"))
    # Go is fetched with the settings of the machine, as the control plane is.
    build = ["go", "build", "-mod=readonly", "-o", "registry", "."]
    done = subprocess.run(build, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    with subprocess.Popen(
        [folder / "registry"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=dict(os.environ)
    ) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        assert re.fullmatch(r"127\.0\.0\.1:\d+", address), address
        yield address
        server.terminate()
