"""What each rule finds: one thing spoiled in the clean release, and every rule that must then speak."""

from __future__ import annotations

from dataclasses import dataclass, replace

from berth.core.lint import Facts
from tests.unit.lint.samples import CLAIM, FACTS, INIT, MAIN, POD, SET, Change, add, drop, push, put, remove

INSTANCE = "app.kubernetes.io/instance"
VERSION = "app.kubernetes.io/version"
COMPONENT = "app.kubernetes.io/component"

#: Another set of the release, whose pods have labels of their own.
OTHER = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: other}
spec:
  selector: {matchLabels: {app.kubernetes.io/name: other}}
  template:
    metadata:
      labels: {app.kubernetes.io/name: other, app.kubernetes.io/instance: web}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      securityContext: {runAsNonRoot: true, runAsUser: 10001, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: other
          image: other:1
          ports: [{name: other, containerPort: 8000}]
          resources: {requests: {cpu: 1, memory: 1Gi}, limits: {memory: 1Gi}}
          securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
"""
CLASS = """
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
provisioner: example.com/disk
reclaimPolicy: Retain
volumeBindingMode: WaitForFirstConsumer
allowVolumeExpansion: true
"""
USES_CLASS = put(SET, f"{CLAIM} spec storageClassName", "fast")
QUORUM = put(SET, "spec template metadata annotations", {"berth.dev/readiness": "quorum"})
PARALLEL = put(SET, "spec podManagementPolicy", "Parallel")
NOT_READY = put("Service", "spec publishNotReadyAddresses", True)
SRVR = {"exec": {"command": ["sh", "-c", "echo srvr | nc -w 2 localhost 7000 | grep -q ^Mode"]}}
PROD, DEV = replace(FACTS, environment="prod"), replace(FACTS, environment="dev")


def at(minor: int) -> Facts:
    return replace(FACTS, kubernetes=(1, minor))


@dataclass(frozen=True, slots=True)
class Case:
    """Changes to the clean release, and the rules that find something; none where the change is allowed."""

    name: str
    changes: tuple[Change, ...]
    rules: frozenset[str]
    path: str = ""
    facts: Facts = FACTS


def bad(rule: str, *changes: Change, path: str = "", also: str = "", facts: Facts = FACTS, why: str = "") -> Case:
    """A case in which a rule speaks; ``also`` names other rules that must, ``path`` where the first one points."""
    return Case(f"{rule} {why}".strip(), changes, frozenset([rule, *also.split()]), path, facts)


def good(rule: str, why: str, *changes: Change, facts: Facts = FACTS) -> Case:
    """A case near a rule's border on which nothing speaks."""
    return Case(f"{rule} allows {why}", changes, frozenset(), facts=facts)


LONG = "w" * 53
PORT = {"name": "engine", "containerPort": 7000}
SPEC = "spec.template.spec"
C0 = f"{SPEC}.containers[0]"

CASES: tuple[Case, ...] = (
    # names and labels
    bad("names/set-length", put(SET, "metadata name", LONG), path="metadata.name"),
    good("names/set-length", "52 characters", put(SET, "metadata name", LONG[:52])),
    bad("names/dns", put("ConfigMap", "metadata name", "Web_Config"), also="references/config references/unused"),
    bad("names/dns", put("Service/engine-client", "metadata name", "9lives"), path="metadata.name", why="of a Service"),
    bad("names/dns", put(SET, "metadata name", "web.one"), path="metadata.name", why="of a set"),
    good("names/dns", "dots in a ServiceAccount", put("ServiceAccount", "metadata name", "a.b"),
         put(SET, f"{POD} serviceAccountName", "a.b")),
    bad("names/namespace", put("Secret", "metadata namespace", "other"), path="metadata.namespace"),
    bad("names/labels", put("Secret", "metadata labels team", "a" * 64), path="metadata.labels.team"),
    bad("names/labels", put("Secret", "metadata labels team", "a b"), why="with a blank"),
    bad("names/labels", put("Secret", "metadata labels team", 7), why="that are numbers"),
    bad("names/labels", put("Secret", "metadata labels -team", "a"), why="with a bad key"),
    bad("labels/instance", drop("Secret", f"metadata labels {INSTANCE}"), path="metadata.labels"),
    bad("labels/instance", put("Secret", f"metadata labels {INSTANCE}", "other"), why="of another release"),
    bad("labels/claims", drop(SET, f"spec selector matchLabels {INSTANCE}"), path="spec.volumeClaimTemplates[0]"),
    good("labels/claims", "the label in the template", drop(SET, f"spec selector matchLabels {INSTANCE}"),
         put(SET, f"{CLAIM} metadata labels", {INSTANCE: "web"})),
    bad("labels/recommended", drop("Secret", "metadata labels app.kubernetes.io/managed-by"), path="metadata.labels"),
    # sets
    bad("sets/service-name", put(SET, "spec serviceName", "nobody"), path="spec.serviceName"),
    bad("sets/service-name", drop(SET, "spec serviceName"), path="spec", why="missing"),
    bad("sets/headless", drop("Service", "spec clusterIP"), path="spec.clusterIP"),
    bad("sets/service-selects-pods", put("Service", f"spec selector {COMPONENT}", "x"), path="spec.selector"),
    bad("sets/selector", put(SET, f"spec selector matchLabels {COMPONENT}", "x"), path="spec.selector"),
    bad("sets/selector", put(SET, "spec selector", {}), also="labels/claims", why="empty"),
    good("sets/selector", "expressions", push(SET, "spec selector matchExpressions",
         {"key": COMPONENT, "operator": "In", "values": ["server", "x"]})),
    bad("sets/stable-selector", put(SET, f"spec selector matchLabels {VERSION}", "1.2")),
    bad("sets/stable-selector", put("Service", f"spec selector {VERSION}", "1.2"), why="of a Service"),
    bad("sets/selector-overlap", add(OTHER), put(SET, "spec selector matchLabels", {INSTANCE: "web"}),
        path="spec.selector"),
    good("sets/selector-overlap", "another workload", add(OTHER)),
    bad("sets/retention", put(SET, "spec persistentVolumeClaimRetentionPolicy whenScaled", "Delete")),
    bad("sets/update-strategy", put(SET, "spec updateStrategy type", "OnDelete"),
        path="spec.updateStrategy.rollingUpdate"),
    bad("sets/partition", put(SET, "spec updateStrategy rollingUpdate partition", 3)),
    good("sets/partition", "a canary", put(SET, "spec updateStrategy rollingUpdate partition", 2)),
    bad("sets/max-unavailable", put(SET, "spec updateStrategy rollingUpdate maxUnavailable", 1)),
    bad("sets/max-unavailable", put(SET, "spec updateStrategy rollingUpdate maxUnavailable", 2), facts=at(37),
        why="out of order"),
    good("sets/max-unavailable", "Parallel from 1.37 on", PARALLEL,
         put(SET, "spec updateStrategy rollingUpdate maxUnavailable", 2), facts=at(37)),
    bad("sets/grace-period", put(SET, f"{POD} terminationGracePeriodSeconds", 0), also="probes/pre-stop"),
    bad("sets/restart-policy", put(SET, f"{POD} restartPolicy", "Never"), path=f"{SPEC}.restartPolicy"),
    bad("sets/spread", drop(SET, f"{POD} topologySpreadConstraints"), path=SPEC),
    good("sets/spread", "development", drop(SET, f"{POD} topologySpreadConstraints"), facts=DEV),
    good("sets/spread", "anti-affinity", drop(SET, f"{POD} topologySpreadConstraints"),
         put(SET, f"{POD} affinity podAntiAffinity", {"requiredDuringSchedulingIgnoredDuringExecution": [{}]})),
    bad("sets/spread-selector", put(SET, f"{POD} topologySpreadConstraints 0 labelSelector", {})),
    # quorums
    bad("quorum/marker", put(SET, "spec template metadata annotations", {"berth.dev/readiness": "yes"})),
    bad("quorum/ordered-ready", QUORUM, NOT_READY, path=f"{C0}.readinessProbe"),
    bad("quorum/ordered-ready", NOT_READY, put(SET, f"{MAIN} readinessProbe", SRVR), why="by a known command"),
    good("quorum/ordered-ready", "a marker that says local", put(SET, f"{MAIN} readinessProbe", SRVR),
         put(SET, "spec template metadata annotations", {"berth.dev/readiness": "local"})),
    good("quorum/ordered-ready", "Parallel", QUORUM, PARALLEL, NOT_READY),
    bad("quorum/not-ready-addresses", QUORUM, PARALLEL, path="spec.publishNotReadyAddresses"),
    bad("quorum/odd", QUORUM, PARALLEL, NOT_READY, put(SET, "spec replicas", 4), path="spec.replicas"),
    bad("quorum/liveness", put(SET, f"{MAIN} livenessProbe", {**SRVR, "periodSeconds": 60}),
        path=f"{C0}.livenessProbe"),
    bad("quorum/peer-addresses", push(SET, f"{MAIN} env", {"name": "SEEDS", "value": "web-0.engine.shop.svc"})),
    good("quorum/peer-addresses", "published addresses", NOT_READY,
         push(SET, f"{MAIN} env", {"name": "SEEDS", "value": "web-0.engine.shop.svc"})),
    # claims
    bad("claims/mounted", push(SET, "spec volumeClaimTemplates",
        {"metadata": {"name": "log"}, "spec": {"accessModes": ["ReadWriteOnce"],
         "resources": {"requests": {"storage": "1Gi"}}}}), path="spec.volumeClaimTemplates[1].metadata.name"),
    bad("claims/mount-exists", push(SET, f"{MAIN} volumeMounts", {"name": "log", "mountPath": "/log"}),
        path=f"{C0}.volumeMounts[3].name"),
    bad("claims/shadowed", push(SET, f"{POD} volumes", {"name": "data", "emptyDir": {}})),
    bad("claims/version-label", put(SET, f"{CLAIM} metadata labels", {VERSION: "1"})),
    bad("claims/complete", drop(SET, f"{CLAIM} spec resources"),
        path="spec.volumeClaimTemplates[0].spec.resources.requests.storage"),
    bad("claims/complete", drop(SET, f"{CLAIM} spec accessModes"), why="without modes"),
    bad("claims/complete", put(SET, f"{CLAIM} spec resources requests storage", "0Gi"), why="of no size"),
    bad("claims/complete", put(SET, f"{CLAIM} spec accessModes", ["ReadWriteOncePod", "ReadWriteOnce"]), why="mixed"),
    bad("claims/shared", add("{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: all}}"),
        push(SET, f"{POD} volumes", {"name": "all", "persistentVolumeClaim": {"claimName": "all"}})),
    bad("claims/data-directory", push(SET, f"{MAIN} env", {"name": "PGDATA", "value": "/data/"}),
        path=f"{C0}.env[2].value"),
    bad("claims/data-directory", put(SET, f"{MAIN} image", "postgres:17"),
        put(SET, f"{MAIN} volumeMounts 0 mountPath", "/var/lib/postgresql/data"), why="of the image"),
    bad("claims/data-directory", put(SET, f"{MAIN} image", "docker.io/library/postgres:18.1"),
        put(SET, f"{MAIN} volumeMounts 0 mountPath", "/var/lib/postgresql/data"), why="since 18"),
    good("claims/data-directory", "a directory below",
         push(SET, f"{MAIN} env", {"name": "PGDATA", "value": "/data/x"})),
    good("claims/data-directory", "a subPath", put(SET, f"{MAIN} volumeMounts 0 subPath", "pg"),
         push(SET, f"{MAIN} env", {"name": "PGDATA", "value": "/data"})),
    good("claims/data-directory", "18 at its place", put(SET, f"{MAIN} image", "postgres:18"),
         put(SET, f"{MAIN} volumeMounts 0 mountPath", "/var/lib/postgresql")),
    bad("claims/no-class", put(SET, f"{CLAIM} spec storageClassName", "")),
    bad("storage/assumed-class", USES_CLASS),
    good("storage/assumed-class", "a class of its own", USES_CLASS, add(CLASS)),
    bad("storage/unused-class", add(CLASS)),
    bad("storage/default-class", USES_CLASS, add(CLASS), put("StorageClass", "metadata annotations",
        {"storageclass.kubernetes.io/is-default-class": "true"})),
    bad("storage/reclaim-policy", USES_CLASS, add(CLASS), drop("StorageClass", "reclaimPolicy")),
    bad("storage/binding-mode", USES_CLASS, add(CLASS), put("StorageClass", "volumeBindingMode", "Immediate")),
    bad("storage/expansion", USES_CLASS, add(CLASS), drop("StorageClass", "allowVolumeExpansion")),
    # services
    bad("services/selects", put("Service/engine-client", f"spec selector {COMPONENT}", "x"), path="spec.selector"),
    bad("services/selects",
        put("Service/engine-client", "spec selector", {"statefulset.kubernetes.io/pod-name": "web-3"}),
        why="of an ordinal that is not there"),
    good("services/selects", "one ordinal",
         put("Service/engine-client", "spec selector", {"statefulset.kubernetes.io/pod-name": "web-2"})),
    good("services/selects", "one ordinal of a set that is scaled to 0", put(SET, "spec replicas", 0),
         put("Service/engine-client", "spec selector", {"apps.kubernetes.io/pod-index": "2"})),
    bad("services/one-workload", add(OTHER), put("Service/engine-client", "spec selector", {INSTANCE: "web"}),
        also="services/target-port"),
    bad("services/target-port", put("Service/engine-client", "spec ports 0 targetPort", "http"),
        path="spec.ports[0].targetPort"),
    bad("services/target-port", drop("Service/engine-client", "spec ports 0 targetPort"), path="spec.ports[0].port",
        why="by the port's number"),
    bad("services/headless-port", put("Service", "spec ports 0 port", 80), path="spec.ports[0].port"),
    bad("services/port-names", push("Service/engine-client", "spec ports", {"port": 7000}), path="spec.ports[1].name"),
    bad("services/port-names", push("Service/engine-client", "spec ports", {"name": "engine", "port": 7000}),
        why="twice"),
    bad("services/port-names", put("Service/engine-client", "spec ports 0 name", "Engine"), why="in capitals"),
    bad("services/exposed", put("Service/engine-client", "spec type", "LoadBalancer"), path="spec.type"),
    bad("services/exposed", put("Service/engine-client", "spec externalIPs", ["192.0.2.1"]), why="by externalIPs"),
    # probes
    bad("probes/port", put(SET, f"{MAIN} livenessProbe tcpSocket port", "http"),
        path=f"{C0}.livenessProbe.tcpSocket.port"),
    bad("probes/port", put(SET, f"{MAIN} lifecycle preStop", {"httpGet": {"port": 81}}), why="of a hook"),
    bad("probes/handler", put(SET, f"{MAIN} livenessProbe exec", {"command": ["true"]}), path=f"{C0}.livenessProbe"),
    bad("probes/handler", put(SET, f"{MAIN} livenessProbe successThreshold", 2), why="with a threshold"),
    bad("probes/readiness", drop(SET, f"{MAIN} readinessProbe"), path=C0),
    bad("probes/liveness", drop(SET, f"{MAIN} livenessProbe"), path=C0),
    bad("probes/liveness-strict", put(SET, f"{MAIN} livenessProbe",
        {"tcpSocket": {"port": "engine"}, "timeoutSeconds": 5})),
    bad("probes/timeout", put(SET, f"{MAIN} readinessProbe timeoutSeconds", 11)),
    good("probes/timeout", "a startup probe", put(SET, f"{MAIN} startupProbe",
         {"tcpSocket": {"port": "engine"}, "periodSeconds": 1, "timeoutSeconds": 5})),
    bad("probes/pre-stop", put(SET, f"{MAIN} lifecycle preStop", {"exec": {"command": ["sh", "-c", "sleep 60; x"]}})),
    bad("probes/pre-stop", put(SET, f"{MAIN} lifecycle preStop", {"sleep": {"seconds": 90}}), why="by sleep"),
    # budgets
    bad("budgets/selects", put("PodDisruptionBudget", f"spec selector matchLabels {COMPONENT}", "x"),
        also="budgets/missing", path="spec.selector"),
    bad("budgets/selects", put("PodDisruptionBudget", "spec selector", {}), why="everything"),
    bad("budgets/selects", add(OTHER), put("PodDisruptionBudget", "spec selector matchLabels", {INSTANCE: "web"}),
        why="two workloads"),
    bad("budgets/overlap", add("""{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: two}, spec:
        {maxUnavailable: 1, selector: {matchLabels: {app.kubernetes.io/name: engine}}}}""")),
    bad("budgets/drain", put("PodDisruptionBudget", "spec maxUnavailable", 0), path="spec.maxUnavailable"),
    bad("budgets/drain", put("PodDisruptionBudget", "spec minAvailable", 1), path="spec", why="with both"),
    bad("budgets/drain", put("PodDisruptionBudget", "spec minAvailable", "67%"),
        drop("PodDisruptionBudget", "spec maxUnavailable"), path="spec.minAvailable", why="rounded up"),
    good("budgets/drain", "two of three", put("PodDisruptionBudget", "spec minAvailable", "60%"),
         drop("PodDisruptionBudget", "spec maxUnavailable")),
    bad("budgets/quorum", QUORUM, PARALLEL, NOT_READY, put("PodDisruptionBudget", "spec maxUnavailable", 2)),
    good("budgets/quorum", "two of five", QUORUM, PARALLEL, NOT_READY, put(SET, "spec replicas", 5),
         put("PodDisruptionBudget", "spec maxUnavailable", 2)),
    bad("budgets/missing", remove("PodDisruptionBudget")),
    good("budgets/missing", "one replica", remove("PodDisruptionBudget"), put(SET, "spec replicas", 1)),
    good("budgets/missing", "development", remove("PodDisruptionBudget"), facts=DEV),
    # network
    bad("network/missing", remove("NetworkPolicy")),
    good("network/missing", "development", remove("NetworkPolicy"), facts=DEV),
    bad("network/selects", put("NetworkPolicy", "spec podSelector", {}), path="spec.podSelector"),
    bad("network/selects", put("NetworkPolicy", f"spec podSelector matchLabels {COMPONENT}", "x"),
        also="network/missing", why="nothing"),
    bad("network/port", put("NetworkPolicy", "spec ingress 0 ports 0 port", 7001),
        path="spec.ingress[0].ports[0].port"),
    good("network/port", "a range", put("NetworkPolicy", "spec ingress 0 ports 0", {"port": 6999, "endPort": 7001})),
    bad("network/dns", put("NetworkPolicy", "spec egress", []), path="spec.egress"),
    # references
    bad("references/config", put(SET, f"{MAIN} env 1 valueFrom secretKeyRef name", "nobody"),
        path=f"{C0}.env[1].valueFrom.secretKeyRef.name"),
    bad("references/config", push(SET, f"{MAIN} envFrom", {"configMapRef": {"name": "nobody"}}), why="by envFrom"),
    bad("references/config", push(SET, f"{POD} volumes",
        {"name": "all", "projected": {"sources": [{"secret": {"name": "nobody"}}]}}), why="projected"),
    bad("references/assumed", put(SET, f"{MAIN} env 1 valueFrom secretKeyRef name", "mine"),
        put(SET, "metadata annotations", {"berth.dev/external": "ConfigMap/x, Secret/mine"})),
    bad("references/assumed", put(SET, f"{POD} imagePullSecrets", [{"name": "pull"}]), why="to pull images"),
    bad("references/key", put(SET, f"{MAIN} env 1 valueFrom secretKeyRef key", "user"),
        path=f"{C0}.env[1].valueFrom.secretKeyRef.key"),
    bad("references/key", put(SET, f"{MAIN} volumeMounts 1 subPath", "x.conf"), path=f"{C0}.volumeMounts[1].subPath",
        why="by subPath"),
    bad("references/key", put(SET, f"{POD} volumes 0 configMap items", [{"key": "x", "path": "x"}]), why="by item"),
    bad("references/service-account", put(SET, f"{POD} serviceAccountName", "nobody"), also="references/unused"),
    bad("references/claim", put(SET, "spec replicas", 1),
        push(SET, f"{POD} volumes", {"name": "all", "persistentVolumeClaim": {"claimName": "all"}})),
    bad("references/role", add("""{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: x},
        roleRef: {kind: Role, name: nobody}, subjects: [{kind: ServiceAccount, name: web}]}"""), path="roleRef.name"),
    bad("references/role", add("""{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: x},
        roleRef: {kind: ClusterRole, name: view}, subjects: [{kind: ServiceAccount, name: nobody}]}"""),
        path="subjects[0].name", why="of a subject"),
    bad("references/operation-container", facts=replace(FACTS, operations={"ready": {"container": "nobody"}})),
    good("references/operation-container", "the engine",
         facts=replace(FACTS, operations={"ready": {"container": "engine"}})),
    bad("references/unused", add("{apiVersion: v1, kind: ConfigMap, metadata: {name: spare}}"), path="metadata.name"),
    # pod security
    bad("security/host-process", put(SET, f"{MAIN} securityContext windowsOptions", {"hostProcess": True})),
    bad("security/host-namespaces", put(SET, f"{POD} hostPID", True), path=f"{SPEC}.hostPID"),
    bad("security/privileged", put(SET, f"{INIT} securityContext privileged", True)),
    bad("security/capabilities", drop(SET, f"{INIT} securityContext capabilities")),
    bad("security/capabilities", put(SET, f"{MAIN} securityContext capabilities add", ["SYS_ADMIN"]), why="added"),
    good("security/capabilities", "one", put(SET, f"{MAIN} securityContext capabilities add", ["NET_BIND_SERVICE"])),
    bad("security/host-path", push(SET, f"{POD} volumes", {"name": "x", "hostPath": {"path": "/"}})),
    bad("security/volume-types", push(SET, f"{POD} volumes", {"name": "x", "nfs": {"server": "x", "path": "/"}})),
    bad("security/host-ports", put(SET, f"{MAIN} ports 0 hostPort", 7000)),
    bad("security/apparmor", put(SET, f"{POD} securityContext appArmorProfile", {"type": "Unconfined"})),
    bad("security/apparmor", put(SET, "spec template metadata annotations",
        {"container.apparmor.security.beta.kubernetes.io/engine": "unconfined"}), why="by annotation"),
    bad("security/selinux", put(SET, f"{POD} securityContext seLinuxOptions", {"type": "spc_t"})),
    bad("security/selinux", put(SET, f"{POD} securityContext seLinuxOptions", {"role": "r"}), why="of a role"),
    bad("security/selinux", put(SET, f"{POD} securityContext seLinuxOptions", {"type": "container_engine_t"}),
        facts=at(30), why="before 1.31"),
    good("security/selinux", "a type since 1.31",
         put(SET, f"{POD} securityContext seLinuxOptions", {"type": "container_engine_t"})),
    bad("security/proc-mount", put(SET, f"{MAIN} securityContext procMount", "Unmasked")),
    bad("security/seccomp", drop(SET, f"{POD} securityContext seccompProfile")),
    bad("security/seccomp", put(SET, f"{MAIN} securityContext seccompProfile", {"type": "Unconfined"}), why="off"),
    bad("security/sysctls", put(SET, f"{POD} securityContext sysctls", [{"name": "kernel.msgmax", "value": "1"}])),
    bad("security/sysctls", put(SET, f"{POD} securityContext sysctls", [{"name": "net.ipv4.tcp_rmem", "value": "1"}]),
        facts=at(31), why="before 1.32"),
    good("security/sysctls", "one since 1.32",
         put(SET, f"{POD} securityContext sysctls", [{"name": "net.ipv4.tcp_rmem", "value": "1"}])),
    bad("security/probe-host", put(SET, f"{MAIN} livenessProbe tcpSocket host", "192.0.2.1")),
    good("security/probe-host", "a host before 1.34",
         put(SET, f"{MAIN} livenessProbe tcpSocket host", "x"), facts=at(33)),
    bad("security/privilege-escalation", drop(SET, f"{INIT} securityContext allowPrivilegeEscalation")),
    bad("security/run-as-non-root", drop(SET, f"{POD} securityContext runAsNonRoot")),
    bad("security/run-as-non-root", put(SET, f"{INIT} securityContext runAsNonRoot", False), why="explicitly"),
    good("security/run-as-non-root", "a user namespace", put(SET, f"{POD} hostUsers", False),
         drop(SET, f"{POD} securityContext runAsNonRoot")),
    bad("security/run-as-non-root", put(SET, f"{POD} hostUsers", False),
        drop(SET, f"{POD} securityContext runAsNonRoot"), facts=at(34), why="with a user namespace before 1.35"),
    bad("security/run-as-user", put(SET, f"{INIT} securityContext runAsUser", 0)),
    # ephemeral containers are held to the same
    bad("security/privilege-escalation", push(SET, f"{POD} ephemeralContainers", {"name": "debug", "image": "x:1",
        "securityContext": {"readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}}), why="when ephemeral"),
    # pods
    bad("pods/requests", drop(SET, f"{MAIN} resources requests cpu"), path=f"{C0}.resources.requests"),
    good("pods/requests", "a limit, which is the default request", drop(SET, f"{MAIN} resources requests memory")),
    bad("pods/memory-limit", drop(SET, f"{MAIN} resources limits"), path=f"{C0}.resources.limits"),
    bad("pods/quantities", put(SET, f"{MAIN} resources requests memory", "1 GB"),
        path=f"{C0}.resources.requests.memory"),
    bad("pods/quantities", put(SET, f"{MAIN} resources requests memory", "1Gi"), why="above the limit"),
    bad("pods/memory-volume", put(SET, f"{POD} volumes 1 emptyDir", {"medium": "Memory"})),
    bad("pods/read-only-root", drop(SET, f"{MAIN} securityContext readOnlyRootFilesystem")),
    bad("pods/numeric-user", drop(SET, f"{POD} securityContext runAsUser")),
    bad("pods/high-user", put(SET, f"{POD} securityContext runAsUser", 999)),
    bad("pods/fs-group", drop(SET, f"{POD} securityContext fsGroup")),
    bad("pods/fs-group-policy", drop(SET, f"{POD} securityContext fsGroupChangePolicy")),
    bad("pods/token", drop(SET, f"{POD} automountServiceAccountToken")),
    good("pods/token", "an account with a role", drop(SET, f"{POD} automountServiceAccountToken"),
         add("""{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: x},
             roleRef: {kind: ClusterRole, name: view}, subjects: [{kind: ServiceAccount, name: web}]}""")),
    bad("pods/service-links", drop(SET, f"{POD} enableServiceLinks")),
    bad("pods/inline-secret", put(SET, f"{MAIN} env 1", {"name": "POSTGRES_PASSWORD", "value": "hunter2"})),
    good("pods/inline-secret", "a file", put(SET, f"{MAIN} env 1", {"name": "PASSWORD_FILE", "value": "/run/x"})),
    bad("pods/duplicates", push(SET, f"{MAIN} env", {"name": "MODE", "value": "x"}), path=f"{C0}.env[2].name"),
    bad("pods/duplicates", push(SET, f"{MAIN} volumeMounts", {"name": "tmp", "mountPath": "/data"}), why="of mounts"),
    bad("pods/duplicates", push(SET, f"{MAIN} ports", {"name": "x", "containerPort": 7000, "protocol": "TCP"}),
        why="of ports"),
    bad("pods/duplicates", put(SET, f"{INIT} name", "engine"), why="of containers"),
    bad("pods/duplicates", push(SET, f"{POD} volumes", {"name": "tmp", "emptyDir": {}}), why="of volumes"),
    good("pods/duplicates", "two protocols", push(SET, f"{MAIN} ports", {"containerPort": 7000, "protocol": "UDP"})),
    bad("pods/port-names", push(SET, f"{MAIN} ports", {"name": "much-too-long-a-name", "containerPort": 1})),
    bad("pods/port-names", push(SET, f"{MAIN} ports", {"name": "engine", "containerPort": 1}), why="twice"),
    bad("pods/env-order", put(SET, f"{MAIN} env 0 value", "$(LATER)"),
        push(SET, f"{MAIN} env", {"name": "LATER", "value": "x"}), path=f"{C0}.env[0].value"),
    good("pods/env-order", "one above", push(SET, f"{MAIN} env", {"name": "LATER", "value": "$(MODE) $(ELSEWHERE)"})),
    bad("pods/cpu-limit", put(SET, f"{MAIN} resources limits cpu", 1)),
    # images and words
    bad("images/reference", put(SET, f"{MAIN} image", "Team/Engine:1"), path=f"{C0}.image"),
    bad("images/tag", put(SET, f"{MAIN} image", "registry.example:5000/engine"), why="missing"),
    bad("images/tag", put(SET, f"{MAIN} image", "engine:latest"), path=f"{C0}.image"),
    good("images/tag", "a digest", put(SET, f"{MAIN} image", "engine@sha256:" + "a" * 64)),
    bad("images/digest", facts=PROD, path=f"{SPEC}.containers"),
    bad("schema/choice", put(SET, "spec podManagementPolicy", "OrderReady"), path="spec.podManagementPolicy"),
    bad("schema/choice", put(SET, f"{CLAIM} spec accessModes", ["RWO"]),
        path="spec.volumeClaimTemplates[0].spec.accessModes[0]", why="in a list"),
    bad("schema/choice", put(SET, f"{MAIN} ports 0 protocol", "tcp"), why="of a container"),
)  # fmt: skip
