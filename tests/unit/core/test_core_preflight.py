"""What would keep a release from coming up, found before anything is changed."""

from __future__ import annotations

from typing import Any

import pytest

from berth.core.objects import INSTANCE_LABEL, KEEP_ANNOTATION, PART_OF_LABEL, Json, Manifest, ObjectRef
from berth.core.preflight import Findings, Surroundings, default_class, preflight
from tests.unit.core.samples import claim, manifest, name_of, over, simple, statefulset, storage_class, table

pytestmark = pytest.mark.unit

DEFAULT = {"metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}
BETA = {"metadata": {"annotations": {"storageclass.beta.kubernetes.io/is-default-class": "true"}}}


def check(*bodies: Json | Manifest, **around: Any) -> Findings:
    """The findings for some manifests, in a cluster with a default class unless it says otherwise."""
    around = {"classes": [storage_class("local-path", DEFAULT)], **around}
    made = [body if isinstance(body, Manifest) else manifest(body) for body in bodies]
    return preflight("web", made, Surroundings(**around))


def problems(*bodies: Json | Manifest, **around: Any) -> list[str]:
    return [problem.what for problem in check(*bodies, **around).problems]


def with_class(name: str | None) -> Json:
    template = {"metadata": {"name": "www"}, "spec": {"resources": {"requests": {"storage": "1Gi"}}}}
    return statefulset({"spec": {"volumeClaimTemplates": [over(template, {"spec": {"storageClassName": name}})]}})


def test_a_cluster_that_can_take_it() -> None:
    assert check(statefulset()) == Findings((), ())


CLASSES = table("""
- name: named and there
  wants: fast
  classes: {fast: no}
- name: named and not there
  wants: fast
  classes: {slow: default}
  problem: StorageClass fast does not exist
  hint: choose one of slow, or create it
- name: named and rendered by the profile itself
  wants: fast
  classes: {}
  rendered: {fast: no}
- name: not named, one default
  classes: {slow: no, fast: default}
- name: not named, a default of the deprecated kind
  classes: {fast: beta}
- name: not named, no default
  classes: {slow: no}
  problem: no StorageClass is the default, and the claim names none
  hint: "--set storage.className=..., one of: slow"
- name: not named, no class at all
  classes: {}
  problem: no StorageClass is the default, and the claim names none
  hint: "--set storage.className=..., one of: none exists"
- name: not named, the profile renders the default
  classes: {}
  rendered: {fast: default}
- name: not named, two defaults
  classes: {a: default, b: default}
  warning: 2 StorageClasses are the default; the newest, a, is used
- name: the empty class, for volumes made by hand
  wants: ""
  classes: {}
- name: may not be listed
  wants: fast
  warning: storage classes may not be listed with these credentials, so they were not checked
""")


@pytest.mark.parametrize("case", CLASSES, ids=name_of)
def test_classes(case: dict[str, Any]) -> None:
    def make(names: dict[str, Any]) -> list[Json]:
        return [storage_class(name, {"default": DEFAULT, "beta": BETA}.get(kind)) for name, kind in names.items()]

    classes = make(case["classes"]) if "classes" in case else None
    found = check(with_class(case.get("wants")), *make(case.get("rendered", {})), classes=classes)
    assert [problem.what for problem in found.problems] == ([case["problem"]] if "problem" in case else [])
    assert [problem.hint for problem in found.problems] == ([case["hint"]] if "hint" in case else [])
    assert list(found.warnings) == ([case["warning"]] if "warning" in case else [])


@pytest.mark.parametrize(
    ("ages", "chosen"),
    [({}, None), ({"a": "2026-01-01", "b": "2026-01-02"}, "b"), ({"b": "2026-01-01", "a": "2026-01-01"}, "a")],
    ids=["none", "the newest", "of two of an age the first by name"],
)
def test_the_default_class(ages: dict[str, str], chosen: str | None) -> None:
    classes = [
        storage_class(n, over(DEFAULT, {"metadata": {"creationTimestamp": f"{age}T00:00:00Z"}}))
        for n, age in ages.items()
    ]
    found = default_class([*classes, storage_class("other")])
    assert (found and found["metadata"]["name"]) == chosen


CLAIMS = table("""
- name: as it would be made
  claim: {}
- name: of an ordinal that is not wanted
  of: www-web-3
  claim: {spec: {resources: {requests: {storage: 9Gi}}}}
- name: of another set
  of: www-web-api-0
  claim: {spec: {resources: {requests: {storage: 9Gi}}}}
- name: the same size in another unit
  claim: {spec: {resources: {requests: {storage: 1024Mi}}}}
- name: smaller
  claim: {spec: {resources: {requests: {storage: 512Mi}}}}
  problem: claim www-web-0 exists with 512Mi, and the profile asks for 1Gi
  hint: --set storage.size=512Mi, or grow the claim first if its class allows it
- name: larger
  claim: {spec: {resources: {requests: {storage: 2Gi}}}}
  problem: claim www-web-0 exists with 2Gi, and the profile asks for 1Gi
  hint: --set storage.size=2Gi
- name: of another class
  wants: fast
  claim: {}
  problem: claim www-web-0 exists with class local-path, and the profile asks for fast
  hint: --set storage.className=local-path, or install under another --name
- name: of another release
  claim: {metadata: {labels: {app.kubernetes.io/instance: other}}}
  problem: claim www-web-0 belongs to release other
  hint: install under another --name, so that the two do not share a disk
- name: of this release
  claim: {metadata: {labels: {app.kubernetes.io/instance: web}}}
- name: being deleted
  claim: {metadata: {deletionTimestamp: "2026-01-01T10:00:00Z", finalizers: [kubernetes.io/pvc-protection]}}
  problem: claim www-web-0 is being deleted
  hint: wait until it is gone
""")


@pytest.mark.parametrize("case", CLAIMS, ids=name_of)
def test_claims_that_stand_from_before(case: dict[str, Any]) -> None:
    classes = [storage_class("local-path", DEFAULT), storage_class("fast")]
    found = check(
        with_class(case.get("wants")), classes=classes, claims=[claim(case.get("of", "www-web-0"), case["claim"])]
    )
    assert [problem.what for problem in found.problems] == ([case["problem"]] if "problem" in case else [])
    assert [problem.hint for problem in found.problems] == ([case["hint"]] if "hint" in case else [])


def test_a_claim_that_the_live_set_uses_is_only_warned_of() -> None:
    """It was grown by hand; and a template that asks for more is refused later, with the way to do it."""
    grown = claim("www-web-0", {"spec": {"resources": {"requests": {"storage": "2Gi"}}}})
    old = claim("www-web-2", {"spec": {"resources": {"requests": {"storage": "2Gi"}}}})
    body = statefulset()
    live = {ObjectRef.of(body): statefulset({"spec": {"replicas": 2}})}
    found = check(body, claims=[grown, claim("www-web-1"), old], live=live)
    assert found.warnings == ("claim www-web-0 exists with 2Gi, and the profile asks for 1Gi",)
    assert [p.what for p in found.problems] == ["claim www-web-2 exists with 2Gi, and the profile asks for 1Gi"]


def test_a_lost_claim_below_others_is_warned_of() -> None:
    """Ordinal 0 of a database would begin anew, while the others still have the data."""
    found = check(statefulset(), claims=[claim("www-web-1"), claim("www-web-2")])
    assert found.warnings == ("www-web-0 will be new and empty, while claims of higher ordinals exist",)
    assert not found.problems


def node(name: str, zone: str = "a", **changes: Any) -> Json:
    labels = {"kubernetes.io/hostname": name, **({"topology.kubernetes.io/zone": zone} if zone else {})}
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    return over({"kind": "Node", "metadata": {"name": name, "labels": labels}, **ready}, changes)


def spread(*, anti: str | None = "", zone: dict[str, Any] | None = None, **pod: Any) -> Json:
    """A set of three with a hard anti-affinity by host (to pods of app ``anti``) and a spread over zones."""
    spec: dict[str, Any] = dict(pod)
    if anti is not None:
        term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": anti or "web"}}}
        spec["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    if zone:
        spec["topologySpreadConstraints"] = [{"topologyKey": "topology.kubernetes.io/zone", "maxSkew": 1, **zone}]
    return statefulset({"spec": {"template": {"spec": spec}}})


TAINT = [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]
HARD = {"whenUnsatisfiable": "DoNotSchedule"}
TWO = "StatefulSet/web in shop needs 3 different kubernetes.io/hostname, and the nodes have 2"
NONE = (
    "no node takes the pods of StatefulSet/web in shop now: "
    "all are cordoned, not ready, tainted, or without the labels that the pods ask for"
)


@pytest.mark.parametrize(
    ("body", "nodes", "expected"),
    [
        (spread(), [node("a"), node("b"), node("c")], []),
        (spread(), [node("a"), node("b")], [TWO]),
        (spread(anti=None), [node("a")], []),
        (spread(anti="other"), [node("a")], []),
        (spread(), [node("a"), node("b"), node("c", spec={"unschedulable": True})], [TWO]),
        (spread(), [node("a"), node("b"), node("c", status={"conditions": []})], [TWO]),
        (spread(), [node("a"), node("b"), node("c", spec={"taints": TAINT})], [TWO]),
        (spread(tolerations=[{"operator": "Exists"}]), [node("a"), node("b"), node("c", spec={"taints": TAINT})], []),
        (spread(nodeSelector={"disk": "ssd"}, anti=None), [node("a")], [NONE]),
        (spread(anti=None), [node("a", spec={"unschedulable": True})], [NONE]),
        (spread(anti=None, zone=HARD), [node("a")], []),
        (
            spread(anti=None, zone=HARD),
            [node("a", zone="")],
            ["StatefulSet/web in shop needs 1 different topology.kubernetes.io/zone, and the nodes have 0"],
        ),
        (spread(anti=None, zone={"whenUnsatisfiable": "ScheduleAnyway"}), [node("a", zone="")], []),
        (
            spread(anti=None, zone={**HARD, "minDomains": 3}),
            [node("a", "x"), node("b", "y")],
            ["StatefulSet/web in shop needs 3 different topology.kubernetes.io/zone, and the nodes have 2"],
        ),
        (spread(anti=None, zone={**HARD, "minDomains": 3, "maxSkew": 2}), [node("a", "x"), node("b", "y")], []),
    ],
    ids=[
        "enough",
        "one too few",
        "no rule",
        "away from others",
        "one cordoned",
        "one not ready",
        "one tainted",
        "one tainted, tolerated",
        "none with the label",
        "all cordoned",
        "zones hold any number",
        "no node has a zone",
        "a soft spread",
        "fewer zones than minDomains",
        "fewer zones than minDomains, and skew enough",
    ],
)
def test_hard_spreads(body: Json, nodes: list[Json], expected: list[str]) -> None:
    found = check(body, nodes=nodes)
    assert [*(problem.what for problem in found.problems), *found.warnings] == expected


def test_no_pods_need_no_nodes() -> None:
    assert check(
        over(spread(), {"spec": {"replicas": 0}}), nodes=[node("a", spec={"unschedulable": True})]
    ) == Findings((), ())


def test_a_namespace_that_is_being_deleted() -> None:
    condition = {
        "type": "NamespaceContentRemaining",
        "status": "True",
        "message": "Some resources are remaining: pods.",
    }
    going = {"metadata": {"name": "shop", "deletionTimestamp": "x"}, "status": {"conditions": [condition]}}
    (problem,) = check(statefulset(), namespace=going).problems
    assert (problem.what, problem.why) == ("namespace shop is being deleted", "Some resources are remaining: pods.")


SECRET = simple("Secret", "password", {"metadata": {"annotations": {KEEP_ANNOTATION: "data"}}})


@pytest.mark.parametrize(
    ("claims", "stored", "refused"),
    [
        ([], None, False),
        ([claim("www-web-7")], None, True),
        ([claim("www-web-0")], {"user": "YQ=="}, True),
        ([claim("www-web-0")], {"user": "YQ==", "password": "YQ=="}, False),
        ([claim("www-web-0", phase="Pending")], None, False),
        ([claim("www-other-0")], None, False),
        ([claim("www-web-00")], None, False),
    ],
    ids=["first time", "secret gone", "key gone", "secret kept", "claim holds nothing", "other set", "no ordinal"],
)
def test_a_password_is_not_made_anew_for_old_data(claims: list[Json], stored: Json | None, refused: bool) -> None:
    made = manifest(SECRET, generated={"user": 8, "password": 32})
    live = {made.ref: over(SECRET, {"data": stored})} if stored else {}
    found = check(statefulset(), made, claims=claims, live=live).problems
    assert bool(found) == refused
    if refused:
        assert found[0].what.startswith("Secret/password in shop lacks password")
        assert "invoke teardown --name web --data delete" in found[0].hint


def test_a_secret_that_opens_no_data_may_be_made_anew() -> None:
    made = manifest(simple("Secret", "session-key"), generated={"key": 32})
    assert problems(statefulset(), made, claims=[claim("www-web-0")]) == []


def test_objects_of_another_release() -> None:
    ours = simple("Service", "web", {"metadata": {"labels": {PART_OF_LABEL: "applyset-a"}}})
    for labels, other in (
        ({PART_OF_LABEL: "applyset-b", INSTANCE_LABEL: "shop"}, "release shop"),
        ({PART_OF_LABEL: "applyset-b"}, "release another tool's set of objects"),
    ):
        theirs = over(ours, {"metadata": {"labels": {PART_OF_LABEL: None, **labels}}})
        found = problems(ours, live={ObjectRef.of(ours): theirs})
        assert found == [f"Service/web in shop belongs to {other}, not to web"]
    assert problems(ours, live={ObjectRef.of(ours): ours}) == []
    assert problems(ours, live={ObjectRef.of(ours): simple("Service", "web")}) == []


def quota(hard: dict[str, str], used: dict[str, str] | None = None, **spec: Any) -> Json:
    return {"metadata": {"name": "tight"}, "spec": spec, "status": {"hard": hard, "used": used or {}}}


def asking(requests: dict[str, str] | None = None, limits: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    resources = {**({"requests": requests} if requests else {}), **({"limits": limits} if limits else {})}
    return {"name": "c", "resources": resources, **more}


CPU = {"cpu": "500m"}


@pytest.mark.parametrize(
    ("hard", "used", "pod", "needs"),
    [
        ({"pods": "3"}, {}, {}, None),
        ({"pods": "3"}, {"pods": "1"}, {}, "3"),
        ({"count/pods": "2"}, {}, {}, "3"),
        ({"requests.cpu": "1500m"}, {}, {"containers": [asking(CPU)]}, None),
        ({"requests.cpu": "1"}, {}, {"containers": [asking(CPU)]}, "1.5"),
        ({"cpu": "1"}, {}, {"containers": [asking(CPU)]}, "1.5"),
        ({"requests.cpu": "1"}, {}, {"containers": [asking(limits=CPU)]}, "1.5"),
        ({"limits.cpu": "1"}, {}, {"containers": [asking(CPU)]}, None),
        ({"limits.memory": "1Gi"}, {}, {"containers": [asking(limits={"memory": "512Mi"})]}, "1536Mi"),
        ({"requests.cpu": "1"}, {}, {"containers": [asking(CPU)], "initContainers": [asking({"cpu": "2"})]}, "6"),
        (
            {"requests.cpu": "1"},
            {},
            {"containers": [asking(CPU)], "initContainers": [asking(CPU, restartPolicy="Always")]},
            "3",
        ),
        ({"requests.cpu": "1"}, {}, {"resources": {"requests": {"cpu": "1"}}, "containers": [asking(CPU)]}, "3"),
        ({"requests.storage": "3Gi"}, {}, {}, None),
        ({"requests.storage": "3Gi"}, {"requests.storage": "1Gi"}, {}, "3Gi"),
        ({"persistentvolumeclaims": "2"}, {}, {}, "3"),
        ({"count/persistentvolumeclaims": "2"}, {}, {}, "3"),
        ({"local-path.storageclass.storage.k8s.io/requests.storage": "2Gi"}, {}, {}, "3Gi"),
        ({"fast.storageclass.storage.k8s.io/requests.storage": "0"}, {}, {}, None),
    ],
    ids=[
        "pods fit",
        "pods do not",
        "pods counted",
        "requests fit",
        "requests do not",
        "by their short name",
        "limits are requests",
        "no limits",
        "memory",
        "a large init container",
        "a sidecar",
        "the pod as a whole",
        "storage fits",
        "storage does not",
        "claims",
        "claims counted",
        "storage of the class",
        "storage of another class",
    ],
)
def test_quotas(hard: dict[str, str], used: dict[str, str], pod: dict[str, Any], needs: str | None) -> None:
    found = problems(statefulset({"spec": {"template": {"spec": pod}}}), quotas=[quota(hard, used)])
    assert len(found) == (needs is not None)
    if needs:
        assert found[0].startswith(f"quota tight would be exceeded: {next(iter(hard))} is limited to")
        assert found[0].endswith(f"is used, and this needs {needs} more")


def test_only_what_a_release_adds_counts() -> None:
    body, full = (
        statefulset(),
        [quota({"pods": "3", "persistentvolumeclaims": "3"}, {"pods": "2", "persistentvolumeclaims": "3"})],
    )
    live = {ObjectRef.of(body): statefulset({"spec": {"replicas": 2}})}
    assert problems(body, quotas=full, live=live, claims=[claim("www-web-2")]) == []
    assert len(problems(body, quotas=full, live=live)) == 1


def test_several_sets_are_summed() -> None:
    other = statefulset({"metadata": {"name": "db"}})
    assert problems(statefulset(), other, quotas=[quota({"pods": "5"})]) == [
        "quota tight would be exceeded: pods is limited to 5, 0 is used, and this needs 6 more"
    ]


def test_quotas_of_a_scope_are_left_to_the_cluster() -> None:
    assert problems(statefulset(), quotas=[quota({"pods": "0"}, scopes=["BestEffort"])]) == []


def test_everything_is_found_at_once_and_what_may_not_be_read_is_said() -> None:
    taken = claim("www-web-0", {"metadata": {"labels": {INSTANCE_LABEL: "other"}}})
    found = check(with_class("nope"), claims=[taken], nodes=None, quotas=[quota({"pods": "0"})])
    assert len(found.problems) == 4
    assert found.warnings == ("nodes may not be listed with these credentials, so they were not checked",)
    unread = check(statefulset(), classes=None, claims=None, nodes=None, quotas=None)
    assert (unread.problems, len(unread.warnings)) == ((), 4)
