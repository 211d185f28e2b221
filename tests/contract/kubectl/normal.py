"""What of kubectl's output says nothing about how a cluster behaves, and is made equal before it is compared."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """What is replaced, by what, and why the two clusters need not agree on it."""

    pattern: str
    replacement: str
    reason: str


_UID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
#: The letters of generated names: no vowels, so that they spell nothing.
_RANDOM = "[bcdfghjklmnpqrstvwxz2456789]"
_AGE = r"(?:\d+y)?(?:\d+d)?(?:\d+h)?(?:\d+m)?(?:\d+s)?"

#: Applied in this order.
RULES: tuple[Rule, ...] = (
    Rule(_UID, "UID", "uids are random, and with them the names of volumes that a provisioner makes"),
    Rule(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z", "TIME", "the rehearsal has a clock of its own"),
    Rule(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "TIME", "the same, as `describe` writes it"),
    Rule(
        rf"(?<![^\s(])(?=\d)(?:{_AGE}|<invalid>)(?![^\s)])|<invalid>",
        "AGE",
        "ages follow the clock; at the instant pace it is ahead of this machine's, where `describe` computes them",
    ),
    Rule(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} UTC", "TIME", "the same, of a NetworkPolicy"),
    Rule(r"AGE \(x\d+ over AGE\)", "AGE", "how often something was said depends on how long it lasted"),
    Rule(r"^([IWE])\d{4} [\d:.]+ +\d+ (?=\w+\.go)", r"\1 ", "kubectl's own log names its time and process"),
    Rule(r'(?<="resourceVersion": ")\d+', "VERSION", "versions count the writes of a whole cluster"),
    Rule(r"(?<=resourceVersion: \")\d+", "VERSION", "the same, as YAML"),
    Rule(r"(?<=Resource Version:)\s+\d+|(?<=resource version to be 1, was )\d+", " VERSION", "the same, in words"),
    Rule(r"(?:https://)?127\.0\.0\.1:\d+", "SERVER", "each cluster listens at a port of its own"),
    Rule(r"\b10(?:\.\d{1,3}){3}\b", "IP", "addresses depend on what else is in a cluster, and on the node"),
    Rule(r"\bberth-node-\d\b", "NODE", "equally good nodes are chosen at random by the scheduler"),
    Rule(r"\blocal-[ab]\b", "ZONE", "the zone follows the node"),
    Rule(rf"(?<=[a-z0-9]-){_RANDOM}{{5}}\b", "XXXXX", "the random end of a generated name"),
    Rule(r"(?<=[a-z0-9]\.)[0-9a-f]{16}\b", "XXXX", "an Event is named by the nanosecond of its recording"),
    Rule(r"\b(?:kwok|rehearsal)://(?=UID)", "runtime://", "containers belong to the simulator"),
    Rule(r"\b(?:kwok|rehearsal)://v?[\d.]+", "runtime://VERSION", "containers belong to the simulator"),
    Rule(r"\bdefault-scheduler-\S+", "default-scheduler-MACHINE", "the scheduler names the machine it runs on"),
    Rule(
        r"(?<=\S)(?: {2,}|\t+)(?=\S)", "  ", "the width of a column follows its longest cell, which may be one of these"
    ),
    Rule(
        r"^.*  (?:WaitForPodScheduled|WaitForFirstConsumer)  .*\n",
        "",
        "whether the claim controller looks before the scheduler has chosen a node, and what it then says, is a race",
    ),
    Rule(
        r"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----|# a rehearsal has no certificate authority",
        "CERTIFICATE",
        "each cluster has an authority of its own, and the rehearsal none",
    ),
    Rule(
        r'(lastProbeTime"?: null,?\n\s+"?lastTransitionTime"?: "TIME",?\n)\s+"?observedGeneration"?: \d+,?\n',
        r"\1",
        "kwok leaves it out of the conditions of a pod, which a kubelet states (the rehearsal as well)",
    ),
    Rule(
        r"(?<=generation: )\d+(?=\n\s+labels:\n(?:\s+\w+: \w+\n)*\s+endpointslice)",
        "N",
        "how often a slice was written depends on how fast its pods became ready",
    ),
    Rule(
        r", \d+ node\(s\) (?:had untolerated taint\(s\)|were unschedulable)"
        r"|\d+ node\(s\) (?:had untolerated taint\(s\)|were unschedulable), ",
        "",
        "tests of nodes have some of their own, which are tainted and cordoned",
    ),
    Rule(r"\b0/\d+ nodes are", "0/N nodes are", "the same"),
    Rule(r"\d+ Preemption is", "N Preemption is", "the same"),
    Rule(r"(^.*  FailedScheduling  .*\n)\1+", r"\1", "the scheduler tries again when anything in the cluster moves"),
    Rule(
        r"\n\nNo LimitRange resource\.",
        "",
        "the rehearsal has no LimitRanges, and says so: `get limits` knows no such kind",
    ),
    Rule(
        r'(?<=patch: Invalid value: )"\{(?:[^"\\]|\\.)*"',
        "OBJECT",
        "a refused patch shows the whole object, its keys in the order of Go's structs",
    ),
    Rule(r'(?<=- address: )(?:""|NODE)(?=\n\s+type: Hostname)|(?<=  Hostname:).*$', "NODE", "kwok states no hostname"),
    Rule(r"(?<=Port: )\d{5}$", "PORT", "kubelets listen at a port of their simulator's"),
    Rule(r"[ \t]+$", "", "the same at the end of a line"),
)

_COMPILED = tuple((re.compile(rule.pattern, re.MULTILINE), rule.replacement) for rule in RULES)


@dataclass(frozen=True, slots=True)
class Unlike:
    """Lines in which the clusters differ on purpose, and why. They are left out of what is compared."""

    pattern: str
    reason: str


#: What docs/reference/rehearsal-differences.md says in words.
UNLIKE: tuple[Unlike, ...] = (
    Unlike(
        r"  (?:Pulling|Pulled|Created|Started|Killing)  pod/",
        "kwok records no Events of containers, which a kubelet does (and the rehearsal)",
    ),
    Unlike(r"^[IWE] reflector\.go", "client-go's log of a watch at the moment when kubectl's own time is over: a race"),
    Unlike(r"^MODIFIED pod/", "in how many steps a pod becomes ready is the kubelet's matter"),
    Unlike(r"\bkubelet(?:, \S+)?  ", "the same, as `describe` shows them"),
)

_UNLIKE = tuple(re.compile(one.pattern) for one in UNLIKE)


def normal(text: str) -> str:
    """The text without what says nothing about how a cluster behaves.

    JSON on one line (``get --raw``) has its keys in the order of Go's structs, which no client heeds.
    """
    if text.startswith("{"):
        with suppress(ValueError):
            text = json.dumps(json.loads(text), indent=4, sort_keys=True) + "\n"
    for pattern, replacement in _COMPILED:
        text = pattern.sub(replacement, text)
    return "".join(f"{line}\n" for line in text.splitlines() if not any(one.search(line) for one in _UNLIKE))
