"""Sets that somebody made by hand are imported and taken over, and their pods and claims never notice."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import pytest

from berth.actions.import_set import Imported, import_set, lines
from berth.actions.lint import lint
from berth.actions.plan import plan_release
from berth.actions.prepare import Request, prepare
from berth.actions.status import Selection, status
from berth.cluster.kube import Kube
from berth.controlplane import binaries
from berth.core.errors import BerthError, ConflictError, DeniedError, ExitCode, InputError, PreflightError
from berth.core.importing.advice import own_marks
from berth.core.objects import Json, Manifest, ObjectRef, dig
from berth.core.render import Release
from berth.library import BUILT_IN, PROJECT, Library, Root
from tests.contract.support import (
    ROOT,
    bring_up,
    claims,
    done,
    pods,
    rehearsal_only,
    statefulset,
    steps,
    take_down,
)
from tests.waiting import eventually

#: As tutorials have it, and a few things that people add.
BY_HAND = """
apiVersion: v1
kind: ConfigMap
metadata: {name: pages}
data: {index.html: hello}
---
apiVersion: v1
kind: Service
metadata: {name: nginx, labels: {app: nginx}}
spec:
  clusterIP: None
  ports: [{port: 80, name: web}]
  selector: {app: nginx}
---
apiVersion: v1
kind: Service
metadata: {name: front}
spec:
  type: NodePort
  ports: [{port: 8080, targetPort: web}]
  selector: {app: nginx}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: nginx}
spec:
  maxUnavailable: 1
  selector: {matchLabels: {app: nginx}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: nginx
  replicas: 2
  selector: {matchLabels: {app: nginx}}
  template:
    metadata:
      labels: {app: nginx}
      annotations: {template: '{{ if .x }} {% raw %} {# {{{'}
    spec:
      containers:
      - name: nginx
        image: registry.k8s.io/nginx-slim:0.24
        command: [sh, -c, 'echo {{ x }}; exec nginx']
        env:
        - {name: ADMIN_PASSWORD, value: hunter2}
        - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory}}}
        ports: [{containerPort: 80, name: web}]
        readinessProbe: {httpGet: {port: web}}
        resources: {limits: {memory: 64Mi}}
        volumeMounts:
        - {name: www, mountPath: /usr/share/nginx/html}
        - {name: pages, mountPath: /pages}
      tolerations: [{key: spot, operator: Exists}]
      volumes:
      - {name: pages, configMap: {name: pages}}
      - name: info
        projected:
          sources:
          - downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}
          - serviceAccountToken: {path: token}
  volumeClaimTemplates:
  - metadata: {name: www}
    spec:
      accessModes: [ReadWriteOnce]
      resources: {requests: {storage: 1Gi}}
"""


@pytest.fixture
def here(kube: Kube) -> Iterator[str]:
    """A namespace in which any pod may run, as hand-made ones need it."""
    name = f"i-{uuid4().hex[:8]}"
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    kube.delete(ObjectRef("", "Namespace", "", name), propagation="Background")


#: Runs kubectl in the test's namespace with something on its standard input.
Kubectl = Callable[..., str]


@pytest.fixture
def kubectl(plane: Path, here: str, tmp_path: Path) -> Kubectl:
    program = binaries.program("kubectl", report=print)

    def run(*words: str, stdin: str = "") -> str:
        arguments = [str(program), f"--kubeconfig={plane}", f"--namespace={here}", *words]
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBERC": "off"}
        ran = subprocess.run(arguments, input=stdin, capture_output=True, text=True, timeout=60, env=environment)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    return run


def library(directory: Path) -> Library:
    return Library((Root(directory, PROJECT), Root(ROOT, BUILT_IN)))


def imported(kube: Kube, space: str, directory: Path, profile: str | None = None, name: str | None = "web") -> Imported:
    return import_set(kube, space, name, profile, directory, library=library(directory), check=False)


def released(directory: Path, space: str, *sets: str, name: str | None = None) -> Release:
    return prepare(library(directory), [Request("web", name, space, sets=sets)])[-1]


def web(space: str) -> ObjectRef:
    return ObjectRef("apps", "StatefulSet", space, "web")


def ready(kube: Kube, space: str, replicas: int = 2) -> Json:
    def look() -> Json | None:
        body = kube.get(web(space))
        return body if dig(body, "status", "readyReplicas") == replicas else None

    return eventually(look)


def identity(kube: Kube, space: str) -> tuple[dict[str, str], dict[str, str], str]:
    """The uids of pods and claims, and the set's revision."""
    live = kube.get(web(space))
    pods_now, claims_now = pods(kube, space), claims(kube, space)
    return (
        {name: body["metadata"]["uid"] for name, body in pods_now.items()},
        {name: body["metadata"]["uid"] for name, body in claims_now.items()},
        str(dig(live, "status", "updateRevision")),
    )


def test_from_kubectl_to_berth_and_on(kube: Kube, here: str, kubectl: Kubectl, tmp_path: Path) -> None:
    """Import, lint, plan, up: nothing is made anew. Then a value rolls out, and teardown and up give the same set."""
    kubectl("apply", "--filename", "-", stdin=BY_HAND)
    original = ready(kube, here)
    before = identity(kube, here)
    found = imported(kube, here, tmp_path)
    assert (found.proof.others, found.proof.conflicts, found.proof.unproved) == ((), (), "")
    assert {f"{b['kind']}/{b['metadata']['name']}" for b in found.chosen.bodies} == {
        "StatefulSet/web",
        "Service/nginx",
        "Service/front",
        "PodDisruptionBudget/nginx",
    }
    said = "\n".join(lines(found, []))
    assert "variable ADMIN_PASSWORD" in said and "hunter2" not in said
    assert "ConfigMap/pages stays as it is" in said
    report = lint(library(tmp_path), ["web"])
    assert report.exit_code(strict=True) is ExitCode.DONE and report.waived

    wanted = released(tmp_path, here)
    planned = plan_release(kube, wanted)
    for step in planned.plan.steps:
        assert step.changes and own_marks(step.changes)[1] == []
    recap = done(bring_up(kube, wanted))
    assert recap.succeeded and [row.stage for row in recap.pods] == ["ready", "ready"]
    assert identity(kube, here) == before
    assert done(bring_up(kube, wanted)).changed == 0, "a second run has nothing to do"
    (seen,) = status(kube, Selection(here), None).reports
    assert [one.phase for one in seen.sets[0].ordinals] == ["Running", "Running"]
    with pytest.raises(InputError, match="of release web already"):
        imported(kube, here, tmp_path)

    changed = released(tmp_path, here, "image.tag=0.25")
    with pytest.raises(ConflictError, match="kubectl-client-side-apply owns"):
        bring_up(kube, changed)
    bring_up(kube, changed, force=True)
    after = identity(kube, here)
    assert after[1] == before[1] and not set(after[0].values()) & set(before[0].values())
    bring_up(kube, released(tmp_path, here))

    ended = take_down(kube, here, "web")
    assert "StatefulSet/web" in steps(ended, "deleted") and "PersistentVolumeClaim/www-web-0" in steps(ended, "kept")
    assert pods(kube, here) == {} and identity(kube, here)[1] == before[1]
    assert kube.get(ObjectRef("", "ConfigMap", here, "pages")) is not None
    bring_up(kube, wanted)
    assert statefulset(kube, wanted)["spec"] == original["spec"]
    assert identity(kube, here)[1] == before[1]


@pytest.mark.parametrize("command", ["apply --server-side", "create"])
def test_whoever_applied_it(kube: Kube, here: str, kubectl: Kubectl, tmp_path: Path, command: str) -> None:
    kubectl(*command.split(), "--filename", "-", stdin=BY_HAND)
    proof = imported(kube, here, tmp_path).proof
    assert (proof.others, proof.conflicts, proof.unproved) == ((), (), "")


def test_teardown_leaves_what_was_made_anew_since(kube: Kube, here: str, kubectl: Kubectl, tmp_path: Path) -> None:
    """The very objects are handed over, not their names: what somebody makes in their place is nobody's.

    The set's selector is one that no list can use as it is.
    """
    selector = "matchExpressions: [{key: app, operator: In, values: [nginx]}]"
    by_hand = BY_HAND.replace(
        "selector: {matchLabels: {app: nginx}}\n  template", f"selector: {{{selector}}}\n  template"
    )
    assert by_hand != BY_HAND
    kubectl("apply", "--filename", "-", stdin=by_hand)
    ready(kube, here)
    imported(kube, here, tmp_path)
    kubectl("delete", "service", "front")
    kubectl("apply", "--filename", "-", stdin=by_hand)
    bring_up(kube, released(tmp_path, here))
    ended = take_down(kube, here, "web", data=True)
    assert "Service/front" in steps(ended, "kept") and "Service/nginx" in steps(ended, "deleted")
    assert claims(kube, here) == {}


def test_a_field_that_somebody_changes_afterwards_is_told_before_up(
    kube: Kube, here: str, kubectl: Kubectl, tmp_path: Path
) -> None:
    kubectl("apply", "--filename", "-", stdin=BY_HAND)
    imported(kube, here, tmp_path)
    kubectl("set", "image", "statefulset/web", "nginx=registry.k8s.io/nginx-slim:0.26")
    with pytest.raises(ConflictError, match="kubectl-set owns"):
        plan_release(kube, released(tmp_path, here))


def stored(kube: Kube, space: str, changes: Json | None = None, name: str = "web") -> Json:
    """A set without pods, made at once."""
    meta = {"name": name, "namespace": space, **(changes or {})}
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "web", "image": "nginx:1"}]},
    }
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template}
    return kube.create({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": meta, "spec": spec})


@rehearsal_only
def test_what_cannot_be_imported(kube: Kube, here: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"there is no StatefulSet in {here}"):
        imported(kube, here, tmp_path, name=None)
    stored(kube, here)
    with pytest.raises(InputError, match="there is no StatefulSet wev") as missing:
        imported(kube, here, tmp_path, name="wev")
    assert "'web'" in missing.value.problems[0].hint
    owner = {"apiVersion": "example.com/v1", "kind": "Db", "name": "main", "uid": "7", "controller": True}
    stored(kube, here, {"finalizers": ["example.com/wait"]}, "going")
    # The rehearsal, like Kubernetes, collects what an owner that does not exist has left: not while it is held.
    stored(kube, here, {"ownerReferences": [owner], "finalizers": ["example.com/wait"]}, "db")
    with pytest.raises(InputError, match=r"which StatefulSet\? there are db, going, web"):
        imported(kube, here, tmp_path, name=None)
    with pytest.raises(PreflightError, match=r"made by Db/main|being deleted"):
        imported(kube, here, tmp_path, name="db")
    kube.delete(ObjectRef("apps", "StatefulSet", here, "going"))
    with pytest.raises(PreflightError, match="being deleted"):
        imported(kube, here, tmp_path, name="going")
    assert list(tmp_path.iterdir()) == []
    for name in ("going", "db"):
        ref = ObjectRef("apps", "StatefulSet", here, name)
        if kube.get(ref):
            kube.patch(ref, {"metadata": {"finalizers": None}})


@rehearsal_only
def test_files_of_others_are_never_replaced(kube: Kube, here: str, tmp_path: Path) -> None:
    stored(kube, here)

    def run(profile: str = "web", check: bool = False, force: bool = False) -> Imported:
        place = library(tmp_path)
        return import_set(kube, here, "web", profile, tmp_path, library=place, check=check, force=force)

    def refused(words: str, profile: str = "web", force: bool = False) -> None:
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        with pytest.raises(BerthError, match=words):
            run(profile, force=force)
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before

    assert run(check=True).written == () and list(tmp_path.iterdir()) == []
    run()
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == [
        "profiles/web.yaml",
        "templates/web/statefulset.yaml",
    ]
    refused("there are files already: profiles/web.yaml, templates/web/statefulset.yaml")
    (tmp_path / "profiles/web.yaml").write_text("mine")
    run(force=True)
    assert (tmp_path / "profiles/web.yaml").read_text() != "mine"
    (tmp_path / "templates/web/own.yaml").write_text("mine")
    refused("templates/web/own.yaml would be rendered", force=True)
    refused("postgres is a profile that comes with berth", "postgres")
    refused("'Web' is no name for a profile", "Web")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file, not a directory"):
        import_set(kube, here, "web", "web", tmp_path / "file", library=library(tmp_path), check=False)


@rehearsal_only
def test_what_a_dry_run_cannot_say_is_said(
    kube: Kube, here: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without permission nothing is proved; a field that another owns is named, and what forcing it would change."""
    stored(kube, here)
    forced: list[bool] = []

    def denied(*_: object, **__: object) -> dict[ObjectRef, Json]:
        raise DeniedError("these credentials may not patch statefulsets")

    def owned(kube: Kube, manifests: Sequence[Manifest], *, force: bool, elsewhere: object) -> dict[ObjectRef, Json]:
        forced.append(force)
        if not force:
            raise ConflictError("ann owns spec.volumeClaimTemplates")
        live = kube.get(web(here))
        assert live is not None
        live["spec"]["template"]["spec"]["containers"][0]["image"] = "nginx:2"
        return {web(here): live}

    monkeypatch.setattr("berth.actions.import_set.dry_run", denied)
    found = import_set(kube, here, "web", None, tmp_path, library=library(tmp_path), check=True)
    assert "no dry run has proved that nothing changes: these credentials may not patch" in "\n".join(lines(found, []))
    monkeypatch.setattr("berth.actions.import_set.dry_run", owned)
    found = import_set(kube, here, "web", None, tmp_path, library=library(tmp_path), check=True)
    said = list(lines(found, ["--context", "x"]))
    assert forced == [False, True] and found.proof.restarts
    assert "  conflict: ann owns spec.volumeClaimTemplates" in said
    assert "  ! StatefulSet/web spec.template.spec.containers[name=web].image: 'nginx:1' -> 'nginx:2'" in said
    assert "differs: `up` would restart the pods" in said
    assert said[-1] == f"next: invoke up --profile web --namespace {here} --context x --force-conflicts"
