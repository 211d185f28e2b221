"""Somebody else is at work at the same time: on our objects, our record, our lock, our namespace, or with berth too.

What must hold: what others made is not deleted, a run converges or fails and names the object, and the next run
without interference converges.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from berth.actions.applying import Options
from berth.actions.clock import Clock
from berth.actions.up import up
from berth.cluster.kube import Kube
from berth.cluster.lock import Lock
from berth.cluster.release import load
from berth.cluster.target import resolve
from berth.cluster.waiting import Patience
from berth.core.errors import BerthError, ClusterError, ConflictError, FailedError, LockedError, TimedOutError
from berth.core.events import Event, OrdinalFailed, StepDone
from berth.core.objects import Json, ObjectRef
from tests.contract.support import bring_up, done, leftovers, release, steps, take_down
from tests.faults.proxy import Call, Fault, pass_on
from tests.faults.runs import CHANGED, SMALL, change, down, fresh, harmful, meanwhile, named, nothing, settled, single
from tests.faults.test_faults import json_line
from tests.waiting import eventually

#: The first write of every run, after everything has been looked at.
LOCKING = ("CREATE", "/leases")
SHORT = Patience(timeout=4, suspect=2)


def config_map(space: str) -> ObjectRef:
    return ObjectRef("", "ConfigMap", space, "nginx-config")


def the_set(space: str) -> ObjectRef:
    return ObjectRef("apps", "StatefulSet", space, "web")


def the_claim(space: str) -> ObjectRef:
    return ObjectRef("", "PersistentVolumeClaim", space, "www-web-0")


def the_record(space: str) -> ObjectRef:
    return ObjectRef("", "Secret", space, "berth.release.nginx")


def replaced(kube: Kube, ref: ObjectRef, **fields: object) -> Json:
    """Somebody deletes an object and makes one of the same name."""
    kube.delete(ref, propagation="Background")
    eventually(lambda: True if kube.get(ref) is None else None)
    api = f"{ref.group}/v1" if ref.group else "v1"
    body = {"apiVersion": api, "kind": ref.kind, "metadata": {"name": ref.name, "namespace": ref.namespace}}
    return kube.create({**body, **fields}, field_manager="somebody")


def set_of(kube: Kube, space: str) -> Json:
    """The spec of a set like ours, of nobody."""
    live = kube.get(the_set(space))
    assert live is not None
    return {**live["spec"], "replicas": 1}


def uid(kube: Kube, ref: ObjectRef) -> str | None:
    live = kube.get(ref)
    return None if live is None else str(live["metadata"]["uid"])


# Objects made anew


def test_made_anew_between_plan_and_apply(plane: Path, kube: Kube, space: str) -> None:
    """`up` applies over it, where it says nothing else: the object is what the profile wants."""
    fresh(kube, space)
    with harmful(plane) as (proxy, client):
        proxy.once(*LOCKING, meanwhile(lambda: replaced(kube, config_map(space))))
        bring_up(client, release("nginx", space, *SMALL, "workerConnections=99"))
        assert proxy.harmed
    wanted = release("nginx", space, *SMALL, "workerConnections=99")
    assert done(bring_up(kube, wanted)).succeeded
    live = kube.get(config_map(space))
    assert live is not None and "99" in live["data"]["nginx.conf"]
    single(kube, space)
    settled(kube, wanted)
    down(kube, space)
    nothing(kube, space)


def test_made_anew_between_runs(kube: Kube, space: str) -> None:
    """Taken over by the next `up`, as anything that existed before; what berth did not make, it does not delete."""
    fresh(kube, space)
    replaced(kube, config_map(space))
    assert done(change(kube, space)).succeeded
    settled(kube, release("nginx", space, *CHANGED))
    assert "ConfigMap/nginx-config" in steps(down(kube, space), "kept")
    assert leftovers(kube, space) == ["ConfigMap/nginx-config"]


def test_made_anew_with_other_content(plane: Path, kube: Kube, space: str) -> None:
    """A field that is theirs now is not taken without being told to."""
    fresh(kube, space)
    wanted = release("nginx", space, *SMALL, "workerConnections=99")
    with harmful(plane) as (proxy, client):
        theirs = {"data": {"nginx.conf": "theirs"}}
        proxy.once(*LOCKING, meanwhile(lambda: replaced(kube, config_map(space), **theirs)))
        with pytest.raises(ConflictError, match=r"ConfigMap/nginx-config.*somebody owns data\.nginx\.conf"):
            bring_up(client, wanted)
    assert done(bring_up(kube, wanted, force=True)).succeeded
    settled(kube, wanted)


def test_a_set_that_vanishes_in_the_wait(plane: Path, kube: Kube, space: str) -> None:
    """Nobody will make it again, so waiting for it until the timeout is no use."""
    with harmful(plane) as (proxy, client):
        proxy.once("WATCH", "/statefulsets", meanwhile_watching(lambda: kube.delete(the_set(space))))
        with pytest.raises(FailedError, match=r"StatefulSet/web in [\w-]+: it was deleted by somebody"):
            bring_up(client, release("nginx", space, *SMALL, "nodeSelector.disk=none"), patience=Patience(60, 50))
    fresh(kube, space)
    single(kube, space)


def meanwhile_watching(act: Callable[[], object]) -> Fault:
    def fault(call: Call) -> None:
        act()
        for _ in pass_on(call):
            pass

    return fault


@pytest.mark.parametrize("kind", ("ConfigMap", "StatefulSet", "PersistentVolumeClaim"))
def test_made_anew_between_ledger_and_delete(plane: Path, kube: Kube, space: str, kind: str) -> None:
    """Not the object that was looked at: it stays, untouched, and the next run leaves what is not berth's."""
    fresh(kube, space)
    ref = {"ConfigMap": config_map, "StatefulSet": the_set, "PersistentVolumeClaim": the_claim}[kind](space)
    fields: dict[str, Json] = {}
    call = LOCKING
    if kind == "StatefulSet":
        fields = {"spec": set_of(kube, space)}
    elif kind == "PersistentVolumeClaim":
        size = {"requests": {"storage": "1Gi"}}
        fields = {"spec": {"accessModes": ["ReadWriteOnce"], "resources": size}}
        call = ("DELETE", "/persistentvolumeclaims/www-web-0")
    made: list[Json] = []
    with harmful(plane) as (proxy, client):
        proxy.once(*call, meanwhile(lambda: made.append(replaced(kube, ref, **fields))))
        with pytest.raises(ClusterError, match=rf"{kind}/{ref.name}"):
            down(client, space)
    assert uid(kube, ref) == made[0]["metadata"]["uid"]
    events = down(kube, space)
    if kind == "PersistentVolumeClaim":
        nothing(kube, space)  # This time the new claim was in the ledger.
        return
    assert f"{kind}/{ref.name}" in steps(events, "kept")
    live = kube.get(ref)
    assert live is not None and live["metadata"]["uid"] == made[0]["metadata"]["uid"]
    assert kind != "StatefulSet" or live["spec"]["replicas"] == 1, "not even scaled"
    assert load(kube, space, "nginx") is None


# Held, locked, raced


def test_a_claim_that_is_held(kube: Kube, space: str) -> None:
    """The error names the finalizer, then who uses the claim; when both are gone, the next run finishes."""
    fresh(kube, space)
    kube.patch(the_claim(space), {"metadata": {"finalizers": ["kubernetes.io/pvc-protection", "example.com/hold"]}})
    with pytest.raises(TimedOutError, match=r"PersistentVolumeClaim/www-web-0(.|\n)*finalizer .*example\.com/hold"):
        down(kube, space, SHORT)
    with pytest.raises(TimedOutError, match=r"PersistentVolumeClaim/www-web-0(.|\n)*example\.com/hold"):
        down(kube, space, SHORT)
    kube.patch(the_claim(space), {"metadata": {"finalizers": None}})
    down(kube, space)
    nothing(kube, space)


def test_a_claim_that_another_pod_uses(kube: Kube, space: str) -> None:
    fresh(kube, space)
    template = set_of(kube, space)["template"]["spec"]
    volumes = [{"name": "www", "persistentVolumeClaim": {"claimName": "www-web-0"}}]
    keep = [volume for volume in template["volumes"] if volume["name"] != "www"]
    spec = {**template, "volumes": [*keep, *volumes], "topologySpreadConstraints": [], "affinity": {}}
    pod = ObjectRef("", "Pod", space, "other")
    meta = {"name": pod.name, "namespace": space}
    kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    with pytest.raises(TimedOutError, match=r"www-web-0(.|\n)*pvc-protection, in use by pod other"):
        down(kube, space, SHORT)
    kube.delete(pod, grace=0)
    down(kube, space)
    nothing(kube, space)


def test_a_lock_of_somebody_else(kube: Kube, space: str) -> None:
    """A live one stops both verbs before they write; a stale one is taken over."""
    fresh(kube, space)
    lock = Lock(kube, space, "nginx", "somebody@elsewhere/1/000000000000/0", renew=3600)
    lock.acquire()
    before = set(leftovers(kube, space))
    for run in (change, down):
        with pytest.raises(LockedError, match="release nginx is locked by somebody@elsewhere"):
            run(kube, space)
    assert set(leftovers(kube, space)) == before
    live = kube.get(lock.ref)
    assert live is not None
    live["spec"]["renewTime"] = "2020-01-01T00:00:00.000000Z"
    kube.replace(live)
    assert done(change(kube, space)).succeeded
    lock.release()
    single(kube, space)
    down(kube, space)
    nothing(kube, space)


@pytest.mark.parametrize("other", ("the same", "another", "teardown"))
def test_two_runs_at_once(plane: Path, kube: Kube, space: str, other: str) -> None:
    """Each converges, or says that another run was there; afterwards everything is whole."""
    if other == "teardown":
        fresh(kube, space)
    runs = {
        "the same": (fresh, fresh),
        "another": (fresh, change),
        "teardown": (change, down),
    }[other]
    start, errors = threading.Barrier(2), list[BaseException]()

    def take(run: Callable[[Kube, str], object]) -> None:
        with closing(resolve(None, str(plane), {}).connect()) as client:
            start.wait()
            try:
                run(client, space)
            except BaseException as error:
                errors.append(error)

    threads = [threading.Thread(target=take, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for error in errors:
        assert isinstance(error, BerthError) and named(error, space), error
    assert len(errors) < 2 or other == "teardown", errors
    assert done(change(kube, space)).succeeded
    single(kube, space)
    settled(kube, release("nginx", space, *CHANGED))
    down(kube, space)
    nothing(kube, space)


# The namespace, the record, the quota


@pytest.mark.parametrize("call", (LOCKING, ("APPLY", r"/statefulsets/web\?(?!.*dryRun)")), ids=("lock", "apply"))
def test_a_namespace_that_is_deleted_during_up(plane: Path, kube: Kube, space: str, call: tuple[str, str]) -> None:
    new = f"{space}-new"
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": new}})
    with harmful(plane) as (proxy, client):
        proxy.once(*call, meanwhile(lambda: kube.delete(ObjectRef("", "Namespace", "", new))))
        with pytest.raises(BerthError) as caught:
            fresh(client, new)
        assert proxy.harmed
    said = str(caught.value)
    assert ("Lease/" if call == LOCKING else "StatefulSet/web") in said
    # On the simulated cluster it may be gone already.
    assert "being terminated" in said or f'namespaces "{space}-new" not found' in said
    eventually(lambda: True if kube.get(ObjectRef("", "Namespace", "", new)) is None else None)
    fresh(kube, new)
    single(kube, new)
    down(kube, new)


def test_a_namespace_that_is_deleted_during_teardown(plane: Path, kube: Kube, space: str) -> None:
    new = f"{space}-new"
    fresh(kube, new)
    with harmful(plane) as (proxy, client):
        proxy.once("APPLY", "/scale", meanwhile(lambda: kube.delete(ObjectRef("", "Namespace", "", new))))
        try:
            down(client, new)
        except BerthError as error:
            assert named(error, new), error
        assert proxy.harmed
    eventually(lambda: True if kube.get(ObjectRef("", "Namespace", "", new)) is None else None)
    nothing(kube, new)


def test_a_record_that_is_deleted_during_up(plane: Path, kube: Kube, space: str) -> None:
    with harmful(plane) as (proxy, client):
        away = meanwhile(lambda: kube.delete(the_record(space)))
        proxy.once("APPLY", r"/statefulsets/web\?(?!.*dryRun)", away)
        with pytest.raises(ConflictError, match=f"release nginx in {space}"):
            fresh(client, space)
    before = uid(kube, the_set(space))
    assert done(fresh(kube, space)).succeeded
    single(kube, space)
    settled(kube, release("nginx", space, *SMALL))
    assert uid(kube, the_set(space)) == before
    with harmful(plane) as (proxy, client):
        proxy.once("APPLY", "/scale", away)
        down(client, space)
    nothing(kube, space)


def test_a_record_that_cannot_be_read(kube: Kube, space: str) -> None:
    """Named, and nothing is changed; without it the next `up` takes over what it finds under its labels."""
    fresh(kube, space)
    before = uid(kube, the_set(space))
    # Without the labels, for other tests list all releases.
    broken = {"metadata": {"labels": None}, "data": {"release": "AAAA"}}
    kube.patch(the_record(space), broken)
    version = leftovers(kube, space)
    for run in (change, down):
        with pytest.raises(ClusterError, match=f"cannot be read(.|\n)*{the_record(space)}"):
            run(kube, space)
    assert leftovers(kube, space) == version
    kube.delete(the_record(space))
    assert done(fresh(kube, space)).succeeded
    assert uid(kube, the_set(space)) == before
    single(kube, space)
    down(kube, space)
    nothing(kube, space)


def test_an_unreadable_record_elsewhere(plane: Path, kube: Kube, space: str) -> None:
    """Whose class it is cannot be known then: it stays, and the rest of the teardown goes on."""
    bring_up(kube, release("httpd", space, *SMALL, f"storage.className=fast-{space}"))
    own = kube.get(ObjectRef("", "Secret", space, "berth.release.httpd"))
    assert own is not None
    broken = {**own, "metadata": {**own["metadata"], "namespace": "elsewhere"}, "data": {"release": "AAAA"}}

    def unreadable(call: Call) -> None:
        call.answer(200, json_line({"kind": "SecretList", "metadata": {"resourceVersion": "1"}, "items": [broken]}))

    with harmful(plane) as (proxy, client):
        proxy.once("LIST", r"/api/v1/secrets\?", unreadable)
        events = take_down(client, space, "httpd", data=True, volumes=True)
        assert proxy.harmed
    assert steps(events, "kept") == [f"StorageClass/fast-{space}"]
    said = next(e.message for e in events if isinstance(e, StepDone) and e.action == "kept")
    assert "Secret/berth.release.httpd in elsewhere cannot be read" in said
    kube.delete(ObjectRef("storage.k8s.io", "StorageClass", "", f"fast-{space}"))
    nothing(kube, space)


@pytest.mark.parametrize("what", ("count/services", "pods"))
def test_a_quota_that_fills_between_dry_run_and_apply(plane: Path, kube: Kube, space: str, what: str) -> None:
    ref = ObjectRef("", "ResourceQuota", space, "full")
    meta = {"name": ref.name, "namespace": space}

    def fill() -> None:
        kube.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": {"hard": {what: "0"}}})
        eventually(lambda: ((kube.get(ref) or {}).get("status") or {}).get("hard"))

    wanted = release("nginx", space, *SMALL)
    with harmful(plane) as (proxy, client):
        proxy.once(*LOCKING, meanwhile(fill))
        events: list[Event] = []
        with pytest.raises(ClusterError) as caught:
            for event in up(client, [wanted], Options(Patience(60, 2)), Clock()):
                events.append(event)
        assert proxy.harmed
    said = str(caught.value)
    if what == "pods":
        (cause,) = (event for event in events if isinstance(event, OrdinalFailed))
        assert "StatefulSet/web" in said and "quota" in cause.message
    else:
        assert "Service/nginx" in said and "exceeded quota" in said
    record = load(kube, space, "nginx")
    assert record is not None and record.status == "failed"
    kube.delete(ref)
    eventually(lambda: True if kube.get(ref) is None else None)
    assert done(bring_up(kube, wanted)).succeeded
    single(kube, space)
    settled(kube, wanted)
    down(kube, space)
    nothing(kube, space)
