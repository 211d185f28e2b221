"""`kubectl get`: every kind, output format, selection and refusal."""

from __future__ import annotations

import pytest

from tests.contract.kubectl.stage import Stage

pytestmark = pytest.mark.controlplane

#: What `kubectl get` finds in the town; the cluster's own objects by name, for other tests have theirs beside them.
OBJECTS = (
    "sts", "pods", "pvc", "svc", "cm", "secrets", "sa", "pdb", "netpol", "hpa", "quota", "leases",
    "controllerrevisions", "endpointslices -l kubernetes.io/service-name=front", "sc fast-ssd local-path",
    "ns kube-system default",
    "nodes berth-node-1 berth-node-2 berth-node-3", "priorityclasses system-node-critical system-cluster-critical",
)  # fmt: skip


@pytest.mark.parametrize("what", OBJECTS, ids=lambda what: what.split()[0])
def test_kinds(town: Stage, what: str) -> None:
    """All columns and all fields; the default columns of all kinds are in the scene `several-kinds`."""
    town.play(
        f"""
        get {what} -o wide --show-labels
        get {what} -o yaml
        """
    )


#: Scenes that change nothing.
LOOKING = {
    "endpoints": """
        get endpoints
        get ep -o wide --show-labels
        get ep web -o jsonpath={.subsets[*].ports}
        get ep front -o jsonpath={.metadata.labels}
    """,
    "one-object": """
        get sts web
        get sts/web
        get statefulsets.apps web -o wide
        get statefulsets.v1.apps web -o name
        get pod web-0 web-1
        get pod/web-0 svc/web
    """,
    "several-kinds": """
        get sts,pods,pvc,svc,cm,secrets,sa,pdb,netpol,hpa,quota,leases,controllerrevisions,endpointslices
        get sc fast-ssd local-path
        get nodes berth-node-1 berth-node-2 berth-node-3
        get priorityclasses system-node-critical system-cluster-critical
        get all
        get all -o name
        get sts,svc,cm
        get sts,pods -o wide
        get pods,pvc -L app --show-kind
    """,
    "json": """
        get sts,pods,pvc,svc,pdb -o json
        get cm settings -o json --show-managed-fields
    """,
    "jsonpath-and-columns": """
        get pods -o jsonpath='{range .items[*]}{.metadata.name}{" "}{.status.phase}{"\\n"}{end}'
        get sts web -o jsonpath={.spec.template.spec.containers[0].image}
        get sts web -o jsonpath={.status}
        get sts web -o go-template='{{.metadata.name}} {{.spec.replicas}}'
        get pods -o custom-columns=NAME:.metadata.name,IMAGE:.spec.containers[*].image,NOPE:.spec.nope
        get pods --no-headers -o custom-columns=:metadata.name
        get pods -o jsonpath='{.nope'
    """,
    "sorting-and-labels": """
        get pods --sort-by=.metadata.name
        get pods --sort-by='{.spec.containers[0].image}' -o name
        get pods -L app,apps.kubernetes.io/pod-index,nope
        get pods --label-columns=app --no-headers
        get pods --sort-by=.nope
    """,
    "label-selectors": """
        get pods -l app=web -o name
        get pods -l app!=web
        get pods -l 'app in (web,other),apps.kubernetes.io/pod-index=1' -o name
        get cm,secrets -l app -o name
        get cm -l '!app' -o name
        get pods -l 'app notin (web)' -o name
        get pods -l 'app in web'
        get pods -l 'a=b=c'
        get pods -l 'apps.kubernetes.io/pod-index>0' -o name
    """,
    "field-selectors": """
        get pods --field-selector=metadata.name=web-1
        get pods --field-selector=status.phase=Running,spec.restartPolicy=Always -o name
        get pods --field-selector=status.phase!=Running
        get secrets --field-selector=type=Opaque -o name
        get cm --field-selector=data.greeting=hello
        get pods --field-selector=spec.nodeName=
        get sts --field-selector=spec.replicas=2
        get ns --field-selector=metadata.name=@ns -o name
    """,
    "all-namespaces": """
        get pods -A --field-selector=metadata.namespace=@ns
        get sts -A --field-selector=metadata.namespace=@ns -o wide
        get pvc,svc -A --field-selector=metadata.namespace=@ns -o name
    """,
    "not-found": """
        get pod nope
        get pod nope --ignore-not-found
        get pod web-0 nope
        get sts nope -o yaml
        get pods -l app=nope
        get sts,pods -l app=nope
        get pods -n nope-nope
        get ns nope-nope
        get cm nope -o jsonpath={.data}
    """,
    "unknown-resources": """
        get widgets
        get widgets.example.com
        get sts.nope.example
        get pods/web-0/status
        get sts web --subresource=nope
        get pod web-0 -o nope
    """,
    "subresources": """
        get sts web --subresource=status
        get sts web --subresource=scale
        get sts web --subresource=scale -o yaml
        get pod web-0 --subresource=status -o name
        get pvc data-web-0 --subresource=status -o name
    """,
    "from-files": """
        get -f settings.yaml
        get -f web.yaml
        get -f web-changed.yaml -o name
        get -f unknown-fields.yaml
    """,
    "chunks": """
        get pods --chunk-size=1
        get cm --chunk-size=1 -o name
        get pvc --chunk-size=2
    """,
    "raw": """
        get --raw /readyz
        get --raw /livez
        get --raw /healthz
        get --raw /api/v1/namespaces/@ns/configmaps/settings
        get --raw /apis/apps/v1/namespaces/@ns/statefulsets/web/scale
        get --raw /api/v1/namespaces/@ns/pods/nope
        get --raw /apis/nope/v1
        get --raw /nope
        get --raw /api/v1/namespaces/@ns/pods?labelSelector=app%3Dnope
        get --raw /api/v1/namespaces/@ns/pods?limit=nope
    """,
    "persistent-volumes": """
        volume = get pvc data-web-0 -o jsonpath={.spec.volumeName}
        get pv $volume
        get pv $volume -o wide --show-labels
        get pv $volume -o yaml
        describe pv $volume
    """,
}


@pytest.mark.parametrize("scene", LOOKING)
def test_looking(town: Stage, scene: str) -> None:
    town.play(LOOKING[scene])


#: Scenes in which something changes while `get -w` looks.
WATCHING = {
    "objects": """
        create cm marker
        label cm marker app=web
        & get cm -w --output-watch-events
        & get cm -w -l app=web -o name
        apply -f settings.yaml
        apply -f settings-changed.yaml
        label cm settings app=other --overwrite
        label cm settings app=web --overwrite
        delete cm settings
    """,
    "only": """
        apply -f settings.yaml
        & get cm settings --watch-only --output-watch-events -o custom-columns=GREETING:.data.greeting
        & get cm settings -w -o jsonpath='{.data.greeting}{"\\n"}'
        apply -f settings-changed.yaml
        delete -f settings.yaml
    """,
    "pods": """
        ~ apply -f pod.yaml
        ~ wait pod/lone --for=condition=Ready
        & get pods -w --output-watch-events -o jsonpath='{.type} pod/{.object.metadata.name}{"\\n"}'
        apply -f plain.yaml
        ~ rollout status sts/plain
        scale sts/plain --replicas=1
        ~ wait pod/plain-1 --for=delete --timeout=30s
    """,
    "several-kinds": """
        get cm,svc -w
        get cm nope -w
    """,
}


@pytest.mark.parametrize("scene", WATCHING)
def test_watching(stage: Stage, scene: str) -> None:
    stage.play(WATCHING[scene])
