"""EndpointSlices, and the Endpoints of old, of every Service with a selector.

Source: kubernetes staging/src/k8s.io/endpointslice, pkg/controller/endpointslice and pkg/controller/endpoint.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from berth.core.objects import Json
from berth.rehearsal.clock import seconds_of
from berth.rehearsal.controllers.endpoints_classic import endpoints_of
from berth.rehearsal.controllers.ownership import Ownership, controller_reference
from berth.rehearsal.controllers.podstate import condition, is_ready, is_terminal
from berth.rehearsal.controllers.ports import in_slice_order, port_number
from berth.rehearsal.controllers.selection import PodIndex, SelectorIndex, labels_of
from berth.rehearsal.kinds import ENDPOINTS, NODES, PODS, SERVICES, SLICES
from berth.rehearsal.refusal import ApiError
from berth.rehearsal.store import Change

if TYPE_CHECKING:
    from berth.rehearsal.world import Key, World

#: Endpoints in one slice. Source: the controller manager's --max-endpoints-per-slice.
SLICE_SIZE = 100
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
HEADLESS = "service.kubernetes.io/headless"
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
_MANAGER = "endpointslice-controller.k8s.io"
_RESERVED = frozenset({SERVICE_NAME, MANAGED_BY, HEADLESS})


def _selector(service: Json) -> Json | None:
    """What a Service selects; None where it is not for these controllers to say who is behind it."""
    spec = service["spec"]
    selector = spec.get("selector")
    return None if spec.get("type") == "ExternalName" or not selector else {"matchLabels": selector}


class EndpointsController:
    """Keeps the EndpointSlices and Endpoints of every Service."""

    name = "endpoints"

    def __init__(self, world: World) -> None:
        """Work on a world."""
        self._client = world.client("kube-controller-manager")
        self._owned = Ownership.of(world.store)
        self._pods = PodIndex.of(world.store)
        self._selecting = SelectorIndex(world.store, SERVICES, _selector)
        #: For each Service, the trigger times seen at the last sync: its own, and its pods' by name.
        self._seen: dict[Key, tuple[str, dict[str, str]]] = {}
        #: Whether what is written now is written here.
        self._writing = False

    def interested(self, change: Change) -> Iterable[Key]:
        """Services that changed, those of a pod that changed, and those whose slices somebody else touched."""
        kind, namespace = change.kind, change.key[0]
        if kind is SERVICES:
            return (change.key,)
        if kind is PODS:
            old, new = change.old, change.object
            if change.type == "MODIFIED" and old is not None and not _matters(old, new):
                return ()
            bodies = [new] if old is None else [new, old]
            found = {
                service["metadata"]["name"]: None
                for body in bodies
                for service in self._selecting.selecting(namespace, labels_of(body))
            }
            return [(namespace, name) for name in found]
        if self._writing or change.type == "ADDED":
            return ()
        if kind is SLICES and labels_of(change.object).get(MANAGED_BY) == _MANAGER:
            return ((namespace, labels_of(change.object).get(SERVICE_NAME, "")),)
        return (change.key,) if kind is ENDPOINTS and change.type == "DELETED" else ()

    def sync(self, key: Key) -> None:
        """See to one Service. Raises ApiError where that has to be done again."""
        self._writing = True
        try:
            self._sync(key)
        finally:
            self._writing = False

    def _sync(self, key: Key) -> None:
        service = self._client.get(SERVICES, *key)
        if service is None:
            self._seen.pop(key, None)
            if self._client.get(ENDPOINTS, *key) is not None:
                self._client.delete(ENDPOINTS, *key)
            return
        selector = _selector(service)
        if selector is None:
            return
        pods = self._pods.selected(key[0], selector)
        trigger = self._trigger_time(key, service, pods)
        here = [pod for pod in pods if _belongs(pod)]
        try:
            self._slices(service, here, trigger)
            self._classic(service, here, trigger)
        except ApiError as error:
            if error.reason == "Forbidden" and "because it is being terminated" in error.message:
                return  # The namespace ends; nothing more is made in it.
            raise

    def _trigger_time(self, key: Key, service: Json, pods: Iterable[Json]) -> str:
        """When that happened which this sync makes known: the earliest of the changes since the last one."""
        created = service["metadata"]["creationTimestamp"]
        ready = {pod["metadata"]["name"]: condition(pod, "Ready") for pod in pods}
        times = {name: entry["lastTransitionTime"] for name, entry in ready.items() if entry is not None}
        before = self._seen.get(key)
        self._seen[key] = (created, times)
        if before is None:
            return str(created)
        changed = [since for name, since in times.items() if _later(since, before[1].get(name))]
        if _later(created, before[0]):
            changed.append(created)
        return min(changed, default="")

    def _slices(self, service: Json, pods: Iterable[Json], trigger: str) -> None:
        """Bring the slices to what they should be, with as few writes as can be."""
        families = service["spec"].get("ipFamilies") or ["IPv4"]
        namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
        owner = service["metadata"]["uid"]
        live = [
            body
            for body in self._owned.dependents(owner, SLICES)
            if labels_of(body).get(SERVICE_NAME) == name
            and labels_of(body).get(MANAGED_BY) == _MANAGER
            and "deletionTimestamp" not in body["metadata"]
        ]
        for body in live:
            if body["addressType"] not in families:
                self._client.delete(SLICES, namespace, body["metadata"]["name"])
        pods = list(pods)
        for family in families:
            wanted: dict[str, tuple[list[Json], list[Json]]] = {}
            for pod in pods:
                endpoint = self._endpoint(service, pod, family)
                if endpoint is not None:
                    ports = _ports(service, pod)
                    wanted.setdefault(repr(ports), (ports, []))[1].append(endpoint)
            same = [body for body in live if body["addressType"] == family]
            self._of_family(service, family, list(wanted.values()), same, trigger)

    def _of_family(
        self,
        service: Json,
        family: str,
        wanted: list[tuple[list[Json], list[Json]]],
        live: list[Json],
        trigger: str,
    ) -> None:
        plan = list[tuple[list[Json], list[Json], Json | None]]()
        unused = list(live)
        for ports, endpoints in wanted:
            same = [body for body in unused if (body.get("ports") or []) == ports]
            unused = [body for body in unused if body not in same]
            plan += _distributed(ports, endpoints, same)
            unused += [body for body in same if all(body is not entry[2] for entry in plan)]
        if not plan:
            plan = [([], [], None)]  # A Service without pods has one empty slice.
        for index, (ports, endpoints, body) in enumerate(plan):
            if body is None and unused:
                plan[index] = (ports, endpoints, unused.pop())
        namespace = service["metadata"]["namespace"]
        for ports, endpoints, body in plan:
            self._write_slice(service, family, ports, endpoints, body, trigger)
        for body in unused:
            self._client.delete(SLICES, namespace, body["metadata"]["name"])

    def _write_slice(
        self, service: Json, family: str, ports: list[Json], endpoints: list[Json], body: Json | None, trigger: str
    ) -> None:
        labels = _slice_labels(service)
        # An empty list comes back from the API as null: both are nothing in what is stored.
        content: Json = {"addressType": family, "endpoints": endpoints or None, "ports": ports or None}
        if body is None:
            if "deletionTimestamp" in service["metadata"]:
                return
            meta: Json = {
                "generateName": f"{service['metadata']['name']}-",
                "namespace": service["metadata"]["namespace"],
                "labels": labels,
                "ownerReferences": [controller_reference(service)],
            }
            head: Json = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice"}
            self._client.create(SLICES, {**head, "metadata": _triggered(meta, trigger), **content})
            return
        live = {"addressType": family, "endpoints": body.get("endpoints"), "ports": body.get("ports")}
        if live == content and labels_of(body) == labels:
            return
        meta = _triggered({**body["metadata"], "labels": labels}, trigger)
        self._client.update(SLICES, {**body, **content, "metadata": meta})

    def _endpoint(self, service: Json, pod: Json, family: str) -> Json | None:
        """A pod as an endpoint; None where it has no address of the family."""
        status, meta, spec = pod["status"], pod["metadata"], pod["spec"]
        entries = status.get("podIPs") or [{"ip": status["podIP"]}]
        addresses = [entry["ip"] for entry in entries if (":" in entry["ip"]) == (family == "IPv6")]
        if not addresses:
            return None
        serving, terminating = is_ready(pod), "deletionTimestamp" in meta
        published = bool(service["spec"].get("publishNotReadyAddresses"))
        endpoint: Json = {
            "addresses": addresses,
            "conditions": {
                "ready": published or (serving and not terminating),
                "serving": serving,
                "terminating": terminating,
            },
        }
        if spec.get("hostname") and spec.get("subdomain") == service["metadata"]["name"]:
            endpoint["hostname"] = spec["hostname"]
        if spec.get("nodeName"):
            endpoint["nodeName"] = spec["nodeName"]
        target = {"kind": "Pod", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]}
        endpoint["targetRef"] = target
        node = self._client.get(NODES, "", spec.get("nodeName", ""))
        zone = labels_of(node).get("topology.kubernetes.io/zone") if node is not None else None
        if zone:
            endpoint["zone"] = zone
        hints = _hints(service, endpoint)
        return {**endpoint, "hints": hints} if hints else endpoint

    def _classic(self, service: Json, pods: Iterable[Json], trigger: str) -> None:
        """Bring the Endpoints object to what it should be."""
        key = service["metadata"]["namespace"], service["metadata"]["name"]
        subsets = endpoints_of(service, pods)
        labels = {**labels_of(service), "endpoints.kubernetes.io/managed-by": "endpoint-controller"}
        if _is_headless(service):
            labels[HEADLESS] = ""
        live = self._client.get(ENDPOINTS, *key)
        if live is not None and (live.get("subsets") or []) == subsets and labels_of(live) == labels:
            return
        meta: Json = dict(live["metadata"]) if live is not None else {"namespace": key[0], "name": key[1]}
        body: Json = {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": _triggered({**meta, "labels": labels}, trigger),
        }
        if subsets:
            body["subsets"] = subsets
        if live is None:
            self._client.create(ENDPOINTS, body)
        else:
            self._client.update(ENDPOINTS, body)


def _hints(service: Json, endpoint: Json) -> Json:
    """Where traffic to a ready endpoint should come from, for a Service that prefers what is near."""
    wish = service["spec"].get("trafficDistribution")
    if wish not in ("PreferClose", "PreferSameZone", "PreferSameNode") or not endpoint["conditions"]["ready"]:
        return {}
    hints: Json = {"forZones": [{"name": endpoint["zone"]}]} if "zone" in endpoint else {}
    if wish == "PreferSameNode" and "nodeName" in endpoint:
        hints["forNodes"] = [{"name": endpoint["nodeName"]}]
    return hints


def _distributed(
    ports: list[Json], endpoints: list[Json], live: list[Json]
) -> list[tuple[list[Json], list[Json], Json | None]]:
    """Endpoints over slices: each stays in the slice where it is, new ones fill up the fullest, the rest make more."""
    left = {endpoint["targetRef"]["uid"]: endpoint for endpoint in endpoints}
    kept: list[tuple[list[Json], Json]] = []
    for body in live:
        uids = [(entry.get("targetRef") or {}).get("uid") for entry in body.get("endpoints") or ()]
        kept.append(([left.pop(uid) for uid in uids if uid in left], body))
    rest = list(left.values())
    kept.sort(key=lambda entry: -len(entry[0]))
    for inside, _ in kept:
        if inside:
            taken = SLICE_SIZE - len(inside)
            inside += rest[:taken]
            rest = rest[taken:]
    plan: list[tuple[list[Json], list[Json], Json | None]] = [(ports, inside, body) for inside, body in kept if inside]
    while rest:
        plan.append((ports, rest[:SLICE_SIZE], None))
        rest = rest[SLICE_SIZE:]
    return plan


def _triggered(meta: Json, trigger: str) -> Json:
    """Metadata that says when the change happened which is made known; nothing where it is not known."""
    annotations = {name: text for name, text in (meta.get("annotations") or {}).items() if name != TRIGGER_TIME}
    if trigger:
        annotations[TRIGGER_TIME] = trigger
    kept = {key: value for key, value in meta.items() if key != "annotations"}
    return {**kept, "annotations": annotations} if annotations else kept


def _slice_labels(service: Json) -> dict[str, str]:
    labels = {key: value for key, value in labels_of(service).items() if key not in _RESERVED}
    if _is_headless(service):
        labels[HEADLESS] = ""
    return {**labels, SERVICE_NAME: service["metadata"]["name"], MANAGED_BY: _MANAGER}


def _is_headless(service: Json) -> bool:
    return service["spec"].get("clusterIP") in (None, "", "None")


def _ports(service: Json, pod: Json) -> list[Json]:
    """The Service's ports as this pod has them; a named one that it does not have is left out."""
    ports = []
    for entry in service["spec"].get("ports") or ():
        number = port_number(pod, entry)
        if number is not None:
            port: Json = {"name": entry.get("name", ""), "port": number, "protocol": entry.get("protocol", "TCP")}
            if entry.get("appProtocol"):
                port["appProtocol"] = entry["appProtocol"]
            ports.append(port)
    return in_slice_order(ports)


def _belongs(pod: Json) -> bool:
    status = pod.get("status") or {}
    return not is_terminal(pod) and bool(status.get("podIP") or status.get("podIPs"))


def _matters(old: Json, new: Json) -> bool:
    """Whether a pod's change can change the endpoints of a Service."""
    before, after = old.get("status") or {}, new.get("status") or {}
    return (
        is_ready(old) != is_ready(new)
        or is_terminal(old) != is_terminal(new)
        or ("deletionTimestamp" in old["metadata"]) != ("deletionTimestamp" in new["metadata"])
        or before.get("podIPs") != after.get("podIPs")
        or labels_of(old) != labels_of(new)
    )


def _later(since: str, before: str | None) -> bool:
    return before is None or seconds_of(since) > seconds_of(before)
