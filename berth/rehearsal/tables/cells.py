"""The rows of every kind but pods. Source of the rules: kubernetes pkg/printers/internalversion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from berth.core.objects import Json
from berth.rehearsal.jsontree import dig
from berth.rehearsal.tables.text import access_modes, age, labels, quantity, selector, several, since

#: The cells of an object, given the time.
Cells = Callable[[Json, float], list[Any]]

_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
_DEFAULT_CLASS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
_ROLE = "node-role.kubernetes.io/"


def _name(one: Json) -> str:
    return str(one["metadata"]["name"])


def _namespace(one: Json, now: float) -> list[Any]:
    return [_name(one), dig(one, "status", "phase") or "", age(one, now)]


def _node(one: Json, now: float) -> list[Any]:
    status, info = one.get("status") or {}, dig(one, "status", "nodeInfo") or {}
    ready = next((word for word in status.get("conditions") or [] if word["type"] == "Ready"), None)
    words = ["Unknown" if ready is None else "Ready" if ready["status"] == "True" else "NotReady"]
    if dig(one, "spec", "unschedulable"):
        words.append("SchedulingDisabled")
    pairs = one["metadata"].get("labels") or {}
    roles = {key.removeprefix(_ROLE) for key in pairs if key.startswith(_ROLE)} | {pairs.get("kubernetes.io/role", "")}
    kernel = info.get("kernelVersion") or "<unknown>"
    return [
        *(_name(one), ",".join(words), ",".join(sorted(roles - {""})) or "<none>", age(one, now)),
        *(info.get("kubeletVersion", ""), _address(status, "InternalIP"), _address(status, "ExternalIP")),
        info.get("osImage") or "<unknown>",
        f"{kernel} ({info['architecture']})" if info.get("architecture") else kernel,
        info.get("containerRuntimeVersion") or "<unknown>",
    ]


def _address(status: Json, kind: str) -> str:
    return next((str(one["address"]) for one in status.get("addresses") or [] if one["type"] == kind), "<none>")


def _volume(one: Json, now: float) -> list[Any]:
    spec, status = one.get("spec") or {}, one.get("status") or {}
    claim = spec.get("claimRef")
    return [
        *(_name(one), quantity(dig(spec, "capacity", "storage")), access_modes(spec.get("accessModes"))),
        *(spec.get("persistentVolumeReclaimPolicy", ""), _phase(one)),
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        *(_class(one), spec.get("volumeAttributesClassName", "<unset>"), status.get("reason", "")),
        *(age(one, now), spec.get("volumeMode", "<unset>")),
    ]


def _claim(one: Json, now: float) -> list[Any]:
    spec, status = one.get("spec") or {}, one.get("status") or {}
    volume = spec.get("volumeName", "")
    return [
        *(_name(one), _phase(one), volume),
        quantity(dig(status, "capacity", "storage")) if volume else "",
        access_modes(status.get("accessModes")) if volume else "",
        *(_class(one), spec.get("volumeAttributesClassName", "<unset>"), age(one, now)),
        spec.get("volumeMode", "<unset>"),
    ]


def _phase(one: Json) -> str:
    return "Terminating" if one["metadata"].get("deletionTimestamp") else dig(one, "status", "phase") or ""


def _class(one: Json) -> str:
    annotated = (one["metadata"].get("annotations") or {}).get(_CLASS_ANNOTATION)
    return annotated if annotated is not None else dig(one, "spec", "storageClassName") or ""


def _storage_class(one: Json, now: float) -> list[Any]:
    annotations = one["metadata"].get("annotations") or {}
    default = " (default)" if any(annotations.get(key) == "true" for key in _DEFAULT_CLASS) else ""
    return [
        *(_name(one) + default, one.get("provisioner", ""), one.get("reclaimPolicy") or "Delete"),
        *(one.get("volumeBindingMode") or "Immediate", bool(one.get("allowVolumeExpansion")), age(one, now)),
    ]


def _service(one: Json, now: float) -> list[Any]:
    spec = one.get("spec") or {}
    addresses = spec.get("clusterIPs") or ["<none>"]
    ports = ",".join(
        f"{port['port']}:{port['nodePort']}/{port['protocol']}"
        if port.get("nodePort")
        else f"{port['port']}/{port['protocol']}"
        for port in spec.get("ports") or []
    )
    return [
        *(_name(one), spec.get("type", ""), addresses[0], _external(one), ports or "<none>"),
        *(age(one, now), labels(spec.get("selector"))),
    ]


def _external(one: Json) -> str:
    spec = one.get("spec") or {}
    match spec.get("type"):
        case "ClusterIP" | "NodePort":
            return ",".join(spec.get("externalIPs") or []) or "<none>"
        case "LoadBalancer":
            given = dig(one, "status", "loadBalancer", "ingress") or []
            found = sorted({each.get("ip") or each.get("hostname") or "" for each in given} - {""})
            return ",".join([*found, *(spec.get("externalIPs") or [])]) or "<pending>"
        case "ExternalName":
            return str(spec.get("externalName", ""))
    return "<unknown>"


def _endpoints(one: Json, now: float) -> list[Any]:
    # A subset without ports is shown by its addresses alone: a headless service without ports has such.
    words = [
        f"{_bracketed(address['ip'])}:{port['port']}" if port else address["ip"]
        for subset in one.get("subsets") or []
        for port in subset.get("ports") or [None]
        for address in subset.get("addresses") or []
    ]
    return [_name(one), several(words, 3, "" if one.get("subsets") else "<none>"), age(one, now)]


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _slice(one: Json, now: float) -> list[Any]:
    ports = [str(port.get("port") or port.get("name") or "*") for port in one.get("ports") or []]
    addresses = [address for endpoint in one.get("endpoints") or [] for address in endpoint.get("addresses") or []]
    shown = (several(ports, 3, "<unset>"), several(addresses, 3, "<unset>"))
    return [_name(one), one.get("addressType", ""), *shown, age(one, now)]


def _config_map(one: Json, now: float) -> list[Any]:
    return [_name(one), len(one.get("data") or {}) + len(one.get("binaryData") or {}), age(one, now)]


def _secret(one: Json, now: float) -> list[Any]:
    return [_name(one), one.get("type", ""), len(one.get("data") or {}), age(one, now)]


def _service_account(one: Json, now: float) -> list[Any]:
    return [_name(one), age(one, now)]


def _event(one: Json, now: float) -> list[Any]:
    first = since(one.get("firstTimestamp") or one.get("eventTime"), now)
    last = since(one.get("lastTimestamp"), now) if one.get("lastTimestamp") else first
    count, series = one.get("count") or 1, one.get("series")
    if series is not None:
        last, count = since(series.get("lastObservedTime"), now), series.get("count") or 0
    about, source = one.get("involvedObject") or {}, one.get("source") or {}
    target = about.get("kind", "").lower() + (f"/{about['name']}" if about.get("name") else "")
    component = source.get("component") or one.get("reportingComponent") or ""
    host = source.get("host") or one.get("reportingInstance") or ""
    return [
        *(last, one.get("type", ""), one.get("reason", ""), target, about.get("fieldPath", "")),
        f"{component}, {host}" if host else component,
        *((one.get("message") or "").strip(), first, count, _name(one)),
    ]


def _quota(one: Json, now: float) -> list[Any]:
    hard, used = dig(one, "status", "hard") or {}, dig(one, "status", "used") or {}
    words = {name: f"{name}: {quantity(used.get(name))}/{quantity(hard[name])}" for name in sorted(hard)}
    limits = [word for name, word in words.items() if name.startswith("limits.")]
    requests = [word for name, word in words.items() if not name.startswith("limits.")]
    return [_name(one), ", ".join(requests), ", ".join(limits), age(one, now)]


def _stateful_set(one: Json, now: float) -> list[Any]:
    replicas, ready = dig(one, "spec", "replicas"), dig(one, "status", "readyReplicas") or 0
    containers = dig(one, "spec", "template", "spec", "containers") or []
    names, images = (",".join(each.get(key, "") for each in containers) for key in ("name", "image"))
    return [_name(one), f"{ready}/{replicas or 0}", age(one, now), names, images]


def _revision(one: Json, now: float) -> list[Any]:
    owners = one["metadata"].get("ownerReferences") or []
    owner = next((each for each in owners if each.get("controller")), None)
    shown = "<none>"
    if owner:
        group = owner["apiVersion"].rpartition("/")[0]
        shown = f"{owner['kind']}{'.' if group else ''}{group}".lower() + f"/{owner['name']}"
    return [_name(one), shown, one.get("revision", 0), age(one, now)]


def _autoscaler(one: Json, now: float) -> list[Any]:
    spec, status = one.get("spec") or {}, one.get("status") or {}
    target = spec.get("scaleTargetRef") or {}
    return [
        *(_name(one), f"{target.get('kind', '')}/{target.get('name', '')}"),
        _metrics(spec.get("metrics") or [], status.get("currentMetrics") or []),
        *(str(spec.get("minReplicas", "<unset>")), spec.get("maxReplicas", 0), status.get("currentReplicas") or 0),
        age(one, now),
    ]


def _metrics(wanted: list[Json], found: list[Json]) -> str:
    words = [_metric(one, found[number] if number < len(found) else {}) for number, one in enumerate(wanted)]
    if len(words) > 2:
        return f"{', '.join(words[:2])} + {len(words) - 2} more..."
    return ", ".join(words) or "<none>"


def _metric(wanted: Json, found: Json) -> str:
    kind = wanted["type"]
    key = kind[:1].lower() + kind[1:]
    spec, current = wanted.get(key) or {}, dig(found, key, "current") or {}
    target, known = spec.get("target") or {}, found.get(key) is not None
    name = f"{spec.get('name')}: " if key in ("resource", "containerResource") else ""
    if "averageValue" in target:
        is_known = known if key in ("resource", "pods", "containerResource") else "averageValue" in current
        shown = quantity(current.get("averageValue")) if is_known else "<unknown>"
        return f"{name}{shown}/{quantity(target['averageValue'])}" + ("" if name or key == "pods" else " (avg)")
    if name:
        use, goal = current.get("averageUtilization"), target.get("averageUtilization")
        return f"{name}{'<unknown>' if use is None else f'{use}%'}/{'<auto>' if goal is None else f'{goal}%'}"
    return f"{quantity(current.get('value')) if known else '<unknown>'}/{quantity(target.get('value'))}"


def _lease(one: Json, now: float) -> list[Any]:
    return [_name(one), dig(one, "spec", "holderIdentity") or "", age(one, now)]


def _policy(one: Json, now: float) -> list[Any]:
    return [_name(one), selector(dig(one, "spec", "podSelector")), age(one, now)]


def _budget(one: Json, now: float) -> list[Any]:
    spec = one.get("spec") or {}
    bounds = (str(spec.get(key, "N/A")) for key in ("minAvailable", "maxUnavailable"))
    return [_name(one), *bounds, dig(one, "status", "disruptionsAllowed") or 0, age(one, now)]


def _priority_class(one: Json, now: float) -> list[Any]:
    facts = (one.get("value", 0), bool(one.get("globalDefault")))
    return [_name(one), *facts, age(one, now), one.get("preemptionPolicy", "")]


#: By `Kind.key`.
OF: Mapping[str, Cells] = {
    "namespaces": _namespace,
    "nodes": _node,
    "persistentvolumes": _volume,
    "persistentvolumeclaims": _claim,
    "services": _service,
    "endpoints": _endpoints,
    "configmaps": _config_map,
    "secrets": _secret,
    "serviceaccounts": _service_account,
    "events": _event,
    "resourcequotas": _quota,
    "apps/statefulsets": _stateful_set,
    "apps/controllerrevisions": _revision,
    "autoscaling/horizontalpodautoscalers": _autoscaler,
    "coordination.k8s.io/leases": _lease,
    "discovery.k8s.io/endpointslices": _slice,
    "networking.k8s.io/networkpolicies": _policy,
    "policy/poddisruptionbudgets": _budget,
    "scheduling.k8s.io/priorityclasses": _priority_class,
    "storage.k8s.io/storageclasses": _storage_class,
}
