"""dns: what a name inside the cluster leads to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from invoke.context import Context

from berth.cli import options
from berth.cli.common import Flags, Option, berth_task, one_of, setting
from berth.core.errors import DeniedError, ExitCode, FailedError

if TYPE_CHECKING:
    from berth.cluster.kube import Kube
    from berth.core.objects import Json
    from berth.rehearsal.dns import Answer

TYPES = ("A", "AAAA", "SRV", "CNAME", "TXT", "NS", "SOA", "PTR")
_SERVICE_NAME = "kubernetes.io/service-name"


@berth_task(
    Option("name", "the name, as a pod of the namespace would use it: web-0.nginx, or whole, with a dot at its end"),
    Option("type", f"type of the records: {', '.join(TYPES)}", "A"),
    options.NAMESPACE,
    *options.TARGET,
    options.TEXT_OR_JSON,
    positional=["name"],
)
def dns(ctx: Context, flags: Flags) -> int | None:
    """Show the records that the cluster's DNS gives for a name: invoke dns web-0.nginx --type A.

    They are worked out from the target's Services and EndpointSlices as CoreDNS does, so that no pod is needed. A name
    is looked for with the search domains of a pod in the namespace. No record: exit code 1, and the reason.
    """
    kind = one_of("type", flags.type.upper(), TYPES)
    one_of("output", flags.output, ("text", "json"))
    from berth.cli import target as targets
    from berth.rehearsal.dns import Answer, Code, answer, search

    target = targets.choose(ctx, flags)
    namespace = setting(ctx, "namespace", flags.namespace) or target.namespace or "default"
    kube = target.connect()
    view = _Live(kube)
    tried = search(_absolute(flags.name, kind), namespace)
    found = Answer(Code.REFUSED)
    for name in tried:
        found = answer(view, name, kind)
        if found.code is Code.NOERROR:
            break
    else:
        # Outside the cluster's domain nothing is known; that is of interest only where the name is there itself.
        name = tried[0]
        found = answer(view, name, kind)
    _show(name, kind, found, flags.output, target.description)
    if not found.records:
        raise _nothing(view, name, kind, found, tried)
    return ExitCode.DONE


def _absolute(name: str, kind: str) -> str:
    """The name to look for; that of an address, where its PTR record is wanted."""
    import ipaddress

    if kind != "PTR":
        # A pod tries its search domains first for all but the longest of these; none of them can exist.
        return f"{name}." if name.endswith(".cluster.local") else name
    try:
        return f"{ipaddress.ip_address(name).reverse_pointer}."
    except ValueError:
        return name


def _show(name: str, kind: str, found: Answer, output: str, target: str) -> None:
    if output == "json":
        sections = {"records": found.records, "additional": found.additional}
        told = {
            title: [{"name": one.name, "ttl": one.ttl, "type": one.type, "data": one.data} for one in records]
            for title, records in sections.items()
        }
        print(json.dumps({"target": target, "name": name, "type": kind, "code": str(found.code), **told}))
        return
    width = max((len(one.name) for one in (*found.records, *found.additional)), default=0)
    print(f"target: {target}")
    for one in (*found.records, *found.additional):
        print(f"{one.name:<{width}}  {one.ttl:>2}  {one.type:<5}  {one.data}")


def _nothing(view: _Live, name: str, kind: str, found: Answer, tried: Sequence[str]) -> FailedError:
    """Why there is no record: what is missing on the way to one."""
    from berth.rehearsal.dns import Code

    if found.code is Code.REFUSED:
        return FailedError(f"{name} is no name of the cluster", why="only names under cluster.local. are known")
    if found.code is Code.NOERROR:
        return FailedError(f"{name} exists, and has no {kind} records")
    # A short name may have a namespace in it: then that is the one which was meant.
    places = [place for one in tried if (place := _place(one)) is not None]
    meant = next((place for place in places[1:] if view.has_namespace(place[0])), places[0] if places else None)
    why = _why(view, *meant) if meant else "names of Services end with .NAMESPACE.svc.cluster.local"
    return FailedError(f"there is no name {name}", why=why, hint="its namespace goes behind it, or into --namespace")


def _place(name: str) -> tuple[str, str, str] | None:
    """Namespace, Service and hostname ("" for none) in a whole name; None where it has no such form."""
    labels = name.rstrip(".").split(".")
    if labels[-3:] != ["svc", "cluster", "local"] or not 5 <= len(labels) <= 7:
        return None
    return labels[-4], labels[-5], labels[0] if len(labels) == 6 else ""


def _why(view: _Live, namespace: str, service: str, hostname: str) -> str:
    if not view.has_namespace(namespace):
        return f"there is no namespace {namespace}"
    body = view.service(namespace, service)
    if body is None:
        return f"there is no Service {service} in {namespace}"
    slices = view.slices(namespace, service)
    endpoints = [one for slice_ in slices for one in slice_.get("endpoints") or ()]
    ready = [one for one in endpoints if (one.get("conditions") or {}).get("ready") is not False]
    if hostname and any(one.get("hostname") == hostname for one in endpoints if one not in ready):
        return f"{hostname} is not ready, and Service/{service} does not set publishNotReadyAddresses"
    if not ready:
        return f"Service/{service} has no ready endpoint" + (f", and {len(endpoints)} not ready" if endpoints else "")
    named = ", ".join(sorted({str(one["hostname"]) for one in ready if one.get("hostname")}))
    count = "1 ready endpoint" if len(ready) == 1 else f"{len(ready)} ready endpoints"
    return f"Service/{service} has {count}" + (f": {named}" if named else ", and none with a name")


class _Live:
    """What the rules of DNS ask, from the API; each thing is read once."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._slices: dict[str, list[Json]] = {}

    def has_namespace(self, name: str) -> bool:
        try:
            return self._get("Namespace", "", name) is not None
        except DeniedError:
            return True  # What is in it tells.

    def service(self, namespace: str, name: str) -> Json | None:
        return self._get("Service", namespace, name)

    def _get(self, kind: str, namespace: str, name: str) -> Json | None:
        from berth.core.objects import ObjectRef

        return self._kube.get(ObjectRef("", kind, namespace, name))

    def slices(self, namespace: str, service: str) -> Sequence[Json]:
        if namespace not in self._slices:
            self._slices[namespace] = self._kube.list("discovery.k8s.io", "EndpointSlice", namespace).items
        return [
            one
            for one in self._slices[namespace]
            if (one["metadata"].get("labels") or {}).get(_SERVICE_NAME) == service
        ]

    def services(self) -> Iterable[Json]:
        return self._kube.list("", "Service").items

    def all_slices(self) -> Iterable[Json]:
        return self._kube.list("discovery.k8s.io", "EndpointSlice").items
