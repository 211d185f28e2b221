"""Reviews: who asks, and what they may do. There is one user here, who may do everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from berth.core.objects import Json
from berth.rehearsal.kinds import Kind
from berth.rehearsal.refusal import ApiError, bad_request
from berth.rehearsal.server import bodies, negotiation, wishes
from berth.rehearsal.server.discovery import Review
from berth.rehearsal.server.messages import Answer, Request

if TYPE_CHECKING:
    from berth.rehearsal.world import World

USER = "berth-admin"
GROUPS = ("system:masters", "system:authenticated")

_SELF = (
    ("authorization.k8s.io", ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]),
    ("authentication.k8s.io", ["selfsubjectreviews"]),
)
_EVERYBODYS = ("/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz")
_VERSION = ("/version", "/version/")


def create(world: World, request: Request, review: Review) -> Answer:
    """The answer to a review."""
    form = negotiation.wanted(request)
    options = wishes.options(request, "CreateOptions")
    kind = Kind(review.group, review.version, review.kind, f"{review.kind.lower()}s")
    body = bodies.read_typed(request, kind, options)
    about: Json = {"kind": review.kind, "apiVersion": f"{review.group}/{review.version}"}
    spec = body.get("spec")
    if review.kind == "SelfSubjectReview":
        with world.lock:
            meta = {"creationTimestamp": world.clock.timestamp()}
        user = {"username": USER, "groups": list(GROUPS)}
        tree = {**about, "metadata": meta, "status": {"userInfo": user}}
    elif review.kind == "SelfSubjectAccessReview":
        tree = {**about, "metadata": {}, "spec": _attributes(spec or {}), "status": {"allowed": True}}
    else:
        if not (spec or {}).get("namespace"):
            raise bad_request("no namespace on request")
        tree = {**about, "metadata": {}, "spec": {}, "status": _rules()}
    return Answer(201, form.encode(tree), form.media_type)


def _attributes(spec: Json) -> Json:
    found: dict[str, Any] = {
        key: spec[key] for key in ("resourceAttributes", "nonResourceAttributes") if isinstance(spec.get(key), dict)
    }
    if len(found) != 1:
        words = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        shown = "null" if not found else "{}"
        detail = f"Invalid value: {shown}: {words}"
        # As the API server has it, which does not say the kind here.
        field = "spec.resourceAttributes"
        cause = {"reason": "FieldValueInvalid", "message": detail, "field": field}
        words = f'.authorization.k8s.io "" is invalid: {field}: {detail}'
        raise ApiError(422, "Invalid", words, {"group": "authorization.k8s.io", "causes": [cause]})
    return found


def _rules() -> Json:
    every = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
    own = [{"verbs": ["create"], "apiGroups": [group], "resources": resources} for group, resources in _SELF]
    paths = [
        {"verbs": ["*"], "nonResourceURLs": ["*"]},
        {"verbs": ["get"], "nonResourceURLs": [*_EVERYBODYS, *_VERSION]},
        {"verbs": ["get"], "nonResourceURLs": ["/healthz", "/livez", "/readyz", *_VERSION]},
    ]
    return {"resourceRules": [*every, *own], "nonResourceRules": paths, "incomplete": False}
