"""Pod Security "restricted", control by control, as the API server's admission enforces it on a namespace.

Source: k8s.io/pod-security-admission/policy; a control that was added or relaxed in a later version applies from that
version on. Each rule names the upstream control that it stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from berth.core.lint.model import Check, Hit, Rule, Severity, Version, rule
from berth.core.lint.scene import Container, Part, Scene, Workload


def control(id: str, title: str, *, fix: str) -> Callable[[Check], Rule]:
    """A rule for one control: an error, for a namespace that enforces the standard refuses the pods."""
    return rule(f"security/{id}", title, Severity.ERROR, fix=fix)


def _contexts(workload: Workload) -> Iterator[Part]:
    """The pod's securityContext and those of all its containers."""
    yield workload.security
    for container in workload.containers:
        yield container.security


def _is_windows(workload: Workload) -> bool:
    return workload.pod.at("os").text("name") == "windows"


def _is_user_namespaced(scene: Scene, workload: Workload) -> bool:
    """Whether the pod has a user namespace of its own, which relaxes some controls from 1.35 on."""
    return scene.facts.kubernetes >= (1, 35) and workload.pod.get("hostUsers") is False


@control("host-process", "No Windows HostProcess containers", fix="remove windowsOptions.hostProcess")
def host_process(scene: Scene) -> Iterator[Hit]:
    """A HostProcess container is the node. Control: windowsHostProcess (baseline)."""
    for workload in scene.workloads:
        for context in _contexts(workload):
            if context.at("windowsOptions").get("hostProcess") is True:
                yield context.hit("hostProcess is true", "windowsOptions", "hostProcess")


@control("host-namespaces", "No namespaces of the node", fix="remove hostNetwork, hostPID and hostIPC")
def host_namespaces(scene: Scene) -> Iterator[Hit]:
    """They show the pod the node's network, processes or memory. Control: hostNamespaces (baseline)."""
    for workload in scene.workloads:
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            if workload.pod.get(key) is True:
                yield workload.pod.hit(f"{key} is true", key)


@control("privileged", "No privileged containers", fix="remove privileged")
def privileged(scene: Scene) -> Iterator[Hit]:
    """A privileged container is root on the node. Control: privileged (baseline)."""
    for _, container in scene.containers():
        if container.security.get("privileged") is True:
            yield container.security.hit(f"the container {container.name} is privileged", "privileged")


@control("capabilities", "Capabilities are dropped", fix="set capabilities: {drop: [ALL]}")
def capabilities(scene: Scene) -> Iterator[Hit]:
    """Every container drops ALL, and may add NET_BIND_SERVICE only. Control: capabilities_restricted.

    In checkov's words: CKV_K8S_28, CKV_K8S_37.
    """
    for workload, container in scene.containers():
        if _is_windows(workload):
            continue
        own = container.security.at("capabilities")
        if "ALL" not in own.texts("drop"):
            yield container.part.hit(
                f"the container {container.name} does not drop ALL", "securityContext", "capabilities", "drop"
            )
        extra = sorted(set(own.texts("add")) - {"NET_BIND_SERVICE"})
        if extra:
            yield own.hit(f"the container {container.name} adds {', '.join(extra)}", "add")


@control("host-path", "No volumes of the node", fix="use a claim template, or an emptyDir for scratch space")
def host_path(scene: Scene) -> Iterator[Hit]:
    """A hostPath opens the node's file system. Control: hostPathVolumes (baseline)."""
    for workload in scene.workloads:
        for volume in workload.volumes():
            if volume.get("hostPath") is not None:
                yield volume.hit(f"the volume {volume.text('name')!r} is a hostPath", "hostPath")


_VOLUME_TYPES = frozenset(
    "configMap csi downwardAPI emptyDir ephemeral hostPath image persistentVolumeClaim projected secret".split()
)


@control("volume-types", "Volumes are of the types that the standard allows", fix="use a claim of a CSI driver's class")
def volume_types(scene: Scene) -> Iterator[Hit]:
    """Inline volumes of other types carry credentials and kernel clients into the pod. Control: restrictedVolumes."""
    for workload in scene.workloads:
        for volume in workload.volumes():
            for key in volume.body:
                # A hostPath has a rule of its own.
                if key != "name" and key not in _VOLUME_TYPES:
                    yield volume.hit(f"the volume {volume.text('name')!r} is of the type {key}", key)


@control("host-ports", "No ports of the node", fix="remove hostPort; use a Service")
def host_ports(scene: Scene) -> Iterator[Hit]:
    """A host port bypasses network policies and allows one pod a node. Control: hostPorts (baseline)."""
    for _, container in scene.containers():
        for port in container.part.each("ports"):
            if port.number("hostPort"):
                yield port.hit(
                    f"the container {container.name} takes port {port.number('hostPort')} of the node", "hostPort"
                )


_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"


@control("apparmor", "AppArmor stays on", fix="use RuntimeDefault or Localhost, or leave the profile out")
def apparmor(scene: Scene) -> Iterator[Hit]:
    """A profile of the node may replace the runtime's, but not none. Control: appArmorProfile (baseline)."""
    for workload in scene.workloads:
        for context in _contexts(workload):
            kind = context.at("appArmorProfile").get("type")
            if kind not in (None, "RuntimeDefault", "Localhost"):
                yield context.hit(f"the AppArmor profile is {kind}", "appArmorProfile", "type")
        annotations = workload.template.at("metadata", "annotations")
        for key, value in annotations.body.items():
            allowed = value in ("", "runtime/default") or str(value).startswith("localhost/")
            if str(key).startswith(_APPARMOR) and not allowed:
                yield annotations.hit("the annotation switches AppArmor off", key)


@control("selinux", "SELinux options keep to the container types", fix="leave seLinuxOptions out, or set only level")
def selinux(scene: Scene) -> Iterator[Hit]:
    """Other types, users and roles leave the container's confinement. Control: seLinuxOptions (baseline)."""
    allowed = {"", "container_t", "container_init_t", "container_kvm_t"}
    if scene.facts.kubernetes >= (1, 31):
        allowed.add("container_engine_t")
    for workload in scene.workloads:
        for context in _contexts(workload):
            options = context.at("seLinuxOptions")
            if options.text("type") not in allowed:
                yield options.hit(f"the type {options.text('type')} is not a container's", "type")
            for key in ("user", "role"):
                if options.text(key):
                    yield options.hit(f"{key} may not be set", key)


@control("proc-mount", "/proc stays masked", fix="remove procMount")
def proc_mount(scene: Scene) -> Iterator[Hit]:
    """An unmasked /proc shows and changes settings of the node. Control: procMount_restricted."""
    for _, container in scene.containers():
        if container.security.get("procMount") not in (None, "Default"):
            yield container.security.hit(f"the container {container.name} unmasks /proc", "procMount")


@control("seccomp", "A seccomp profile is on", fix="set the pod's seccompProfile: {type: RuntimeDefault}")
def seccomp(scene: Scene) -> Iterator[Hit]:
    """Without one the container may make every system call of the kernel. Control: seccompProfile_restricted."""
    good = ("RuntimeDefault", "Localhost")
    for workload in scene.workloads:
        if _is_windows(workload):
            continue
        of_pod = workload.security.at("seccompProfile").get("type")
        if of_pod is not None and of_pod not in good:
            yield workload.security.hit(f"the seccomp profile is {of_pod}", "seccompProfile", "type")
        for container in workload.containers:
            own = container.security.at("seccompProfile").get("type")
            if own is not None and own not in good:
                yield container.security.hit(f"the seccomp profile is {own}", "seccompProfile", "type")
            elif own is None and of_pod is None:
                yield container.part.hit(
                    f"neither the pod nor the container {container.name} sets a seccomp profile", "securityContext"
                )


_SYSCTLS: dict[Version, str] = {
    (1, 0): "kernel.shm_rmid_forced net.ipv4.ip_local_port_range net.ipv4.tcp_syncookies net.ipv4.ping_group_range"
    " net.ipv4.ip_unprivileged_port_start",
    (1, 27): "net.ipv4.ip_local_reserved_ports",
    (1, 29): "net.ipv4.tcp_keepalive_time net.ipv4.tcp_fin_timeout net.ipv4.tcp_keepalive_intvl"
    " net.ipv4.tcp_keepalive_probes",
    (1, 32): "net.ipv4.tcp_rmem net.ipv4.tcp_wmem",
    (1, 37): "net.ipv4.tcp_slow_start_after_idle net.ipv4.tcp_notsent_lowat",
}


@control("sysctls", "Only safe sysctls are set", fix="remove it, or have the nodes set it")
def sysctls(scene: Scene) -> Iterator[Hit]:
    """Others reach beyond the pod, and the kubelet refuses them unless told otherwise. Control: sysctls (baseline)."""
    version = scene.facts.kubernetes
    allowed = {name for since, names in _SYSCTLS.items() if since <= version for name in names.split()}
    for workload in scene.workloads:
        for entry in workload.security.each("sysctls"):
            if entry.text("name") not in allowed:
                yield entry.hit(f"{entry.text('name')} is not among the safe sysctls", "name")


@control("probe-host", "Probes and hooks ask the pod itself", fix="remove host; it is the pod's address by default")
def probe_host(scene: Scene) -> Iterator[Hit]:
    """With a host given, the kubelet asks others. Control: hostProbesAndHostLifecycle (baseline), from 1.34 on."""
    if scene.facts.kubernetes < (1, 34):
        return
    for _, container in scene.containers():
        for probe in _handlers(container):
            for kind in ("httpGet", "tcpSocket"):
                if probe.at(kind).text("host"):
                    yield probe.hit("a host is given", kind, "host")


def _handlers(container: Container) -> Iterator[Part]:
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        yield container.part.at(name)
    for name in ("postStart", "preStop"):
        yield container.part.at("lifecycle", name)


@control("privilege-escalation", "No process gains privileges", fix="set allowPrivilegeEscalation: false")
def privilege_escalation(scene: Scene) -> Iterator[Hit]:
    """A set-user-ID program in the image would make a process root. Control: allowPrivilegeEscalation.

    In checkov's words: CKV_K8S_20.
    """
    for workload, container in scene.containers():
        if container.security.get("allowPrivilegeEscalation") is not False and not _is_windows(workload):
            yield container.part.hit(
                f"the container {container.name} does not forbid it", "securityContext", "allowPrivilegeEscalation"
            )


@control("run-as-non-root", "Containers run as somebody else than root", fix="set the pod's runAsNonRoot: true")
def run_as_non_root(scene: Scene) -> Iterator[Hit]:
    """The kubelet then refuses to start an image as root. Control: runAsNonRoot."""
    for workload in scene.workloads:
        if _is_user_namespaced(scene, workload):
            continue
        of_pod = workload.security.get("runAsNonRoot")
        if of_pod is False:
            yield workload.security.hit("runAsNonRoot is false", "runAsNonRoot")
        for container in workload.containers:
            own = container.security.get("runAsNonRoot")
            if own is False or (own is None and of_pod is None):
                message = f"runAsNonRoot is {'false' if own is False else 'not set'} for the container {container.name}"
                yield container.part.hit(message, "securityContext", "runAsNonRoot")


@control("run-as-user", "No container's user is 0", fix="set runAsUser to the image's own user")
def run_as_user(scene: Scene) -> Iterator[Hit]:
    """User 0 contradicts runAsNonRoot, and the container never starts. Control: runAsUser."""
    for workload in scene.workloads:
        for context in () if _is_user_namespaced(scene, workload) else _contexts(workload):
            if context.get("runAsUser") == 0 and context.get("runAsUser") is not False:
                yield context.hit("runAsUser is 0", "runAsUser")
