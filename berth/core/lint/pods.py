"""Pods: resources, users, tokens, environment; what good practice asks beyond Pod Security."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from berth.core.errors import InputError
from berth.core.lint.model import Hit, Severity, rule
from berth.core.lint.scene import Container, Part, Scene, Workload
from berth.core.quantities import parse_quantity


@rule(
    "pods/requests",
    "Containers request CPU and memory",
    Severity.ERROR,
    fix="set resources.requests.cpu and resources.requests.memory",
)
def requests(scene: Scene) -> Iterator[Hit]:
    """Without requests a pod is the first to be evicted. In checkov's words: CKV_K8S_10, CKV_K8S_12."""
    for _, container in scene.containers():
        if container.role != "ephemeralContainers":
            own = container.part.at("resources", "requests")
            limits = container.part.at("resources", "limits")
            missing = [key for key in ("cpu", "memory") if own.get(key) is None and limits.get(key) is None]
            if missing:
                yield container.part.hit(
                    f"the container {container.name} requests no {' and no '.join(missing)}", "resources", "requests"
                )


@rule(
    "pods/memory-limit",
    "Containers have a memory limit",
    Severity.ERROR,
    fix="set resources.limits.memory",
)
def memory_limit(scene: Scene) -> Iterator[Hit]:
    """Without one an engine that grows takes its neighbours on the node down. In checkov's words: CKV_K8S_13."""
    for _, container in scene.containers():
        if container.role != "ephemeralContainers" and container.part.at("resources", "limits").get("memory") is None:
            yield container.part.hit(f"the container {container.name} has no memory limit", "resources", "limits")


@rule(
    "pods/quantities",
    "Requests and limits are quantities, and requests fit within limits",
    Severity.ERROR,
    fix="write quantities such as 500m and 2Gi, the limit not below the request",
    structural=True,
)
def quantities(scene: Scene) -> Iterator[Hit]:
    """The API refuses the rest: of a set it refuses the pods, one after the other, and says so only in events."""
    for _, container in scene.containers():
        resources = container.part.at("resources")
        read: dict[tuple[str, str], Decimal] = {}
        for field in ("requests", "limits"):
            for key, value in resources.at(field).body.items():
                number = _quantity(value)
                if number is None or number < 0:
                    yield resources.hit(f"{field}.{key} of {container.name} is not a quantity", field, key)
                else:
                    read[field, key] = number
        for (field, key), number in read.items():
            limit = read.get(("limits", key))
            if field == "requests" and limit is not None and number > limit:
                yield resources.hit(f"the container {container.name} requests more {key} than its limit", field, key)


def _quantity(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return parse_quantity(value)
    except InputError:
        return None


@rule(
    "pods/memory-volume",
    "Volumes in memory have a size limit",
    Severity.WARNING,
    fix="set emptyDir.sizeLimit",
)
def memory_volume(scene: Scene) -> Iterator[Hit]:
    """An emptyDir of medium Memory counts as the container's memory: without a limit, writing to it kills the pod."""
    for workload in scene.workloads:
        for volume in workload.volumes():
            empty = volume.at("emptyDir")
            if empty.get("medium") == "Memory" and empty.get("sizeLimit") is None:
                yield volume.hit(f"the volume {volume.text('name')!r} may grow up to the memory limit", "emptyDir")


@rule(
    "pods/read-only-root",
    "The root file system is read-only",
    Severity.WARNING,
    fix="set readOnlyRootFilesystem: true, and mount emptyDirs where the image must write",
)
def read_only_root(scene: Scene) -> Iterator[Hit]:
    """What an intruder, or a bug, writes into the container's layer stays unseen. In checkov's words: CKV_K8S_22."""
    for _, container in scene.containers():
        if container.security.get("readOnlyRootFilesystem") is not True:
            yield container.part.hit(
                f"the container {container.name} can write to its image", "securityContext", "readOnlyRootFilesystem"
            )


@rule(
    "pods/numeric-user",
    "Containers run as a user given by number",
    Severity.ERROR,
    fix="set the pod's runAsUser to the image's own user",
)
def numeric_user(scene: Scene) -> Iterator[Hit]:
    """Most database images start as root and change the user themselves, which runAsNonRoot forbids.

    An image whose user is a name fails as well: the kubelet cannot tell that it is not root.
    """
    for workload, container in scene.containers():
        given = container.security.get("runAsUser")
        if not isinstance(workload.security.get("runAsUser") if given is None else given, int):
            yield container.part.hit(f"nobody says as which user {container.name} runs", "securityContext", "runAsUser")


@rule(
    "pods/high-user",
    "Users are above 10000",
    Severity.INFO,
    fix="use a high number if the image allows it: files in the image belong to its own user",
)
def high_user(scene: Scene) -> Iterator[Hit]:
    """A high number is nobody on the node, should a process break out. In checkov's words: CKV_K8S_40.

    Upstream images own their files as a low user, so that this is a wish only.
    """
    for workload in scene.workloads:
        low = {
            user
            for context in [workload.security, *(container.security for container in workload.containers)]
            if isinstance(user := context.get("runAsUser"), int) and 0 < user < 10000
        }
        if low:
            yield workload.pod.hit(f"runs as {', '.join(map(str, sorted(low)))}", "securityContext", "runAsUser")


@rule(
    "pods/fs-group",
    "Pods with claims may write to them",
    Severity.ERROR,
    fix="set the pod's fsGroup to the group that the container runs as",
)
def fs_group(scene: Scene) -> Iterator[Hit]:
    """A fresh volume belongs to root. Without fsGroup a process that is not root cannot write to it."""
    for workload in scene.sets:
        if any(workload.claim_templates()) and not isinstance(workload.security.get("fsGroup"), int):
            yield workload.pod.hit(
                "there is no fsGroup, and a fresh volume belongs to root", "securityContext", "fsGroup"
            )


@rule(
    "pods/fs-group-policy",
    "Volumes are not walked through at every start",
    Severity.WARNING,
    fix="set the pod's fsGroupChangePolicy: OnRootMismatch",
)
def fs_group_policy(scene: Scene) -> Iterator[Hit]:
    """By default the kubelet changes the owner of every file of a volume before each start: minutes for a large one."""
    for workload in scene.sets:
        context = workload.security
        if isinstance(context.get("fsGroup"), int) and any(workload.claim_templates()):
            if context.get("fsGroupChangePolicy") != "OnRootMismatch":
                yield context.hit("every file of the volume is visited at each start", "fsGroupChangePolicy")


@rule(
    "pods/token",
    "Pods get no API token that they do not use",
    Severity.WARNING,
    fix="set automountServiceAccountToken: false",
)
def token(scene: Scene) -> Iterator[Hit]:
    """An engine does not talk to Kubernetes; who breaks into it should not either. In checkov's words: CKV_K8S_38.

    A service account that a role is bound to is in use.
    """
    bound = {
        subject.text("name")
        for kind in ("RoleBinding", "ClusterRoleBinding")
        for binding in scene.of_kind(kind)
        for subject in binding.each("subjects")
    }
    for workload in scene.workloads:
        if workload.pod.get("automountServiceAccountToken") is not False:
            if workload.pod.text("serviceAccountName") not in bound or not bound:
                yield workload.pod.hit("the token of the service account is mounted", "automountServiceAccountToken")


@rule(
    "pods/service-links",
    "Services do not leak into the environment",
    Severity.WARNING,
    fix="set enableServiceLinks: false",
)
def service_links(scene: Scene) -> Iterator[Hit]:
    """Each Service of the namespace becomes variables: one named postgres sets POSTGRES_PORT to tcp://10.0.0.7:5432.

    Images that read such variables then break, and differently in each namespace.
    """
    for workload in scene.workloads:
        if workload.pod.get("enableServiceLinks") is not False:
            yield workload.pod.hit("every Service of the namespace becomes environment variables", "enableServiceLinks")


SECRET_WORDS = re.compile(r"(?:^|_)(?:PASSWORD|PASSWD|PWD|PASSPHRASE|SECRET|TOKEN|(?:API|PRIVATE|ACCESS|SECRET)_?KEY)$")


@rule(
    "pods/inline-secret",
    "Passwords come from Secrets",
    Severity.ERROR,
    fix="take it from a Secret: valueFrom.secretKeyRef, or a mounted file and the image's ..._FILE variable",
)
def inline_secret(scene: Scene) -> Iterator[Hit]:
    """A literal in a pod template is readable by everybody who may list pods, and stays in every old revision."""
    for _, container in scene.containers():
        for entry in container.env():
            # A value made of another variable, or a path, is no password.
            value = entry.text("value")
            if value and not value.startswith(("$(", "/")) and SECRET_WORDS.search(entry.text("name").upper()):
                yield entry.hit(f"{entry.text('name')} is written out in the pod template", "value")


_LISTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("env", ("name",)),
    ("ports", ("containerPort", "protocol")),
    ("volumeMounts", ("mountPath",)),
    ("volumeDevices", ("devicePath",)),
)


@rule(
    "pods/duplicates",
    "Entries of a list that has keys are there once",
    Severity.ERROR,
    fix="remove or rename one of the two",
    structural=True,
)
def duplicates(scene: Scene) -> Iterator[Hit]:
    """Containers, volumes, variables, ports and mounts each have a key; server-side apply refuses a key twice."""
    for workload in scene.workloads:
        seen: set[str] = set()
        for container in workload.containers:
            if container.part.text("name") in seen:
                yield container.part.hit(f"two containers are named {container.name!r}", "name")
            seen.add(container.part.text("name"))
            for field, keys in _LISTS:
                yield from _twice(container.part, field, keys)
        yield from _twice(workload.pod, "volumes", ("name",))
        names = set()
        for template in workload.claim_templates():
            name = template.at("metadata").text("name")
            if name in names:
                yield template.hit(f"two claim templates are named {name!r}", "metadata", "name")
            names.add(name)


def _twice(part: Part, field: str, keys: tuple[str, ...]) -> Iterator[Hit]:
    seen = set()
    for entry in part.each(field):
        # TCP is the API's default for a port that does not say.
        identity = tuple(str(entry.get(key) or ("TCP" if key == "protocol" else "")) for key in keys)
        if identity in seen:
            yield entry.hit(f"{field} has {' '.join(identity)} twice", keys[0])
        seen.add(identity)


@rule(
    "pods/port-names",
    "Names of container ports are of the form that the API accepts, and unique in the pod",
    Severity.ERROR,
    fix="use up to 15 lower case letters, digits and dashes, with a letter among them",
    structural=True,
)
def port_names(scene: Scene) -> Iterator[Hit]:
    """The API refuses other names (IANA service names), and a Service cannot tell two of one name apart."""
    for workload in scene.workloads:
        seen: set[str] = set()
        for container in workload.containers:
            for port in container.part.each("ports"):
                name = port.text("name")
                if name and not _is_port_name(name):
                    yield port.hit(f"{name!r} is not a port's name", "name")
                elif name and name in seen:
                    yield port.hit(f"two ports of the pod are named {name!r}", "name")
                seen.add(name)


def _is_port_name(name: str) -> bool:
    form = re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?", name)
    return bool(form and re.search("[a-z]", name) and "--" not in name)


@rule(
    "pods/env-order",
    "Variables use only variables above them",
    Severity.ERROR,
    fix="move the variable that is used above the one that uses it",
)
def env_order(scene: Scene) -> Iterator[Hit]:
    """$(NAME) in a value is replaced only when NAME is defined earlier in the list; otherwise it stays as written."""
    for _, container in scene.containers():
        entries = list(container.env())
        places = {entry.text("name"): index for index, entry in enumerate(entries)}
        for index, entry in enumerate(entries):
            for name in re.findall(r"(?<!\$)\$\(([A-Za-z_][A-Za-z0-9_]*)\)", entry.text("value")):
                if places.get(name, -1) >= index:
                    yield entry.hit(f"{entry.text('name')} uses {name}, which is defined below it", "value")


@rule(
    "pods/cpu-limit",
    "A CPU limit is a choice",
    Severity.INFO,
    fix="leave limits.cpu out for engines that answer by a deadline, and set the request well",
)
def cpu_limit(scene: Scene) -> Iterator[Hit]:
    """A limit throttles an engine in the middle of a request or an election, even when the node is idle.

    So none is asked for here. Checkov asks for one (CKV_K8S_11); platforms that bill by limits do as well.
    """
    for workload in scene.sets:
        limited = [container.name for container in _limited(workload)]
        if limited:
            yield workload.pod.hit(f"the CPU of {', '.join(limited)} is limited", "containers")


def _limited(workload: Workload) -> Iterator[Container]:
    return (c for c in workload.main() if c.part.at("resources", "limits").get("cpu") is not None)
