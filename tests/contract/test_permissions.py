"""What an account may not do is named, verb and resource, and nothing is changed; what the docs grant is enough."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from berth.actions.diagnose import diagnose
from berth.actions.drain import drain_check
from berth.actions.drift import find_drift
from berth.actions.status import Selection, status
from berth.cluster.kube import Kube
from berth.cluster.target import resolve
from berth.core.errors import DeniedError, ExitCode
from berth.core.objects import Json, ObjectRef
from tests.contract.support import ROOT, bring_up, done, kubernetes_only, leftovers, release, take_down
from tests.waiting import eventually


def documented() -> dict[str, Json]:
    """The roles of the page, by name and kind."""
    text = (ROOT / "docs/reference/rbac.md").read_text()
    bodies = [body for block in re.findall(r"```yaml\n(.*?)```", text, re.S) for body in yaml.safe_load_all(block)]
    return {f"{body['kind']}/{body['metadata']['name']}": body for body in bodies}


pytestmark = kubernetes_only

#: Makes a client that authenticates as a service account bound to some of the documented roles.
Account = Callable[[list[str]], Kube]


@pytest.fixture
def account(kube: Kube, plane: Path, space: str, tmp_path: Path) -> Iterator[Account]:
    """Accounts of the test's namespace; their clients are closed when the test is over."""
    with ExitStack() as stack:

        def made(roles: list[str]) -> Kube:
            client = _account(kube, plane, space, tmp_path, roles)
            stack.callback(client.close)
            return client

        yield made


def _account(kube: Kube, plane: Path, space: str, tmp_path: Path, roles: list[str]) -> Kube:
    kube.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "team", "namespace": space}})
    subject = {"kind": "ServiceAccount", "name": "team", "namespace": space}
    for name, body in documented().items():
        if name not in roles:
            continue
        kind, own = body["kind"], f"{body['metadata']['name']}-{space}"
        meta = {"name": own, "namespace": space} if kind == "Role" else {"name": own}
        kube.apply({**body, "metadata": meta})
        ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": own}
        binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": f"{kind}Binding", "metadata": meta}
        kube.create({**binding, "roleRef": ref, "subjects": [subject]})
    token = _token(kube, space)
    config = yaml.safe_load(plane.read_text())
    config["users"] = [{"name": config["users"][0]["name"], "user": {"token": token}}]
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    path.chmod(0o600)
    return resolve(None, str(path), {}).connect()


def _token(kube: Kube, space: str) -> str:
    meta = {"name": "team-token", "namespace": space, "annotations": {"kubernetes.io/service-account.name": "team"}}
    made = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token", "metadata": meta}
    ref = ObjectRef.of(kube.create(made))
    return b64decode(eventually(lambda: ((kube.get(ref) or {}).get("data") or {}).get("token"))).decode()


def test_the_documented_roles_are_enough(kube: Kube, account: Account, space: str) -> None:
    roles = ["Role/berth", "ClusterRole/berth", "ClusterRole/berth-storage"]
    team = account(roles)
    wanted = release("httpd", space, f"storage.className=team-{space}")
    assert done(bring_up(team, wanted)).succeeded
    assert done(bring_up(team, wanted)).changed == 0
    assert done(take_down(team, space, "httpd", data=True, volumes=True)).succeeded
    assert not any("apache" in name for name in leftovers(kube, space))


def test_the_role_of_one_namespace_is_enough_for_most(kube: Kube, account: Account, space: str) -> None:
    team = account(["Role/berth"])
    recap = done(bring_up(team, release("nginx", space, "storage.className=local-path")))
    assert recap.succeeded
    assert done(take_down(team, space, "nginx", data=True)).succeeded


def test_a_status_leaves_out_what_may_not_be_read(kube: Kube, account: Account, space: str) -> None:
    wanted = release("httpd", space, f"storage.className=team-{space}", "replicas=1")
    bring_up(kube, wanted)
    team = account(["Role/berth"])
    found = status(team, Selection(space), None)
    assert found.notes == ("may not be read, and is left out: StorageClass",)
    (one,) = found.reports
    assert one.verdict.current and one.drift == ()
    assert one.sets[0].ordinals[0].node and not one.sets[0].ordinals[0].zone
    with pytest.raises(DeniedError, match="secrets"):
        status(team, Selection(None), None)
    kube.delete(ObjectRef("", "Service", space, "httpd-service"))
    _, wrong = diagnose(team, Selection(space), None)
    assert [one.cause.reason for one in wrong[space, "httpd"]] == ["Missing"]
    take_down(kube, space, "httpd", data=True)


def test_each_missing_permission_is_named(kube: Kube, account: Account, space: str) -> None:
    team = account(["Role/berth", "ClusterRole/berth"])
    with pytest.raises(DeniedError) as caught:
        bring_up(team, release("httpd", space, f"storage.className=team-{space}"))
    assert caught.value.exit_code is ExitCode.NO_TARGET
    said = str(caught.value)
    assert "may not create storageclasses.storage.k8s.io" in said and "may not patch storageclasses" in said
    assert kube.get(ObjectRef("apps", "StatefulSet", space, "apache-http")) is None


def test_nothing_at_all(kube: Kube, account: Account, space: str) -> None:
    team = account([])
    with pytest.raises(DeniedError, match=r"secrets"):
        bring_up(team, release("nginx", space))


def test_operations_that_may_not_be_run_are_said_before_a_set_is_scaled(
    kube: Kube, account: Account, space: str
) -> None:
    wanted = release("zookeeper", space, "spread.hostname=soft", "storage.className=local-path")
    bring_up(kube, wanted)
    kube.delete(ObjectRef("coordination.k8s.io", "Lease", space, "berth.release.zookeeper"))
    team = account(["Role/berth"])
    role = ObjectRef("rbac.authorization.k8s.io", "Role", space, f"berth-{space}")
    rules = [rule for rule in (kube.get(role) or {})["rules"] if "pods/exec" not in rule["resources"]]
    kube.patch(role, {"rules": rules})
    larger = release("zookeeper", space, "spread.hostname=soft", "storage.className=local-path", "replicas=5")
    with pytest.raises(DeniedError, match="may not create pods/exec") as caught:
        eventually(lambda: not team.can("create", "", "pods", space, "", "exec") or None)
        bring_up(team, larger)
    assert "afterScaleUp" in str(caught.value)
    body = kube.get(ObjectRef("apps", "StatefulSet", space, "zookeeper"))
    assert body is not None and body["spec"]["replicas"] == 3


def test_a_drain_check_and_drift_with_the_role_of_one_namespace(kube: Kube, account: Account, space: str) -> None:
    """Nodes and volumes are not of a namespace: what is not known of them is said."""
    bring_up(kube, release("nginx", space, "replicas=2", "disruptionBudget.enabled=false"))
    team = account(["Role/berth"])
    found = drain_check(team, Selection(space))
    assert found.notes == (
        "Nodes may not be listed: whether pods could run elsewhere is not known",
        "PersistentVolumes may not be listed: where volumes are bound to is not known",
    )
    assert [(node.verdict, node.pods[0].elsewhere) for node in found.nodes] == [("safe", None)] * 2
    with pytest.raises(DeniedError, match="secrets"):
        drain_check(team, Selection(None))
    kube.patch(ObjectRef("", "Service", space, "nginx"), {"metadata": {"labels": {"a": "b"}}}, field_manager="ann")
    (one,) = find_drift(team, Selection(space)).releases
    assert [field.path for field in one.fields] == ["metadata.labels.a"]
