"""The OrderedReady trap: whether pods that would block their own fix may be deleted, asked before anything is done."""

from __future__ import annotations

from collections.abc import Iterator

from berth.actions.applying import Options
from berth.actions.operations import pods_of
from berth.actions.plan import Planned
from berth.cluster.kube import Kube
from berth.core.events import Notice
from berth.core.objects import dig
from berth.core.plan import Step
from berth.core.readiness import judge, trapped, would_trap


def may_unstick(kube: Kube, planned: Planned, options: Options) -> tuple[bool, list[Notice]]:
    """Whether the run may delete pods that block their own fix, and what to tell about those that there are.

    Where the options leave it open, the user is asked; nobody is where no pod does.
    """
    names = [name for step in planned.plan.steps for name in _blocking(kube, planned, step)]
    allowed = options.unstick or bool(names and options.ask_unstick and options.ask_unstick(names))
    if not names or allowed:
        return allowed, []
    said = f"not ready: {', '.join(names)}; Kubernetes waits for such a pod, so that it blocks its own fix"
    return False, [Notice(f"{said}; --unstick deletes it once that is applied", "warning")]


def _blocking(kube: Kube, planned: Planned, step: Step) -> Iterator[str]:
    """The pods that do, or will once the step is taken."""
    live = planned.survey.live.get(step.ref)
    if step.ref.kind != "StatefulSet" or step.manifest is None or live is None or judge(live).current:
        return
    pods = pods_of(kube, planned.release)
    if any(change.path.startswith("spec.template") for change in step.changes):
        strategy = dig(step.manifest.body, "spec", "updateStrategy", default={})
        yield from would_trap({**live, "spec": {**live["spec"], "updateStrategy": strategy}}, pods)
    else:
        yield from trapped(live, pods)
