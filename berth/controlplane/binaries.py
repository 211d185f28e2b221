"""Where the programs come from: a directory the user names, else the cache, else a build from pinned Go modules."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from berth.controlplane.components import PROGRAMS
from berth.controlplane.paths import cache_home
from berth.core.errors import InputError

ENVIRONMENT = "BERTH_CONTROLPLANE_BINARIES"
SOURCES = Path(__file__).with_name("go")


@dataclass(frozen=True, slots=True)
class Program:
    """A program and the Go package that it is made of. ``module`` is the directory of its go.mod below `go/`."""

    name: str
    package: str
    module: str = "."


#: kubectl and helm are for the benchmark and for people; they are built when asked for by name. Helm has a go.mod of
#: its own: in a common one its dependencies would choose the versions that the control plane is built with.
CATALOGUE = {
    program.name: program
    for program in (
        Program("etcd", "go.etcd.io/etcd/server/v3"),
        Program("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
        Program("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
        Program("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
        Program("kwok", "sigs.k8s.io/kwok/cmd/kwok"),
        Program("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
        Program("helm", "helm.sh/helm/v3/cmd/helm", "helm"),
    )
}


def version() -> str:
    """The version of Kubernetes that is pinned, such as v1.36.3."""
    return pinned("k8s.io/kubernetes")


def pinned(module: str, directory: str = ".") -> str:
    """The version of a module in our go.mod. Raises KeyError when it is not in there."""
    text = (SOURCES / directory / "go.mod").read_text(encoding="utf-8")
    match = re.search(rf"^(?:require )?\t?{re.escape(module)} (v\S+)", text, re.MULTILINE)
    if match is None:
        raise KeyError(module)
    return match.group(1)


def stamp() -> str:
    """What the programs in the cache depend on: pinned modules, link flags and platform, as sixteen hex digits.

    Not the Go release: programs made yesterday by another Go are as good, the cache has to be of use on a machine that
    has no Go at all, and eight minutes of building after each patch release of Go would help nobody.
    """
    digest = hashlib.sha256()
    for directory in (".", "helm"):
        for name in ("go.mod", "go.sum"):
            digest.update((SOURCES / directory / name).read_bytes())
    digest.update("\n".join(link_flags("v0")).encode())
    digest.update(f"{platform.system()} {platform.machine()}".encode())
    return digest.hexdigest()[:16]


def link_flags(release: str) -> list[str]:
    """Flags for the linker: no symbol tables, and the version that the programs say they are (else v0.0.0)."""
    _, minor, *_ = f"{release}..".split(".")
    stamps = {
        "k8s.io/component-base/version.gitVersion": release,
        "k8s.io/component-base/version.gitMajor": "1",
        "k8s.io/component-base/version.gitMinor": minor,
        "k8s.io/component-base/version.gitTreeState": "clean",
    }
    return ["-s", "-w", *(f"-X={name}={value}" for name, value in stamps.items())]


def cache() -> Path:
    """The directory where this version's programs are kept."""
    return cache_home() / stamp()


def directory(named: str | Path | None, *, report: Callable[[str], None], programs: Iterable[str] = PROGRAMS) -> Path:
    """A directory that holds all of the programs, built now if there is none.

    Raises InputError when the directory that the user named lacks one, LocalError when a build is not possible.
    """
    wanted = tuple(programs)
    chosen = _named(named)
    if chosen is not None:
        absent = missing(chosen, wanted)
        if absent:
            raise InputError(
                f"{', '.join(absent)}: no such program in the directory named for the control plane's programs",
                where=str(chosen),
                hint="put executable files of these names there, or name no directory: they are then built",
            )
        return chosen
    if missing(cache(), wanted):
        from berth.controlplane.build import build

        build(cache(), wanted, report=report)
    return cache()


def program(name: str, *, report: Callable[[str], None]) -> Path:
    """The path of one program of `CATALOGUE`, built now if it is not there; `helm` and `kubectl` are had this way."""
    return directory(None, report=report, programs=(name,)) / name


def available(named: str | Path | None = None) -> bool:
    """Whether a start needs no build."""
    # A directory that the user named is never built into: if it lacks a program, a start says so at once.
    return _named(named) is not None or not missing(cache(), PROGRAMS)


def missing(where: Path, programs: Iterable[str]) -> list[str]:
    """The programs that are not in the directory as executable files."""
    return [name for name in programs if not ((where / name).is_file() and os.access(where / name, os.X_OK))]


def _named(named: str | Path | None) -> Path | None:
    value = named or os.environ.get(ENVIRONMENT)
    return Path(value).expanduser().absolute() if value else None
