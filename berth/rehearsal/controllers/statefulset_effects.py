"""What a StatefulSet's controller does to pods and claims, one at a time, with the event that tells of it.

Source: kubernetes pkg/controller/statefulset/stateful_pod_control.go.
"""

from __future__ import annotations

from collections.abc import Sequence

from berth.core.objects import Json
from berth.rehearsal.client import Client
from berth.rehearsal.controllers import statefulset_pods as pods
from berth.rehearsal.kinds import CLAIMS, PODS
from berth.rehearsal.refusal import ApiError, FieldError, invalid

_SOURCE = "statefulset-controller"
#: What an API server says when somebody gives a pod other volumes; the difference that follows it is left out.
_FIXED = FieldError(
    "FieldValueForbidden",
    "spec",
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
)


def together(errors: Sequence[ApiError]) -> ApiError:
    """Several failures as one."""
    if len(errors) == 1:
        return errors[0]
    words = list(dict.fromkeys(error.message for error in errors))
    message = words[0] if len(words) == 1 else f"[{', '.join(words)}]"
    return ApiError(errors[0].code, errors[0].reason, message)


class Effects:
    """Creates, corrects and deletes the pods and claims of sets. Every method may raise ApiError."""

    def __init__(self, client: Client) -> None:
        """Write as this client."""
        self._client = client

    def create(self, set_: Json, pod: Json) -> None:
        """Make a pod, its claims first."""
        try:
            self.create_claims(set_, pod)
        except ApiError as error:
            self._say("create", set_, pod, error)
            raise
        refused: ApiError | None = None
        try:
            self._client.create(PODS, pod)
        except ApiError as error:
            if error.reason == "AlreadyExists":
                raise
            refused = error
        try:
            self.own_claims(set_, pod)
        except ApiError as error:
            self._say("update", set_, pod, error)
            raise
        self._say("create", set_, pod, refused)
        if refused is not None:
            raise refused

    def delete(self, set_: Json, pod: Json) -> None:
        """Delete a pod with its own grace period; one that is gone already is as good."""
        meta = pod["metadata"]
        try:
            self._client.delete(PODS, meta["namespace"], meta["name"])
        except ApiError as error:
            if error.code != 404:
                self._say("delete", set_, pod, error)
                raise
        self._say("delete", set_, pod, None)

    def correct(self, set_: Json, pod: Json) -> None:
        """Give a pod back the identity, volumes and owners of claims that it should have."""
        if pods.identity_matches(set_, pod) and pods.storage_matches(set_, pod) and self.claims_are_owned(set_, pod):
            return
        refused: ApiError | None = None
        try:
            fixed = pod if pods.identity_matches(set_, pod) else pods.with_identity(pod)
            if not pods.storage_matches(set_, pod):
                self.create_claims(set_, pod)
                refused = invalid(PODS, pod["metadata"]["name"], [_FIXED])
            self.own_claims(set_, pod)
        except ApiError as error:
            self._say("update", set_, pod, error)
            raise
        if refused is None:
            try:
                self._client.update(PODS, fixed)
            except ApiError as error:
                refused = error
        self._say("update", set_, pod, refused)
        if refused is not None:
            raise refused

    def create_claims(self, set_: Json, pod: Json) -> None:
        """Make the claims of a pod that are not there; one that is being deleted is an error."""
        errors = []
        for claim in pods.claims_of(set_, pods.ordinal_of(pod)).values():
            meta = claim["metadata"]
            live = self._client.get(CLAIMS, meta["namespace"], meta["name"])
            if live is None:
                try:
                    self._client.create(CLAIMS, claim)
                except ApiError as error:
                    message = f"failed to create PVC {meta['name']}: {error.message}"
                    errors.append(ApiError(error.code, error.reason, message))
                    self._say_of_claim(set_, pod, claim, error)
                else:
                    self._say_of_claim(set_, pod, claim, None)
            elif "deletionTimestamp" in live["metadata"]:
                errors.append(ApiError(500, "", f"pvc {meta['name']} is being deleted"))
        if errors:
            raise together(errors)

    def ensure_claims(self, set_: Json, pod: Json) -> None:
        """Make the claims that a waiting pod misses, and give them their owners."""
        self.create_claims(set_, pod)
        try:
            self.own_claims(set_, pod)
        except ApiError as error:
            self._say("update", set_, pod, error)
            raise

    def claims_are_owned(self, set_: Json, pod: Json) -> bool:
        """Whether the pod's claims have the owners that the retention policy asks for."""
        return all(pods.owners_are_right(claim, set_, pod) for claim in self._claims(set_, pod))

    def own_claims(self, set_: Json, pod: Json) -> None:
        """Give the pod's claims the owners that the retention policy asks for."""
        for claim in self._claims(set_, pod):
            if pods.has_other_controller(claim, set_, pod):
                name = claim["metadata"]["name"]
                words = (
                    f"PersistentVolumeClaim {name} has a conflicting OwnerReference that acts as a manging controller, "
                    "the retention policy is ignored for this claim"
                )
                self._client.event(set_, "Warning", "ConflictingController", words, _SOURCE)
            if not pods.owners_are_right(claim, set_, pod):
                self._client.update(CLAIMS, pods.with_right_owners(claim, set_, pod))

    def claim_is_stale(self, set_: Json, pod: Json) -> bool:
        """Whether a claim of a pod to be made belongs to the pod before it, and will be collected."""
        if not pods.Retention.of(set_).delete_with_pod:
            return False
        return any(pods.claim_is_stale(claim, pod) for claim in self._claims(set_, pod))

    def _claims(self, set_: Json, pod: Json) -> list[Json]:
        namespace, ordinal = set_["metadata"]["namespace"], pods.ordinal_of(pod)
        names = (pods.claim_name(set_, template, ordinal) for template in pods.claim_templates(set_))
        found = (self._client.get(CLAIMS, namespace, name) for name in names)
        return [claim for claim in found if claim is not None]

    def _say(self, verb: str, set_: Json, pod: Json, error: ApiError | None) -> None:
        what = f"{verb.title()} Pod {pod['metadata']['name']} in StatefulSet {set_['metadata']['name']}"
        self._tell(
            verb, set_, f"{what} successful" if error is None else f"{what} failed error: {error.message}", error
        )

    def _say_of_claim(self, set_: Json, pod: Json, claim: Json, error: ApiError | None) -> None:
        claim_name, pod_name, name = (body["metadata"]["name"] for body in (claim, pod, set_))
        if error is None:
            words = f"Create Claim {claim_name} Pod {pod_name} in StatefulSet {name} success"
        else:
            words = f"Create Claim {claim_name} for Pod {pod_name} in StatefulSet {name} failed error: {error.message}"
        self._tell("create", set_, words, error)

    def _tell(self, verb: str, set_: Json, words: str, error: ApiError | None) -> None:
        severity, outcome = ("Normal", "Successful") if error is None else ("Warning", "Failed")
        self._client.event(set_, severity, f"{outcome}{verb.title()}", words, _SOURCE)
