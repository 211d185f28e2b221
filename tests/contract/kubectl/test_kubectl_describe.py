"""`kubectl describe` of every kind, and what has happened: Events."""

from __future__ import annotations

import pytest

from tests.contract.kubectl.stage import Stage

pytestmark = pytest.mark.controlplane

#: Without Events, which are there for an hour, and that is short at the instant pace: `test_events` has them.
OBJECTS = (
    "sts web", "pod web-0", "pods -l app=web", "pvc data-web-0", "pvc extra", "svc web", "svc front", "ns @ns",
    "pdb web", "netpol web", "cm settings", "secret password", "sa robot", "sa default", "hpa web", "quota limits",
    "lease lock", "sc local-path", "priorityclass system-node-critical",
    "endpointslices -l kubernetes.io/service-name=front",
    "controllerrevisions", "pod nope", "widget nope",
)  # fmt: skip


@pytest.mark.parametrize("what", OBJECTS, ids=lambda what: what.replace("@", "").replace(" -l", "").replace(" ", "-"))
def test_describe(town: Stage, what: str) -> None:
    town.play(f"describe {what} --show-events=false")


#: Scenes whose Events are compared.
HAPPENING = {
    "a-set-comes-up-and-grows": """
        ~ apply -f web.yaml
        ~ rollout status sts/web
        scale sts/web --replicas=3
        ~ rollout status sts/web
        ~ wait sts/web --for=jsonpath={.status.readyReplicas}=3
        describe sts web
        describe pod web-0
        describe pvc data-web-2
        events --for sts/web
        get events --field-selector=involvedObject.name=web,reason=SuccessfulCreate -o yaml
        events --types=Warning
        get events --field-selector=involvedObject.kind=StatefulSet
        get events --field-selector=involvedObject.kind=StatefulSet,reason=SuccessfulCreate -o wide
        get events --field-selector=involvedObject.name=web-1,reason=Scheduled -o yaml
        get events --field-selector=involvedObject.name=web-1,reason=Scheduled -o wide
    """,
    "a-set-shrinks": """
        ~ apply -f web.yaml
        ~ rollout status sts/web
        scale sts/web --replicas=1
        ~ wait pod/web-1 --for=delete --timeout=30s
        ~ wait sts/web --for=jsonpath={.status.replicas}=1
        describe sts web
        events --for sts/web
    """,
    "a-pod-that-fits-nowhere": """
        ~ apply -f pod.yaml
        apply -f -
            apiVersion: v1
            kind: Pod
            metadata: {name: giant}
            spec:
              containers: [{name: main, image: "registry.example/x:1", resources: {requests: {cpu: "400"}}}]
        apply -f -
            apiVersion: v1
            kind: Pod
            metadata: {name: picky}
            spec:
              nodeSelector: {colour: green}
              containers: [{name: main, image: "registry.example/x:1"}]
        ~ wait pod/lone --for=condition=Ready
        get pods
        describe pod giant
        describe pod picky
        events --types=Warning --for pod/giant
    """,
    "a-claim-that-nobody-serves": """
        apply -f -
            apiVersion: v1
            kind: PersistentVolumeClaim
            metadata: {name: orphan}
            spec: {storageClassName: nope, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
        apply -f -
            apiVersion: v1
            kind: Pod
            metadata: {name: thirsty}
            spec:
              containers: [{name: main, image: "registry.example/x:1"}]
              volumes: [{name: data, persistentVolumeClaim: {claimName: orphan}}]
        describe pvc orphan
        describe pod thirsty
        get pvc,pods
    """,
    "a-pod-that-quota-forbids": """
        create quota few --hard=pods=1
        ~ wait quota/few --for=jsonpath={.status.hard.pods}=1
        ~ apply -f plain.yaml
        ~ wait sts/plain --for=jsonpath={.status.replicas}=1
        get pods -o custom-columns=PHASE:.status.phase
        describe quota few
        get quota
        describe ns @ns
    """,
}


@pytest.mark.parametrize("scene", HAPPENING)
def test_events(stage: Stage, scene: str) -> None:
    stage.play(HAPPENING[scene])
