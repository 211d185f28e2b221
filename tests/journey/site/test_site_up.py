"""A site comes up: its plan, its order, a part of it, what fails, and how it stands."""

from __future__ import annotations

import json
import subprocess

import pytest

from berth.cluster.kube import Kube
from berth.cluster.release import list_releases
from berth.core.objects import ObjectRef
from tests.journey.conftest import Result
from tests.journey.site.conftest import NOPE, Shore, events, line, recap, there

pytestmark = [pytest.mark.journey, pytest.mark.rehearsal]


def test_what_the_file_says(shore: Shore, space: str) -> None:
    releases = [line("web", space, needs=["db"]), line("db", space), line("own", space, "")]
    shore.write("\n".join(releases))
    said = shore.run("site")
    assert said.code == 0 and said.out.splitlines() == [
        f"site {shore.site} (site.yaml)",
        "target of the run",
        f"  {space}/own  nginx  dev",
        "target east: context berth-rehearsal-east, order 1",
        f"  {space}/db   nginx  dev",
        f"  {space}/web  nginx  dev  needs {space}/db",
        "target west: context berth-rehearsal-west, order 2",
        f"  {space}/db   nginx  dev",
        f"  {space}/web  nginx  dev  needs {space}/db",
    ]
    said = shore.run("site", "--output", "json", "--limit", "web", "--target", "west")
    (only,) = events(said)
    assert (only["target"], only["namespace"], only["release"], only["needs"]) == (
        "west",
        space,
        "web",
        [f"{space}/db"],
    )
    schema = shore.run("site.schema")
    assert schema.code == 0 and json.loads(schema.out)["title"] == "site.yaml of berth"


def test_plan_up_and_again(shore: Shore, east: Kube, west: Kube, space: str) -> None:
    shore.write("\n".join([line("web", space, needs=["db"]), line("db", space)]))
    plan = shore.run("plan", "--exit-code")
    assert plan.code == 5, plan.err
    assert plan.out.splitlines()[-1] == f"site {shore.site}: 4 to change, 0 unchanged, 0 without a plan"
    assert f"west release web in {space} (profile nginx)\n" in plan.out
    assert shore.run("plan").code == 0 and shore.run("up", "--check").out == plan.out
    assert there(east, space) == [] and east.get(ObjectRef("", "Namespace", "", space)) is None

    fresh = shore.run("up", "--output", "json")
    assert fresh.code == 0, fresh.err
    said = events(fresh)
    ended = [(one["target"], one["release"]) for one in said if one["event"] == "ReleaseDone"]
    assert ended == [("east", "db"), ("east", "web"), ("west", "db"), ("west", "web")]
    assert said[-1]["event"] == "SiteDone" and {row["result"] for row in said[-1]["rows"]} == {"changed"}
    assert said[-1]["codes"] == [{"target": "east", "code": 0}, {"target": "west", "code": 0}]
    assert there(east, space) == there(west, space) == ["db", "web"]
    assert {record.site for record in list_releases(east, space)} == {shore.site}

    def versions() -> list[str]:
        kinds = (("", "Secret"), ("", "Pod"), ("apps", "StatefulSet"), ("coordination.k8s.io", "Lease"))
        found = [kube.list(*kind, space).items for kube in (east, west) for kind in kinds]
        return [body["metadata"]["resourceVersion"] for items in found for body in items]

    before = versions()
    again = shore.run("up")
    assert again.code == 0 and set(recap(again).values()) == {"ok"} and len(recap(again)) == 4
    assert again.out.splitlines()[0].startswith("target: east: ") and versions() == before
    plan = shore.run("plan", "--exit-code", "--output", "json")
    assert plan.code == 0 and {one["target"] for one in events(plan)} == {"east", "west"}

    shore.write("\n".join([line("web", space, needs=["db"], values={"workerConnections": 99}), line("db", space)]))
    plan = shore.run("plan", "--exit-code")
    assert plan.code == 5 and f"east release db in {space}: unchanged\n" in plan.out
    assert plan.out.splitlines()[-1] == f"site {shore.site}: 2 to change, 2 unchanged, 0 without a plan"
    changed = shore.run("up")
    assert recap(changed) == {"east db": "ok", "east web": "changed", "west db": "ok", "west web": "changed"}


def test_only_a_part_of_it(shore: Shore, east: Kube, west: Kube, space: str) -> None:
    shore.write("\n".join([line("web", space, needs=["db"]), line("db", space), line("cdn", space, "west")]))
    assert shore.run("up", "--limit", "db", "--target", "west").code == 0
    assert (there(east, space), there(west, space)) == ([], ["db"])
    assert recap(shore.run("up", "--limit", f"{space}/cdn")) == {"west cdn": "changed"}
    assert recap(shore.run("up", "--limit", "east")) == {"east db": "changed", "east web": "changed"}
    assert recap(shore.run("up", "--limit", "db", "--limit", "web", "--target", "both"))["west web"] == "changed"
    down = shore.run("teardown", "--limit", "web", "--target", "west", "--yes")
    assert recap(down) == {"west web": "changed"} and there(east, space) == ["db", "web"]


def test_what_fails_stops_what_needs_it_and_later_clusters(shore: Shore, east: Kube, west: Kube, space: str) -> None:
    releases = [line("bad", space, values=NOPE), line("web", space, needs=["bad"]), line("other", space)]
    shore.write("\n".join(releases))
    failed = shore.run("up", "--patience", "1s")
    assert failed.code == 1 and "Traceback" not in failed.err
    assert recap(failed) == {
        "east bad": "failed",
        "east web": "skipped",
        "east other": "changed",
        **dict.fromkeys(["west bad", "west web", "west other"], "skipped"),
    }
    assert f"skipped: east {space}/web: it needs {space}/bad\n" in failed.out
    assert f"skipped: west {space}/other: east failed\n" in failed.out
    assert "target east: exit code 1\ntarget west: exit code 1\n" in failed.out
    assert (there(east, space), there(west, space)) == (["bad", "other"], [])
    further = recap(shore.run("up", "--patience", "1s", "--max-failed", "2"))
    assert (further["west bad"], further["west web"], further["west other"]) == ("failed", "skipped", "changed")
    shore.write("\n".join([line("bad", space), *releases[1:]]))
    mended = shore.run("up", "--unstick")
    assert mended.code == 0 and recap(mended)["east web"] == "changed", mended.out


def test_bad_values_of_one_touch_none(shore: Shore, east: Kube, space: str) -> None:
    shore.write(
        "\n".join([line("good", space), line("bad", space, values={"replicsa": 2}), line("worse", space, "esat")])
    )
    refused = shore.run("up")
    assert refused.code == 2 and "site.yaml:10:" in refused.err and "did you mean" in refused.err
    shore.write("\n".join([line("good", space), line("bad", space, values={"replicsa": 2})]))
    refused = shore.run("up")
    assert refused.code == 2 and "replicsa" in refused.err and "release bad asks for it (site.yaml:9:5)" in refused.err
    assert there(east, space) == []


def test_a_soak_in_which_a_release_breaks_stops_the_next_cluster(
    shore: Shore, east: Kube, west: Kube, space: str
) -> None:
    shore.write("\n".join([line("web", space), line("other", space)]))
    process = shore.start("up", "--soak", "60s")
    assert process.stdout is not None
    said = []
    for text in process.stdout:
        said.append(text)
        if text == "soaking east for 1m00s\n":
            break
    # Made anew within a moment; it is seen by its uid, once the watch has begun.
    while process.poll() is None:
        east.delete(ObjectRef("", "Pod", space, "web-web-0"))
        try:
            out, err = process.communicate(timeout=0.5)
        except subprocess.TimeoutExpired:
            continue
    result = Result(process.returncode, "".join(said) + out, err)
    assert result.code == 1, result.out
    rows = recap(result)
    assert (rows["east web"], rows["east other"], rows["west web"]) == ("failed", "changed", "skipped")
    assert "in which all was to stay as it was" in result.out and there(west, space) == []

    assert shore.run("up", "--soak", "1s").code == 0 and there(west, space) == ["other", "web"]


def test_status_and_verify(shore: Shore, east: Kube, space: str) -> None:
    shore.write("\n".join([line("web", space), line("other", space, "east")]))
    assert shore.run("status").code == shore.run("verify").code == 1
    assert shore.run("up", "--limit", "web").code == 0
    some = shore.run("status")
    assert some.code == 1 and f"east release other in {space}: not installed\n" in some.out
    assert "target west:\n" in some.out and "1 of 1 releases current" in some.out
    told = json.loads(shore.run("status", "--output", "json").out)
    assert [(one["target"], one["missing"]) for one in told["targets"]] == [("east", [f"{space}/other"]), ("west", [])]
    assert shore.run("status", "--limit", "web").code == 0 == shore.run("verify", "--limit", "web").code
    proved = shore.run("verify", "--output", "json")
    said = events(proved)
    assert proved.code == 1 and [one.get("missing", False) for one in said] == [False, True, False]
    assert {(one["target"], one["release"]) for one in said} == {("east", "web"), ("east", "other"), ("west", "web")}
    assert shore.run("teardown", "--limit", "web", "--target", "east", "--yes").code == 0
    down = shore.run("status", "--limit", "web")
    assert down.code == 1 and f"east release web in {space}: not installed\n" in down.out, (
        "its data is there, it is not"
    )


def test_releases_without_a_target_go_to_the_context(shore: Shore, east: Kube, west: Kube, space: str) -> None:
    shore.write("\n".join([line("web", space, ""), line("db", space, "")]), head="")
    assert shore.run("up", "--context", "berth-rehearsal-west").code == 0
    assert (there(east, space), there(west, space)) == ([], ["db", "web"])
    up = shore.run("up", "--kubeconfig", str(shore.kubeconfig("east")))
    assert up.code == 0 and "target east" not in up.out and f"  {space}/db " in up.out
    assert there(east, space) == ["db", "web"]
    down = shore.run("teardown", "--yes", "--kubeconfig", str(shore.kubeconfig("east")))
    hint = next(text for text in down.out.splitlines() if "this deletes it: " in text)
    assert f" --kubeconfig {shore.kubeconfig('east')} " in hint, "its context may be another cluster's elsewhere"
    assert there(west, space) == ["db", "web"]
