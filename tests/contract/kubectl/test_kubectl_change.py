"""`kubectl patch`, `label`, `annotate`, `set`, `scale` and `rollout`: what changes an object that is there."""

from __future__ import annotations

import pytest

from tests.contract.kubectl.stage import Stage

pytestmark = pytest.mark.controlplane

SCENES = {
    "patch-merge": """
        apply -f settings.yaml
        patch cm settings --type=merge -p '{"data":{"greeting":null,"more":"x"},"metadata":{"labels":{"a":"b"}}}'
        patch cm settings --type=merge -p '{"data":{"more":"x"}}'
        patch cm settings --type=merge -p '{"data":{"more":5}}'
        patch cm settings --type=merge -p '{"data":'
        patch cm settings --type=merge -p '[]'
        patch cm settings --type=merge -p '{"metadata":{"name":"other"}}'
        patch cm nope --type=merge -p '{}'
        patch cm settings --type=nope -p '{}'
        patch cm settings --type=merge -p 'data: {yaml: too}' -o yaml
        patch cm settings --type=merge -p '{"metadata":{"resourceVersion":"1"}}'
        patch -f settings.yaml --type=merge -p '{"data":{"file":"x"}}' --dry-run=server
    """,
    "patch-strategic": """
        apply -f plain.yaml
        patch sts plain -p '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"x:1"}]}}}}'
        get sts plain -o jsonpath={.spec.template.spec.containers[*].name}
        patch sts plain -p '{"spec":{"template":{"spec":{"containers":[{"name":"side","$patch":"delete"}]}}}}'
        patch sts plain -p '{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"x:2"}]}}}}' -o name
        patch sts plain -p '{"spec":{"template":{"spec":{"containers":[{"image":"x:3"}]}}}}'
        patch sts plain -p '{"spec":{"updateStrategy":{"$retainKeys":["type"],"type":"OnDelete"}}}'
        patch sts plain -p '{"metadata":{"finalizers":["example.com/a","example.com/b"]}}'
        patch sts plain -p '{"metadata":{"$deleteFromPrimitiveList/finalizers":["example.com/a","example.com/b"]}}'
        patch sts plain -p '{"spec":{"replicas":"two"}}'
        patch sts plain -p '{"spec":{"replicas":-2}}'
        patch sts plain -p '{"spec":{"$patch":"nope"}}'
        get sts plain -o jsonpath={.spec}
    """,
    "patch-json": """
        apply -f settings.yaml
        patch cm settings --type=json -p '[{"op":"replace","path":"/data/greeting","value":"x"}]'
        patch cm settings --type=json -p '[{"op":"test","path":"/data/greeting","value":"y"}]'
        patch cm settings --type=json -p '[{"op":"remove","path":"/data/nope"}]'
        patch cm settings --type=json -p '[{"op":"add","path":"/data/a~1b","value":"x"}]'
        patch cm settings --type=json -p '[{"op":"add","path":"/metadata/labels/new","value":"x"}]' -o yaml
        patch cm settings --type=json -p '[{"op":"move","from":"/data/greeting","path":"/data/moved"}]'
        patch cm settings --type=json -p '[{"op":"copy","from":"/data/moved","path":"/data/copied"}]'
        patch cm settings --type=json -p '[{"op":"nope","path":"/data"}]'
        patch cm settings --type=json -p '{"op":"remove","path":"/data"}'
        patch cm settings --type=json -p '[{"op":"replace","path":"/data","value":[1]}]'
        get cm settings -o yaml
    """,
    "patch-subresources": """
        apply -f plain.yaml
        ~ rollout status sts/plain
        patch sts plain --subresource=scale --type=merge -p '{"spec":{"replicas":3}}'
        patch sts plain --subresource=scale --type=merge -p '{"spec":{"replicas":-3}}'
        patch sts plain --subresource=scale --type=json -p '[{"op":"replace","path":"/spec/replicas","value":1}]'
        ~ wait sts/plain --for=jsonpath={.status.replicas}=1
        patch sts plain --subresource=status --type=merge -p '{"spec":{"replicas":7}}'
        get sts plain -o jsonpath={.spec.replicas}
        patch sts plain --subresource=status --type=merge -p '{"status":{"replicas":-1}}'
        patch sts plain --subresource=nope --type=merge -p '{}'
        patch cm kube-root-ca.crt --subresource=status --type=merge -p '{}'
    """,
    "label": """
        apply -f settings.yaml
        label cm settings colour=red
        label cm settings colour=red
        label cm settings colour=blue
        label cm settings colour=blue --overwrite
        label cm settings colour-
        label cm settings colour-
        label cm settings app-
        label cm settings 'bad value=x'
        label cm settings x='not valid!'
        label cm --all place=here
        label cm,sa -l place=here more=yes
        label cm nope a=b
        label cm settings place-
        label cm settings --list
        label cm settings a=b --resource-version=1
        label cm settings a=b --dry-run=server
        get cm --show-labels
    """,
    "annotate": """
        apply -f settings.yaml
        annotate cm settings note='some words'
        annotate cm settings note='other words'
        annotate cm settings note='other words' --overwrite
        annotate cm settings note-
        annotate cm settings 'bad key!=x'
        annotate cm --all seen=yes
        annotate -f settings.yaml file=yes
        get cm settings -o jsonpath={.metadata.annotations.seen}{.metadata.annotations.file}
    """,
    "set": """
        apply -f plain.yaml
        set image sts/plain main=registry.example/plain:2.0
        set image sts/plain main=registry.example/plain:2.0
        set image sts/plain nope=x
        set image sts/nope main=x
        set image sts plain *=registry.example/plain:3.0 --dry-run=server
        set env sts/plain COLOUR=blue
        set env sts/plain --list
        set env sts/plain COLOUR-
        set resources sts/plain --limits=cpu=100m --requests=cpu=50m
        set serviceaccount sts/plain default
        create service clusterip plain --tcp=80
        set selector svc plain app=plain
        ~ rollout status sts/plain
        get sts plain -o jsonpath={.spec}
        get svc plain -o wide
    """,
    "scale": """
        apply -f plain.yaml
        ~ rollout status sts/plain
        scale sts/plain --replicas=3
        scale sts plain --replicas=3
        scale sts/plain --replicas=1 --current-replicas=5
        scale sts/plain --replicas=1 --current-replicas=3
        scale sts/plain --replicas=-1
        scale sts/nope --replicas=1
        scale cm/kube-root-ca.crt --replicas=1
        scale pods --all --replicas=1
        scale -f plain.yaml --replicas=2
        scale sts --all --replicas=1
        scale sts/plain --replicas=2 --resource-version=1
        scale sts/plain --replicas=4 --dry-run=server
        ~ wait sts/plain --for=jsonpath={.status.replicas}=1
        get sts
        get pods -o name
        scale sts/plain --replicas=0 --timeout=20s
        ~ wait pods --all --for=delete
        get sts plain -o wide
        get pods
    """,
    "rollout": """
        apply -f plain.yaml
        ~ rollout status sts/plain
        rollout status sts/plain
        rollout history sts/plain
        set image sts/plain main=registry.example/plain:2.0
        ~ rollout status sts/plain
        annotate sts plain kubernetes.io/change-cause='two'
        rollout history sts/plain
        rollout history sts/plain --revision=2
        rollout history sts/plain --revision=1 -o yaml
        rollout history sts/plain --revision=7
        rollout undo sts/plain --dry-run=server
        rollout undo sts/plain
        ~ rollout status sts/plain
        rollout history sts/plain
        rollout undo sts/plain
        ~ rollout status sts/plain
        rollout undo sts/plain --to-revision=99
        rollout undo sts/plain --to-revision=4
        get sts plain -o wide
        get controllerrevisions --sort-by=.revision
        get sts plain -o jsonpath={.status}
    """,
    "rollout-restart": """
        apply -f plain.yaml
        ~ rollout status sts/plain
        rollout restart sts/plain
        ~ rollout status sts/plain
        rollout history sts/plain
        get sts plain -o jsonpath={.spec.template.metadata.annotations}
        rollout restart sts
        ~ rollout status sts/plain
        rollout restart sts/nope
        rollout restart pod/plain-0
        rollout pause sts/plain
        rollout resume sts/plain
        rollout status sts/nope
        rollout status cm/kube-root-ca.crt
        patch sts plain -p '{"spec":{"updateStrategy":{"$retainKeys":["type"],"type":"OnDelete"}}}'
        rollout status sts/plain
    """,
    "rollout-partition": """
        apply -f web.yaml
        ~ rollout status sts/web
        patch sts web -p '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":1}}}}'
        set image sts/web main=registry.example/web:2.0
        ~ rollout status sts/web
        rollout status sts/web
        get pods -o custom-columns=NAME:.metadata.name,IMAGE:.spec.containers[0].image
        get sts web -o jsonpath={.status}
        patch sts web -p '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}'
        ~ rollout status sts/web
        ~ wait sts/web --for=jsonpath={.status.updatedReplicas}=2
        get pods -o custom-columns=NAME:.metadata.name,IMAGE:.spec.containers[0].image
        get sts web -o yaml
        get controllerrevisions -o yaml
    """,
    "autoscale": """
        apply -f plain.yaml
        autoscale sts plain --min=1 --max=3 --cpu=80%
        get hpa plain -o jsonpath={.spec}
        autoscale sts plain --min=5 --max=3
        expose pod nope --port=80
        delete hpa plain
    """,
}


@pytest.mark.parametrize("scene", SCENES)
def test_scene(stage: Stage, scene: str) -> None:
    stage.play(SCENES[scene])
