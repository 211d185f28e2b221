"""What `kubectl` says of a cluster itself: its kinds, versions, permissions and nodes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.contract.kubectl.normal import normal
from tests.contract.kubectl.stage import Cluster, Line, Stage

pytestmark = pytest.mark.controlplane

SCENES = {
    "permissions": """
        auth can-i create pods
        auth can-i delete sts/web
        auth can-i '*' '*'
        auth can-i get pods --subresource=log
        auth can-i get /readyz
        auth can-i create widgets
        auth can-i --list
        auth can-i create nodes -q
        auth whoami -o jsonpath={.status.userInfo.username}{.status.userInfo.groups}
    """,
    "about": """
        cluster-info
        version -o json --client
        config current-context -o nope
        api-resources --api-group=apps --cached -o nope
        explain widgets
        explain sts.spec.nope
    """,
    "nothing-runs": """
        apply -f pod.yaml
        ~ wait pod/lone --for=condition=Ready
        logs nope
        logs lone -c nope
        exec nope -- true
        attach nope
        port-forward nope 80
    """,
    "events-of-our-own": """
        events
        get events
        create -f -
            apiVersion: v1
            kind: Event
            metadata: {name: own}
            involvedObject: {kind: ConfigMap, name: settings, namespace: @ns, apiVersion: v1}
            reason: Seen
            message: somebody saw it
            type: Normal
            source: {component: test}
        get events
        get events -o wide
        describe cm kube-root-ca.crt --show-events=false
        events --for cm/settings
    """,
}


@pytest.mark.parametrize("scene", SCENES)
def test_scene(stage: Stage, scene: str) -> None:
    stage.play(SCENES[scene])


NODE = """
    create -f -
        apiVersion: v1
        kind: Node
        metadata: {name: @ns, labels: {kubernetes.io/hostname: @ns, only: @ns}}
        spec: {taints: [{key: only, value: @ns, effect: NoSchedule}], podCIDR: 10.244.100.0/24}
    ~ wait node/@ns --for=condition=Ready
    ~ wait node/@ns --for=jsonpath={.status.allocatable.cpu}
    apply -f -
        apiVersion: apps/v1
        kind: StatefulSet
        metadata: {name: near}
        spec:
          serviceName: near
          podManagementPolicy: Parallel
          replicas: 2
          selector: {matchLabels: {app: near}}
          template:
            metadata: {labels: {app: near}}
            spec:
              nodeSelector: {only: @ns}
              tolerations: [{key: only, operator: Exists}]
              terminationGracePeriodSeconds: 1
              containers: [{name: main, image: "registry.example/near:1"}]
    ~ rollout status sts/near
"""

#: Scenes on a node of their own, for pods of other tests run on the others.
NODES = {
    "cordon": """
        get node @ns
        describe node @ns
        cordon @ns
        cordon @ns
        get node @ns
        get node @ns -o jsonpath={.spec}
        ~ delete pod near-0
        ~ wait pod/near-0 --for=create
        ~ wait pod/near-0 --for=condition=PodScheduled=False
        get pods
        uncordon @ns
        uncordon @ns
        ~ rollout status sts/near
        get pods
        cordon nope
        cordon @ns --dry-run=server
        taint node @ns more=x:NoSchedule
        taint node @ns more=x:NoSchedule
        taint node @ns more-
        get node @ns -o jsonpath={.spec.taints}
    """,
    "drain": """
        create pdb near --selector=app=near --min-available=2
        ~ wait pdb/near --for=jsonpath={.status.currentHealthy}=2
        get pdb
        drain @ns --timeout=2s --pod-selector=statefulset.kubernetes.io/pod-name=near-0
        get node @ns
        delete pdb near
        drain @ns --dry-run=server --pod-selector=statefulset.kubernetes.io/pod-name=near-0
        create pdb near --selector=app=near --max-unavailable=1
        ~ wait pdb/near --for=jsonpath={.status.disruptionsAllowed}=1
        ~ drain @ns --pod-selector=statefulset.kubernetes.io/pod-name=near-1 --timeout=20s
        ~ wait pod/near-1 --for=create
        ~ wait pdb/near --for=jsonpath={.status.disruptionsAllowed}=0
        get pods
        get pdb near
        get pdb near -o jsonpath={.status}
        uncordon @ns
        ~ rollout status sts/near
        get pdb near
    """,
    "drain-of-lone-pods": """
        apply -f -
            apiVersion: v1
            kind: Pod
            metadata: {name: lone, labels: {app: lone}}
            spec:
              nodeName: @ns
              terminationGracePeriodSeconds: 1
              containers: [{name: main, image: "registry.example/lone:1"}]
        ~ wait pod/lone --for=condition=Ready
        drain @ns --pod-selector=app=lone
        drain @ns --pod-selector=app=lone --force
        get pods
        delete node @ns
        get node @ns
    """,
}


@pytest.fixture
def node(stage: Stage) -> Iterator[Stage]:
    """A namespace and a node of the same name, on which a set of two pods runs."""
    try:
        stage.play(NODE)
        yield stage
    finally:
        stage.play("~ delete node @ns --ignore-not-found")


@pytest.mark.parametrize("scene", NODES)
def test_nodes(node: Stage, scene: str) -> None:
    node.play(NODES[scene])


_FIELD = re.compile(r"^(?:GROUP|KIND|VERSION|FIELD|  enum):?|^  \\S+  <")


def _lines(cluster: Cluster, words: str) -> list[str]:
    answer = cluster.run(Line(words), "default")
    assert answer.code == 0, answer.err
    return normal(answer.out).splitlines()


@pytest.mark.parametrize("words", ["api-resources", "api-resources -o wide", "api-versions", "api-resources -o name"])
def test_the_rehearsals_kinds_are_kubernetes_own(pair: tuple[Cluster, Cluster], words: str) -> None:
    """Others are answered as by a server that does not have them."""
    real, rehearsal = (_lines(cluster, words) for cluster in pair)
    assert len(rehearsal) >= 10
    assert not set(rehearsal) - set(real)


@pytest.mark.parametrize("field", ["sts.spec.updateStrategy", "pod.spec.containers.ports", "pvc.spec", "pdb", "sc"])
def test_explain_knows_the_fields(pair: tuple[Cluster, Cluster], field: str) -> None:
    """With their types and values; the rehearsal carries no descriptions, which are megabytes."""
    real, rehearsal = (_lines(cluster, f"explain {field}") for cluster in pair)
    kept = [[line for line in lines if _FIELD.search(line)] for lines in (real, rehearsal)]
    assert kept[0] == kept[1]


def test_explain_recursively(pair: tuple[Cluster, Cluster]) -> None:
    real, rehearsal = (_lines(cluster, "explain sts.spec.template.spec --recursive") for cluster in pair)
    marker = "FIELDS:"
    assert real[real.index(marker) :] == rehearsal[rehearsal.index(marker) :]


def test_version(pair: tuple[Cluster, Cluster]) -> None:
    real, rehearsal = (_lines(cluster, "version") for cluster in pair)
    assert [line.removesuffix("+rehearsal") for line in rehearsal] == real
    assert rehearsal[-1].endswith("+rehearsal")


#: What `logs` and `exec` say where no process is. kwok's own answers are another matter, and not compared.
NOTHING_RUNS = ("logs lone", "exec lone -- true", "attach lone")


@pytest.mark.parametrize("words", NOTHING_RUNS)
def test_the_rehearsal_says_that_nothing_runs(stage: Stage, words: str) -> None:
    stage.play("apply -f pod.yaml\n~ wait pod/lone --for=condition=Ready")
    answer = stage.pair[1].run(Line(words), stage.namespace)
    assert "rehears" in answer.out + answer.err
