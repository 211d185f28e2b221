"""Random lives of a StatefulSet: what to do next is a matter of the seed alone, never of a cluster's answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from berth.core.objects import Json
from tests.contract.behaviour.space import BUDGETS, CLAIMS, PODS, SETS, Space, pod_spec, stateful_set
from tests.contract.behaviour.wire import JSON_PATCH, MERGE, STRATEGIC, Answer

POLICIES = ("Background", "Foreground", "Orphan")
FAULTS = ("image", "crash", "unready")


@dataclass(frozen=True, slots=True)
class Step:
    """Something that is done to a cluster, in words and as requests.

    ``ends``: the set is gone when it has settled. ``stuck``: pods may be left that only a deletion helps.
    """

    words: str
    act: Callable[[Space], list[Answer]]
    ends: bool = False
    stuck: bool = False


def _step(words: str, *requests: Callable[[Space], Answer], ends: bool = False) -> Step:
    return Step(words, lambda space: [request(space) for request in requests], ends)


class Life:
    """The steps of one life. What the set should be like is kept here, to know what can be done to it."""

    def __init__(self, seed: int) -> None:
        """Choose what stays the same for a life."""
        self.random = Random(seed)
        choose = self.random.choice
        self.claims = choose([(), ("data",), ("data",), ("data", "log")])
        self.ordered = choose(["OrderedReady", "OrderedReady", "Parallel"])
        self.replicas = self.random.randint(0, 3)
        self.image = 1
        self.fault = ""
        self.start = 0
        self.extra: Json = {}
        self.marks = 0

    def steps(self, count: int) -> Iterator[Step]:
        """So many steps, with the creation before them."""
        yield self._create()
        for _ in range(count):
            step = self._next()
            yield step
            if step.ends:
                yield self._create()
            if step.stuck:
                yield Step("delete the pods that are not ready", _delete_unready)

    # The set as a whole ----------------------------------------------------------------------------------------------

    def body(self) -> Json:
        """The set as it should be now."""
        annotations = {"berth.dev/fault": self.fault} if self.fault else None
        spec: dict[str, Any] = {"podManagementPolicy": self.ordered, **self.extra}
        spec |= {"ordinals": {"start": self.start}} if self.start else {}
        tag = str(self.image) if self.image else "nope"
        return stateful_set(self.replicas, f"web:{tag}", claims=self.claims, annotations=annotations, **spec)

    def _create(self) -> Step:
        body = self.body()
        if self.random.random() < 0.5:
            return _step("create", lambda space: space.ask("POST", SETS, body=body))
        return _step("create by apply", lambda space: space.apply(SETS, body, "life", force="true"))

    def _next(self) -> Step:
        doings = (
            [self._scale] * 4
            + [self._roll] * 4
            + [self._break] * 3
            + [self._mend] * (6 if self.fault or not self.image else 0)
            + [self._delete_pod] * 4
            + [self._delete_claim] * (2 if self.claims else 0)
            + [self._delete_set] * 2
            + [self._strategy] * 2
            + [self._retention] * (2 if self.claims else 0)
            + [self._start] * 2
            + [self._apply] * 2
            + [
                self._evict,
                self._evict,
                self._budget,
                self._limit,
                self._label,
                self._restart,
                self._refused,
                self._fail,
            ]
        )
        return self.random.choice(doings)()

    def _patch(self, words: str, spec: Json, steps: list[Json]) -> Step:
        """One change, by any of the patch types."""
        type = self.random.choice([MERGE, STRATEGIC, JSON_PATCH])
        body: object = steps if type is JSON_PATCH else {"spec": spec}
        return _step(f"{words} ({type.split('/')[1]})", lambda space: space.ask("PATCH", SETS, "web", body, type=type))

    def _scale(self) -> Step:
        self.replicas = number = self.random.randint(0, 4)
        if self.random.random() < 0.5:
            body = {"spec": {"replicas": number}}
            return _step(
                f"scale to {number}", lambda space: space.ask("PATCH", SETS, "web", body, sub="scale", type=MERGE)
            )
        steps = [{"op": "replace", "path": "/spec/replicas", "value": number}]
        return self._patch(f"replicas {number}", {"replicas": number}, steps)

    def _template(self, words: str) -> Step:
        """Bring image and fault of the template into the cluster."""
        template = self.body()["spec"]["template"]
        container = template["spec"]["containers"][0]
        if self.random.random() < 0.5:
            fault = {"berth.dev/fault": self.fault or None}
            inner = {
                "metadata": {"annotations": fault},
                "spec": {"containers": [{"name": "web", "image": container["image"]}]},
            }
            body: Json = {"spec": {"template": inner}}
            return _step(f"{words} (strategic)", lambda space: space.ask("PATCH", SETS, "web", body, type=STRATEGIC))
        steps = [{"op": "replace", "path": "/spec/template", "value": template}]
        return _step(f"{words} (json)", lambda space: space.ask("PATCH", SETS, "web", steps, type=JSON_PATCH))

    def _roll(self) -> Step:
        self.marks += 1
        self.image = self.random.choice([1, 2, self.marks + 2])
        return self._template(f"image {self.image}")

    def _break(self) -> Step:
        if self.random.random() < 0.4:
            self.image = 0
            return self._template("image that cannot be pulled")
        self.fault = self.random.choice(FAULTS)
        return self._template(f"fault {self.fault}")

    def _mend(self) -> Step:
        self.fault = ""
        self.image = self.image or self.random.randint(1, 3)
        return replace(self._template("mend"), stuck=self.random.random() < 0.7)

    def _restart(self) -> Step:
        self.marks += 1
        body = {"spec": {"template": {"metadata": {"annotations": {"restarted": str(self.marks)}}}}}
        return _step("restart", lambda space: space.ask("PATCH", SETS, "web", body, type=STRATEGIC))

    def _strategy(self) -> Step:
        partition = self.random.choice([0, 0, 1, 2])
        strategy: Json = {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}
        if self.random.random() < 0.3:
            strategy = {"type": "OnDelete"}
        self.extra = {**self.extra, "updateStrategy": strategy}
        steps = [{"op": "replace", "path": "/spec/updateStrategy", "value": strategy}]
        words = f"strategy {strategy}"
        return _step(words, lambda space: space.ask("PATCH", SETS, "web", steps, type=JSON_PATCH))

    def _retention(self) -> Step:
        chosen = {name: self.random.choice(["Retain", "Delete"]) for name in ("whenDeleted", "whenScaled")}
        self.extra = {**self.extra, "persistentVolumeClaimRetentionPolicy": chosen}
        steps = [{"op": "replace", "path": "/spec/persistentVolumeClaimRetentionPolicy", "value": chosen}]
        return self._patch(f"retention {chosen}", {"persistentVolumeClaimRetentionPolicy": chosen}, steps)

    def _limit(self) -> Step:
        number = self.random.randint(0, 2)
        self.extra = {**self.extra, "revisionHistoryLimit": number}
        steps = [{"op": "replace", "path": "/spec/revisionHistoryLimit", "value": number}]
        return self._patch(f"history of {number}", {"revisionHistoryLimit": number}, steps)

    def _start(self) -> Step:
        self.start = self.random.randint(0, 2)
        ordinals = {"start": self.start} if self.start else None
        body = {"spec": {"ordinals": ordinals}}
        return _step(f"ordinals {ordinals}", lambda space: space.ask("PATCH", SETS, "web", body, type=MERGE))

    def _label(self) -> Step:
        self.marks += 1
        body = {"metadata": {"labels": {"mark": str(self.marks)}, "annotations": {"mark": None}}}
        return _step("label", lambda space: space.ask("PATCH", SETS, "web", body, type=MERGE))

    def _apply(self) -> Step:
        self.replicas = self.random.randint(0, 3)
        body = self.body()
        return _step(f"apply with {self.replicas}", lambda space: space.apply(SETS, body, "life", force="true"))

    def _budget(self) -> Step:
        rule: Json = self.random.choice(
            [{"minAvailable": 1}, {"maxUnavailable": 1}, {"minAvailable": "50%"}, {"maxUnavailable": 0}]
        )
        spec: Json = {**rule, "selector": {"matchLabels": {"app": "web"}}}
        body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"}, "spec": spec}
        return _step(f"budget {rule}", lambda space: space.apply(BUDGETS, body, "life", force="true"))

    # Pods, claims, the end -------------------------------------------------------------------------------------------

    def _ordinal(self) -> int:
        return self.start + self.random.randint(0, max(0, self.replicas - 1))

    def _delete_pod(self) -> Step:
        name = f"web-{self._ordinal()}"
        return _step(f"delete pod {name}", lambda space: space.ask("DELETE", PODS, name))

    def _evict(self) -> Step:
        name = f"web-{self._ordinal()}"
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
        return _step(f"evict pod {name}", lambda space: space.ask("POST", PODS, name, body, sub="eviction"))

    def _fail(self) -> Step:
        name = f"web-{self._ordinal()}"
        body = {"status": {"phase": "Failed", "reason": "Evicted"}}
        return _step(f"fail pod {name}", lambda space: space.ask("PATCH", PODS, name, body, sub="status", type=MERGE))

    def _delete_claim(self) -> Step:
        name = f"{self.random.choice(self.claims)}-web-{self._ordinal()}"
        return _step(f"delete claim {name}", lambda space: space.ask("DELETE", CLAIMS, name))

    def _delete_set(self) -> Step:
        policy = self.random.choice(POLICIES)
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": policy}
        if self.random.random() < 0.5:
            self.image, self.fault = self.random.randint(1, 3), ""
        self.replicas = self.random.randint(0, 3)
        if policy == "Orphan":
            return Step("delete (Orphan)", lambda space: [_await_collector(space), _delete(space, options)], ends=True)
        return _step(f"delete ({policy})", lambda space: _delete(space, options), ends=True)

    def _refused(self) -> Step:
        """Requests that must fail in the same words."""
        refused: list[tuple[str, Json]] = [
            ("change serviceName", {"spec": {"serviceName": "x"}}),
            ("replicas -1", {"spec": {"replicas": -1}}),
            ("an old version", {"metadata": {"resourceVersion": "1"}}),
            ("a partition of -1", _PARTITION),
        ]
        words, patch = self.random.choice([*refused, ("apply a conflict", {}), ("create again", {})])
        if patch:
            return _step(f"refused: {words}", lambda space: space.ask("PATCH", SETS, "web", patch, type=MERGE))
        if words == "create again":
            return _step(f"refused: {words}", lambda space: space.ask("POST", SETS, body=stateful_set(9)))
        return _step(f"refused: {words}", lambda space: space.apply(SETS, stateful_set(9), "stranger"))


_PARTITION: Json = {"spec": {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": -1}}}}


def _delete(space: Space, options: Json) -> Answer:
    return space.ask("DELETE", SETS, "web", options)


def _await_collector(space: Space) -> Answer:
    """Wait until the garbage collector has seen all pods, by one that it has to take away.

    It makes orphans of those that it knows. A pod that was made a moment ago it may not know yet, and such a pod goes
    with its owner: a race of Kubernetes, not one of ours.
    """
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "ghost", "uid": "11111111-2222-3333-4444-555555555555"}
    meta = {"name": "ghost", "ownerReferences": [owner]}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": pod_spec(schedulerName="nobody")}
    answer = space.ask("POST", PODS, body=body)
    space.gone(PODS, "ghost")
    return answer


def _delete_unready(space: Space) -> list[Answer]:
    """What an operator does after mending a template whose pods are stuck."""
    broken = []
    for pod in space.all(PODS):
        conditions = pod.get("status", {}).get("conditions") or ()
        if not any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions):
            broken.append(pod["metadata"]["name"])
    return [space.ask("DELETE", PODS, name) for name in broken]
