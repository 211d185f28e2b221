"""Asks in containers for what only they can tell: what they are called, and where names lead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from berth.actions.operations import Outcome, Result, run_operation
from berth.cluster.kube import Kube
from berth.cluster.runner import all_of
from berth.core.errors import DeniedError
from berth.core.objects import Json, dig
from berth.core.operations import Operation
from berth.core.reach import container_of
from berth.core.readiness import pod_ready
from berth.core.verify import Asked, Facts

#: How long a command may take, in seconds.
_SHORT = 10.0
#: What `getent` and shells end with: no such name; no such program.
_NO_NAME, _NO_PROGRAM = 2, (126, 127)


class NotRunError(Exception):
    """No command can be run in a pod, and in words why: no containers run there, or we may not."""


def run_in(kube: Kube, space: str, pod: Json, command: tuple[str, ...], container: str = "") -> Result:
    """How a command ended in a pod's container ("": its main one).

    Raises:
        NotRunError: none can be run there.
        TargetError: the cluster does not answer.
    """
    operation = Operation("verify", command, container or container_of(pod), _SHORT)
    try:
        result = run_operation(kube, space, operation, [pod])[0]
    except DeniedError:
        raise NotRunError("no permission to run commands in pods") from None
    if result.outcome is Outcome.NOT_RUN:
        raise NotRunError(f"no containers run here ({result.why})")
    return result


def ask(kube: Kube, space: str, facts: Facts) -> Facts:
    """The facts with what containers say of their hostnames, and of the names of others, where some run."""
    pods = [facts.owned[ordinal] for ordinal in facts.wanted if ordinal in facts.owned]
    running = [
        pod
        for pod in pods
        if dig(pod, "status", "phase") == "Running" and not dig(pod, "metadata", "deletionTimestamp")
    ]
    if not running:
        return facts
    try:
        first = _hostname(kube, space, running[0])
    except NotRunError as error:
        # It is so in all of them, or hardly worth to be found out: a hundred pods would be asked.
        none = Asked(str(running[0]["metadata"]["name"]), None, str(error))
        return replace(facts, hostnames={none.pod: none}, resolved={facts.zone: none})
    others = all_of(running[1:], lambda pod: _or_not(pod, lambda: _hostname(kube, space, pod)))
    hostnames = {asked.pod: asked for asked in (first, *others)}
    if not facts.records or facts.service is None:
        return replace(facts, hostnames=hostnames)
    questions = _questions(facts, running)
    answers = all_of(questions, lambda one: _or_not(one[0], lambda: _resolve(kube, space, *one)))
    resolved = {name: answer for (_, name, _), answer in zip(questions, answers, strict=True)}
    return replace(facts, hostnames=hostnames, resolved=resolved)


def _or_not(pod: Json, question: Callable[[], Asked]) -> Asked:
    try:
        return question()
    except NotRunError as error:
        return Asked(str(pod["metadata"]["name"]), None, str(error))


def _questions(facts: Facts, running: Sequence[Json]) -> list[tuple[Json, str, bool]]:
    """Who is asked for which name, and whether it is its own.

    A pod's own name is in its /etc/hosts, so that another one is asked, where there is one.
    """
    everyone = dig(facts.service, "spec", "publishNotReadyAddresses", default=False)
    found = [(running[0], facts.zone, False)]
    for number, pod in enumerate(running):
        if pod_ready(pod) or everyone:
            asker = running[(number + 1) % len(running)]
            found.append((asker, f"{pod['metadata']['name']}.{facts.zone}", asker is pod))
    return found


def _hostname(kube: Kube, space: str, pod: Json) -> Asked:
    """What a container calls itself."""
    name = str(pod["metadata"]["name"])
    result = run_in(kube, space, pod, ("hostname",))
    if not result.passed:
        result = run_in(kube, space, pod, ("cat", "/etc/hostname"))
    if result.passed:
        return Asked(name, tuple(result.output.split()))
    return Asked(name, None, f"{name} could not be asked ({result.why})")


def _resolve(kube: Kube, space: str, pod: Json, name: str, own: bool) -> Asked:
    """The addresses that a container's resolver finds; with a dot at the end a name is not looked for in files."""
    asker = str(pod["metadata"]["name"])
    result = run_in(kube, space, pod, ("getent", "hosts", f"{name}." if own else name))
    if result.passed or result.code == _NO_NAME:
        return Asked(asker, tuple(line.split()[0] for line in result.output.splitlines() if line.split()))
    missing = result.code in _NO_PROGRAM or (result.code is None and "getent" in result.why)
    return Asked(asker, None, f"{asker} could not be asked ({'it has no getent' if missing else result.why})")
