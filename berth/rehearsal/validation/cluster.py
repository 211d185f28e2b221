"""Namespaces, nodes and events. Source: kubernetes pkg/apis/core/validation."""

from __future__ import annotations

from berth.core.objects import Json
from berth.rehearsal.kinds import NAMESPACES, NODES
from berth.rehearsal.validation import formats, metadata
from berth.rehearsal.validation.errors import Errors, all_invalid, duplicate_as, forbidden, invalid, required
from berth.rehearsal.validation.internal import compact
from berth.rehearsal.validation.resources import amount
from berth.rehearsal.validation.selectors import taints

#: Characters that parts of an event may have.
_MOST = 128
_MOST_NOTE = 1024


def create_namespace(new: Json) -> Errors:
    """A new namespace."""
    wrong = metadata.created(NAMESPACES, new["metadata"], formats.label)
    for name in new["spec"].get("finalizers") or ():
        wrong += _finalizer("spec.finalizers", name)
    return wrong


def _finalizer(path: str, name: str) -> Errors:
    wrong = all_invalid(path, name, formats.label_key(name))
    if "/" not in name and name not in metadata.STANDARD_FINALIZERS:
        wrong.append(invalid(path, name, "name is neither a standard finalizer name nor is it fully qualified"))
    return wrong


def update_namespace(new: Json, old: Json) -> Errors:
    """A namespace that is there already."""
    return create_namespace(new) + metadata.changed(new, old)


def finalize_namespace(new: Json, old: Json) -> Errors:
    """The finalizers of a namespace that ends."""
    wrong = metadata.changed(new, old)
    for index, name in enumerate(new["spec"].get("finalizers") or ()):
        wrong += _finalizer(f"spec.finalizers[{index}]", name)
    return wrong


def update_namespace_status(new: Json, old: Json) -> Errors:
    """The status of a namespace."""
    ends = "deletionTimestamp" in new["metadata"]
    phase, due = (new.get("status") or {}).get("phase", ""), "Terminating" if ends else "Active"
    wrong = metadata.changed(new, old)
    if phase != due:
        state = "is not empty" if ends else "is empty"
        wrong.append(invalid("status.Phase", phase, f"may only be '{due}' if `deletionTimestamp` {state}"))
    return wrong


def create_node(new: Json) -> Errors:
    """A new node."""
    wrong = metadata.created(NODES, new["metadata"], formats.subdomain)
    # The server names the metadata here.
    wrong += taints("metadata.taints", new["spec"].get("taints") or ()) + _resources(new)
    ranges = new["spec"].get("podCIDRs") or []
    for index, text in enumerate(ranges):
        wrong += all_invalid(f"spec.podCIDRs[{index}]", text, formats.cidr(text))
    return wrong


def _resources(new: Json) -> Errors:
    wrong: Errors = []
    for key in ("capacity", "allocatable"):
        for name, text in ((new.get("status") or {}).get(key) or {}).items():
            wrong += amount(name, text, f"status.{key}.{name}")
    return wrong


def update_node(new: Json, old: Json) -> Errors:
    """A node that is there already."""
    return create_node(new) + update_node_status(new, old)


def update_node_status(new: Json, old: Json) -> Errors:
    """What may change in a node, its status or else."""
    wrong = metadata.changed(new, old) + _resources(new)
    seen: list[Json] = []
    for index, each in enumerate((new.get("status") or {}).get("addresses") or ()):
        if each in seen:
            wrong.append(duplicate_as(f"status.addresses[{index}]", compact("core.NodeAddress", each)))
        seen.append(each)
    before, now = old["spec"].get("podCIDRs") or [], new["spec"].get("podCIDRs") or []
    detail = 'node updates may not change podCIDR except from "" to valid'
    if before and len(before) != len(now):
        wrong.append(forbidden("spec.podCIDRs", detail))
    elif before:
        pairs = zip(before, now, strict=True)
        wrong += [forbidden("spec.podCIDRs", detail) for older, newer in pairs if older != newer]
    provider = old["spec"].get("providerID", "")
    if provider and new["spec"].get("providerID", "") != provider:
        detail = 'node updates may not change providerID except from "" to valid'
        wrong.append(forbidden("spec.providerID", detail))
    wrong += taints("metadata.taints", new["spec"].get("taints") or ())
    if new["spec"].get("externalID", "") != old["spec"].get("externalID", ""):
        wrong.append(forbidden("spec.externalID", "may not be updated"))
    return wrong


def event(new: Json) -> Errors:
    """An event of the core API; whether it is new makes no difference."""
    wrong: Errors = []
    namespace = new["metadata"].get("namespace", "")
    about = (new.get("involvedObject") or {}).get("namespace", "")
    path, mismatch = "involvedObject.namespace", "does not match event.namespace"
    if not new.get("eventTime"):
        fits = namespace == about or (not about and namespace in ("", "default"))
        wrong += [] if fits else [invalid(path, about, mismatch)]
    else:
        if not about and namespace not in ("default", "kube-system"):
            wrong.append(invalid(path, about, mismatch))
        wrong += _new_style(new)
    return wrong + all_invalid("namespace", namespace, formats.subdomain(namespace))


def _new_style(new: Json) -> Errors:
    controller = new.get("reportingComponent", "")
    wrong: Errors = [] if controller else [required("reportingComponent")]
    wrong += all_invalid("reportingComponent", controller, formats.label_key(controller))
    for key in ("reportingInstance", "action", "reason"):
        text = new.get(key, "")
        if not text:
            wrong.append(required(key))
        if len(text) > _MOST:
            wrong.append(invalid(key, "", f"can have at most {_MOST} characters"))
    if len(new.get("message", "")) > _MOST_NOTE:
        wrong.append(invalid("message", "", f"can have at most {_MOST_NOTE} characters"))
    return wrong
