"""What is exported is what kubectl, kustomize, Argo CD and Flux take."""

from __future__ import annotations

import os
import subprocess
from base64 import b64decode
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from berth.actions.files import Listing, write_files
from berth.cluster.kube import Kube
from berth.cluster.refusals import InvalidError
from berth.controlplane import binaries
from berth.core.errors import BerthError, ConflictError
from berth.core.events import StepDone
from berth.core.export.argocd import Argo, argocd
from berth.core.export.flux import Flux, flux
from berth.core.export.model import Part, export
from berth.core.export.plain import kustomize, plain
from berth.core.objects import PART_OF_LABEL, Json, ObjectRef
from berth.core.readiness import judge
from tests.contract import engines
from tests.contract.support import PROFILES, bring_up, done, kubernetes_only, pods, release, statefulset
from tests.waiting import eventually

#: Runs kubectl, or a program that finds it, in a directory, and returns what it prints.
Kubectl = Callable[..., str]
PARTS = ("zookeeper", "httpd")


@pytest.fixture
def kubectl(plane: Path, tmp_path: Path) -> Kubectl:
    """The real one."""
    path = binaries.program("kubectl", report=print).parent
    environment = {"PATH": f"{path}:{os.environ['PATH']}", "HOME": str(tmp_path), "KUBECONFIG": str(plane)}

    def run(*words: str, program: str = "kubectl") -> str:
        command = [program, *words]
        done = subprocess.run(
            command, env={**environment, "KUBERC": "off"}, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def write(files: dict[str, str], directory: Path) -> Path:
    write_files(directory, files, Listing(".berth-export", "berth export"))
    return directory


def engine_objects(files: dict[str, str]) -> list[Json]:
    """What is in the directories that an engine itself reads."""
    return [yaml.safe_load(text) for name, text in files.items() if "/_" in name]


def site(space: str, *profiles: str) -> list[Part]:
    """Releases on two targets, each of which needs the one before."""
    parts = []
    for target in ("", "eu"):
        before: Sequence[tuple[str, str]] = ()
        for profile in profiles:
            parts.append(Part(target, release(profile, space, "storage.className=fast-ssd"), tuple(before)))
            before = [(space, profile)]
    return parts


@kubernetes_only
@pytest.mark.parametrize("form", ["applications", "application set", "flux"])
def test_the_definitions_of_the_engines_allow_it(kube: Kube, space: str, form: str) -> None:
    """As the API server checks them by the definitions, with no field that they do not know."""
    engines.install(kube)
    releases = export(site(space, *PARTS))
    argo = Argo("https://git.example.com/shop.git", path="deploy", namespace=space)
    files = {
        "applications": lambda: argocd(releases, argo),
        "application set": lambda: argocd(releases, Argo(argo.repo_url, namespace=space, application_set="shops")),
        "flux": lambda: flux(releases, Flux(namespace=space, repo_url="https://git.example.com/shop.git")),
    }[form]()
    bodies = engine_objects(files)
    kinds = {
        "applications": {"Application": 4},
        "application set": {"ApplicationSet": 2},
        "flux": {"Kustomization": 4, "GitRepository": 2, "Namespace": 2},
    }[form]
    assert {kind: sum(body["kind"] == kind for body in bodies) for kind in kinds} == kinds
    for body in bodies:
        kube.apply(body, dry_run=True, force=True)
    wrong = next(body for body in bodies if body["kind"] in ("Application", "ApplicationSet", "Kustomization"))
    with pytest.raises(BerthError, match="bogus"):
        kube.apply({**wrong, "spec": {**wrong["spec"], "bogus": 1}}, dry_run=True)
    with pytest.raises(InvalidError):
        kube.apply({**wrong, "spec": {}}, dry_run=True)


@kubernetes_only
def test_kustomize_builds_what_is_rendered(kubectl: Kubectl, tmp_path: Path) -> None:
    """The same objects in the same order, those of each release and those of the target."""
    made = [release(profile, "shop", quick=False) for profile in PROFILES]
    releases = export([Part("", one) for one in made])
    out = write(kustomize(releases), tmp_path / "out")
    together: list[Any] = []
    for exported in releases:
        built = list(yaml.safe_load_all(kubectl("kustomize", str(out / exported.directory))))
        assert built == [item.body for item in exported.items]
        together += built
    assert list(yaml.safe_load_all(kubectl("kustomize", str(out / "default")))) == together


def test_up_goes_on_from_what_an_engine_has_applied(kube: Kube, space: str, kubectl: Kubectl, tmp_path: Path) -> None:
    """And the other way round: no pod is made anew, whoever applies what was exported."""
    wanted = release("nginx", space)
    (exported,) = export([Part("", wanted)])
    out = write(plain([exported]), tmp_path / "out")
    command = ("apply", "--server-side", "--recursive", "--filename", str(out))
    kubectl(*command, "--field-manager=engine")
    live = eventually(lambda: body if judge(body := statefulset(kube, wanted)).current else None)
    assert PART_OF_LABEL not in live["metadata"]["labels"]
    before = {name: body["metadata"]["uid"] for name, body in pods(kube, space).items()}
    assert len(before) == 2

    # A list of claim templates is one field, to which the server has added its defaults: it differs from what was sent.
    with pytest.raises(ConflictError, match=r"engine owns spec\.volumeClaimTemplates"):
        bring_up(kube, wanted)
    events = bring_up(kube, wanted, force=True)
    assert {event.action for event in events if isinstance(event, StepDone)} <= {"updated", "unchanged"}
    assert done(events).failed == 0
    kubectl(*command, "--field-manager=engine", "--force-conflicts")
    again = done(bring_up(kube, wanted))
    assert (again.changed, again.failed) == (0, 0), "what the engine applies is what `up` wants"
    assert {name: body["metadata"]["uid"] for name, body in pods(kube, space).items()} == before


def test_the_secret_is_made_as_its_page_says(kube: Kube, space: str, kubectl: Kubectl, tmp_path: Path) -> None:
    wanted = release("postgres", space)
    (exported,) = export([Part("", wanted)])
    out = write(plain([exported]), tmp_path / "out")
    kubectl("apply", "--server-side", "--dry-run=server", "--recursive", "--filename", str(out))
    page = out / exported.directory / "secrets.md"
    script = page.read_text(encoding="utf-8").partition("```sh\n")[2].partition("```")[0]
    assert script.startswith("kubectl create secret generic postgres-auth")
    kubectl("-c", script, program="bash")
    auth = ObjectRef("", "Secret", space, "postgres-auth")
    live = kube.get(auth)
    assert live is not None
    values = {key: b64decode(text).decode() for key, text in live["data"].items()}
    assert {key: len(value) for key, value in values.items()} == {"password": 32, "replication-password": 32}
    assert len(set(values.values())) == 2
    assert done(bring_up(kube, wanted)).failed == 0
    after = kube.get(auth)
    assert after is not None and after["data"] == live["data"], "`up` takes what is there"
