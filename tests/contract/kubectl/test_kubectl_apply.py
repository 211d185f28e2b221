"""`kubectl apply`, `diff`, `create` and `replace`: what is sent to a cluster as files."""

from __future__ import annotations

import pytest

from tests.contract.kubectl.stage import Stage

pytestmark = pytest.mark.controlplane

SCENES = {
    "client-side": """
        apply -f settings.yaml
        apply -f settings.yaml
        apply -f settings-changed.yaml
        get cm settings -o yaml --show-managed-fields
        apply -f settings-changed.yaml -o name
        apply view-last-applied cm/settings
        apply -f web.yaml
        apply -f web.yaml
        apply -f web-changed.yaml
        get sts web -o yaml
        get sts web -o jsonpath='{.metadata.managedFields[?(@.manager=="kubectl-client-side-apply")].fieldsV1}'
    """,
    "client-side-after-create": """
        create -f settings.yaml
        apply -f settings-changed.yaml
        get cm settings -o yaml
        create -f settings.yaml --save-config
        apply set-last-applied -f settings.yaml
        apply view-last-applied cm settings -o json
    """,
    "client-side-takes-away": """
        apply -f settings.yaml
        annotate cm settings by=hand
        patch cm settings -p '{"data":{"hand":"made"}}'
        apply -f settings-changed.yaml
        get cm settings -o yaml
    """,
    "prune": """
        apply -f settings.yaml -f pod.yaml
        apply -f pod.yaml --prune -l app=lone --prune-allowlist=core/v1/ConfigMap --prune-allowlist=core/v1/Pod
        apply -f settings-changed.yaml --prune -l app --prune-allowlist=core/v1/Pod
        get cm settings -o name
    """,
    "server-side": """
        apply --server-side -f settings.yaml
        apply --server-side -f settings.yaml
        apply --server-side -f settings-changed.yaml
        get cm settings -o yaml --show-managed-fields
        apply --server-side -f web.yaml
        apply --server-side -f web-changed.yaml
        get sts web -o jsonpath='{.metadata.managedFields[?(@.manager=="kubectl")].fieldsV1}'
        apply --server-side -f web-changed.yaml -o jsonpath={.spec}
    """,
    "server-side-conflicts": """
        apply --server-side -f settings.yaml --field-manager=one
        apply --server-side -f settings-changed.yaml --field-manager=two
        apply --server-side -f settings-changed.yaml --field-manager=two --force-conflicts
        get cm settings -o yaml --show-managed-fields
        apply --server-side -f settings.yaml --field-manager=one --dry-run=server
        apply -f web.yaml
        apply --server-side -f web-changed.yaml --field-manager=other
        scale sts/web --replicas=1
        apply --server-side -f web.yaml
        apply --server-side -f web-changed.yaml --field-manager=other --force-conflicts
    """,
    "from-client-to-server-side": """
        apply -f settings.yaml
        apply --server-side -f settings-changed.yaml
        get cm settings -o yaml --show-managed-fields
        apply -f settings.yaml
    """,
    "dry-run": """
        apply -f settings.yaml --dry-run=client
        apply -f settings.yaml --dry-run=server
        apply -f settings.yaml --dry-run=server -o yaml
        get cm settings
        apply -f web.yaml --dry-run=server
        apply -f web.yaml
        ~ rollout status sts/web
        ~ wait sts/web --for=jsonpath={.status.availableReplicas}=2
        apply -f web-changed.yaml --dry-run=client
        apply -f web-changed.yaml --dry-run=server
        apply -f web-changed.yaml --dry-run=server -o yaml
        apply --server-side -f web-changed.yaml --dry-run=server
        get sts web -o jsonpath={.spec.replicas}
        create -f settings.yaml --dry-run=server -o json
        delete -f web.yaml --dry-run=server
        get -f web.yaml
    """,
    "immutable-fields": """
        apply -f web.yaml
        apply -f web-immutable.yaml
        apply --server-side --force-conflicts -f web-immutable.yaml
        replace -f web-immutable.yaml
        apply -f pod.yaml
        patch pod lone -p '{"spec":{"containers":[{"name":"main","command":["sh"]}]}}'
        patch sts web --type=merge -p '{"spec":{"selector":{"matchLabels":{"app":"other"}}}}'
        patch svc web --type=merge -p '{"spec":{"clusterIP":"10.96.200.200"}}'
        patch pvc extra --type=merge -p '{"spec":{"accessModes":["ReadWriteMany"]}}'
        create cm frozen --from-literal=a=b
        patch cm frozen -p '{"immutable":true}'
        patch cm frozen -p '{"data":{"a":"c"}}'
    """,
    "invalid-sets": """
        apply -f -
            apiVersion: apps/v1
            kind: StatefulSet
            metadata: {name: Bad_Name}
            spec:
              replicas: -1
              selector: {matchLabels: {app: one}}
              podManagementPolicy: Sometimes
              template:
                metadata: {labels: {app: two}}
                spec: {containers: []}
        apply -f -
            apiVersion: apps/v1
            kind: StatefulSet
            metadata: {name: bad}
            spec: {replicas: many, template: {}}
        apply -f -
            apiVersion: apps/v1
            kind: StatefulSet
            metadata: {name: bad}
            spec:
              selector: {matchLabels: {app: one}}
              updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: -1}}
              template:
                metadata: {labels: {app: one}}
                spec:
                  restartPolicy: Never
                  containers:
                    - {name: a, image: "", ports: [{containerPort: 0}, {containerPort: 70000, name: UPPER}]}
                    - {name: a, image: x, volumeMounts: [{name: nope, mountPath: ""}]}
    """,
    "invalid-others": """
        apply -f -
            apiVersion: v1
            kind: Service
            metadata: {name: bad}
            spec: {ports: [{port: 0}, {port: 80}], selector: {app: "not a label value!"}}
        apply -f -
            apiVersion: v1
            kind: PersistentVolumeClaim
            metadata: {name: bad}
            spec: {accessModes: [Sometimes], resources: {requests: {storage: "-1Gi"}}}
        apply -f -
            apiVersion: policy/v1
            kind: PodDisruptionBudget
            metadata: {name: bad}
            spec: {minAvailable: 1, maxUnavailable: 200%, selector: {matchExpressions: [{key: a, operator: Is}]}}
        apply -f -
            apiVersion: v1
            kind: ConfigMap
            metadata: {name: bad, labels: {"a b": "c d"}, annotations: {"x/y/z": ""}}
            data: {"no spaces": x}
        apply -f -
            apiVersion: v1
            kind: Secret
            metadata: {name: bad}
            data: {password: "not base64!"}
        apply -f -
            apiVersion: networking.k8s.io/v1
            kind: NetworkPolicy
            metadata: {name: bad}
            spec: {podSelector: {}, policyTypes: [Sideways], ingress: [{from: [{ipBlock: {cidr: nope}}]}]}
        create cm Bad_Name
        create secret generic ok --from-literal=a=b --type=kubernetes.io/tls
    """,
    "not-objects": """
        apply -f -
            apiVersion: v1
            kind: Widget
            metadata: {name: x}
        apply -f -
            apiVersion: example.com/v1
            kind: Widget
            metadata: {name: x}
        apply -f -
            kind: ConfigMap
            metadata: {name: x}
        apply -f -
            apiVersion: v1
            kind: ConfigMap
        apply -f -
            apiVersion: v1
            kind: ConfigMap
            metadata: {name: x, namespace: elsewhere}
        apply -f nope.yaml
        create -n nope-nope -f settings.yaml
        create -f -
            apiVersion: v1
            kind: ConfigMap
            metadata: {name: x}
            data: {a: 1}
    """,
    "unknown-fields": """
        apply -f unknown-fields.yaml
        apply -f unknown-fields.yaml --validate=strict
        apply -f unknown-fields.yaml --validate=warn
        apply -f unknown-fields.yaml --validate=ignore
        get sts typo -o jsonpath={.spec}
        create -f unknown-fields.yaml --validate=warn --dry-run=server
        create -f unknown-fields.yaml --validate=false --dry-run=server
        replace -f unknown-fields.yaml --validate=true
        apply --server-side -f unknown-field.yaml
        patch sts typo --type=merge -p '{"spec":{"nope":1}}'
    """,
    "diff": """
        diff -f settings.yaml
        apply -f settings.yaml
        diff -f settings.yaml
        diff -f settings-changed.yaml
        apply -f web.yaml
        ~ rollout status sts/web
        diff -f web.yaml
        diff -f web-changed.yaml
        diff --server-side -f web-changed.yaml --force-conflicts
        diff -f web-immutable.yaml
    """,
    "create": """
        create -f web.yaml
        create -f web.yaml
        create cm one --from-literal=a=b --from-literal=c=d
        create cm one --from-literal=a=b
        create secret generic two --from-literal=a=b
        create sa three
        create service clusterip four --tcp=80:8080
        create service nodeport five --tcp=80 --node-port=31999
        create service nodeport six --tcp=80 --node-port=31999
        create service externalname seven --external-name=example.com
        create pdb eight --selector=app=web --min-available=1
        create quota nine --hard=configmaps=5,services=9
        create priorityclass @ns --value=5 --description=ours
        delete priorityclass @ns
        get cm/one secret/two sa/three pdb/eight svc/four svc/seven -o yaml
        get svc five six -o jsonpath={..nodePort}
        create configmap ten --from-file=settings.yaml -o yaml
    """,
    "generated-names": """
        create -f - -o jsonpath={.metadata.generateName}
            apiVersion: v1
            kind: ConfigMap
            metadata: {generateName: some-}
        get cm -o name
        apply -f -
            apiVersion: v1
            kind: ConfigMap
            metadata: {generateName: some-}
    """,
    "replace": """
        replace -f settings.yaml
        create -f settings.yaml
        replace -f settings-changed.yaml
        get cm settings -o yaml --show-managed-fields
        replace -f -
            apiVersion: v1
            kind: ConfigMap
            metadata: {name: settings, resourceVersion: "1"}
        replace -f -
            apiVersion: v1
            kind: ConfigMap
            metadata: {name: settings, uid: 00000000-0000-0000-0000-000000000000}
        replace --force -f settings.yaml
        create -f web.yaml
        ~ rollout status sts/web
        ~ wait sts/web --for=jsonpath={.status.availableReplicas}=2
        replace -f web-changed.yaml
        ~ rollout status sts/web
        ~ wait sts/web --for=jsonpath={.status.availableReplicas}=3
        replace --subresource=status -f web-changed.yaml
        replace --subresource=nope -f web-changed.yaml
        get sts web -o jsonpath={.spec.replicas}
    """,
    "pod-security": """
        label ns @ns pod-security.kubernetes.io/enforce=baseline pod-security.kubernetes.io/warn=restricted
        apply -f pod.yaml
        apply -f plain.yaml
        apply -f -
            apiVersion: v1
            kind: Pod
            metadata: {name: root}
            spec:
              hostNetwork: true
              containers: [{name: main, image: x, securityContext: {privileged: true}}]
        label ns @ns pod-security.kubernetes.io/enforce=restricted --overwrite
        label ns @ns pod-security.kubernetes.io/enforce=nope --overwrite
        ~ delete sts,pods --all --wait=false
    """,
}


@pytest.mark.parametrize("scene", SCENES)
def test_scene(stage: Stage, scene: str) -> None:
    stage.play(SCENES[scene])
