"""What `drain-check` says of evictions is what the eviction API answers, on the rehearsal and on the control plane."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from berth.actions.drain import drain_check
from berth.actions.status import Selection
from berth.cluster.kube import Kube
from berth.cluster.session import Exchange
from berth.cluster.target import resolve
from berth.core.drain import NodeDrain, PodDrain
from berth.core.errors import InputError
from berth.core.objects import Json, ObjectRef, dig
from tests.contract.behaviour.wire import Answer, Wire
from tests.contract.support import bring_up, pods, release, take_down
from tests.waiting import eventually

LABELS = {"app.kubernetes.io/name": "nginx"}


@pytest.fixture(scope="module")
def wire(plane: Path) -> Iterator[Wire]:
    with closing(Wire(plane)) as made:
        yield made


def look(kube: Kube, space: str, *nodes: str) -> tuple[NodeDrain, ...]:
    return drain_check(kube, Selection(space), nodes).nodes


def pod_of(kube: Kube, space: str, name: str) -> PodDrain:
    return next(pod for node in look(kube, space) for pod in node.pods if pod.pod == name)


def evict(wire: Wire, space: str, pod: str, *, for_good: bool = False) -> Answer:
    """What the eviction API answers; without evicting, but where it is ``for_good``."""
    body: Json = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": space}}
    return wire.call("POST", f"/api/v1/namespaces/{space}/pods/{pod}/eviction{'' if for_good else '?dryRun=All'}", body)


def agreed(kube: Kube, wire: Wire, space: str) -> dict[str, int]:
    """Compare each pod with the real answer, and return the answers."""
    answers = {}
    for node in look(kube, space):
        for pod in node.pods:
            answer = evict(wire, space, pod.pod)
            assert pod.eviction.allowed == (answer.status == 201), (pod, answer)
            answers[pod.pod] = answer.status
    return answers


def budget(kube: Kube, space: str, name: str, allowed: int, labels: dict[str, str] = LABELS, **rule: Any) -> ObjectRef:
    """Make a budget, and wait until it is counted."""
    spec = {"selector": {"matchLabels": labels}, **rule}
    meta = {"name": name, "namespace": space}
    made = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta, "spec": spec}
    ref = ObjectRef.of(kube.create(made))
    counted(kube, ref, allowed)
    return ref


def counted(kube: Kube, ref: ObjectRef, allowed: int) -> None:
    def look() -> bool | None:
        status = (kube.get(ref) or {}).get("status") or {}
        return True if status.get("expectedPods") and status.get("disruptionsAllowed") == allowed else None

    eventually(look)


def test_evictions_as_budgets_come_and_go(kube: Kube, wire: Wire, space: str) -> None:
    bring_up(kube, release("nginx", space, "replicas=2", "disruptionBudget.enabled=false"))
    assert agreed(kube, wire, space) == {"web-0": 201, "web-1": 201}
    assert all(one.safe for one in look(kube, space))

    first = budget(kube, space, "first", 1, maxUnavailable=1)
    assert agreed(kube, wire, space) == {"web-0": 201, "web-1": 201}
    assert pod_of(kube, space, "web-0").eviction.budget == "first"

    second = budget(kube, space, "second", 0, minAvailable="100%")
    assert agreed(kube, wire, space) == {"web-0": 500, "web-1": 500}
    assert "more than one budget: first, second" in pod_of(kube, space, "web-0").eviction.why

    kube.delete(first)
    assert agreed(kube, wire, space) == {"web-0": 429, "web-1": 429}
    said = pod_of(kube, space, "web-0").eviction.why
    assert said == "budget second needs 2 healthy pods and has 2"
    assert said.removeprefix("budget second ") in evict(wire, space, "web-0").causes[0][2].replace(" currently", "")
    verdicts = [one.verdict for one in look(kube, space)]
    assert len(verdicts) == 2 and all(verdict.startswith("blocked: web-") for verdict in verdicts)
    kube.delete(second)
    assert agreed(kube, wire, space) == {"web-0": 201, "web-1": 201}


def unready(kube: Kube, space: str, name: str) -> None:
    """Make a pod's container fail its probe, and wait until that is seen."""
    ref = ObjectRef("", "Pod", space, name)
    kube.patch(ref, {"metadata": {"annotations": {"berth.dev/fault": "unready"}}})
    eventually(lambda: None if _ready(kube.get(ref)) else True)


def _ready(pod: Json | None) -> bool:
    conditions = dig(pod, "status", "conditions", default=[])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


@pytest.mark.parametrize(
    ("rule", "allowed", "answers"),
    [
        ({"maxUnavailable": 1}, 0, {"web-0": 201, "web-1": 429}),
        ({"minAvailable": 2}, 0, {"web-0": 429, "web-1": 429}),
        ({"minAvailable": 2, "unhealthyPodEvictionPolicy": "AlwaysAllow"}, 0, {"web-0": 201, "web-1": 429}),
    ],
    ids=["enough without it", "not enough", "always allowed"],
)
def test_evictions_of_a_pod_that_is_not_ready(
    kube: Kube, wire: Wire, space: str, rule: Json, allowed: int, answers: dict[str, int]
) -> None:
    bring_up(kube, release("nginx", space, "replicas=2", "disruptionBudget.enabled=false"))
    unready(kube, space, "web-0")
    budget(kube, space, "web", allowed, **rule)
    assert agreed(kube, wire, space) == answers
    assert not pod_of(kube, space, "web-0").ready


def test_the_only_pod_with_a_budget_that_wants_it(kube: Kube, wire: Wire, space: str) -> None:
    bring_up(kube, release("nginx", space, "replicas=1", "disruptionBudget.enabled=false"))
    budget(kube, space, "web", 0, minAvailable=1)
    (node,) = look(kube, space)
    assert node.verdict.startswith("blocked: web-0: budget web needs 1 healthy pods and has 1")
    assert agreed(kube, wire, space) == {"web-0": 429}


def test_a_quorum(kube: Kube, wire: Wire, space: str) -> None:
    """Each of three nodes has a member: a drain leaves two, and with one that is not ready it takes the quorum."""
    bring_up(kube, release("zookeeper", space, "disruptionBudget.enabled=false"))
    for node in look(kube, space):
        (group,) = node.sets
        assert (group.members, group.ready, group.left, group.quorum, group.problem) == (3, 3, 2, 2, "")
    unready(kube, space, "zookeeper-0")
    agreed(kube, wire, space)
    problems = {node.pods[0].pod: node.sets[0].problem for node in look(kube, space)}
    lost = "loses the quorum of zookeeper: 1 of 3 would stay ready, 2 needed"
    assert problems == {"zookeeper-0": "", "zookeeper-1": lost, "zookeeper-2": lost}


def test_pods_that_no_other_node_takes(kube: Kube, space: str) -> None:
    """Three pods, each on a node of its own: the scheduler takes no fourth, as tests of scheduling show."""
    bring_up(kube, release("nginx", space, "replicas=3", "spread.hostname=hard"))
    for node in look(kube, space):
        (pod,) = node.pods
        assert pod.elsewhere == () and "from which it must be apart" in pod.held
        assert node.verdict == f"pods stay away until the node is back: {pod.pod}"
    bring_up(kube, release("nginx", space, "replicas=2", "spread.hostname=hard"))
    eventually(lambda: True if set(pods(kube, space)) == {"web-0", "web-1"} else None)
    where = {pod.pod: (node.node, pod.elsewhere) for node in look(kube, space) for pod in node.pods}
    free = {"berth-node-1", "berth-node-2", "berth-node-3"} - {node for node, _ in where.values()}
    assert {elsewhere for _, elsewhere in where.values()} == {tuple(free)}


def test_two_pods_of_one_node_under_a_budget_of_one(kube: Kube, wire: Wire, space: str) -> None:
    """Each may go, but not both: the second is refused as long as the first is away, which is for good here."""
    here = 'nodeSelector={"kubernetes.io/hostname": "berth-node-1"}'
    more = ("replicas=2", "spread.hostname=soft", "disruptionBudget.enabled=false", here)
    bring_up(kube, release("nginx", space, *more))
    budget(kube, space, "web", 1, maxUnavailable=1)
    assert agreed(kube, wire, space) == {"web-0": 201, "web-1": 201}
    (node,) = look(kube, space)
    assert (node.node, node.sets[0].left) == ("berth-node-1", 1)
    assert node.problems == (
        "blocked: web-1: budget web lets no more go once web-0 is away and cannot come back",
        "pods stay away until the node is back: web-0, web-1",
    )
    # So that the first is away for a while; no node is cordoned, for other tests use it.
    gone = {"spec": {"nodeSelector": {"no": "where"}}}
    spec = {"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}, "template": gone}}
    kube.patch(ObjectRef("apps", "StatefulSet", space, "web"), spec)
    assert evict(wire, space, "web-0", for_good=True).status == 201
    eventually(lambda: True if dig(pods(kube, space).get("web-0"), "status", "phase") == "Pending" else None)
    assert evict(wire, space, "web-1").status == 429
    assert not pod_of(kube, space, "web-1").eviction.allowed


def test_a_volume_that_is_bound_to_a_node(kube: Kube, space: str) -> None:
    """A class of volumes made by hand, and one that only a node can reach, as local volumes are."""
    name = f"local-{space}"
    rule = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["berth-node-2"]}
    volume = ObjectRef("", "PersistentVolume", "", name)
    kube.create(
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": name},
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "WaitForFirstConsumer",
        }
    )
    kube.create(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": name,
                "local": {"path": "/data"},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}},
            },
        }
    )
    try:
        bring_up(kube, release("nginx", space, "replicas=1", f"storage.className={name}", "storage.size=1Gi"))
        (node,) = look(kube, space)
        assert node.node == "berth-node-2"
        assert node.pods[0].held == "the volume of claim www-web-0 is bound to node berth-node-2"
        assert node.problems == (
            "leaves no pod of web ready",
            "pods stay away until the node is back: web-0",
        )
    finally:
        kube.delete(volume)
        kube.delete(ObjectRef("storage.k8s.io", "StorageClass", "", name))


def test_which_nodes(plane: Path, kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space, "replicas=1", "disruptionBudget.enabled=false"))
    (node,) = look(kube, space)
    assert node.verdict == "leaves no pod of web ready"
    other = next(f"berth-node-{number}" for number in (1, 2, 3) if node.node != f"berth-node-{number}")
    assert [(one.node, one.verdict) for one in look(kube, space, other)] == [
        (other, "safe: none of these pods is on it")
    ]
    with pytest.raises(InputError, match="there is no node berth-node-l") as caught:
        look(kube, space, node.node, "berth-node-l")
    assert "did you mean" in caught.value.problems[0].hint
    with pytest.raises(InputError, match="no release shop in"):
        drain_check(kube, Selection(space, "shop"))
    everywhere = drain_check(kube, Selection(None, "nginx")).nodes
    assert (space, "web-0") in {(pod.namespace, pod.pod) for one in everywhere for pod in one.pods}

    seen: list[str] = []
    watching = resolve(None, str(plane), {}).connect()

    def note(exchange: Exchange) -> None:
        seen.append(exchange.path.partition("?")[0])

    watching.session.observe = note
    drain_check(watching, Selection(space))
    watching.close()
    assert len(seen) == len(set(seen)), "no kind twice"

    take_down(kube, space, "nginx")
    found = drain_check(kube, Selection(space))
    assert (found.nodes, found.notes) == ((), ("release nginx was taken down: it has no pods",))
