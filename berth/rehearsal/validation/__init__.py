"""What the API server refuses: bodies that it cannot read, and objects and updates that break the rules of their kind.

The rules are Kubernetes' own, written after its behaviour and compared with a real control plane, message by message
(tests/contract/rehearsal). Every function is pure; objects are as `berth.rehearsal.defaults` leaves them.
"""

from __future__ import annotations

from collections.abc import Callable

from berth.core.objects import Json
from berth.rehearsal import kinds
from berth.rehearsal.kinds import Kind
from berth.rehearsal.validation import (
    autoscaling,
    claims,
    cluster,
    configuration,
    endpoints,
    formats,
    metadata,
    pod_updates,
    pods,
    policy,
    services,
    storage,
    workloads,
)
from berth.rehearsal.validation.decoding import decode_errors, has_duplicates, strict_errors, unknown_fields, wrong_kind
from berth.rehearsal.validation.errors import Errors

__all__ = [
    "check_create",
    "check_update",
    "decode_errors",
    "has_duplicates",
    "strict_errors",
    "unknown_fields",
    "wrong_kind",
]

_Create = Callable[[Json], Errors]
_Update = Callable[[Json, Json], Errors]


def check_create(kind: Kind, obj: Json) -> Errors:
    """Everything that is wrong with a new object, in the server's order; nothing if it may be made."""
    check = _CREATE.get(kind.key)
    found = check(obj) if check else metadata.created(kind, obj["metadata"], formats.subdomain)
    # What the kind's own rules let through must still fit into a URL.
    return found or metadata.created(kind, obj["metadata"], formats.path_segment, standard_finalizers=False)


def check_update(kind: Kind, new: Json, old: Json, subresource: str = "") -> Errors:
    """Everything that is wrong with an update of ``old`` to ``new``; nothing if it may be done.

    What the server checks twice comes twice, as its causes have it; its message names it once.
    """
    common = metadata.common(kind, new, old)
    return common + _UPDATE.get((kind.key, subresource), _no_rules)(new, old)


def _no_rules(new: Json, old: Json) -> Errors:
    del new, old
    return []


def _either(check: _Create) -> _Update:
    def update(new: Json, old: Json) -> Errors:
        del old
        return check(new)

    return update


_CREATE: dict[str, _Create] = {
    kinds.NAMESPACES.key: cluster.create_namespace,
    kinds.NODES.key: cluster.create_node,
    kinds.VOLUMES.key: storage.create_volume,
    kinds.PODS.key: pods.check_create,
    kinds.CLAIMS.key: claims.create_claim,
    kinds.SERVICES.key: services.create_service,
    kinds.ENDPOINTS.key: endpoints.create_endpoints,
    kinds.CONFIG_MAPS.key: configuration.create_config_map,
    kinds.SECRETS.key: configuration.create_secret,
    kinds.SERVICE_ACCOUNTS.key: configuration.create_account,
    kinds.EVENTS.key: cluster.event,
    kinds.QUOTAS.key: policy.create_quota,
    kinds.STATEFUL_SETS.key: workloads.create_set,
    kinds.REVISIONS.key: workloads.create_revision,
    kinds.AUTOSCALERS.key: autoscaling.create_autoscaler,
    kinds.LEASES.key: policy.create_lease,
    kinds.SLICES.key: endpoints.create_slice,
    kinds.POLICIES.key: policy.create_network_policy,
    kinds.BUDGETS.key: policy.budget,
    kinds.PRIORITY_CLASSES.key: policy.create_priority,
    kinds.CLASSES.key: storage.create_class,
}

_UPDATE: dict[tuple[str, str], _Update] = {
    (kinds.NAMESPACES.key, ""): cluster.update_namespace,
    (kinds.NAMESPACES.key, "status"): cluster.update_namespace_status,
    (kinds.NAMESPACES.key, "finalize"): cluster.finalize_namespace,
    (kinds.NODES.key, ""): cluster.update_node,
    (kinds.NODES.key, "status"): cluster.update_node_status,
    (kinds.VOLUMES.key, ""): storage.update_volume,
    (kinds.VOLUMES.key, "status"): metadata.changed,
    (kinds.PODS.key, ""): pod_updates.check_update,
    (kinds.PODS.key, "status"): pod_updates.check_status,
    (kinds.CLAIMS.key, ""): claims.update_claim,
    (kinds.CLAIMS.key, "status"): claims.update_claim_status,
    (kinds.SERVICES.key, ""): services.update_service,
    (kinds.SERVICES.key, "status"): services.update_service_status,
    (kinds.ENDPOINTS.key, ""): endpoints.update_endpoints,
    (kinds.CONFIG_MAPS.key, ""): configuration.update_config_map,
    (kinds.SECRETS.key, ""): configuration.update_secret,
    (kinds.SERVICE_ACCOUNTS.key, ""): configuration.update_account,
    (kinds.EVENTS.key, ""): _either(cluster.event),
    (kinds.QUOTAS.key, ""): policy.update_quota,
    (kinds.QUOTAS.key, "status"): policy.update_quota_status,
    (kinds.STATEFUL_SETS.key, ""): workloads.update_set,
    (kinds.STATEFUL_SETS.key, "scale"): workloads.update_set,
    (kinds.STATEFUL_SETS.key, "status"): workloads.update_set_status,
    (kinds.REVISIONS.key, ""): workloads.update_revision,
    (kinds.AUTOSCALERS.key, ""): autoscaling.update_autoscaler,
    (kinds.AUTOSCALERS.key, "status"): autoscaling.update_autoscaler_status,
    (kinds.LEASES.key, ""): policy.update_lease,
    (kinds.SLICES.key, ""): endpoints.update_slice,
    (kinds.POLICIES.key, ""): policy.update_network_policy,
    (kinds.BUDGETS.key, ""): _either(policy.budget),
    (kinds.BUDGETS.key, "status"): _either(policy.budget_status),
    (kinds.PRIORITY_CLASSES.key, ""): policy.update_priority,
    (kinds.CLASSES.key, ""): storage.update_class,
}
