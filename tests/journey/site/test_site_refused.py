"""What a site does not do: clusters that are not there, words that contradict one another, releases of others."""

from __future__ import annotations

import socket

import pytest
import yaml

from berth.cluster.kube import Kube
from berth.cluster.release import load
from tests.contract.support import pods
from tests.journey.site.conftest import Shore, events, line, recap, there

pytestmark = [pytest.mark.journey, pytest.mark.rehearsal]


def test_a_context_that_is_not_there_among_others(shore: Shore, east: Kube, space: str) -> None:
    (shore.project / "kube").mkdir()
    (shore.project / "kube" / "east").write_bytes(shore.kubeconfig("east").read_bytes())
    head = """
targets:
  east: {context: berth-rehearsal-east, kubeconfig: kube/east}
  west: {context: wset, kubeconfig: kube/east}
  north: {context: here, kubeconfig: kube/gone}
"""
    shore.write("\n".join([line("web", space, "east"), line("a", space, "west"), line("b", space, "north")]), head=head)
    for command in ("up", "plan", "status", "verify"):
        refused = shore.run(command)
        assert refused.code == 3, refused.err
        assert (
            "there is no context 'wset'" in refused.err and "target west is that context (site.yaml:4:" in refused.err
        )
        assert "kube/gone" in refused.err and "nothing was changed, also not on east" in refused.err
    assert there(east, space) == []
    # The file's directory counts, not the current one.
    (shore.project / "sub").mkdir()
    only = Shore(shore.project / "sub", shore.home).run("up", "--target", "east")
    assert only.code == 0, only.err
    assert there(east, space) == ["web"]


def test_two_names_of_one_cluster_are_refused(shore: Shore, east: Kube, space: str) -> None:
    """What is on the one would have left the file on the other, and be pruned there."""
    (shore.project / "copy").write_bytes(shore.kubeconfig("east").read_bytes())
    head = """
targets:
  east: {context: berth-rehearsal-east}
  again: {context: berth-rehearsal-east, kubeconfig: copy}
"""
    shore.write("\n".join([line("web", space, "east"), line("other", space, "again")]), head=head)
    refused = shore.run("up", "--prune", "--yes")
    assert refused.code == 2 and "east and again are one and the same cluster" in refused.err
    assert there(east, space) == []
    assert shore.run("up", "--target", "again").code == 0
    shore.write("\n".join([line("web", space, "east"), line("own", space, "")]), head=head)
    refused = shore.run("up", "--target", "east", "--limit", "web", "--context", "berth-rehearsal-east")
    assert refused.code == 2 and "every release names its target" in refused.err
    refused = shore.run("up", "--context", "berth-rehearsal-east")
    assert refused.code == 2 and "the target of the run" in refused.err and there(east, space) == ["other"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("up", "--context", "berth-rehearsal-east"), "--context is given, and every release names its target"),
        (("up", "--site", "site.yaml", "--set", "replicas=2"), "--site and --set exclude one another"),
        (("up", "--site", "site.yaml", "--profile", "nginx"), "--site and --profile exclude one another"),
        (("status", "--site", "site.yaml", "--watch"), "--site and --watch exclude one another"),
        (("up", "--profile", "nginx", "--limit", "web"), "--limit is for a site"),
        (("up", "--profile", "nginx", "--prune"), "--prune is for a site"),
        (("plan", "--profile", "nginx", "--target", "east"), "--target is for a site"),
        (("up", "--limit", "wbe"), "did you mean 'web'?"),
        (("teardown", "--target", "web"), "the site has no target or group 'web'"),
        (("up", "--prune", "--yes", "--limit", "web"), "--prune looks at the whole site"),
        (("up", "--prune"), "there is nobody to ask"),
        (("up", "--data", "delete"), "--data and --volumes are for what --prune takes down"),
        (("up", "--prune", "--yes", "--data", "drop"), "--data drop is not known"),
        (("teardown", "--yes", "--volumes", "drop"), "--volumes drop is not known"),
        (("up", "--max-failed", "0"), "--max-failed 0 is no number"),
        (("up", "--parallel", "many"), "--parallel many is no number"),
        (("up", "--soak", "soon"), "soon"),
        (("plan", "--output", "yaml"), "--output yaml is not known"),
        (("up", "--site", "gone.yaml"), "gone.yaml"),
        (("site", "--site", "."), "."),
    ],
)
def test_what_contradicts_itself_is_refused(shore: Shore, arguments: tuple[str, ...], said: str) -> None:
    shore.write(line("web", "never-made"))
    refused = shore.run(*arguments)
    assert refused.code == 2 and said in refused.err and refused.out == "", refused.err


def test_where_there_is_no_site(shore: Shore) -> None:
    refused = shore.run("site")
    assert refused.code == 2 and "there is no site here" in refused.err
    refused = shore.run("up", "--limit", "web")
    assert refused.code == 2 and "--limit is for a site" in refused.err


def test_a_cluster_that_is_down_does_not_hide_the_others(shore: Shore, east: Kube, space: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        server = f"https://127.0.0.1:{closed.getsockname()[1]}"
        config = yaml.safe_load(shore.kubeconfig("east").read_text())
        for cluster in config["clusters"]:
            cluster["cluster"]["server"] = server
        (shore.project / "down").write_text(yaml.safe_dump(config))
        head = """
targets:
  down: {context: berth-rehearsal-east, kubeconfig: down}
  east: {context: berth-rehearsal-east}
"""
        shore.write("\n".join([line("web", space, "down"), line("own", space, "east")]), head=head)
        up = shore.run("up", "--prune", "--yes")
        assert up.code == 3 and recap(up) == {"down web": "failed", "east own": "changed"}, up.out
        assert "target down: exit code 3\ntarget east: exit code 0\n" in up.out
        plan = shore.run("plan")
        assert plan.code == 3 and f"east release own in {space}: unchanged\n" in plan.out
        assert "what left the site file on down is not known" in plan.err
        status = shore.run("status")
        assert status.code == 3 and "1 of 1 releases current" in status.out and "error: target down: " in status.err
        verify = shore.run("verify", "--output", "json")
        assert verify.code == 3 and [one["release"] for one in events(verify)] == ["own"]
        assert shore.run("teardown", "--yes").code == 3 and there(east, space) == ["own"]

        shore.write(line("other", space, "east"), head=head)
        up = shore.run("up", "--prune", "--yes")
        assert up.code == 1 and "nothing is pruned" in up.err and there(east, space) == ["other", "own"]


def test_a_release_of_another_site_is_left_alone(shore: Shore, east: Kube, space: str) -> None:
    shore.write(line("web", space, "east"), "theirs.yaml", site=f"{shore.site}-2")
    assert shore.run("up", "--site", "theirs.yaml").code == 0
    shore.write("\n".join([line("web", space, "east", values={"replicas": 2}), line("own", space, "east")]))
    refused = shore.run("up")
    assert recap(refused) == {"east web": "failed", "east own": "changed"} and refused.code != 0
    assert f"release web in {space} belongs to site {shore.site}-2" in refused.out and len(pods(east, space)) == 2
    assert shore.run("plan").code != 0
    down = shore.run("teardown", "--yes", "--data", "delete")
    assert down.code == 0 and f"east release web in {space} belongs to site {shore.site}-2, and stays" in down.err
    assert there(east, space) == ["web"]
    taken = shore.run("up", "--limit", "web", "--force-conflicts")
    record = load(east, space, "web")
    assert taken.code == 0 and record is not None and record.site == shore.site
    assert f"release web in {space} belongs to site {shore.site}" in shore.run("up", "--site", "theirs.yaml").out


def test_a_release_without_a_site_comes_to_the_site_by_up_only(shore: Shore, east: Kube, space: str) -> None:
    alone = ("--profile", "nginx", "--name", "web", "--namespace", space, "--env", "dev", "--set", "replicas=1")
    here = ("--context", "berth-rehearsal-east")
    assert shore.run("up", *alone, "--set", "minReadySeconds=0", *here).code == 0
    shore.write(line("web", space, "east"))
    down = shore.run("teardown", "--yes", "--data", "delete")
    assert down.code == 0 and "belongs to no site, and stays" in down.err and there(east, space) == ["web"]
    joins = f"release web comes to site {shore.site}; so far it belongs to no site"
    plan = shore.run("plan", "--exit-code")
    assert plan.code == 5 and joins in plan.out.splitlines()
    assert events(shore.run("plan", "--output", "json"))[0]["joins"] == joins
    up = shore.run("up")
    assert recap(up) == {"east web": "ok"} and f"east {space}/web | {joins}\n" in up.out
    assert shore.run("plan", "--exit-code").code == 0
    record = load(east, space, "web")
    assert record is not None and record.site == shore.site
    assert shore.run("up", *alone, "--set", "minReadySeconds=0", *here).code == 0
    record = load(east, space, "web")
    assert record is not None and record.site == shore.site, "a later up by hand does not take it out"
