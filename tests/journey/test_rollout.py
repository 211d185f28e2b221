"""Rollouts, rollbacks, restarts and their history as a person meets them: output, exit codes, typing errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from berth.cluster.kube import Kube
from tests.contract.support import pods, rehearsal_only, release, versions
from tests.journey.conftest import Invoke

pytestmark = pytest.mark.journey

X = ("--name", "x")
IMAGE = ("--image", "nginx:1.30")
WRONG: list[tuple[list[str], list[str]]] = [
    (["rollout", *X], ["to what?", "--image IMAGE, --set PATH=VALUE or --values FILE"]),
    (["rollout", *IMAGE], ["which release?", "--name NAME, or --profile NAME"]),
    (["rollout", *X, "--profile", "nginx", *IMAGE], ["which release?"]),
    (["rollout", *X, *IMAGE, "--canary", "0"], ["--canary 0 is no number", "1 or more"]),
    (["rollout", *X, *IMAGE, "--canary", "x"], ["--canary x is no number"]),
    (["rollout", *X, *IMAGE, "--canary", "-1"], ["--canary -1 is no number"]),
    (["rollout", *X, *IMAGE, "--soak", "x"], ["'x' is not a duration", "90s"]),
    (["rollout", *X, *IMAGE, "--output", "yaml"], ["--output yaml is not known"]),
    (["rollout", *X, *IMAGE, "--timeout", "soon"], ["'soon' is not a duration"]),
    (["rollout.promote"], ["which release?"]),
    (["rollout.promote", *X, "--by", "0"], ["--by 0 is no number"]),
    (["rollout.promote", *X, "--soak", "-1"], ["'-1' is not a duration"]),
    (["rollout.undo", *X, "--to", "last"], ["--to last is no number"]),
    (["rollout.undo"], ["which release?"]),
    (["rollout.status", *X, "--output", "yaml"], ["--output yaml is not known", "text, json"]),
    (["rollout.status"], ["which release?"]),
    (["rollback", *X], ["to which revision?", "--to REVISION; `invoke history` lists them"]),
    (["rollback", *X, "--to", "0"], ["--to 0 is no number"]),
    (["rollback", "--to", "1"], ["which release?"]),
    (["restart", *X], ["which ordinal?", "--ordinal K; `invoke rollout.restart` restarts all"]),
    (["restart", *X, "--ordinal", "web-0"], ["--ordinal web-0 is not an ordinal"]),
    (["restart", "--ordinal", "0"], ["which release?"]),
    (["rollout.restart"], ["which release?"]),
    (["rollout.restart", *X, "--soak", "1 day"], ["'1 day' is not a duration"]),
    (["history"], ["which release?"]),
    (["history", *X, "--output", "yaml"], ["--output yaml is not known", "text, json"]),
    (["history", *X, "--revision", "0"], ["--revision 0 is no number"]),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG, ids=[" ".join(arguments) for arguments, _ in WRONG])
def test_what_is_wrong_is_said_before_a_cluster_is_looked_for(
    invoke: Invoke, arguments: list[str], said: list[str]
) -> None:
    done = invoke(*arguments)
    assert done.code == 2 and all(text in done.err for text in said), done.err
    assert "starting" not in done.err and not done.out


QUICK = ("--set", "minReadySeconds=0", "--set", "replicas=3")


@rehearsal_only
def test_from_a_canary_to_the_end_and_back(invoke_on: Invoke, kube: Kube, space: str) -> None:
    here, shop = ("--namespace", space), ("--name", "shop", "--namespace", space)
    assert invoke_on("up", "--profile", "nginx", "--name", "shop", *here, *QUICK).code == 0
    typo = invoke_on("rollout", "--name", "shpo", *here, *IMAGE)
    assert typo.code == 2 and "no release shpo" in typo.err and "did you mean 'shop'?" in typo.err
    untagged = invoke_on("rollout", *shop, "--image", "nginx")
    assert untagged.code == 2 and "--image nginx is no image with a tag or a digest" in untagged.err
    unknown = invoke_on("rollout", *shop, "--set", "imgae.tag=1")
    assert unknown.code == 2 and "imgae" in unknown.err
    many = invoke_on("rollout", *shop, *IMAGE, "--canary", "9")
    assert many.code == 2 and "--canary 9" in many.err and "has 3 to go" in many.err
    none = invoke_on("rollout.promote", *shop)
    assert none.code == 2 and "no rollout of release shop is under way" in none.err
    same = invoke_on("rollout", *shop, "--image", "nginx:1.29")
    assert same.code == 0 and "is like that already; nothing to do" in same.out

    wanted = release("nginx", space, "replicas=3", name="shop")
    before = versions(kube, wanted)
    check = invoke_on("rollout", *shop, *IMAGE, "--check")
    assert check.code == 0 and "nginx:1.29' -> " in check.out and check.out.startswith("target: ")
    check = invoke_on("rollout", *shop, *IMAGE, "--check", "--output", "json")
    assert any(step["action"] == "update" for step in json.loads(check.out)["steps"])
    check = invoke_on("rollout", *shop, *IMAGE, "--set", "replicas=2", "--check")
    assert check.code == 2 and "invoke scale" in check.err
    assert versions(kube, wanted) == before

    done = invoke_on("rollout", *shop, *IMAGE, "--pause", "--output", "json")
    events = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 0 and events[0]["event"] == "TargetChosen"
    assert any("rollout.promote" in str(event.get("message")) for event in events)
    stands = invoke_on("rollout.status", *shop)
    assert stands.code == 0 and "1 of 3 pods are of the newest revision, partition 2" in stands.out
    assert "held: paused" in stands.out and "shop-web-2  new" in stands.out and "shop-web-0  old" in stands.out
    for refused in (("up", "--profile", "nginx", *shop, *QUICK), ("scale", *shop, "--replicas", "2")):
        done = invoke_on(*refused)
        assert done.code != 0 and "has not come to its end" in done.err and "rollout.undo" in done.err
    check = invoke_on("rollout", *shop, *IMAGE, "--check")
    assert check.code == 0 and "0 to update" in check.out, "the rollout itself may be looked at"
    check = invoke_on("rollout", *shop, *IMAGE, "--set", "replicas=2", "--check")
    assert check.code != 0 and "has not come to its end" in check.err
    done = invoke_on("rollout.promote", *shop, "--by", "1", "--soak", "1s")
    assert done.code == 0 and "partition 1" in done.out and "soaking for 1" in done.out and "paused" in done.out
    done = invoke_on("rollout.promote", "--profile", "nginx", *here)
    assert done.code == 0 and "partition 0" in done.out and "3 ready" in done.out

    past = invoke_on("history", *shop)
    assert past.code == 0 and "image.tag: '1.29' -> '1.30'" in past.out and "2*" in past.out
    told = json.loads(invoke_on("history", *shop, "--output", "json", "--revision", "1").out)
    assert [one["revision"] for one in told["history"]] == [1] and told["history"][0]["possible"] is True
    assert invoke_on("history", *shop, "--revision", "7").code == 2

    missing = invoke_on("rollback", *shop, "--to", "7")
    assert missing.code == 2 and "cannot go back to revision 7" in missing.err and "one of: 1" in missing.err
    done = invoke_on("rollback", *shop, "--to", "1")
    assert done.code == 0 and "going back to revision 1 of shop" in done.out
    assert all(body["spec"]["containers"][0]["image"].endswith("nginx:1.29") for body in pods(kube, space).values())


@rehearsal_only
def test_an_image_that_cannot_be_pulled(invoke_on: Invoke, kube: Kube, space: str) -> None:
    shop = ("--profile", "nginx", "--namespace", space)
    assert invoke_on("up", *shop, *QUICK).code == 0
    late = invoke_on("rollout", *shop, "--image", "nginx:nope", "--timeout", "2s", "--patience", "1m")
    assert late.code == 4 and "not ready after 2" in late.err and "the rollout of nginx is held" in late.err
    done = invoke_on("rollout.promote", *shop, "--patience", "1s")
    assert done.code == 1 and "cannot be pulled" in done.out + done.err and "rollout.undo" in done.err
    stands = invoke_on("rollout.status", *shop)
    assert stands.code == 1 and "web-2  new  not ready" in stands.out and "held: StatefulSet/web" in stands.out
    told = json.loads(invoke_on("rollout.status", *shop, "--output", "json").out)
    assert told["rollout"]["set"] == "web" and told["sets"][0]["pods"][2]["ready"] is False
    done = invoke_on("rollout.undo", *shop, "--unstick")
    assert done.code == 0 and "blocked its own fix" in done.out and len(pods(kube, space)) == 3

    done = invoke_on("rollout", *shop, "--image", "nginx:nope", "--patience", "1s", "--auto-undo")
    assert done.code == 1 and "went back to what it was before" in done.err and "3 ready" in done.out
    assert invoke_on("rollout.status", *shop).code == 0


@rehearsal_only
def test_restarts(invoke_on: Invoke, kube: Kube, space: str) -> None:
    shop = ("--profile", "nginx", "--namespace", space)
    assert invoke_on("up", *shop, *QUICK, "--set", "disruptionBudget.enabled=false").code == 0
    before = {name: body["metadata"]["uid"] for name, body in pods(kube, space).items()}
    done = invoke_on("restart", *shop, "--ordinal", "1")
    assert done.code == 0 and "Pod/web-1" in done.out and "3 ready" in done.out
    done = invoke_on("restart", *shop, "--ordinal", "5")
    assert done.code == 2 and "has no pod of ordinal 5" in done.err and "it has 0, 1, 2" in done.err
    assert invoke_on("rollout.restart", *shop, "--output", "json").code == 0
    after = {name: body["metadata"]["uid"] for name, body in pods(kube, space).items()}
    assert after.keys() == before.keys() and not set(after.values()) & set(before.values())


@rehearsal_only
def test_secret_values_are_given_again(invoke_on: Invoke, project: Path, kube: Kube, space: str) -> None:
    (project / "profiles").mkdir()
    (project / "profiles" / "shop.yaml").write_text(
        "name: shop\ndescription: An nginx whose pods carry a secret\nversion: '1.0.0'\nextends: nginx\n"
        'templates: ["nginx/*.yaml"]\nschema:\n  properties:\n'
        "    podAnnotations: {additionalProperties: {type: string, x-secret: true}}\nvalues: {minReadySeconds: 0}\n"
    )
    (project / "secret.yaml").write_text("podAnnotations: {pw: geheim}\n")
    shop = ("--profile", "shop", "--namespace", space)
    assert invoke_on("up", *shop, "--values", "secret.yaml").code == 0
    done = invoke_on("rollout", *shop, *IMAGE)
    assert done.code == 2 and "podAnnotations.pw" in done.err and "--values" in done.err
    done = invoke_on("rollout", *shop, *IMAGE, "--values", "secret.yaml", "--pause")
    assert done.code == 0 and "paused" in done.out
    told = [done, invoke_on("rollout.promote", *shop), invoke_on("history", *shop)]
    told.append(invoke_on("history", *shop, "--revision", "2"))
    assert all(one.code == 0 and "geheim" not in one.out + one.err for one in told)
    assert all(body["metadata"]["annotations"]["pw"] == "geheim" for body in pods(kube, space).values())
