"""What a drain would do, for people and for machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from berth.core.drain import NodeDrain, PodDrain, SetDrain
from berth.output.plain import harmless


def node_lines(one: NodeDrain) -> list[str]:
    """The verdict of a node, its sets, and its pods below."""
    spaces = len({group.namespace for group in one.sets}) > 1
    shown = [f"{one.node}: {one.verdict}"]
    for group in one.sets:
        name = f"{group.namespace}/{group.name}" if spaces else group.name
        shown.append(f"  StatefulSet/{name}: {_left(group)}")
        mine = (pod for pod in one.pods if (pod.namespace, pod.set_name) == (group.namespace, group.name))
        for pod in mine:
            shown += [f"    {line}" for line in _pod_lines(pod)]
    return [harmless(line.rstrip()) for line in shown]


def _left(group: SetDrain) -> str:
    """How many stay ready, and whether that is enough."""
    said = f"{group.left} of {group.members} stay ready"
    if not group.quorum:
        return said
    holds = "holds" if group.left >= group.quorum else "is lost"
    return f"{said}, and the quorum of {group.quorum} {holds}"


def _pod_lines(pod: PodDrain) -> list[str]:
    about = "; ".join([*([pod.role] if pod.role else []), *([] if pod.ready else ["not ready"])])
    head = f"{pod.pod} ({about})" if about else pod.pod
    verb = "may be evicted" if pod.eviction.allowed else "is not evicted"
    shown = [f"{head}: {verb}: {pod.eviction.why}"]
    if pod.elsewhere:
        shown.append(f"  could run on {', '.join(pod.elsewhere)}, as far as can be seen")
    elif pod.held:
        shown.append(f"  comes back only here: {pod.held}")
    return shown


def total(nodes: Sequence[NodeDrain]) -> str:
    """How many nodes may be drained, in one line."""
    if not nodes:
        return "no node holds a pod of these releases"
    safe = sum(one.safe for one in nodes)
    return f"{safe} of {len(nodes)} node{'' if len(nodes) == 1 else 's'} safe to drain, one at a time"


def as_json(one: NodeDrain) -> dict[str, Any]:
    """One node for machines."""
    return {
        "node": one.node,
        "safe": one.safe,
        "problems": list(one.problems),
        "blocked": list(one.blocked),
        "sets": [_set(group) for group in one.sets],
        "pods": [_pod(pod) for pod in one.pods],
    }


def _set(group: SetDrain) -> dict[str, Any]:
    return {
        "namespace": group.namespace,
        "name": group.name,
        "members": group.members,
        "ready": group.ready,
        "left": group.left,
        "quorum": group.quorum or None,
        "quorum_holds": group.left >= group.quorum if group.quorum else None,
    }


def _pod(pod: PodDrain) -> dict[str, Any]:
    return {
        "namespace": pod.namespace,
        "release": pod.release,
        "set": pod.set_name,
        "pod": pod.pod,
        "ordinal": pod.ordinal,
        "ready": pod.ready,
        "role": pod.role,
        "allowed": pod.eviction.allowed,
        "why": pod.eviction.why,
        "budget": pod.eviction.budget or None,
        "elsewhere": None if pod.elsewhere is None else list(pod.elsewhere),
        "held": pod.held or None,
    }
