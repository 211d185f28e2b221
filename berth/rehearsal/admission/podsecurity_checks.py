"""The rules of the Pod Security Standards, baseline and restricted, and what each says of a pod that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from berth.core.objects import Json
from berth.rehearsal.jsontree import dig


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that is broken: ``reason`` in short, ``detail`` which parts of the pod break it."""

    reason: str
    detail: str


#: A rule: of a pod's metadata and spec, as of a minor version of Kubernetes.
Rule = Callable[[Json, Json, int], Violation | None]

_DEFAULT_CAPABILITIES = frozenset(
    "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID "
    "SYS_CHROOT".split()
)
_PROFILES = frozenset({"RuntimeDefault", "Localhost"})
_SAFE_VOLUMES = frozenset(
    "configMap csi downwardAPI emptyDir ephemeral image persistentVolumeClaim projected secret".split()
)
_SELINUX_TYPES = frozenset({"", "container_t", "container_init_t", "container_kvm_t"})
#: Sysctls that are safe, by the minor version in which they became so.
_SYSCTLS = {
    "kernel.shm_rmid_forced": 0,
    "net.ipv4.ip_local_port_range": 0,
    "net.ipv4.tcp_syncookies": 0,
    "net.ipv4.ping_group_range": 0,
    "net.ipv4.ip_unprivileged_port_start": 0,
    "net.ipv4.ip_local_reserved_ports": 27,
    "net.ipv4.tcp_keepalive_time": 29,
    "net.ipv4.tcp_fin_timeout": 29,
    "net.ipv4.tcp_keepalive_intvl": 29,
    "net.ipv4.tcp_keepalive_probes": 29,
    "net.ipv4.tcp_rmem": 32,
    "net.ipv4.tcp_wmem": 32,
}
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
#: Since this version, what a user namespace makes harmless is allowed to pods in one.
_USER_NAMESPACES = 35


def violations(level: str, minor: int, metadata: Json, spec: Json) -> list[Violation]:
    """The rules of a level that a pod breaks, in the order in which the API server names them."""
    found = (rule(metadata, spec, minor) for rule in _rules(level, minor))
    return [one for one in found if one is not None]


def _rules(level: str, minor: int) -> Iterator[Rule]:
    if level == "privileged":
        return
    restricted = level == "restricted"
    for rule, since, replaced in _BASELINE:
        if minor >= since and not (restricted and minor >= replaced):
            yield rule
    for rule, since in _RESTRICTED if restricted else ():
        if minor >= since:
            yield rule


def _containers(spec: Json) -> Iterator[Json]:
    for key in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(key) or []


def _context(holder: Json, *path: str) -> Any:
    return dig(holder, "securityContext", *path)


def _named(containers: Iterable[Json], broken: Callable[[Json], Any]) -> list[str]:
    return [str(one["name"]) for one in containers if broken(one)]


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _which(names: list[str], noun: str = "container") -> str:
    return f"{noun}{'' if len(names) == 1 else 's'} {_quoted(names)}"


def _who(pod: Any, names: list[str]) -> str:
    """The pod, the containers, or both."""
    return " and ".join(([] if not pod else ["pod"]) + ([_which(names)] if names else []))


def _windows(spec: Json) -> bool:
    return bool(dig(spec, "os", "name") == "windows")


def _in_user_namespace(spec: Json, minor: int) -> bool:
    return minor >= _USER_NAMESPACES and spec.get("hostUsers") is False


# ---------------------------------------------------------------- baseline


def _app_armor(metadata: Json, spec: Json, minor: int) -> Violation | None:
    def broken(holder: Json) -> bool:
        return _context(holder, "appArmorProfile") is not None and profile(holder) not in _PROFILES

    def profile(holder: Json) -> str:
        return _context(holder, "appArmorProfile", "type") or ""

    names = _named(_containers(spec), broken)
    values = sorted({profile(one) for one in (spec, *_containers(spec)) if broken(one)})
    notes = sorted(
        f'{key}="{value}"'
        for key, value in (metadata.get("annotations") or {}).items()
        if key.startswith(_APPARMOR) and value not in ("", "runtime/default") and not value.startswith("localhost/")
    )
    setters = [words for words in (_who(broken(spec), names),) if words]
    if notes:
        setters.append("annotation" if len(notes) == 1 else "annotations")
    if not setters:
        return None
    values += notes
    reason = "forbidden AppArmor profile" + ("" if len(values) == 1 else "s")
    return Violation(reason, f"{' and '.join(setters)} must not set AppArmor profile type to {_quoted(values)}")


def _capabilities(metadata: Json, spec: Json, minor: int) -> Violation | None:
    def added(container: Json) -> set[str]:
        return set(_context(container, "capabilities", "add") or []) - _DEFAULT_CAPABILITIES

    names = _named(_containers(spec), added)
    if not names:
        return None
    values = _quoted(sorted({name for one in _containers(spec) for name in added(one)}))
    return Violation(
        "non-default capabilities", f"{_which(names)} must not include {values} in securityContext.capabilities.add"
    )


def _host_namespaces(metadata: Json, spec: Json, minor: int) -> Violation | None:
    found = [f"{key}=true" for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    return Violation("host namespaces", ", ".join(found)) if found else None


def _host_paths(metadata: Json, spec: Json, minor: int) -> Violation | None:
    names = _named(spec.get("volumes") or [], lambda volume: volume.get("hostPath") is not None)
    return Violation("hostPath volumes", _which(names, "volume")) if names else None


def _host_ports(metadata: Json, spec: Json, minor: int) -> Violation | None:
    def ports(container: Json) -> set[str]:
        return {str(port["hostPort"]) for port in container.get("ports") or [] if port.get("hostPort")}

    names = _named(_containers(spec), ports)
    if not names:
        return None
    values = sorted({port for one in _containers(spec) for port in ports(one)})
    verb, noun = "uses" if len(names) == 1 else "use", "hostPort" if len(values) == 1 else "hostPorts"
    return Violation("hostPort", f"{_which(names)} {verb} {noun} {', '.join(values)}")


def _host_probes(metadata: Json, spec: Json, minor: int) -> Violation | None:
    def hosts(container: Json) -> set[str]:
        lifecycle = container.get("lifecycle") or {}
        handlers = [container.get(key) for key in ("livenessProbe", "readinessProbe", "startupProbe")]
        handlers += [lifecycle.get(key) for key in ("postStart", "preStop")]
        found = {dig(one, way, "host") for one in handlers for way in ("httpGet", "tcpSocket")}
        return {host for host in found if host}

    names = sorted(set(_named(_containers(spec), hosts)))
    if not names:
        return None
    values = sorted({host for one in _containers(spec) for host in hosts(one)})
    verb, noun = "uses" if len(names) == 1 else "use", "probe or lifecycle host" + ("" if len(values) == 1 else "s")
    return Violation("probe or lifecycle host", f"{_which(names)} {verb} {noun} {_quoted(values)}")


def _privileged(metadata: Json, spec: Json, minor: int) -> Violation | None:
    names = _named(_containers(spec), lambda one: _context(one, "privileged"))
    return Violation("privileged", f"{_which(names)} must not set securityContext.privileged=true") if names else None


def _proc_mount(metadata: Json, spec: Json, minor: int) -> Violation | None:
    def broken(container: Json) -> bool:
        return _context(container, "procMount") not in (None, "Default")

    names = _named(_containers(spec), broken)
    if not names:
        return None
    values = _quoted(sorted({_context(one, "procMount") for one in _containers(spec) if broken(one)}))
    return Violation("procMount", f"{_which(names)} must not set securityContext.procMount to {values}")


def _proc_mount_baseline(metadata: Json, spec: Json, minor: int) -> Violation | None:
    return None if _in_user_namespace(spec, minor) else _proc_mount(metadata, spec, minor)


def _selinux(metadata: Json, spec: Json, minor: int) -> Violation | None:
    allowed = _SELINUX_TYPES | ({"container_engine_t"} if minor >= 31 else set())

    def options(holder: Json) -> Json:
        return _context(holder, "seLinuxOptions") or {}

    def broken(holder: Json) -> bool:
        stated = options(holder)
        return stated.get("type", "") not in allowed or bool(stated.get("user") or stated.get("role"))

    holders = [one for one in (spec, *_containers(spec)) if broken(one)]
    if not holders:
        return None
    types = sorted({options(one).get("type", "") for one in holders} - allowed)
    data = [_which(types, "type")] if types else []
    data += [f"{key} may not be set" for key in ("user", "role") if any(options(one).get(key) for one in holders)]
    who = _who(broken(spec), _named(_containers(spec), broken))
    return Violation("seLinuxOptions", f"{who} set forbidden securityContext.seLinuxOptions: {'; '.join(data)}")


def _seccomp_baseline(metadata: Json, spec: Json, minor: int) -> Violation | None:
    def profile(holder: Json) -> Any:
        return _context(holder, "seccompProfile", "type")

    def broken(holder: Json) -> bool:
        return _context(holder, "seccompProfile") is not None and profile(holder) not in _PROFILES

    who = _who(broken(spec), _named(_containers(spec), broken))
    if not who:
        return None
    values = _quoted(sorted({profile(one) or "" for one in (spec, *_containers(spec)) if broken(one)}))
    return Violation("seccompProfile", f"{who} must not set securityContext.seccompProfile.type to {values}")


def _sysctls(metadata: Json, spec: Json, minor: int) -> Violation | None:
    names = [one.get("name", "") for one in _context(spec, "sysctls") or []]
    bad = [name for name in names if _SYSCTLS.get(name, minor + 1) > minor]
    return Violation("forbidden sysctls", ", ".join(bad)) if bad else None


def _host_process(metadata: Json, spec: Json, minor: int) -> Violation | None:
    def broken(holder: Json) -> Any:
        return _context(holder, "windowsOptions", "hostProcess")

    who = _who(broken(spec), _named(_containers(spec), broken))
    words = f"{who} must not set securityContext.windowsOptions.hostProcess=true"
    return Violation("hostProcess", words) if who else None


# ---------------------------------------------------------------- restricted


def _escalation(metadata: Json, spec: Json, minor: int) -> Violation | None:
    if _windows(spec) and minor >= 25:
        return None
    names = _named(_containers(spec), lambda one: _context(one, "allowPrivilegeEscalation") is not False)
    words = "must set securityContext.allowPrivilegeEscalation=false"
    return Violation("allowPrivilegeEscalation != false", f"{_which(names)} {words}") if names else None


def _all_dropped(metadata: Json, spec: Json, minor: int) -> Violation | None:
    if _windows(spec) and minor >= 25:
        return None

    def added(container: Json) -> set[str]:
        return set(_context(container, "capabilities", "add") or []) - {"NET_BIND_SERVICE"}

    kept = _named(_containers(spec), lambda one: "ALL" not in (_context(one, "capabilities", "drop") or []))
    adding = _named(_containers(spec), added)
    words = [f'{_which(kept)} must set securityContext.capabilities.drop=["ALL"]'] if kept else []
    if adding:
        values = _quoted(sorted({name for one in _containers(spec) for name in added(one)}))
        words.append(f"{_which(adding)} must not include {values} in securityContext.capabilities.add")
    return Violation("unrestricted capabilities", "; ".join(words)) if words else None


def _volume_types(metadata: Json, spec: Json, minor: int) -> Violation | None:
    def kind(volume: Json) -> str:
        return next((key for key, value in volume.items() if key != "name" and value is not None), "unknown")

    bad = [one for one in spec.get("volumes") or [] if kind(one) not in _SAFE_VOLUMES]
    if not bad:
        return None
    names, kinds = [str(one["name"]) for one in bad], sorted({kind(one) for one in bad})
    verb, noun = "uses" if len(names) == 1 else "use", "restricted volume type" + ("" if len(kinds) == 1 else "s")
    return Violation("restricted volume types", f"{_which(names, 'volume')} {verb} {noun} {_quoted(kinds)}")


def _non_root(metadata: Json, spec: Json, minor: int) -> Violation | None:
    if _in_user_namespace(spec, minor):
        return None

    def stated(holder: Json) -> Any:
        return _context(holder, "runAsNonRoot")

    who = _who(stated(spec) is False, _named(_containers(spec), lambda one: stated(one) is False))
    if who:
        return Violation("runAsNonRoot != true", f"{who} must not set securityContext.runAsNonRoot=false")
    names = _named(_containers(spec), lambda one: stated(one) is None and not stated(spec))
    words = f"pod or {_which(names)} must set securityContext.runAsNonRoot=true"
    return Violation("runAsNonRoot != true", words) if names else None


def _root_user(metadata: Json, spec: Json, minor: int) -> Violation | None:
    if _in_user_namespace(spec, minor):
        return None

    def root(holder: Json) -> bool:
        return bool(_context(holder, "runAsUser") == 0)

    who = _who(root(spec), _named(_containers(spec), root))
    return Violation("runAsUser=0", f"{who} must not set runAsUser=0") if who else None


def _seccomp(metadata: Json, spec: Json, minor: int) -> Violation | None:
    if _windows(spec) and minor >= 25:
        return None
    explicit = _seccomp_baseline(metadata, spec, minor)
    if explicit is not None:
        return explicit
    pod = _context(spec, "seccompProfile") is not None
    names = _named(_containers(spec), lambda one: not pod and _context(one, "seccompProfile") is None)
    words = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return Violation("seccompProfile", f"pod or {_which(names)} {words}") if names else None


_NEVER = 1 << 31

#: In the API server's order; the version that each is from, and the one in which the restricted level replaces it.
_BASELINE: tuple[tuple[Rule, int, int], ...] = (
    (_app_armor, 0, _NEVER),
    (_capabilities, 0, 22),
    (_host_namespaces, 0, _NEVER),
    (_host_paths, 0, 0),
    (_host_ports, 0, _NEVER),
    (_host_probes, 34, _NEVER),
    (_privileged, 0, _NEVER),
    (_proc_mount_baseline, 0, 35),
    (_selinux, 0, _NEVER),
    (_seccomp_baseline, 19, 19),
    (_sysctls, 0, _NEVER),
    (_host_process, 0, _NEVER),
)

_RESTRICTED: tuple[tuple[Rule, int], ...] = (
    (_escalation, 8),
    (_all_dropped, 22),
    (_proc_mount, 35),
    (_volume_types, 0),
    (_non_root, 0),
    (_root_user, 23),
    (_seccomp, 19),
)
