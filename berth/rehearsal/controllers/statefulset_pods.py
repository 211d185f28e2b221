"""The pods and claims of a StatefulSet: their identity, how they are made from templates, and who owns the claims.

Pure: objects in, objects out. The words (ordinal, condemned, identity) are those of the real controller.
Source of the rules: kubernetes pkg/controller/statefulset/stateful_set_utils.go.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from berth.core.objects import Json
from berth.rehearsal.controllers.ownership import controller_reference, references, with_references
from berth.rehearsal.jsontree import clone

POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL = "apps.kubernetes.io/pod-index"
REVISION_LABEL = "controller-revision-hash"

_POD_NAME = re.compile(r"(.*)-([0-9]+)$", re.DOTALL)
_LARGEST_ORDINAL = 2**31 - 1


def parent_and_ordinal(pod: Json) -> tuple[str, int]:
    """The set and the ordinal that a pod's name says; ("", -1) where it says none."""
    return _parsed(pod["metadata"]["name"])


@lru_cache(maxsize=4096)
def _parsed(name: str) -> tuple[str, int]:
    found = _POD_NAME.match(name)
    if found is None:
        return "", -1
    ordinal = int(found[2])
    return found[1], ordinal if ordinal <= _LARGEST_ORDINAL else -1


def ordinal_of(pod: Json) -> int:
    """The ordinal that a pod's name says; -1 where it says none."""
    return parent_and_ordinal(pod)[1]


def is_member(set_: Json, pod: Json) -> bool:
    """Whether a pod's name makes it one of the set's."""
    return parent_and_ordinal(pod)[0] == str(set_["metadata"]["name"])


def revision_of(pod: Json) -> str:
    """The name of the revision that a pod was made from; "" where it says none."""
    return str((pod["metadata"].get("labels") or {}).get(REVISION_LABEL, ""))


def start_ordinal(set_: Json) -> int:
    """The first ordinal of the set."""
    return int((set_["spec"].get("ordinals") or {}).get("start") or 0)


def replicas_of(set_: Json) -> int:
    """How many pods the set wants."""
    wanted = set_["spec"].get("replicas")
    return 1 if wanted is None else int(wanted)


def in_range(set_: Json, pod: Json) -> bool:
    """Whether a pod's ordinal is one of those that the set wants."""
    start = start_ordinal(set_)
    return start <= ordinal_of(pod) < start + replicas_of(set_)


def allows_burst(set_: Json) -> bool:
    """Whether pods need not wait for each other."""
    return str(set_["spec"].get("podManagementPolicy")) == "Parallel"


def claim_name(set_: Json, template: Json, ordinal: int) -> str:
    """The name of the claim that a template makes for a pod."""
    return f"{template['metadata']['name']}-{set_['metadata']['name']}-{ordinal}"


def claim_templates(set_: Json) -> list[Json]:
    """The set's claim templates."""
    return set_["spec"].get("volumeClaimTemplates") or []


def claims_of(set_: Json, ordinal: int) -> dict[str, Json]:
    """The claims that a pod of this ordinal has, by the name of their template.

    Their labels are the template's, with the set's matchLabels over them.
    """
    match_labels = (set_["spec"].get("selector") or {}).get("matchLabels") or {}
    made = {}
    for template in claim_templates(set_):
        meta = {key: clone(value) for key, value in template["metadata"].items() if key != "creationTimestamp"}
        labels = {**(meta.get("labels") or {}), **match_labels}
        meta |= {"name": claim_name(set_, template, ordinal), "namespace": set_["metadata"]["namespace"]}
        if labels:
            meta["labels"] = labels
        body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta}
        # The template carries status.phase, which the API server fills in; a claim does not start with it from here.
        made[template["metadata"]["name"]] = {**body, "spec": clone(template.get("spec") or {})}
    return made


def new_pod(set_: Json, revision: str, ordinal: int) -> Json:
    """A pod of this ordinal as the set's template makes it, not yet created: it has no UID and no phase."""
    meta, template = set_["metadata"], set_["spec"]["template"]
    name = f"{meta['name']}-{ordinal}"
    template_meta = template.get("metadata") or {}
    labels = {**(template_meta.get("labels") or {}), POD_NAME_LABEL: name, POD_INDEX_LABEL: str(ordinal)}
    pod_meta: Json = {"name": name, "generateName": f"{meta['name']}-", "namespace": meta["namespace"]}
    pod_meta["labels"] = {**labels, REVISION_LABEL: revision}
    if template_meta.get("annotations"):
        pod_meta["annotations"] = dict(template_meta["annotations"])
    if template_meta.get("finalizers"):
        pod_meta["finalizers"] = list(template_meta["finalizers"])
    pod_meta["ownerReferences"] = [controller_reference(set_)]
    spec = {**clone(template["spec"]), "hostname": name}
    if set_["spec"].get("serviceName"):
        spec["subdomain"] = set_["spec"]["serviceName"]
    else:
        spec.pop("subdomain", None)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": pod_meta, "spec": spec}
    return with_storage(set_, pod)


def versioned_pod(current: Json, update: Json, current_revision: str, update_revision: str, ordinal: int) -> Json:
    """A new pod at the revision that its ordinal is to have: below a partition the current one, else the update."""
    strategy = current["spec"].get("updateStrategy") or {}
    rolling = strategy.get("rollingUpdate")
    start = start_ordinal(current)
    if rolling is not None:
        keeps = ordinal < start + int(rolling.get("partition") or 0)
    else:
        kept = int((current.get("status") or {}).get("currentReplicas") or 0)
        keeps = strategy.get("type") == "RollingUpdate" and ordinal < start + kept
    return new_pod(current, current_revision, ordinal) if keeps else new_pod(update, update_revision, ordinal)


def identity_matches(set_: Json, pod: Json) -> bool:
    """Whether a pod's name, namespace and label say the same of it."""
    parent, ordinal = parent_and_ordinal(pod)
    meta, set_meta = pod["metadata"], set_["metadata"]
    return (
        ordinal >= 0
        and parent == set_meta["name"]
        and meta["name"] == f"{set_meta['name']}-{ordinal}"
        and meta["namespace"] == set_meta["namespace"]
        and (meta.get("labels") or {}).get(POD_NAME_LABEL) == meta["name"]
    )


def with_identity(pod: Json) -> Json:
    """The pod with the labels that its name asks for."""
    meta = pod["metadata"]
    labels = {POD_NAME_LABEL: meta["name"], POD_INDEX_LABEL: str(ordinal_of(pod))}
    return {**pod, "metadata": {**meta, "labels": {**(meta.get("labels") or {}), **labels}}}


def storage_matches(set_: Json, pod: Json) -> bool:
    """Whether a pod's volumes are its own claims."""
    ordinal = ordinal_of(pod)
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes") or ()}
    for template in claim_templates(set_):
        volume = volumes.get(template["metadata"]["name"]) or {}
        source = volume.get("persistentVolumeClaim") or {}
        if source.get("claimName") != claim_name(set_, template, ordinal):
            return False
    return True


def with_storage(set_: Json, pod: Json) -> Json:
    """The pod with its claims as volumes, before its others; they replace others of the same name."""
    ordinal = ordinal_of(pod)
    own = {
        template["metadata"]["name"]: {
            "name": template["metadata"]["name"],
            "persistentVolumeClaim": {"claimName": claim_name(set_, template, ordinal)},
        }
        for template in claim_templates(set_)
    }
    volumes = [*own.values(), *(entry for entry in pod["spec"].get("volumes") or () if entry["name"] not in own)]
    return {**pod, "spec": {**pod["spec"], "volumes": volumes}} if volumes else pod


@dataclass(frozen=True, slots=True)
class Retention:
    """What becomes of claims: whether they go with the set, and with a pod that is scaled away."""

    delete_with_set: bool
    delete_with_pod: bool

    @classmethod
    def of(cls, set_: Json) -> Retention:
        """The set's policy; Retain where it has none."""
        policy = set_["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
        return cls(policy.get("whenDeleted") == "Delete", policy.get("whenScaled") == "Delete")


def claim_is_stale(claim: Json, pod: Json) -> bool:
    """Whether a claim belongs to an earlier pod of the same name, so that it will be collected."""
    return _stale(claim, pod)


def owners_are_right(claim: Json, set_: Json, pod: Json) -> bool:
    """Whether a claim's owners are those that the retention policy asks for.

    Claims that an earlier set or pod of the same name owns are left alone, and so are those of another controller.
    """
    if _stale(claim, set_) or _stale(claim, pod):
        return True
    if has_other_controller(claim, set_, pod):
        return not (_owned_by(claim, set_) or _owned_by(claim, pod))
    if _owned_without_managing(claim, set_, pod):
        return False
    by_set, by_pod = _wanted_owners(set_, pod)
    return _owned_by(claim, set_) == by_set and _owned_by(claim, pod) == by_pod


def with_right_owners(claim: Json, set_: Json, pod: Json) -> Json:
    """The claim with the owners that the retention policy asks for; beside another controller, without ours."""
    kept = [ref for ref in references(claim) if not (_names(ref, set_) or _names(ref, pod))]
    if not has_other_controller(claim, set_, pod):
        by_set, by_pod = _wanted_owners(set_, pod)
        kept += [controller_reference(pod)] if by_pod else []
        kept += [controller_reference(set_)] if by_set else []
    return with_references(claim, kept)


def has_other_controller(claim: Json, set_: Json, pod: Json) -> bool:
    """Whether something else than this set and this pod manages the claim; always untrue where all is retained."""
    retention = Retention.of(set_)
    if not (retention.delete_with_set or retention.delete_with_pod):
        return False
    for ref in references(claim):
        ours = next((owner for owner in (set_, pod) if _names(ref, owner)), None)
        if ours is not None:
            if ref["uid"] != ours["metadata"].get("uid", ""):
                return True
        elif ref.get("controller"):
            return True
    return False


def _wanted_owners(set_: Json, pod: Json) -> tuple[bool, bool]:
    """Whether the set, and whether the pod, is to own a claim of the pod."""
    retention, condemned = Retention.of(set_), not in_range(set_, pod)
    by_pod = retention.delete_with_pod and condemned
    return retention.delete_with_set and not by_pod, by_pod


def _names(reference: Json, owner: Json) -> bool:
    named = (owner["apiVersion"], owner["kind"], owner["metadata"]["name"])
    return (reference["apiVersion"], reference["kind"], reference["name"]) == named


def _stale(claim: Json, owner: Json) -> bool:
    ref = next((ref for ref in references(claim) if _names(ref, owner)), None)
    return ref is not None and ref["uid"] != owner["metadata"].get("uid", "")


def _owned_by(claim: Json, owner: Json) -> bool:
    uid = owner["metadata"].get("uid", "")
    return any(ref["uid"] == uid for ref in references(claim))


def _owned_without_managing(claim: Json, set_: Json, pod: Json) -> bool:
    uids = {owner["metadata"].get("uid", "") for owner in (set_, pod)}
    return any(ref["uid"] in uids and not ref.get("controller") for ref in references(claim))
