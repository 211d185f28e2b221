"""The custom resources of Argo CD and Flux, as their Go modules define them, on the control plane of the tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from berth.cluster.kube import Kube
from berth.controlplane.build import find_go
from berth.core.objects import Json, ObjectRef, dig
from berth.local.files import cache_home
from berth.local.locks import exclusive
from tests.waiting import eventually


@dataclass(frozen=True, slots=True)
class Module:
    """A Go module, its checksum as a go.sum has it, and the definitions in it by the files that they are in."""

    name: str
    version: str
    checksum: str
    files: Mapping[str, str]

    @property
    def kept(self) -> Path:
        """Where the files are kept: they are a hundredth of the module."""
        return cache_home("tests") / "modules" / self.name.replace("/", "_") / self.version


#: The newest whose go.mod the Go of `berth[controlplane]` takes: 1.26.0.
MODULES = (
    Module(
        "github.com/argoproj/argo-cd/v3",
        "v3.4.0",
        "h1:yZwfaOIzE/aQTA52mOfeZQbribmyxKYvMgirQja4eX0=",
        {
            "manifests/crds/application-crd.yaml": "applications.argoproj.io",
            "manifests/crds/applicationset-crd.yaml": "applicationsets.argoproj.io",
        },
    ),
    Module(
        "github.com/fluxcd/kustomize-controller",
        "v1.9.6",
        "h1:XB+G3A0mky0j5uVHZWv4oSlS2RvZBoNIUhstIvY0JKE=",
        {
            "config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml": (
                "kustomizations.kustomize.toolkit.fluxcd.io"
            )
        },
    ),
    Module(
        "github.com/fluxcd/source-controller",
        "v1.9.6",
        "h1:nG534/bI6nVpyHra7ONAk6xDB3xPsVT+EOLHZHXPrrc=",
        {"config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml": "gitrepositories.source.toolkit.fluxcd.io"},
    ),
)


def install(kube: Kube) -> None:
    """Let the cluster know the kinds. They stay: other tests may use them at the same time, and none minds them."""
    for module in MODULES:
        for file, name in module.files.items():
            ref = ObjectRef("apiextensions.k8s.io", "CustomResourceDefinition", "", name)
            if kube.get(ref) is None:
                kube.apply(_definition(module, file), force=True)
            eventually(lambda ref=ref: _established(kube.get(ref)) or None)  # type: ignore[misc]


def _established(body: Json | None) -> bool:
    conditions = dig(body, "status", "conditions", default=None) or []
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


def _definition(module: Module, file: str) -> Json:
    """The CustomResourceDefinition, fetched once as this machine's Go is configured to fetch modules."""
    with exclusive(cache_home("tests") / "modules.lock", doing="fetch of modules", timeout=300, report=print):
        if not module.kept.is_dir():
            _fetch(module)
    # The parser in C: one of the files has 1.5 MB, for which the other takes half a minute.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: Json = yaml.load((module.kept / Path(file).name).read_bytes(), Loader=loader)
    return found


def _fetch(module: Module) -> None:
    module.kept.parent.mkdir(parents=True, exist_ok=True)
    # A cache of modules of its own, which is deleted: nobody needs the rest, and it has 150 MB.
    with tempfile.TemporaryDirectory(dir=module.kept.parent) as scratch:
        own = {"GOMODCACHE": f"{scratch}/modules", "GOFLAGS": "-modcacherw", "GOWORK": "off", "GO111MODULE": "on"}
        done = subprocess.run(
            [find_go(), "mod", "download", "-json", f"{module.name}@{module.version}"],
            cwd=scratch,
            env={**os.environ, **own},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found = json.loads(done.stdout)
        assert found["Sum"] == module.checksum, f"{module.name} is not what it was: {found['Sum']}"
        made = Path(scratch) / "made"
        made.mkdir()
        for name in module.files:
            shutil.copyfile(Path(found["Dir"]) / name, made / Path(name).name)
        made.replace(module.kept)
