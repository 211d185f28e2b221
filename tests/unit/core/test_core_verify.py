"""What proves the guarantees of a StatefulSet, what contradicts them, and what leaves them open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from berth.core.objects import Json, dig
from berth.core.verify import Asked, Check, Facts, Outcome, Replaced, dns, names
from berth.core.verify_claims import claims
from berth.core.verify_order import creation, deletion, happenings

pytestmark = pytest.mark.unit

ZONE = "nginx.shop.svc.cluster.local"
PROVED, FAILED, OPEN = Outcome.PROVED, Outcome.FAILED, Outcome.NOT_SHOWN


def at(seconds: int) -> str:
    """A time, so many seconds after noon."""
    return f"2026-01-01T{12 + seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}Z"


def make_set(**spec: Any) -> Json:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "web", "namespace": "shop", "uid": "set", "creationTimestamp": at(0)},
        "spec": {
            "replicas": 2,
            "serviceName": "nginx",
            "volumeClaimTemplates": [{"metadata": {"name": "www"}}],
            **spec,
        },
        "status": {"updateRevision": "r1"},
    }


def make_pod(ordinal: int, *, made: int, scheduled: int | None = None, ready: int | None = -1) -> Json:
    """A pod; ``ready`` None: it is not, else since when (by default two seconds after it was made)."""
    name = f"web-{ordinal}"
    conditions = [
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": at(made if scheduled is None else scheduled)},
        {
            "type": "Ready",
            "status": "False" if ready is None else "True",
            "lastTransitionTime": at(made + 2 if ready in (None, -1) else ready or 0),
        },
    ]
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": f"pod-{ordinal}",
            "creationTimestamp": at(made),
            "labels": {
                "statefulset.kubernetes.io/pod-name": name,
                "apps.kubernetes.io/pod-index": str(ordinal),
                "controller-revision-hash": "r1",
            },
            "ownerReferences": [{"kind": "StatefulSet", "name": "web", "uid": "set", "controller": True}],
        },
        "spec": {
            "hostname": name,
            "subdomain": "nginx",
            "volumes": [{"name": "www", "persistentVolumeClaim": {"claimName": f"www-{name}"}}],
        },
        "status": {"phase": "Running", "conditions": conditions, "podIPs": [{"ip": f"10.0.0.{ordinal}"}]},
    }


def make_claim(ordinal: int, *, made: int) -> Json:
    name = f"www-web-{ordinal}"
    return {
        "metadata": {"name": name, "uid": f"claim-{ordinal}", "creationTimestamp": at(made)},
        "spec": {"volumeName": f"pv-{ordinal}"},
        "status": {"phase": "Bound"},
    }


def make_event(verb: str, ordinal: int, first: int, last: int | None = None, outcome: str = "Successful") -> Json:
    said = "successful" if outcome == "Successful" else "failed error: exceeded quota"
    return {
        "reason": outcome + verb,
        "message": f"{verb} Pod web-{ordinal} in StatefulSet web {said}",
        "firstTimestamp": at(first),
        "lastTimestamp": at(first if last is None else last),
    }


def make_records(replicas: int) -> dict[tuple[str, str], tuple[str, ...]]:
    pods = [f"web-{ordinal}.{ZONE}" for ordinal in range(replicas)]
    return {
        **{(name, "A"): (f"10.0.0.{ordinal}",) for ordinal, name in enumerate(pods)},
        (ZONE, "A"): tuple(f"10.0.0.{ordinal}" for ordinal in range(replicas)),
        (f"_web._tcp.{ZONE}", "SRV"): tuple(f"0 50 80 {name}." for name in pods),
    }


def usual(replicas: int = 2, **spec: Any) -> Facts:
    """A set that was made in order a while ago, and that nobody has touched since."""
    every = range(replicas)
    return Facts(
        make_set(**{"replicas": replicas, **spec}),
        [make_pod(ordinal, made=1 + 3 * ordinal) for ordinal in every],
        {claim["metadata"]["name"]: claim for claim in (make_claim(o, made=1 + 3 * o) for o in every)},
        {"spec": {"clusterIP": "None", "ports": [{"name": "web", "port": 80}], "ipFamilies": ["IPv4"]}},
        [make_event("Create", ordinal, 1 + 3 * ordinal) for ordinal in every],
        make_records(replicas),
    )


def with_pod(facts: Facts, ordinal: int, change: Callable[[Json], object]) -> Facts:
    pods = deepcopy(list(facts.pods))
    change(pods[ordinal])
    return replace(facts, pods=pods)


def without_pod(facts: Facts, ordinal: int) -> Facts:
    return replace(facts, pods=[pod for number, pod in enumerate(facts.pods) if number != ordinal])


def every(facts: Facts) -> list[Check]:
    return [names(facts), dns(facts), creation(facts), deletion(facts), claims(facts)]


def test_a_set_that_nobody_has_touched() -> None:
    assert [check.outcome for check in every(usual())] == [PROVED, PROVED, PROVED, OPEN, OPEN]
    assert names(usual()).evidence == "web-0, web-1: pod name, hostname and labels agree; spec.hostname only"
    assert creation(usual()).evidence == "web-1 was made 1s after web-0 was ready (times of the pods)"
    assert claims(usual()).evidence.startswith("nothing shows that a pod was replaced; --disruptive deletes one")


def test_a_set_of_no_pods() -> None:
    for check in (names, dns, creation, claims):
        assert check(usual(0)).outcome is OPEN and "is to have 0 pods" in check(usual(0)).evidence


def test_many_pods_are_told_in_few_words() -> None:
    many = usual(50)
    assert names(many).evidence.startswith("web-0 to web-49 (50): ")
    assert creation(many).outcome is PROVED and len(creation(many).evidence) < 250


# Names


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda pod: pod["spec"].update(hostname="other"), "web-1: spec.hostname is 'other', not 'web-1'"),
        (lambda pod: pod["spec"].update(subdomain=""), "web-1: spec.subdomain is '', not 'nginx'"),
        (
            lambda pod: pod["metadata"]["labels"].update({"statefulset.kubernetes.io/pod-name": "web-0"}),
            "web-1: label statefulset.kubernetes.io/pod-name is 'web-0', not 'web-1'",
        ),
        (
            lambda pod: pod["metadata"]["labels"].update({"apps.kubernetes.io/pod-index": "0"}),
            "web-1: label apps.kubernetes.io/pod-index is '0', not '1'",
        ),
        (lambda pod: pod["metadata"].update(name="web-x"), "web-x is a pod of the set and has no ordinal"),
    ],
)
def test_wrong_names(change: Callable[[Json], object], says: str) -> None:
    check = names(with_pod(usual(), 1, change))
    assert (check.outcome, check.evidence) == (FAILED, says)


def test_names_that_are_not_told_yet() -> None:
    check = names(without_pod(usual(), 1))
    assert (check.outcome, check.evidence.split(";")[0]) == (OPEN, "web-1 is not there")
    more = replace(usual(), body=make_set(replicas=1))
    assert names(more).outcome is OPEN and "web-1 is not wanted any more" in names(more).evidence
    old = with_pod(usual(), 0, lambda pod: pod["metadata"]["labels"].pop("apps.kubernetes.io/pod-index"))
    assert names(old).outcome is OPEN and "web-0 has no label" in names(old).evidence


@pytest.mark.parametrize(
    ("said", "outcome"),
    [(("web-0",), PROVED), ((f"web-0.{ZONE}",), PROVED), (("web-1",), FAILED), ((), FAILED), (("web-0", "x"), FAILED)],
)
def test_what_a_container_calls_itself(said: tuple[str, ...], outcome: Outcome) -> None:
    check = names(replace(usual(), hostnames={"web-0": Asked("web-0", said)}))
    assert check.outcome is outcome
    assert (
        "hostname asked in 1 container" if outcome is PROVED else "web-0: its container calls itself"
    ) in check.evidence


def test_a_pod_on_its_node_s_network_has_its_node_s_name() -> None:
    facts = replace(usual(), hostnames={"web-0": Asked("web-0", ("node-1",))})
    assert names(with_pod(facts, 0, lambda pod: pod["spec"].update(hostNetwork=True))).outcome is PROVED


def test_where_nothing_was_asked_that_is_said() -> None:
    facts = replace(usual(), hostnames={"web-0": Asked("web-0", None, "no containers run here")})
    assert names(facts).outcome is PROVED
    assert names(facts).evidence.endswith("; no containers run here: spec.hostname only")


# DNS


def records(change: Mapping[tuple[str, str], tuple[str, ...]]) -> Facts:
    return replace(usual(), records={**make_records(2), **change})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({(f"web-1.{ZONE}", "A"): ()}, "web-1.nginx leads to nothing, and the pod has 10.0.0.1"),
        ({(f"web-1.{ZONE}", "A"): ("10.0.0.9",)}, "web-1.nginx leads to 10.0.0.9, and the pod has 10.0.0.1"),
        ({(ZONE, "A"): ("10.0.0.0",)}, "nginx does not lead to 10.0.0.1"),
        ({(f"_web._tcp.{ZONE}", "SRV"): (f"0 50 80 web-1.{ZONE}.",)}, "SRV _web._tcp does not name web-0"),
    ],
)
def test_wrong_records(change: Mapping[tuple[str, str], tuple[str, ...]], says: str) -> None:
    check = dns(records(change))
    assert (check.outcome, check.evidence) == (FAILED, says)


def test_the_service_may_lead_to_other_pods_too() -> None:
    assert dns(records({(ZONE, "A"): ("10.0.0.0", "10.0.0.1", "10.0.0.77")})).outcome is PROVED


def test_pods_that_are_not_ready_have_no_records_unless_their_service_says_so() -> None:
    facts = replace(usual(), pods=[make_pod(0, made=1), make_pod(1, made=4, ready=None)])
    check = dns(facts)
    assert check.outcome is OPEN and check.evidence.startswith("web-1 is not ready, and has no records until it is; ")
    assert facts.service is not None
    loud = {"spec": {**facts.service["spec"], "publishNotReadyAddresses": True}}
    assert dns(replace(facts, service=loud)).outcome is PROVED


def test_where_dns_cannot_be_known() -> None:
    assert dns(replace(usual(), service=None)).evidence == (
        "there is no Service nginx, under which the pods would have names"
    )
    assert dns(replace(usual(), service=None)).outcome is FAILED
    assert dns(replace(usual(), records=None)).outcome is OPEN
    assert dns(replace(usual(), body=make_set(serviceName=""))).outcome is OPEN


def test_addresses_of_two_families() -> None:
    both = [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]
    facts = with_pod(usual(), 1, lambda pod: pod["status"].update(podIPs=both))
    assert dns(facts).outcome is PROVED, "the Service has one"
    assert facts.service is not None
    facts = replace(facts, service={"spec": {**facts.service["spec"], "ipFamilies": ["IPv4", "IPv6"]}})
    assert dns(facts).outcome is FAILED
    more = {**make_records(2), (f"web-1.{ZONE}", "AAAA"): ("fd00::1",), (ZONE, "AAAA"): ("fd00::1",)}
    facts = replace(facts, records=more, resolved={f"web-1.{ZONE}": Asked("web-0", ("fd00::1",))})
    assert dns(facts).outcome is PROVED, "getent gives the addresses of one family"


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (("10.0.0.1",), PROVED),
        (("10.0.0.2",), FAILED),
        ((), FAILED),
        (("10.0.0.1", "10.0.0.2"), FAILED),
        (None, PROVED),
    ],
)
def test_what_resolvers_in_pods_say_counts(said: tuple[str, ...] | None, outcome: Outcome) -> None:
    check = dns(
        replace(usual(), resolved={f"web-1.{ZONE}": Asked("web-0", said, "web-0 could not be asked (no getent)")})
    )
    assert check.outcome is outcome
    if outcome is FAILED:
        assert check.evidence.startswith("in web-0 web-1.nginx.shop.svc leads to ")
    else:
        assert check.evidence.endswith("looked up in 1 container" if said else "nothing was looked up in a pod")


# Order


def test_a_pod_that_was_made_before_the_one_before_it_had_a_node() -> None:
    """The one thing that no history explains: it was there, and cannot have been ready."""
    facts = replace(usual(), pods=[make_pod(0, made=1, scheduled=30), make_pod(1, made=2)])
    assert (creation(facts).outcome, creation(facts).evidence) == (
        FAILED,
        "web-1 was made 28s before web-0 had so much as a node",
    )
    near = replace(usual(), pods=[make_pod(0, made=1, scheduled=6), make_pod(1, made=2)], events=(), claims={})
    assert creation(near).outcome is OPEN, "clocks may be a few seconds apart"
    adopted = replace(facts, pods=[make_pod(0, made=1, scheduled=30), make_pod(1, made=2)])
    adopted.body["metadata"]["creationTimestamp"] = at(10)
    assert creation(adopted).outcome is not FAILED, "an earlier set, perhaps of other ways, has made them"


@pytest.mark.parametrize(
    ("pods", "events", "source"),
    [
        # A rolling update: highest first. Events tell of the first pods.
        ([(0, 600), (1, 590)], [("Create", 0, 1, 600), ("Create", 1, 4, 590)], "events"),
        # The same a day later.
        ([(0, 600), (1, 590)], [], "claims"),
        # web-0 was deleted, and web-1 was not.
        ([(0, 600), (1, 4)], [("Create", 0, 600, 600)], "claims"),
        # A canary: only web-1 is new.
        ([(0, 1), (1, 600)], [], "claims"),
    ],
)
def test_honest_histories_are_told_by_what_outlives_them(
    pods: list[tuple[int, int]], events: list[tuple[str, int, int, int]], source: str
) -> None:
    facts = replace(
        usual(), pods=[make_pod(o, made=made) for o, made in pods], events=[make_event(*event) for event in events]
    )
    assert creation(facts).outcome is PROVED and f"({source}" in creation(facts).evidence


def test_no_honest_history_fails() -> None:
    """Claims from before the set, pods that became ready again, one that is not there: nothing is claimed."""
    reused = {name: make_claim(o, made=0) for o, name in enumerate(("www-web-1", "www-web-0"))}
    for claim in reused.values():
        claim["metadata"]["creationTimestamp"] = "2025-01-01T00:00:00Z"
    again = replace(usual(), pods=[make_pod(0, made=1, ready=900), make_pod(1, made=4)], events=None, claims=reused)
    assert creation(again).outcome is OPEN and "say nothing of their order" in creation(again).evidence
    assert creation(replace(again, pods=[make_pod(0, made=1, ready=None), make_pod(1, made=4)])).outcome is OPEN
    assert creation(without_pod(again, 0)).evidence == "web-0 is not there"
    backwards = replace(again, events=[make_event("Create", 1, 5), make_event("Create", 0, 700)])
    assert creation(backwards).outcome is OPEN


def test_without_claims_and_events_the_times_of_successors_have_to_do() -> None:
    facts = replace(
        usual(volumeClaimTemplates=[]), pods=[make_pod(0, made=1), make_pod(1, made=600)], events=(), claims={}
    )
    assert creation(facts).outcome is PROVED
    told = replace(facts, events=[make_event("Create", 1, 4, 600)])
    assert "web-1, which is not its first pod, was made" in creation(told).evidence


def test_no_order_is_promised() -> None:
    for check in (creation, deletion):
        assert check(usual(podManagementPolicy="Parallel")).evidence == "podManagementPolicy Parallel promises none"
    assert creation(usual(1)).evidence == "one pod alone has no order"


@pytest.mark.parametrize(
    ("events", "outcome", "says"),
    [
        ([(3, 100), (2, 103)], PROVED, "web-3, web-2 were deleted in this order as the set became smaller, within 3s"),
        ([(3, 100), (2, 100)], PROVED, "within the same second"),
        ([(1, 50), (0, 60)], PROVED, "web-1, web-0 were deleted in this order to be replaced, within 10s"),
        # A rollout, then a smaller set: other pods, other reasons.
        ([(1, 50), (0, 60), (3, 100), (2, 103)], PROVED, "as the set became smaller"),
        ([(2, 100), (3, 103)], OPEN, "on several occasions"),
        ([(0, 100), (1, 103)], OPEN, "on several occasions"),
        ([(2, 100)], OPEN, "events tell of one deletion only, that of web-2"),
        ([], OPEN, "kept for about an hour"),
    ],
)
def test_the_order_of_deletion(events: list[tuple[int, int]], outcome: Outcome, says: str) -> None:
    facts = replace(usual(), events=[make_event("Delete", ordinal, when) for ordinal, when in events])
    assert deletion(facts).outcome is outcome and says in deletion(facts).evidence


def test_events_that_may_not_be_read() -> None:
    facts = replace(usual(), events=None)
    assert deletion(facts).outcome is OPEN and "may not be read" in deletion(facts).evidence
    assert creation(facts).outcome is PROVED


def test_events_of_either_form_and_of_other_things() -> None:
    series = {"series": {"lastObservedTime": at(9)}, "eventTime": at(5), "reason": "SuccessfulCreate"}
    events = [
        {**series, "message": "create Pod web-0 in StatefulSet web successful"},
        {
            **make_event("Create", 1, 3),
            "message": "(combined from similar events): Create Pod web-1 in StatefulSet web",
        },
        {**make_event("Create", 1, 3), "message": "Create Claim www-web-1 Pod web-1 in StatefulSet web success"},
        make_event("Create", 1, 4, outcome="Failed"),
    ]
    found = happenings(replace(usual(), events=events), "Create")
    assert {ordinal: (span.first.second, span.last.second) for ordinal, span in found.items()} == {0: (5, 9)}


# Claims


def with_claim(ordinal: int, change: Callable[[Json], object]) -> Facts:
    kept = deepcopy(dict(usual().claims))
    change(kept[f"www-web-{ordinal}"])
    return replace(usual(), claims=kept)


@pytest.mark.parametrize(
    ("facts", "outcome", "says"),
    [
        (
            with_claim(1, lambda claim: claim["spec"].update(volumeName="pv-0")),
            FAILED,
            "www-web-0 and www-web-1 have the same volume pv-0",
        ),
        (with_claim(1, lambda claim: claim["status"].update(phase="Lost")), FAILED, "www-web-1 of web-1 is Lost"),
        (with_claim(1, lambda claim: claim["status"].update(phase="Pending")), FAILED, "www-web-1 of web-1 is Pending"),
        (
            with_claim(1, lambda claim: claim["metadata"].update(deletionTimestamp=at(9))),
            OPEN,
            "www-web-1 was deleted by somebody, and goes when web-1 goes",
        ),
        (replace(usual(), claims={}), FAILED, "web-0 uses the claim www-web-0, which is not there"),
        (with_pod(usual(), 0, lambda pod: pod["spec"].update(volumes=[])), FAILED, "web-0 does not use the claim"),
        (without_pod(usual(), 1), OPEN, "web-1 is not there"),
        (usual(volumeClaimTemplates=[]), OPEN, "the set has no volumeClaimTemplates, so no claims"),
    ],
)
def test_claims_that_are_not_as_they_should_be(facts: Facts, outcome: Outcome, says: str) -> None:
    assert claims(facts).outcome is outcome and says in claims(facts).evidence


def test_a_pod_that_is_not_settled_is_no_failure() -> None:
    """It waits for its claim, or is of templates that the set had before."""
    facts = replace(with_claim(1, lambda claim: claim["status"].update(phase="Pending")))
    assert claims(replace(facts, pods=[make_pod(0, made=1), make_pod(1, made=4, ready=None)])).outcome is OPEN
    older = with_pod(usual(), 0, lambda pod: pod["spec"].update(volumes=[]))
    older.pods[0]["metadata"]["labels"]["controller-revision-hash"] = "r0"
    assert claims(older).outcome is OPEN


def test_a_successor_is_told_by_events_or_by_its_claim_s_age() -> None:
    young = [make_pod(0, made=1), make_pod(1, made=900)]
    by_event = claims(replace(usual(), pods=young, events=[make_event("Create", 1, 4, 900)]))
    assert by_event.outcome is PROVED
    assert by_event.evidence.startswith(
        "web-1 uses www-web-1, and is not its first pod: an event tells of one that was made 14m56s before; "
    )
    by_age = claims(replace(usual(), pods=young, events=()))
    assert by_age.outcome is PROVED and "the claim was made 14m56s before web-1" in by_age.evidence


def test_what_only_looks_like_a_successor() -> None:
    young = [make_pod(0, made=1), make_pod(1, made=900)]
    refused = [make_event("Create", 1, 4, 890, outcome="Failed")]
    assert claims(replace(usual(), pods=young, events=refused)).outcome is OPEN, "a quota held the first pod up"
    anew = replace(with_claim(1, lambda claim: claim["metadata"].update(creationTimestamp=at(899))), pods=young)
    assert claims(replace(anew, events=[make_event("Create", 1, 4, 900)])).outcome is OPEN, "the claim is new as well"


SEEN = Replaced(
    "web-1", "old", "new", {"www-web-1": ("c", "pv-1")}, {"www-web-1": ("c", "pv-1")}, 9.6, {"www-web-1": True}
)


def test_what_a_deletion_has_shown() -> None:
    check = claims(usual(), SEEN)
    assert check.outcome is PROVED
    assert check.evidence == (
        "web-1 was deleted, and another pod of that name was ready 9.6s later, with the same claim www-web-1 and its "
        "volume; the marker that was written to www-web-1 before was read in it; 2 claims, all Bound, each with a "
        "volume of its own"
    )
    silent = claims(usual(), replace(SEEN, markers={}, unwritten={"www-web-1": "no containers run here"}))
    assert silent.outcome is PROVED and "marker" not in silent.evidence
    assert "by the identity of claim and volume only for www-web-1: no containers run here" in silent.evidence


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"new_uid": "old"}, "web-1 is the pod that was deleted"),
        ({"after": {}}, "www-web-1 went with its pod web-1"),
        ({"after": {"www-web-1": ("d", "pv-1")}}, "www-web-1 is another claim since web-1 was deleted (uid c, now d)"),
        (
            {"after": {"www-web-1": ("c", "pv-2")}},
            "www-web-1 has another volume since web-1 was deleted (pv-1, now pv-2)",
        ),
        ({"markers": {"www-web-1": False}}, "the marker that was written to www-web-1 before is not there"),
    ],
)
def test_what_a_deletion_has_broken(change: dict[str, Any], says: str) -> None:
    check = claims(usual(), replace(SEEN, **change))
    assert check.outcome is FAILED and check.evidence.startswith(says)


def test_builders_make_what_the_rules_look_at() -> None:
    """The usual set is not proved for want of facts."""
    assert dig(usual().pods[1], "spec", "volumes", 0, "persistentVolumeClaim", "claimName") == "www-web-1"
    assert set(usual().owned) == {0, 1} and usual().zone == ZONE
