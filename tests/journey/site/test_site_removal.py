"""What prune and teardown of a site take down, in which order, and what becomes of the data."""

from __future__ import annotations

import sys

import pexpect
import pytest

from berth.cluster.kube import Kube
from berth.cluster.release import list_releases
from tests.contract.support import claims
from tests.journey.conftest import environment
from tests.journey.site.conftest import NOPE, Shore, events, line, there

pytestmark = [pytest.mark.journey, pytest.mark.rehearsal]


def test_prune_takes_down_what_left_and_nothing_else(shore: Shore, east: Kube, west: Kube, space: str) -> None:
    releases = [line("web", space), line("old", space), line("older", space, "west")]
    shore.write("\n".join(releases))
    shore.write(line("theirs", space, "east"), "theirs.yaml", site=f"{shore.site}-2")
    assert shore.run("up").code == shore.run("up", "--site", "theirs.yaml").code == 0
    alone = ("--profile", "nginx", "--name", "alone", "--namespace", space, "--env", "dev", "--set", "replicas=1")
    assert shore.run("up", *alone, "--context", "berth-rehearsal-east").code == 0

    shore.write(line("web", space, "east"))  # The target west stays, and has no release any more.
    plan = shore.run("plan", "--exit-code")
    gone = [text for text in plan.out.splitlines() if "not in its file" in text]
    named = ["east release old", "west release old", "west release older", "west release web"]
    assert plan.code == 5 and [text.partition(" in ")[0] for text in gone] == named
    left = [one for one in events(shore.run("plan", "--output", "json")) if one.get("left")]
    assert [(one["target"], one["release"]) for one in left] == [
        ("east", "old"),
        *(("west", n) for n in ("old", "older", "web")),
    ]
    up = shore.run("up", "--output", "json")
    assert up.code == 0 and sum("`up --prune` takes it down" in one.get("message", "") for one in events(up)) == 4
    assert there(west, space) == ["old", "older", "web"], "an up without --prune takes nothing down"
    assert shore.run("up", "--prune").code == 2 and there(west, space) == ["old", "older", "web"]

    pruned = shore.run("up", "--prune", "--yes")
    assert pruned.code == 0, pruned.err
    assert f"west release older in {space} (profile nginx, revision 1, of " in pruned.err and "kept" in pruned.err
    assert there(east, space) == ["alone", "theirs", "web"] and there(west, space) == []
    assert "www-old-web-0" in claims(east, space) and len(claims(west, space)) == 3
    assert shore.run("plan", "--exit-code").code == 0, "what was taken down is not named again"
    again = shore.run("up", "--prune", "--yes", "--data", "delete")
    assert again.code == 0 and len(claims(west, space)) == 3, "data that was kept is not deleted by a later prune"

    shore.write(line("other", space, "west"))
    pruned = shore.run("up", "--prune", "--yes", "--data", "delete")
    assert pruned.code == 0 and there(east, space) == ["alone", "theirs"] and "www-web-web-0" not in claims(east, space)
    assert sorted(claims(east, space)) == ["www-alone-web-0", "www-old-web-0", "www-theirs-web-0"]


def test_nothing_is_pruned_where_the_site_does_not_come_up(shore: Shore, east: Kube, space: str) -> None:
    shore.write(line("old", space, "east"))
    assert shore.run("up").code == 0
    shore.write(line("bad", space, "east", values=NOPE))
    failed = shore.run("up", "--prune", "--yes", "--patience", "1s")
    assert failed.code == 1 and "nothing is pruned, since not all of the site came up" in failed.err
    assert there(east, space) == ["bad", "old"]


def test_teardown_goes_in_reverse_order_and_keeps_data(shore: Shore, east: Kube, west: Kube, space: str) -> None:
    releases = [
        line("c", space, needs=["b"]),
        line("b", space, needs=["a"]),
        line("a", space),
        line("old", space, "east"),
    ]
    shore.write("\n".join(releases))
    assert shore.run("up").code == 0
    shore.write("\n".join(releases[:3]))
    refused = shore.run("teardown")
    assert refused.code == 2 and "7 releases" in refused.err and "--yes" in refused.err and "data of a:" in refused.err
    assert len(there(east, space)) == 4

    down = shore.run("teardown", "--yes", "--output", "json")
    assert down.code == 0, down.err
    told = [(one["event"], one["target"], one["release"]) for one in events(down) if one["event"][:7] == "Release"]
    for target in ("east", "west"):
        mine = [(event, release) for event, where, release in told if where == target and release != "old"]
        assert mine == [(event, name) for name in "cba" for event in ("ReleaseStarted", "ReleaseDone")]
    assert there(east, space) == there(west, space) == [] and len(claims(east, space)) == 4
    again = shore.run("teardown", "--yes")
    assert again.code == 0 and "only data that is kept is left" in again.err and again.out == ""

    gone = shore.run("teardown", "--yes", "--data", "delete")
    assert gone.code == 0 and list(claims(east, space)) == ["www-old-web-0"] and claims(west, space) == {}
    assert [record.name for record in list_releases(east, space)] == ["old"], "its data was kept, and is not the site's"
    nothing = shore.run("teardown", "--yes", "--data", "delete")
    assert nothing.code == 0 and f"nothing to take down of site {shore.site}" in nothing.err


@pytest.mark.parametrize(
    ("answers", "code", "stands", "data"),
    [
        (("no",), 2, ["web"], 1),
        (("yes", "keep"), 0, [], 1),
        (("yes", "delete"), 0, [], 0),
        (("yes", ""), 2, ["web"], 1),
    ],
)
def test_on_a_terminal_it_is_asked(
    shore: Shore, east: Kube, space: str, answers: tuple[str, ...], code: int, stands: list[str], data: int
) -> None:
    shore.write(line("web", space, "east"))
    assert shore.run("up").code == 0
    child = pexpect.spawn(
        sys.executable,
        ["-m", "invoke", "teardown"],
        cwd=str(shore.project),
        env={**environment(shore.home), "TERM": "xterm-256color"},
        encoding="utf-8",
        timeout=60,
        dimensions=(40, 200),
    )
    child.expect("data of web:")
    child.expect(rf"take 1 release of site {shore.site} down\? \[yes/no\]")
    child.sendline(answers[0])
    for answer in answers[1:]:
        child.expect(r"keep it, or delete it for good\? \[keep/delete\]")
        child.sendline(answer)
    child.expect(pexpect.EOF)
    child.close()
    assert (child.exitstatus, there(east, space), len(claims(east, space))) == (code, stands, data)
