"""`kubectl delete` and `wait`: how things go, and how one waits for them."""

from __future__ import annotations

import pytest

from tests.contract.kubectl.stage import Stage

pytestmark = pytest.mark.controlplane

SCENES = {
    "by-name-and-selector": """
        create cm one
        create cm two
        create cm three
        label cm one two three app=x
        delete cm one
        delete cm one
        delete cm one --ignore-not-found
        delete cm one two
        delete cm -l app=nope
        delete cm -l app=x
        delete cm
        delete widgets --all
        delete -f settings.yaml
        delete -f settings.yaml --ignore-not-found
        delete cm/nope sa/nope
        create cm four
        delete cm four --dry-run=client
        delete cm four --dry-run=server
        delete cm four -o name
        delete sa nope --now
    """,
    "all": """
        apply -f settings.yaml
        apply -f plain.yaml
        ~ rollout status sts/plain
        delete sts --all
        delete cm,svc --all
        ~ wait pods --all --for=delete
        get sts,pods
    """,
    "background": """
        apply -f plain.yaml
        ~ rollout status sts/plain
        delete sts plain
        ~ wait pod -l app=plain --for=delete
        get sts,pods,controllerrevisions
    """,
    "foreground": """
        apply -f plain.yaml
        ~ rollout status sts/plain
        delete sts plain --cascade=foreground
        get sts,pods,controllerrevisions
    """,
    "orphan": """
        apply -f plain.yaml
        ~ rollout status sts/plain
        delete sts plain --cascade=orphan
        get pods
        get pods -o jsonpath={.items[*].metadata.ownerReferences}
        apply -f plain.yaml
        ~ wait sts/plain --for=jsonpath={.status.readyReplicas}=2
        get pods -o jsonpath={.items[*].metadata.ownerReferences[*].kind}
        delete sts plain --cascade=nope
        delete sts plain --cascade=false
    """,
    "pods": """
        apply -f pod.yaml
        ~ wait pod/lone --for=condition=Ready
        delete pod lone --wait=false
        ~ wait pod/lone --for=delete
        get pods
        apply -f pod.yaml
        ~ wait pod/lone --for=condition=Ready
        delete pod lone --grace-period=0 --force
        get pod lone
        apply -f pod.yaml
        delete pod lone --now
        delete pod lone --grace-period=-5
        apply -f pod.yaml
        delete pod lone --grace-period=0
    """,
    "claims-in-use": """
        apply -f web.yaml
        ~ rollout status sts/web
        delete pvc data-web-0 --wait=false
        get pvc
        get pvc data-web-0 -o jsonpath={.metadata.finalizers}
        describe pvc data-web-0 --show-events=false
        delete sts web --cascade=foreground
        ~ wait pvc/data-web-0 --for=delete --timeout=30s
        get pvc
    """,
    "finalizers": """
        apply -f settings.yaml
        patch cm settings --type=merge -p '{"metadata":{"finalizers":["example.com/hold"]}}'
        delete cm settings --wait=false
        delete cm settings --timeout=2s
        get cm settings
        describe cm settings
        label cm settings a=b
        patch cm settings --type=merge -p '{"metadata":{"finalizers":["example.com/more"]}}'
        patch cm settings --type=merge -p '{"metadata":{"finalizers":null}}'
        get cm settings
    """,
    "namespaces": """
        create ns @ns-more
        get sa/default -n @ns-more -o name
        create cm x -n @ns-more
        patch cm x -n @ns-more --type=merge -p '{"metadata":{"finalizers":["example.com/hold"]}}'
        delete ns @ns-more --wait=false
        ~ wait ns/@ns-more --for=jsonpath={.status.phase}=Terminating
        create cm y -n @ns-more
        get ns @ns-more
        ~ wait ns/@ns-more --for=condition=NamespaceContentRemaining --timeout=2m
        describe ns @ns-more
        patch cm x -n @ns-more --type=merge -p '{"metadata":{"finalizers":null}}'
        delete ns kube-system --dry-run=server
        delete ns default
    """,
    "wait": """
        apply -f pod.yaml
        wait pod/lone --for=condition=Ready
        wait pod lone --for=condition=Ready=true
        wait pod/lone --for=jsonpath={.status.phase}=Running
        wait pod/lone --for=jsonpath='{.status.podIP}'
        wait pod -l app=lone --for=condition=Ready
        wait pod/lone --for=condition=Nope --timeout=1s
        wait pod/lone --for=jsonpath={.status.phase}=Failed --timeout=1s
        wait pod/lone --for=delete --timeout=1s
        wait pod/nope --for=condition=Ready
        wait pod/nope --for=delete
        wait pod -l app=nope --for=condition=Ready
        wait pod/lone --for=nope
        wait pod/lone --for=create
        wait pod/nope --for=create --timeout=1s
        wait widgets/x --for=delete
        wait pods --all --for=condition=Ready
    """,
    "wait-for-sets": """
        apply -f plain.yaml
        wait sts/plain --for=jsonpath={.status.readyReplicas}=2 --timeout=30s
        ~ get pods
        ~ scale sts/plain --replicas=1
        wait sts/plain --for=jsonpath={.spec.replicas}=1
        delete sts plain --wait=false
        wait sts/plain --for=delete --timeout=30s
    """,
}


@pytest.mark.parametrize("scene", SCENES)
def test_scene(stage: Stage, scene: str) -> None:
    stage.play(SCENES[scene])
