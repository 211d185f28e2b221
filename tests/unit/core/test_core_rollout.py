"""Rollouts: versions an engine takes, images as one writes them, the order of ordinals, partitions, numbers."""

from __future__ import annotations

from typing import Any

import pytest

from berth.core.errors import InputError, Position
from berth.core.objects import Json, Manifest, Origin
from berth.core.rollout import (
    count_problem,
    image_values,
    in_order,
    moved_text,
    old_ordinals,
    on_delete,
    partition_of,
    version_problems,
    ways,
    with_partition,
)
from berth.library import open_library
from tests.unit.core.samples import NEW, name_of, over, pod, statefulset, table

pytestmark = pytest.mark.unit

WHERE = Position("t.yaml", 3)


def running(image: str, container: str = "postgres") -> Json:
    sidecar = {"name": "sidecar", "image": "tool:1"}
    containers = [sidecar, {"name": container, "image": image}]
    return statefulset({"spec": {"template": {"spec": {"containers": containers}}}})


VERSIONS = table("""
- {name: minor, profile: postgres, old: "postgres:17.1", new: "postgres:17.2", refused: false}
- {name: the same, profile: postgres, old: "postgres:17", new: "postgres:17", refused: false}
- {name: next major, profile: postgres, old: "postgres:17", new: "postgres:18", refused: true}
- {name: the major before, profile: postgres, old: "postgres:17", new: "postgres:16", refused: true}
- {name: a variant, profile: postgres, old: "postgres:17", new: "postgres:17-alpine", refused: false}
- {name: another registry, profile: postgres, old: "postgres:17", new: "r.io:5000/a/postgres:18", refused: true}
- {name: with a digest, profile: postgres, old: "postgres:17@sha256:aa", new: "postgres:18@sha256:bb", refused: true}
- {name: only a digest, profile: postgres, old: "postgres@sha256:aa", new: "postgres:18", refused: false}
- {name: a port and no tag, profile: postgres, old: "postgres:17", new: "r.example.com:5000/postgres", refused: false}
- {name: a word, profile: postgres, old: "postgres:17", new: "postgres:latest", refused: false}
- {name: a hash, profile: postgres, old: "postgres:17", new: "postgres:18af3c", refused: false}
- {name: a v, profile: postgres, old: "postgres:v17", new: "postgres:v18.1", refused: true}
- {name: forward, profile: cassandra, old: "cassandra:4.1", new: "cassandra:5.0", refused: false}
- {name: two forward, profile: cassandra, old: "cassandra:4.1", new: "cassandra:6.0", refused: true}
- {name: backward, profile: cassandra, old: "cassandra:5.0", new: "cassandra:4.1", refused: true}
- {name: any, profile: nginx, old: "nginx:1.29", new: "nginx:7", refused: false}
""")


@pytest.mark.parametrize("case", VERSIONS, ids=name_of)
def test_versions_that_an_engine_takes_in_place(case: Any) -> None:
    profile = open_library().load(case["profile"])
    before, after = running(case["old"], profile.name), running(case["new"], profile.name)
    manifest = Manifest(after, WHERE)
    found = version_problems(profile, [manifest], {manifest.ref: before})
    assert bool(found) is case["refused"]
    if found:
        said = str(found[0])
        assert case["old"] in said and case["new"] in said and "t.yaml" in said and profile.rollout["instead"] in said


def test_a_version_is_looked_for_where_the_template_has_it() -> None:
    profile = open_library().load("postgres")
    path = "spec.template.spec.containers[1].image"
    manifest = Manifest(running("postgres:18"), WHERE, {path: Origin(Position("t.yaml", 44), ())})
    (problem,) = version_problems(profile, [manifest], {manifest.ref: running("postgres:17")})
    assert problem.where.startswith("t.yaml:44")


def test_a_set_that_is_not_there_may_be_of_any_version() -> None:
    manifest = Manifest(running("postgres:12"), WHERE)
    assert version_problems(open_library().load("postgres"), [manifest], {}) == []


def test_a_set_without_the_container_has_no_version() -> None:
    manifest = Manifest(running("postgres:18", "other"), WHERE)
    assert version_problems(open_library().load("postgres"), [manifest], {manifest.ref: running("postgres:17")}) == []


PAIR = {"repository": "nginx", "tag": "1.29"}
FULL = {**PAIR, "digest": None}
IMAGES = table("""
- {name: a tag, ref: "nginx:1.30", now: pair, image: {repository: nginx, tag: "1.30"}}
- {name: a port, ref: "r.io:5000/a/nginx:1.30", now: pair, image: {repository: "r.io:5000/a/nginx", tag: "1.30"}}
- {name: the digest of now goes, ref: "nginx:1.30", now: full, image: {repository: nginx, tag: "1.30", digest: null}}
- {name: a digest, ref: "nginx@sha256:ab", now: full, image: {repository: nginx, digest: "sha256:ab"}}
- {name: both, ref: "nginx:1@sha256:ab", now: full, image: {repository: nginx, tag: "1", digest: "sha256:ab"}}
- {name: a text, ref: "nginx:1.30", now: text, image: "nginx:1.30"}
""")


@pytest.mark.parametrize("case", IMAGES, ids=name_of)
def test_an_image_becomes_the_values_that_the_profile_has(case: Any) -> None:
    now = {"pair": PAIR, "full": FULL, "text": "nginx:1.29"}[case["now"]]
    assert image_values(now, case["ref"]) == {"image": case["image"]}


@pytest.mark.parametrize("reference", ["nginx", "r.io:5000/nginx", ":1.30", "", "nginx:", "nginx@", "r.io/a/:1"])
def test_an_image_without_a_name_or_without_tag_and_digest(reference: str) -> None:
    with pytest.raises(InputError, match="no image with a tag or a digest"):
        image_values(PAIR, reference)


@pytest.mark.parametrize("now", [None, {}, {"tag": "1"}, ["nginx"], 3])
def test_a_profile_that_has_no_such_value(now: Any) -> None:
    with pytest.raises(InputError, match="this profile has none") as caught:
        image_values(now, "nginx:1.30")
    assert "--set" in str(caught.value)


@pytest.mark.parametrize(
    ("order", "last", "expected"),
    [
        ("highest-first", (), [3, 2, 1, 0]),
        ("lowest-first", (), [0, 1, 2, 3]),
        ("highest-first", (3,), [2, 1, 0, 3]),
        ("highest-first", (0,), [3, 2, 1, 0]),
        ("lowest-first", (0, 2), [1, 3, 0, 2]),
    ],
)
def test_the_order_of_ordinals(order: str, last: tuple[int, ...], expected: list[int]) -> None:
    assert in_order(order, [1, 3, 0, 2], last) == expected
    assert in_order(order, [], last) == []


@pytest.mark.parametrize(
    ("count", "available", "said"),
    [
        (1, 3, None),
        (3, 3, None),
        (4, 3, "--by 4: web has 3 to go; try: a number from 1 to 3"),
        (1, 0, "no ordinal of web is left to go"),
    ],
)
def test_numbers_of_ordinals(count: int, available: int, said: str | None) -> None:
    found = count_problem("--by", count, available, "web")
    if said is None:
        assert found is None
    else:
        assert found is not None and all(part in f"{found.what}; try: {found.hint}" for part in [said])


@pytest.mark.parametrize(
    ("strategy", "rolling"),
    [
        (None, {"partition": 2}),
        ({"type": "RollingUpdate"}, {"partition": 2}),
        ({"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}, {"partition": 2}),
        ({"rollingUpdate": {"maxUnavailable": 2}}, {"maxUnavailable": 2, "partition": 2}),
    ],
)
def test_a_manifest_held_at_a_partition(strategy: Json | None, rolling: Json) -> None:
    body = statefulset({"spec": {"updateStrategy": None}})
    if strategy is not None:
        body["spec"]["updateStrategy"] = strategy
    before = over(body, {})
    held = with_partition(Manifest(body, WHERE), 2)
    assert held.body["spec"]["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": rolling}
    assert partition_of(held.body) == 2 and body == before, "the manifest itself is another one"
    assert {**held.body["spec"], "updateStrategy": strategy} == {**body["spec"], "updateStrategy": strategy}


def test_how_far_a_rollout_is() -> None:
    strategy: Json = {"rollingUpdate": {"partition": 2}}
    body = statefulset({"status": {"updateRevision": NEW}, "spec": {"updateStrategy": strategy}})
    there = [pod(0), pod(1), pod(2, revision=NEW)]
    assert old_ordinals(body, there) == [0, 1]
    assert moved_text(body, there) == "1 of 3 pods are of the newest revision, partition 2"
    deleting = statefulset({"status": {"updateRevision": NEW}, "spec": {"updateStrategy": {"type": "OnDelete"}}})
    assert on_delete(deleting) and not on_delete(body)
    assert moved_text(deleting, there) == "1 of 3 pods are of the newest revision"


def test_both_ways_out_name_the_release_and_its_namespace() -> None:
    said = ways("shop", "team")
    assert said.count("--name shop --namespace team") == 2 and "rollout.promote" in said and "rollout.undo" in said


PROVED = table("""
- {name: the way back, profile: postgres, proved: "postgres:16", now: "postgres:17", new: "postgres:16", fine: true}
- {name: what is there, profile: postgres, proved: "postgres:16", now: "postgres:17", new: "postgres:17.1", fine: true}
- {name: elsewhere, profile: postgres, proved: "postgres:16", now: "postgres:17", new: "postgres:18", fine: false}
- {name: begun to, profile: cassandra, proved: "cassandra:4", now: "cassandra:5", new: "cassandra:4", fine: false}
- {name: on, profile: cassandra, proved: "cassandra:4", now: "cassandra:5", new: "cassandra:6", fine: false}
""")


@pytest.mark.parametrize("case", PROVED, ids=name_of)
def test_the_data_is_of_the_version_that_was_proved_last(case: Any) -> None:
    """Somebody has set another version by hand, or a rollout has not come to its end."""
    profile = open_library().load(case["profile"])
    proved, now, new = (running(case[when], profile.name) for when in ("proved", "now", "new"))
    manifest = Manifest(new, WHERE)
    found = version_problems(profile, [manifest], {manifest.ref: now}, {manifest.ref: proved})
    assert (found == []) is case["fine"]
