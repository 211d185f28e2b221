"""A Kubernetes API in a handful of verbs on raw dicts, patient with faults and clear about refusals.

Every verb retries as ``retry`` says. A repeated apply, patch, delete or read is harmless; a repeated create or replace
first finds out whether the lost answer was a yes. All verbs may be called from any thread.

Raises, everywhere: TargetError when the server does not answer, DeniedError when it does not let us, and the
ClusterErrors of ``refusals`` for the rest; each names the object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, NamedTuple
from urllib.parse import urlencode

from berth.cluster.refusals import ExistsError, StaleError
from berth.cluster.resources import Resource, Resources
from berth.cluster.retry import Pace, Retry
from berth.cluster.session import READ_TIMEOUT, WRITE_TIMEOUT, Exchange, Reply, Session
from berth.cluster.transport import Stream, Transport
from berth.core.objects import FIELD_MANAGER, Json, ObjectRef

#: How many objects a page of a list holds; client-go and kubectl use 500.
PAGE = 500

_APPLY = "application/apply-patch+yaml"
_PATCH_TYPES = {"merge": "application/merge-patch+json", "json": "application/json-patch+json"}


class Listing(NamedTuple):
    """The objects of a list, and the resourceVersion from which a watch goes on without a gap."""

    items: list[Json]
    resource_version: str


class Kube:
    """One cluster. ``description`` names it in errors; ``observe`` is called with every Exchange, from any thread."""

    def __init__(
        self,
        transport: Transport,
        description: str = "",
        *,
        retry: Retry | None = None,
        observe: Callable[[Exchange], None] | None = None,
        read_timeout: float = READ_TIMEOUT,
        write_timeout: float = WRITE_TIMEOUT,
    ) -> None:
        """Take the transport; nothing is sent."""
        self._transport = transport
        self.session = Session(
            transport,
            description,
            retry=retry,
            observe=observe,
            read_timeout=read_timeout,
            write_timeout=write_timeout,
        )
        self.resources = Resources(self._discover)

    @property
    def description(self) -> str:
        """The cluster's name for people."""
        return self.session.description

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the server warned of (deprecated versions and the like), each once."""
        return self.session.warnings

    def server_time(self) -> datetime:
        """What the server's clock says now, to the second.

        Two machines that compare times by the server's clock need not agree on the time between themselves.
        """
        return self.session.server_time()

    def hasty(self, seconds: float) -> Kube:
        """The same cluster with less patience: so many seconds for each try, and twice that for all of them."""
        retry = replace(self.session.retry, pace=Pace(budget=2 * seconds))
        return Kube(
            self._transport,
            self.description,
            retry=retry,
            observe=self.session.observe,
            read_timeout=seconds,
            write_timeout=seconds,
        )

    def close(self) -> None:
        """Stop waiting for retries and close idle connections; a call under way ends with its last failure."""
        self.session.close()

    # Reading

    def version(self) -> Json:
        """The server's /version: gitVersion, major, minor."""
        return self._done("GET", "/version", "read", "the server's version")

    def get(self, ref: ObjectRef) -> Json | None:
        """The object, None when it does not exist."""
        path = self._resource(ref).path(ref.namespace, ref.name)
        reply = self.session.ask("GET", path, "read", str(ref)).answer
        if reply.refused is not None and reply.refused.code == 404:
            return None
        return self._body(reply, "read", str(ref))

    def list(
        self,
        group: str,
        kind: str,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        limit: int = PAGE,
    ) -> Listing:
        """All objects of a kind, in one namespace or everywhere, in pages of ``limit``; consistent as of one moment.

        The items carry apiVersion and kind, which the API leaves out of the items of built-in kinds.
        """
        resource = self.resources.find_kind(group, kind)
        what = f"{resource.plural}" + (f" in {namespace}" if namespace else "")
        query = {
            "labelSelector": label_selector or "",
            "fieldSelector": field_selector or "",
            "limit": str(limit) if limit else "",
        }
        items: list[Json] = []
        while True:
            reply = self.session.ask("GET", _with(resource.path(namespace or ""), query), "list", what).answer
            if reply.refused is not None and reply.refused.code == 410 and query.get("continue"):
                # The snapshot that the pages were cut from is compacted: begin anew, in one piece.
                items, query = [], {**query, "continue": "", "limit": ""}
                continue
            page = self._body(reply, "list", what)
            meta = page.get("metadata") or {}
            for item in page.get("items") or ():
                item.setdefault("apiVersion", resource.api_version)
                item.setdefault("kind", kind)
                items.append(item)
            if not meta.get("continue"):
                return Listing(items, str(meta.get("resourceVersion", "")))
            query["continue"] = meta["continue"]

    def watch(
        self,
        group: str,
        kind: str,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str | None = None,
        field_selector: str | None = None,
        timeout: int = 300,
        read_timeout: float = 60.0,
    ) -> Stream:
        """Begin a watch, once; its lines are watch events as JSON, bookmarks among them.

        Raises:
            ExpiredError: the resourceVersion is too old.
            WireError: the connection failed; the caller lists and watches anew.
        """
        resource = self.resources.find_kind(group, kind)
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout),
            "labelSelector": label_selector or "",
            "fieldSelector": field_selector or "",
        }
        what = resource.plural + (f" in {namespace}" if namespace else "")
        path = _with(resource.path(namespace or ""), query)
        return self.session.open(path, "watch", what, read_timeout=read_timeout)

    def logs(self, namespace: str, pod: str, container: str = "", *, tail: int = 20, previous: bool = False) -> str:
        """The last lines that a container wrote; "" when the server has none to give."""
        query = {"container": container, "tailLines": str(tail), "previous": "true" if previous else ""}
        path = _with(Resource("", "v1", "Pod", "pods").path(namespace, pod, "log"), query)
        what = f"the log of Pod/{pod} in {namespace}"
        reply = self.session.ask("GET", path, "read", what, text=True).answer
        if reply.refused is not None and reply.refused.code in (400, 404):
            return ""
        return str(self.session.checked(reply, "read", what))

    def can(
        self, verb: str, group: str, resource: str, namespace: str = "", name: str = "", subresource: str = ""
    ) -> bool:
        """Whether we may, as a SelfSubjectAccessReview says; nothing is stored, so that it may be repeated."""
        attributes = {
            "verb": verb,
            "group": group,
            "resource": resource,
            "namespace": namespace,
            "name": name,
            "subresource": subresource,
        }
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {
                "resourceAttributes": {key: value for key, value in attributes.items() if value or key == "group"}
            },
        }
        answer = self._done(
            "POST",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            "review",
            f"our access to {resource}",
            body,
        )
        return bool((answer.get("status") or {}).get("allowed"))

    # Writing

    def apply(
        self, body: Json, *, dry_run: bool = False, force: bool = False, field_manager: str = FIELD_MANAGER
    ) -> Json:
        """Server-side apply; the object as it stands afterwards (or, on a dry run, would stand).

        Fields that only our own other operations own (``scale``, ``patch``) are no conflict.

        Raises:
            ConflictError: another manager owns fields that differ; each field and its manager is named.
            ImmutableError, InvalidError: validation refuses it.
        """
        ref, resource = self._identify(body)
        query = {
            "fieldManager": field_manager,
            "fieldValidation": "Strict",
            "dryRun": "All" if dry_run else "",
            "force": "true" if force else "",
        }
        path = resource.path(ref.namespace, ref.name)

        def send() -> Reply:
            return self.session.ask("PATCH", _with(path, query), "apply", str(ref), body, _APPLY, contended=True).answer

        reply = send()
        if reply.refused is not None and reply.refused.managers == (field_manager,) and not force:
            query["force"] = "true"
            reply = send()
        return self._body(reply, "apply", str(ref), body)

    def create(self, body: Json, *, dry_run: bool = False, field_manager: str = FIELD_MANAGER) -> Json:
        """Make an object that must not exist yet.

        Raises:
            ExistsError: it exists, and it is not the one that a lost answer of ours was about.
        """
        ref, resource = self._identify(body)
        query = {"fieldManager": field_manager, "fieldValidation": "Strict", "dryRun": "All" if dry_run else ""}
        path = resource.path(ref.namespace)
        outcome = self.session.ask("POST", _with(path, query), "create", str(ref), body)
        try:
            return self._body(outcome.answer, "create", str(ref), body)
        except ExistsError:
            live = self.get(ref) if outcome.uncertain else None
            if live is not None and _covers(live, body):
                return live
            raise

    def replace(self, body: Json, *, field_manager: str = FIELD_MANAGER) -> Json:
        """Put an object in the place of the one that was read: compare-and-swap by metadata.resourceVersion.

        Raises:
            StaleError: it changed since.
        """
        ref, resource = self._identify(body)
        path = _with(
            resource.path(ref.namespace, ref.name), {"fieldManager": field_manager, "fieldValidation": "Strict"}
        )
        outcome = self.session.ask("PUT", path, "replace", str(ref), body)
        try:
            return self._body(outcome.answer, "replace", str(ref), body)
        except StaleError:
            live = self.get(ref) if outcome.uncertain else None
            if live is not None and _covers(live, _without_version(body)):
                return live
            raise

    def patch(
        self,
        ref: ObjectRef,
        patch: Json | Sequence[Json],
        type: Literal["merge", "json"] = "merge",
        *,
        subresource: str = "",
        dry_run: bool = False,
        field_manager: str = FIELD_MANAGER,
    ) -> Json:
        """Change some fields. A merge patch is repeated when its answer is lost, a JSON patch is not."""
        query = {"fieldManager": field_manager, "dryRun": "All" if dry_run else ""}
        path = _with(self._resource(ref).path(ref.namespace, ref.name, subresource), query)
        reply = self.session.ask(
            "PATCH", path, "patch", str(ref), patch, _PATCH_TYPES[type], repeatable=type == "merge"
        ).answer
        return self._body(reply, "patch", str(ref), {"kind": ref.kind, **patch} if isinstance(patch, dict) else None)

    def scale(self, ref: ObjectRef, replicas: int, *, uid: str | None = None) -> Json:
        """Set the number of replicas through the scale subresource; the Scale afterwards.

        Raises:
            StaleError: the object of that name has another uid now; it was left alone.
        """
        meta = {"metadata": {"uid": uid}} if uid else {}
        return self.patch(ref, {**meta, "spec": {"replicas": replicas}}, subresource="scale")

    def delete(
        self,
        ref: ObjectRef,
        *,
        propagation: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
        grace: int | None = None,
    ) -> Json | None:
        """Ask for deletion; None when the object is gone already, else what the server answered.

        ``propagation``: Background, Foreground or Orphan. Deletion goes on after the answer: finalizers, and a pod's
        grace, take their time.

        Raises:
            StaleError: the object of that name has another uid or resourceVersion now; it was left alone.
        """
        body: Json = {"apiVersion": "v1", "kind": "DeleteOptions"}
        preconditions = {key: value for key, value in (("uid", uid), ("resourceVersion", resource_version)) if value}
        for key, value in (
            ("propagationPolicy", propagation),
            ("preconditions", preconditions or None),
            ("gracePeriodSeconds", grace),
        ):
            if value is not None:
                body[key] = value
        path = self._resource(ref).path(ref.namespace, ref.name)
        contended = not resource_version
        reply = self.session.ask("DELETE", path, "delete", str(ref), body, contended=contended).answer
        if reply.refused is not None and reply.refused.code == 404:
            return None
        if reply.refused is not None and reply.refused.purging:
            return self.get(ref)
        return self._body(reply, "delete", str(ref))

    # The way there and back

    def _resource(self, ref: ObjectRef) -> Resource:
        return self.resources.find_kind(ref.group, ref.kind)

    def _identify(self, body: Json) -> tuple[ObjectRef, Resource]:
        return ObjectRef.of(body), self.resources.find(str(body["apiVersion"]), str(body["kind"]))

    def _discover(self, path: str) -> Json | None:
        reply = self.session.ask("GET", path, "discover", path).answer
        if reply.refused is not None and reply.refused.code == 404:
            return None
        return self._body(reply, "discover", path)

    def _done(self, method: str, path: str, verb: str, what: str, body: Json | None = None) -> Json:
        return self._body(self.session.ask(method, path, verb, what, body).answer, verb, what, body)

    def _body(self, reply: Reply, verb: str, what: str, sent: Json | None = None) -> Json:
        found: Json = self.session.checked(reply, verb, what, sent)
        return found


def _with(path: str, query: Mapping[str, str]) -> str:
    text = urlencode({key: value for key, value in query.items() if value})
    return f"{path}?{text}" if text else path


def _covers(live: Any, sent: Any) -> bool:
    """Whether a live object is what was sent plus what the server adds."""
    if isinstance(sent, dict):
        return isinstance(live, dict) and all(key in live and _covers(live[key], value) for key, value in sent.items())
    if isinstance(sent, list):
        return isinstance(live, list) and len(live) == len(sent) and all(map(_covers, live, sent))
    return bool(live == sent)


def _without_version(body: Json) -> Json:
    skip = ("resourceVersion", "managedFields", "generation")
    return {**body, "metadata": {key: value for key, value in body["metadata"].items() if key not in skip}}
