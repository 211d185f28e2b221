"""A reader's machine: a home of its own, berth and kubectl on the PATH, and a cluster where a page needs one."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from berth.controlplane import binaries
from berth.controlplane.paths import cache_home
from tests.docs.console import Shell
from tests.docs.pages import ROOT, Page

_TASKS = (
    '"""The tasks of our clusters: those of berth."""\n\nfrom berth.cli import namespace\n\n__all__ = ["namespace"]\n'
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--record-docs``; give the folder too: ``pytest tests/docs --record-docs``."""
    parser.addoption("--record-docs", action="store_true", help="write what commands print into the pages")


@pytest.fixture
def record_docs(request: pytest.FixtureRequest) -> bool:
    """Whether to record."""
    return bool(request.config.getoption("--record-docs", default=False))


class Reader:
    """Who follows a page: ``home``, where commands run, what of the output to show under other names, and what to
    type in place of words of the page."""

    def __init__(self, home: Path, directory: Path, environment: dict[str, str]) -> None:
        """Open a shell."""
        self.directory = directory
        self.renames = {str(home): "/home/you", str(ROOT): "/home/you/berth"}
        self.typed: dict[str, str] = {}
        self.shell = Shell(directory, environment)


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The PATH of a reader: berth, this interpreter's tools, and kubectl, the installed one or one built from source.

    A page that shows kubectl is never skipped: where there is none and none can be built, this fails and says why.
    """
    shims = tmp_path_factory.mktemp("bin")
    berth = shims / "berth"
    berth.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m berth "$@"\n', encoding="utf-8")
    berth.chmod(berth.stat().st_mode | stat.S_IXUSR)
    path = [str(shims), str(Path(sys.executable).parent), *os.environ["PATH"].split(os.pathsep)]
    if shutil.which("kubectl") is None:
        path.insert(1, str(binaries.program("kubectl", report=print).parent))
    return path


@dataclass(frozen=True, slots=True)
class Cluster:
    """A namespace of a cluster that others use too, and how the reader knows it: ``default`` of a cluster of their own.

    ``context`` and ``kubeconfig`` (below the home) are those that pages show; ``renames`` says how pages call what else
    is this cluster's own.
    """

    config: Path
    namespace: str
    context: str
    kubeconfig: str
    renames: Mapping[str, str] = field(default_factory=dict)


#: Opens a reader's machine for a page, with a cluster or with none.
Open = Callable[..., Reader]


@pytest.fixture
def open_reader(tmp_path: Path, programs: list[str]) -> Iterator[Open]:
    """Readers' machines, closed afterwards."""
    opened: list[Reader] = []

    def open_one(page: Page, cluster: Cluster | None = None) -> Reader:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        directory = ROOT if page.settings["directory"] == "checkout" else home / "shop"
        directory.mkdir(exist_ok=True)
        if page.settings["directory"] == "team":
            (directory / "tasks.py").write_text(_TASKS, encoding="utf-8")
        path = list(programs)
        needed = page.settings.get("needs")
        if needed and shutil.which(needed) is None:
            path.insert(1, str(binaries.program(needed, report=print).parent))
        environment = _environment(home, path)
        if cluster is not None:
            environment["KUBECONFIG"] = str(_own_context(cluster, home))
        reader = Reader(home, directory, environment)
        if cluster is not None:
            own = cluster.namespace
            reader.renames |= {own: "default", **cluster.renames}
            # The same namespace, in a name and as an option.
            reader.typed = {".default.svc": f".{own}.svc", "--namespace default": f"--namespace {own}"}
        opened.append(reader)
        return reader

    yield open_one
    for reader in opened:
        reader.shell.close()


def _environment(home: Path, programs: list[str]) -> dict[str, str]:
    """As after a login: nothing of the tests' own settings, but the cache, so that nothing is built again."""
    dropped = ("KUBE", "BERTH", "INVOKE", "XDG", "COV", "PYTEST")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    if binaries.ENVIRONMENT in os.environ:
        kept[binaries.ENVIRONMENT] = os.environ[binaries.ENVIRONMENT]
    return kept | {
        "HOME": str(home),
        "PATH": os.pathsep.join(programs),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "XDG_CACHE_HOME": str(cache_home().parents[1]),
        "COLUMNS": "120",
        "LC_ALL": "C.UTF-8",
        "TERM": "dumb",
    }


def _own_context(cluster: Cluster, home: Path) -> Path:
    """The cluster as if it were the reader's own: its context, in the page's namespace."""
    config = yaml.safe_load(cluster.config.read_text(encoding="utf-8"))
    context = next(one for one in config["contexts"] if one["name"] == config["current-context"])
    context["name"] = config["current-context"] = cluster.context
    context["context"]["namespace"] = cluster.namespace
    path = home / cluster.kubeconfig
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path
