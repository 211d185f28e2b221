"""Scenarios as people write them: YAML, read strictly, every problem at once with its file and line."""

from __future__ import annotations

from datetime import datetime
from importlib import resources
from pathlib import Path as FilePath
from typing import Any, cast

from berth.core import strictyaml
from berth.core.errors import InputError, Position, did_you_mean
from berth.core.strictyaml import Path
from berth.rehearsal.clock import Pace
from berth.rehearsal.scenario import (
    Action,
    ApiRule,
    CallMatch,
    ClaimMatch,
    ClaimRule,
    ExecAnswer,
    ExecRule,
    Fault,
    Happening,
    NodeSpec,
    PodMatch,
    PodRule,
    Quota,
    Scenario,
    Storage,
    Taint,
)
from berth.rehearsal.scenarioreader import Reader, schema

#: The nodes of a rehearsal whose scenario names none.
USUAL_NODES = ("berth-node-1", "berth-node-2", "berth-node-3")

_NODE_ACTIONS = ("lose", "recover", "cordon", "uncordon", "drain")
#: Which faults happen at a start of the container, so that one may count them, and which after it has run for a while.
_COUNTED = ("image", "crash", "oom", "init", "liveness")
_LATER = ("crash", "oom", "unready", "liveness")
_EXITING = ("crash", "init")


class ScenarioError(InputError):
    """A scenario is unknown, unreadable, or contradicts itself."""


def builtin() -> tuple[str, ...]:
    """The names of the scenarios that come with berth, in alphabetical order."""
    folder = resources.files("berth.rehearsal") / "scenarios"
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")))


def find(name: str) -> Scenario:
    """A scenario by the name of one of berth's own, or by the path of a file.

    Raises:
        ScenarioError: there is none, or it is wrong; every problem at once.
    """
    path = FilePath(name)
    if name in builtin():
        entry = resources.files("berth.rehearsal") / "scenarios" / f"{name}.yaml"
        return load(entry.read_text(encoding="utf-8"), f"{name}.yaml")
    if not path.is_file():
        hint = did_you_mean(name, builtin()) if path.suffix == "" else "give the path of a file, or a name from "
        hint = hint if path.suffix == "" else hint + ", ".join(builtin())
        raise ScenarioError(f"there is no scenario {name!r}", where=name, hint=hint)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise ScenarioError(f"the scenario cannot be read: {error}", where=name) from error
    return load(text, name)


def load(text: str, file: str) -> Scenario:
    """A scenario from the text of a file.

    Raises:
        ScenarioError: every problem at once.
    """
    document = strictyaml.read_one(text, file, error=ScenarioError)
    if not isinstance(document.data, dict):
        raise ScenarioError(
            "a scenario is a mapping with a name", where=str(Position(file, 1)), hint="begin with: name: my-scenario"
        )
    reader = _ScenarioReader(document)
    reader.check_shape()
    made = reader.scenario(text)
    if reader.problems:
        raise ScenarioError(reader.in_order())
    return made


class _ScenarioReader(Reader):
    """Builds the parts of a scenario."""

    def scenario(self, source: str) -> Scenario:
        nodes = tuple(map(self.node, self.entries((), "nodes")))
        for index, node in enumerate(nodes):
            if node.name in [earlier.name for earlier in nodes[:index]]:
                self.problem(
                    ("nodes", index, "name"), f"there are two nodes {node.name!r}", "give each a name of its own"
                )
        known = list(dict.fromkeys(node.name for node in nodes)) or list(USUAL_NODES)
        happenings = [self.happening(path, known) for path in self.entries((), "timeline")]
        return Scenario(
            name=self.get((), "name", ""),
            description=self.get((), "description", ""),
            seed=self.get((), "seed", 0),
            pace=self.pace(),
            begin=self.begin(),
            probes=self.get((), "probes", False),
            nodes=nodes,
            storage=self.storage(),
            pods=tuple(map(self.pod_rule, self.entries((), "pods"))),
            claims=tuple(map(self.claim_rule, self.entries((), "claims"))),
            happenings=tuple(sorted((one for one in happenings if one is not None), key=lambda one: one.at)),
            api=tuple(map(self.api_rule, self.entries((), "api"))),
            quotas=tuple(map(self.quota, self.entries((), "quota"))),
            source=source,
        )

    def pace(self) -> str:
        text = self.get((), "pace", "")
        try:
            return str(Pace.parse(text)) if text else ""
        except InputError as error:
            self.problem(("pace",), error.problems[0].what, error.problems[0].hint)
            return ""

    def begin(self) -> float | None:
        text = self.get((), "begin")
        if text is None:
            return None
        try:
            moment = datetime.fromisoformat(str(text))
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            self.problem(("begin",), f"{text!r} is not a time", 'write it as "2026-01-01T00:00:00Z"')
            return None
        return moment.timestamp()

    def storage(self) -> Storage:
        usual = Storage()
        provision, expand = (self.seconds(("storage",), key) for key in ("provision", "expand"))
        return Storage(usual.provision if provision is None else provision, usual.expand if expand is None else expand)

    def node(self, at: Path) -> NodeSpec:
        usual = NodeSpec("")
        taints = [self.taint(path) for path in self.entries(at, "taints")]
        return NodeSpec(
            name=self.get(at, "name", ""),
            zone=self.get(at, "zone", usual.zone),
            region=self.get(at, "region", usual.region),
            cpu=str(self.get(at, "cpu", usual.cpu)),
            memory=str(self.get(at, "memory", usual.memory)),
            pods=self.get(at, "pods", usual.pods),
            labels=self.texts(at, "labels"),
            taints=tuple(taints),
        )

    def taint(self, at: Path) -> Taint:
        return Taint(self.get(at, "key", ""), self.get(at, "effect", ""), self.get(at, "value", ""))

    def pod_match(self, at: Path) -> PodMatch:
        revision = self.get(at, "revision", "")
        return PodMatch(
            namespace=self.get(at, "namespace", "*"),
            name=self.get(at, "name", "*"),
            set=self.get(at, "set", ""),
            ordinals=self.ordinals(at),
            labels=self.texts(at, "labels"),
            revision="" if revision == "any" else revision,
            node=self.get(at, "node", "*"),
            container=self.get(at, "container", "*"),
            image=self.get(at, "image", "*"),
        )

    def pod_rule(self, at: Path) -> PodRule:
        written = self.get((), "pods")[at[1]]
        if not set(written) - {"match", "from", "until"}:
            self.problem(at, "the rule says nothing", "state a fault, a duration, logs or exec")
        lines = self.get(at, "logs")
        return PodRule(
            match=self.pod_match((*at, "match")),
            period=self.period(at),
            pull=self.seconds(at, "pull"),
            init=self.seconds(at, "init"),
            start=self.seconds(at, "start"),
            ready=self.seconds(at, "ready", never=True),
            stop=self.seconds(at, "stop", never=True),
            fault=self.fault(at),
            logs=None if lines is None else tuple(map(str, lines)),
            exec=tuple(map(self.exec_rule, self.entries(at, "exec"))),
        )

    def fault(self, at: Path) -> Fault | None:
        kind = self.get(at, "fault")
        after = self.seconds(at, "after")
        for key, kinds in (("times", _COUNTED), ("after", _LATER), ("exit_code", _EXITING), ("message", None)):
            if self.get(at, key) is None:
                continue
            if kind is None and (*at, "fault") not in self.broken:
                self.problem(
                    (*at, key), f"{key} says how something fails, but the rule has no fault", "add fault: crash"
                )
            elif kind is not None and kinds is not None and kind not in kinds:
                self.problem((*at, key), f"{key} does not go with the fault {kind}", f"it goes with {', '.join(kinds)}")
        if kind is None:
            return None
        return Fault(kind, self.get(at, "exit_code"), self.get(at, "message", ""), after or 0.0, self.get(at, "times"))

    def exec_rule(self, at: Path) -> ExecRule:
        answer = ExecAnswer(self.get(at, "stdout", ""), self.get(at, "stderr", ""), self.get(at, "exit", 0))
        return ExecRule(self.get(at, "command", ""), answer)

    def claim_rule(self, at: Path) -> ClaimRule:
        match = (*at, "match")
        if self.get(at, "bind") is None and (*at, "bind") not in self.broken:
            self.problem(at, "the rule says nothing", "state bind: never, or how long it takes")
        return ClaimRule(
            match=ClaimMatch(
                namespace=self.get(match, "namespace", "*"),
                name=self.get(match, "name", "*"),
                set=self.get(match, "set", ""),
                template=self.get(match, "template", "*"),
                ordinals=self.ordinals(match),
                storage_class=self.get(match, "class", "*"),
                labels=self.texts(match, "labels"),
            ),
            period=self.period(at),
            bind=self.seconds(at, "bind", never=True),
            message=self.get(at, "message", ""),
        )

    def happening(self, at: Path, nodes: list[str]) -> Happening | None:
        written = self.get((), "timeline")[at[1]]
        actions = [key for key in (*_NODE_ACTIONS, "delete_pod") if key in written]
        moment = self.seconds(at, "at") or 0.0
        if len(actions) != 1:
            said = "says nothing to do" if not actions else f"says {' and '.join(actions)} at once"
            self.problem(at, f"the entry {said}", f"state one of {', '.join((*_NODE_ACTIONS, 'delete_pod'))}")
            return None
        action = actions[0]
        grace = self.whole_seconds(at, "grace")
        if grace is not None and action != "delete_pod":
            self.problem((*at, "grace"), f"grace does not go with {action}", "it goes with delete_pod")
        if action == "delete_pod":
            return Happening(moment, "delete_pod", pods=self.pod_match((*at, "delete_pod")), grace=grace)
        node = self.get(at, action, "")
        if node not in nodes and node:
            self.problem((*at, action), f"there is no node {node!r}", did_you_mean(node, nodes))
        return Happening(moment, cast(Action, action), node=node)

    def api_rule(self, at: Path) -> ApiRule:
        match = (*at, "match")
        answer = self.get(at, "answer", "")
        delay, retry = self.seconds(at, "delay"), self.whole_seconds(at, "retry_after")
        if "answer" not in self.written(at) and "delay" not in self.written(at):
            self.problem(at, "the rule says nothing", "state an answer, a delay, or both")
        if retry is not None and answer not in (429, 503):
            self.problem((*at, "retry_after"), "retry_after goes with the answers 429 and 503")
        verbs = self.get(match, "verb", [])
        allowed = schema()["$defs"]["apiRule"]["properties"]["match"]["properties"]["verb"]["items"]["enum"]
        if isinstance(verbs, str):
            if verbs not in allowed:
                self.problem((*match, "verb"), f"there is no verb {verbs!r}", did_you_mean(verbs, allowed))
            verbs = [verbs]
        return ApiRule(
            match=CallMatch(
                verbs=frozenset(map(str, verbs)),
                kind=self.get(match, "kind", ""),
                subresource=self.get(match, "subresource"),
                namespace=self.get(match, "namespace", "*"),
                name=self.get(match, "name", "*"),
                agent=self.get(match, "agent", "*"),
            ),
            period=self.period(at),
            answer=cast(Any, str(answer)),
            delay=delay or 0.0,
            retry_after=retry,
            message=self.get(at, "message", ""),
            times=self.get(at, "times"),
            every=self.get(at, "every", 1),
            skip=self.get(at, "skip", 0),
        )

    def quota(self, at: Path) -> Quota:
        usual = Quota({})
        return Quota(
            self.texts(at, "hard"), self.get(at, "namespace", usual.namespace), self.get(at, "name", usual.name)
        )
