"""Scenarios as they are read, and what their rules choose."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from berth.core.errors import InputError
from berth.core.objects import Json
from berth.rehearsal.bootstrap import NODE_SPECS
from berth.rehearsal.durations import go_duration, seconds_in
from berth.rehearsal.scenario import (
    DEFAULT,
    NEVER,
    Behaviour,
    ExecAnswer,
    Facts,
    Fault,
    Happening,
    NodeSpec,
    Taint,
    behaviour,
    exec_answer,
    fault,
    logs,
)
from berth.rehearsal.scenariofile import USUAL_NODES, ScenarioError, builtin, find, load
from berth.rehearsal.scenarioreader import schema

pytestmark = pytest.mark.unit


def problems(text: str) -> list[tuple[str, str, str]]:
    """Place, text and hint of everything that is wrong."""
    with pytest.raises(ScenarioError) as caught:
        load(text, "s.yaml")
    return [(one.where.removeprefix("s.yaml:"), one.what, one.hint) for one in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0s", 0), ("500ms", 0.5), ("1m30s", 90), ("1.5h", 5400), (".5s", 0.5), (3, 3), (0.25, 0.25), ("7", 7)],
)
def test_durations(text: str | float, seconds: float) -> None:
    assert seconds_in(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "1x", "1m 30s", "-1s", "1d", -1, True, "5ss", "1s2"])
def test_what_is_no_duration(text: str | float) -> None:
    with pytest.raises(InputError):
        seconds_in(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.1, "100ms"), (1.5, "1.5s"), (10, "10s"), (80, "1m20s"), (300, "5m0s"), (3661.25, "1h1m1.25s")],
)
def test_durations_as_go_prints_them(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text


def test_the_least_scenario() -> None:
    made = load("name: calm\n", "s.yaml")
    assert made.name == "calm"
    assert (made.pods, made.nodes, made.storage) == (DEFAULT.pods, DEFAULT.nodes, DEFAULT.storage)
    assert behaviour(made.rules(Facts("default", "web-0"), 0)) == Behaviour(0.1, 0.1, 0.4, 0.0, 0.2)


def test_everything_that_a_scenario_may_say() -> None:
    made = load(
        """
name: everything
description: all of it
seed: 7
pace: 10x
begin: "2026-01-01T00:00:00Z"
probes: true
nodes:
  - {name: a, zone: z1, cpu: 4, memory: 8Gi, pods: 10, labels: {disk: ssd}}
  - {name: b, region: r, taints: [{key: only, value: db, effect: NoSchedule}]}
storage: {provision: 2s}
pods:
  - match: {set: web, ordinals: "0, 2-3, 7+", revision: update, container: db, image: "*:17*"}
    from: 30s
    until: 1m
    fault: crash
    times: 3
    after: 2s
    exit_code: 3
    message: bad
    stop: never
    logs: [one]
    exec: [{command: "psql *", stdout: x, exit: 1}]
claims:
  - {match: {template: data, set: web, ordinals: 1, class: fast}, bind: never, message: full}
timeline:
  - {at: 1m, recover: b}
  - {at: 30s, lose: b}
  - {at: 2m, delete_pod: {labels: {app: web}}, grace: 5s}
api:
  - {match: {verb: patch, kind: StatefulSet}, every: 3, answer: 429, retry_after: 2s}
quota:
  - {hard: {pods: 2, requests.memory: 1Gi}}
""",
        "s.yaml",
    )
    assert (made.seed, made.pace, made.begin, made.probes) == (7, "10x", 1767225600.0, True)
    assert made.nodes == (
        NodeSpec("a", "z1", cpu="4", memory="8Gi", pods=10, labels={"disk": "ssd"}),
        NodeSpec("b", region="r", taints=(Taint("only", "NoSchedule", "db"),)),
    )
    assert (made.storage.provision, made.storage.expand) == (2, 0.1)
    [rule] = made.pods
    assert rule.fault == Fault("crash", 3, "bad", 2.0, 3)
    assert (rule.period.begin, rule.period.end, rule.stop, rule.logs) == (30, 60, NEVER, ("one",))
    assert [number for number in range(10) if number in (rule.match.ordinals or ())] == [0, 2, 3, 7, 8, 9]
    assert [(one.at, one.action, one.node) for one in made.happenings] == [
        (30, "lose", "b"),
        (60, "recover", "b"),
        (120, "delete_pod", ""),
    ]
    assert made.happenings[2].grace == 5
    assert (made.api[0].answer, made.api[0].retry_after, made.api[0].every) == ("429", 2, 3)
    assert made.quotas[0].hard == {"pods": "2", "requests.memory": "1Gi"}
    assert made.borders() == [30, 60]
    assert "name: everything" in made.source


def test_every_problem_at_once_with_its_place() -> None:
    assert problems(
        """\
name: x
colour: red
pace: 10y
begin: yesterday
pods:
  - match: {set: web, ordinals: "3-1", revison: update}
    from: 30s
    until: 10s
    fault: crsh
  - {match: {ordinals: last}, fault: image, after: 3s}
  - {match: {ordinals: -1}, start: -5s, until: 0s}
  - {match: {set: x}}
  - {times: 2}
claims:
  - {bind: nver}
  - {message: full}
nodes: [{name: a}, {name: a}]
timeline:
  - {at: 3s, lose: node-9}
  - {at: -3, lose: a, drain: a}
  - {at: 3s}
  - {at: 3s, cordon: a, grace: 1s}
  - {at: 3s, delete_pod: {sett: web}, grace: 0.5s}
api:
  - {match: {verb: gett}, answer: 418}
  - {answer: 500, retry_after: 1s}
  - {match: {kind: Pod}}
quota:
  - {hard: {pods: many}}
"""
    ) == [
        ("2:1", "colour: a scenario has no such key here", _KEYS),
        (
            "3:1",
            "pace: there is no pace '10y'",
            "brisk, real, instant, or how many times as fast as real: 10x (0.01 to 10000)",
        ),
        ("4:1", "begin: 'yesterday' is not a time", 'write it as "2026-01-01T00:00:00Z"'),
        ("6:23", "pods[0].match.ordinals: the range 3-1 ends before it begins", 'write "1-3"'),
        ("6:40", "pods[0].match.revison: a scenario has no such key here", "did you mean 'revision'?"),
        ("8:5", "pods[0].until: it ends at 10s, but it begins at 30s", "a rule ends after it begins"),
        (
            "9:5",
            "pods[0].fault: expected one of 'image', 'crash', 'oom', 'init', 'unready', 'liveness', 'config', 'mount', "
            "got 'crsh'",
            "did you mean 'crash'?",
        ),
        ("10:14", "pods[1].match.ordinals: 'last' names no ordinals", 'write 0, [0, 2], "1-2", "3+" or "0, 2-4"'),
        (
            "10:45",
            "pods[1].after: after does not go with the fault image",
            "it goes with crash, oom, unready, liveness",
        ),
        ("11:14", "pods[2].match.ordinals: -1 is no ordinal", "ordinals are counted from 0 up"),
        ("11:29", "pods[2].start: '-5s' is before the beginning: a time cannot be negative", _DURATION),
        ("11:41", "pods[2].until: it ends at 0s, but it begins with the rehearsal", "a rule ends after it begins"),
        ("12:5", "pods[3]: the rule says nothing", "state a fault, a duration, logs or exec"),
        ("13:6", "pods[4].times: times says how something fails, but the rule has no fault", "add fault: crash"),
        ("15:6", "claims[0].bind: 'nver' is not a duration", f"{_DURATION}, or never"),
        ("16:5", "claims[1]: the rule says nothing", "state bind: never, or how long it takes"),
        ("17:21", "nodes[1].name: there are two nodes 'a'", "give each a name of its own"),
        ("19:14", "timeline[0].lose: there is no node 'node-9'", "one of: a"),
        ("20:5", "timeline[1]: the entry says lose and drain at once", f"state one of {_ACTIONS}"),
        ("20:6", "timeline[1].at: -3 is before the beginning: a time cannot be negative", _DURATION),
        ("21:5", "timeline[2]: the entry says nothing to do", f"state one of {_ACTIONS}"),
        ("22:25", "timeline[3].grace: grace does not go with cordon", "it goes with delete_pod"),
        ("23:27", "timeline[4].delete_pod.sett: a scenario has no such key here", "did you mean 'set'?"),
        (
            "23:39",
            "timeline[4].grace: 0.5 s is not a whole number of seconds",
            "Kubernetes counts whole seconds here",
        ),
        ("25:14", "api[0].match.verb: there is no verb 'gett'", "did you mean 'get'?"),
        (
            "25:27",
            "api[0].answer: expected one of 409, 429, 500, 503, 504, 'reset', 'reset-after', 'truncate', got 418",
            "",
        ),
        ("26:19", "api[1].retry_after: retry_after goes with the answers 429 and 503", ""),
        ("27:5", "api[2]: the rule says nothing", "state an answer, a delay, or both"),
        ("29:13", "quota[0].hard.pods: expected a quantity such as 500m, 2Gi or 20Gi, got 'many'", ""),
    ]


_KEYS = "one of: api, begin, claims, description, name, nodes, pace, pods, probes, quota, seed, storage and 1 more"
_DURATION = "write it as 500ms, 2s or 1m30s"
_ACTIONS = "lose, recover, cordon, uncordon, drain, delete_pod"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "a scenario is a mapping with a name"),
        ("- a\n", "a scenario is a mapping with a name"),
        ("name: [\n", "this is not valid YAML"),
        ("name: x\nname: y\n", "the key 'name' is there twice"),
        ("seed: 1\n", "name: a value is required"),
        ("name: x\npods: 3\n", "pods: expected a list, got 3"),
        ("name: x\npods: [3]\n", "pods[0]: expected a mapping, got 3"),
        ("name: x\npods: [{match: web, start: 1s}]\n", "pods[0].match: expected a mapping, got 'web'"),
        ("name: x\nstorage: 3\n", "storage: expected a mapping, got 3"),
        ("name: x\npods: [{exec: [{}]}]\n", "pods[0].exec[0].command: a value is required"),
        ("name: x\npods: [{start: yes}]\n", "yes means different things"),
        ("name: x\ntimeline: [{lose: berth-node-1}]\n", "timeline[0].at: a value is required"),
        ("name: x\napi: [{answer: 500, match: {verb: 3}}]\n", "api[0].match.verb: expected"),
    ],
)
def test_what_is_no_scenario_at_all(text: str, what: str) -> None:
    assert any(found.startswith(what) for _, found, _ in problems(text))


def test_the_first_rule_that_states_a_field_decides_it() -> None:
    made = load(
        """
name: x
pods:
  - {match: {name: web-1}, start: 5s}
  - {match: {namespace: shop, name: "web-*"}, start: 9s, ready: 3s, logs: [shop]}
  - {match: {container: side}, logs: [side]}
  - {match: {image: "postgres*"}, exec: [{command: "a*", stdout: first}, {command: "*", exit: 3}]}
  - {from: 10s, ready: 1s, fault: unready}
""",
        "s.yaml",
    )
    rules = made.rules(Facts("shop", "web-1"), 0)
    assert behaviour(rules) == Behaviour(start=5, ready=3)
    assert behaviour(made.rules(Facts("default", "web-2"), 0)) == Behaviour()
    assert behaviour(made.rules(Facts("default", "web-2"), 10)) == Behaviour(ready=1)
    assert logs(rules, "side", "x") == ("shop",)
    assert logs(made.rules(Facts("default", "web-2"), 0), "side", "x") == ("side",)
    assert logs(made.rules(Facts("default", "web-2"), 0), "main", "x") is None
    assert exec_answer(rules, "db", "postgres:17", ["abc", "d"]) == ExecAnswer("first")
    assert exec_answer(rules, "db", "postgres:17", ["b"]) == ExecAnswer(exit_code=3)
    assert exec_answer(rules, "db", "nginx", ["b"]) is None


def test_which_containers_a_fault_is_for() -> None:
    def of(text: str, *, init: bool) -> bool:
        rules = load(f"name: x\npods: [{{{text}}}]", "s.yaml").pods
        return fault(rules, "main", "nginx", init=init) is not None

    assert (of("fault: crash", init=False), of("fault: crash", init=True)) == (True, False)
    assert (of("fault: init", init=False), of("fault: init", init=True)) == (False, True)
    assert (of("fault: image", init=False), of("fault: image", init=True)) == (True, True)
    assert of("match: {container: main}, fault: crash", init=True)
    assert not of("match: {container: other}, fault: crash", init=False)


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ("{}", True),
        ("{set: web}", True),
        ("{set: db}", False),
        ("{template: data}", True),
        ("{template: data, set: w*, ordinals: 1}", True),
        ("{ordinals: [0, 2]}", False),
        ("{class: fast}", True),
        ("{class: slow}", False),
        ("{labels: {app: w*}}", True),
        ("{labels: {app: db}}", False),
        ("{name: data-web-1, namespace: shop}", True),
        ("{namespace: default}", False),
    ],
)
def test_which_claims_a_rule_is_for(match: str, fits: bool) -> None:
    made = load(f"name: x\nclaims: [{{match: {match}, bind: never}}]", "s.yaml")
    claim: Json = {"metadata": {"namespace": "shop", "name": "data-web-1", "labels": {"app": "web"}}}
    claim["spec"] = {"storageClassName": "fast"}
    assert (made.claim_rule(claim, 0) is not None) == fits


def test_scenarios_that_come_with_berth() -> None:
    assert {"image-pull", "crash-after-upgrade", "claim-pending", "node-lost", "probe-fails"} <= set(builtin())
    for name in builtin():
        made = find(name)
        assert made.name == name
        assert made.description.endswith(".")


def test_a_scenario_that_is_not_there() -> None:
    with pytest.raises(ScenarioError, match="did you mean 'image-pull'"):
        find("image-pul")
    with pytest.raises(ScenarioError, match=r"there is no scenario 'x/y\.yaml'"):
        find("x/y.yaml")


def test_the_usual_nodes_are_those_of_the_cluster() -> None:
    assert USUAL_NODES == tuple(node.name for node in NODE_SPECS)
    assert load("name: x\ntimeline: [{at: 1s, lose: berth-node-3}]", "s").happenings == (
        Happening(1.0, "lose", "berth-node-3"),
    )


def test_the_page_of_the_reference() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/scenarios.md").read_text(encoding="utf-8")
    for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL):
        assert load(block, "page").name
    for name in builtin():
        assert f"| `{name}` |" in page
    for kind in schema()["$defs"]["podRule"]["properties"]["fault"]["enum"]:
        assert f"| `{kind}` |" in page
    for part in ("podRule", "claimRule", "happening", "apiRule", "podMatch"):
        for key in schema()["$defs"][part]["properties"]:
            assert re.search(rf"`{key}\b", page), key


def test_the_schema_describes_every_key_of_a_scenario() -> None:
    for key, part in schema()["properties"].items():
        assert part.get("description") or "$ref" in part, key
