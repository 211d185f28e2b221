"""StatefulSets: identity, selectors, order, updates."""

from __future__ import annotations

from collections.abc import Iterator

from berth.core.lint.model import Hit, Severity, format_version, rule
from berth.core.lint.names import VERSION_LABELS
from berth.core.lint.scene import Part, Scene, Workload, matches, selects_all


def governing(scene: Scene, workload: Workload) -> Part | None:
    """The Service that a set's serviceName names, if the release has it."""
    return scene.find("Service", workload.spec.text("serviceName"))


@rule(
    "sets/service-name",
    "serviceName names a Service of the release",
    Severity.ERROR,
    fix="name the release's headless Service in spec.serviceName",
    structural=True,
)
def service_name(scene: Scene) -> Iterator[Hit]:
    """The pods' stable host names (web-0.nginx) exist only under that Service. The API does not check it."""
    for workload in scene.sets:
        name = workload.spec.text("serviceName")
        if not name:
            yield workload.spec.hit("there is no serviceName, so the pods get no stable host names")
        elif ("Service", name) not in scene.names:
            yield workload.spec.hit(f"there is no Service {name!r} in this release", "serviceName")


@rule(
    "sets/headless",
    "serviceName names a headless Service",
    Severity.ERROR,
    fix="set spec.clusterIP: None on that Service, and give clients a second one",
    structural=True,
)
def headless(scene: Scene) -> Iterator[Hit]:
    """A Service with a cluster IP gets no DNS record per pod, so no pod can be reached by its name."""
    for workload in scene.sets:
        service = governing(scene, workload)
        if service and (
            service.at("spec").get("clusterIP") != "None" or service.at("spec").get("type") == "ExternalName"
        ):
            message = f"the Service of {workload.title} is not headless"
            yield service.hit(message, "spec", "clusterIP")


@rule(
    "sets/service-selects-pods",
    "The headless Service selects the set's pods",
    Severity.ERROR,
    fix="make the Service's selector a part of the pod template's labels",
    structural=True,
)
def service_selects_pods(scene: Scene) -> Iterator[Hit]:
    """DNS records are made for the pods that the Service selects; the others have a host name nobody can resolve."""
    for workload in scene.sets:
        service = governing(scene, workload)
        if service and workload not in scene.selected(service.at("spec", "selector")):
            yield service.hit(f"the selector does not meet the pods of {workload.title}", "spec", "selector")


@rule(
    "sets/selector",
    "The selector is part of the pod template's labels",
    Severity.ERROR,
    fix="make spec.selector.matchLabels a part of spec.template.metadata.labels",
    structural=True,
)
def selector(scene: Scene) -> Iterator[Hit]:
    """The API refuses a set that would not own its pods. An empty selector would own every pod of the namespace."""
    for workload in scene.workloads:
        if workload.kind in ("Pod", "Job", "CronJob"):
            continue
        own = workload.spec.at("selector")
        if selects_all(own):
            yield workload.spec.hit("the selector is empty", "selector")
        elif not matches(own, workload.labels):
            yield workload.spec.hit("the selector does not meet the labels of the pod template", "selector")


@rule(
    "sets/stable-selector",
    "Selectors hold no label that changes with the version",
    Severity.ERROR,
    fix="select by app.kubernetes.io/name, instance and component only",
    structural=True,
)
def stable_selector(scene: Scene) -> Iterator[Hit]:
    """A set's selector cannot be changed, so the next version could not be applied.

    In a Service or a PodDisruptionBudget it would leave out the pods of one version during the roll.
    """
    places = [workload.spec.at("selector", "matchLabels") for workload in scene.workloads]
    places += [part.at("spec", "selector") for part in scene.of_kind("Service")]
    places += [part.at("spec", "selector", "matchLabels") for part in scene.of_kind("PodDisruptionBudget")]
    for place in places:
        for key in place.body:
            if key in VERSION_LABELS:
                yield place.hit(f"the selector holds {key}, which changes with the version", key)


@rule(
    "sets/selector-overlap",
    "No selector meets another workload's pods",
    Severity.ERROR,
    fix="add app.kubernetes.io/component to both selectors and both pod templates",
    structural=True,
)
def selector_overlap(scene: Scene) -> Iterator[Hit]:
    """Two controllers that select the same pods count, adopt and delete each other's."""
    for workload in scene.workloads:
        own = workload.spec.at("selector")
        if workload.kind in ("Pod", "Job", "CronJob") or selects_all(own):
            continue
        for other in scene.matched(own):
            if other is not workload:
                yield workload.spec.hit(f"the selector also meets the pods of {other.title}", "selector")


@rule(
    "sets/retention",
    "Claims are retained",
    Severity.ERROR,
    fix="set whenDeleted and whenScaled to Retain, or leave the policy out",
    structural=True,
)
def retention(scene: Scene) -> Iterator[Hit]:
    """With Delete, deleting the set, or scaling it down by mistake, deletes the data, and nothing asks first."""
    for workload in scene.sets:
        policy = workload.spec.at("persistentVolumeClaimRetentionPolicy")
        for key in ("whenDeleted", "whenScaled"):
            if policy.get(key) == "Delete":
                yield policy.hit(f"{key} is Delete: the data goes without being asked for", key)


@rule(
    "sets/update-strategy",
    "The update strategy and its parameters agree",
    Severity.ERROR,
    fix="leave rollingUpdate out with OnDelete",
    structural=True,
)
def update_strategy(scene: Scene) -> Iterator[Hit]:
    """The API refuses rollingUpdate beside OnDelete."""
    for workload in scene.sets:
        strategy = workload.spec.at("updateStrategy")
        if strategy.get("type") == "OnDelete" and strategy.get("rollingUpdate") is not None:
            yield strategy.hit("rollingUpdate is given although the type is OnDelete", "rollingUpdate")


@rule(
    "sets/partition",
    "A rolling update reaches a pod",
    Severity.WARNING,
    fix="set the partition to 0, or to the first ordinal that is to be updated",
)
def partition(scene: Scene) -> Iterator[Hit]:
    """A partition above all ordinals stages an update for later. As a default it means that no pod is ever updated."""
    for workload in scene.sets:
        rolling = workload.spec.at("updateStrategy", "rollingUpdate")
        start = workload.spec.at("ordinals").number("start")
        partition = rolling.number("partition")
        if workload.replicas and partition >= start + workload.replicas:
            message = f"the partition {partition} is above all {workload.replicas} ordinals: no pod is ever updated"
            yield rolling.hit(message, "partition")


@rule(
    "sets/max-unavailable",
    "maxUnavailable is left out of a set's rolling update",
    Severity.WARNING,
    fix="leave spec.updateStrategy.rollingUpdate.maxUnavailable out",
)
def max_unavailable(scene: Scene) -> Iterator[Hit]:
    """Up to Kubernetes 1.36 the field is dropped in silence unless a feature gate is on.

    In 1.35.0 to 1.35.3 it was on and broke Parallel sets (kubernetes#137409), and above 1 it gives up the order in
    which OrderedReady updates.
    """
    for workload in scene.sets:
        rolling = workload.spec.at("updateStrategy", "rollingUpdate")
        value = rolling.get("maxUnavailable")
        if value is None:
            continue
        if scene.facts.kubernetes < (1, 37):
            yield rolling.hit(
                f"Kubernetes {format_version(scene.facts.kubernetes)} ignores it by default", "maxUnavailable"
            )
        elif workload.ordered and value not in (1, "1"):
            yield rolling.hit("it gives up the order in which OrderedReady updates", "maxUnavailable")


@rule(
    "sets/grace-period",
    "Pods get time to stop",
    Severity.ERROR,
    fix="leave terminationGracePeriodSeconds out (30 seconds), or give the engine what it needs",
    structural=True,
)
def grace_period(scene: Scene) -> Iterator[Hit]:
    """With 0 a pod is removed from the API before its processes are gone, so that two pods of one name can write.

    Kubernetes' documentation calls it unsafe for StatefulSets.
    """
    for workload in scene.sets:
        if workload.pod.get("terminationGracePeriodSeconds") == 0:
            yield workload.pod.hit("the grace period is 0", "terminationGracePeriodSeconds")


@rule(
    "sets/restart-policy",
    "Pods of a set restart always",
    Severity.ERROR,
    fix="leave restartPolicy out of the pod template",
    structural=True,
)
def restart_policy(scene: Scene) -> Iterator[Hit]:
    """The API accepts no other restart policy in a StatefulSet."""
    for workload in scene.sets:
        if workload.pod.get("restartPolicy") not in (None, "Always"):
            yield workload.pod.hit("the API accepts only Always here", "restartPolicy")


@rule(
    "sets/spread",
    "Replicas are spread over nodes",
    Severity.WARNING,
    fix="add topologySpreadConstraints over kubernetes.io/hostname, and over the zone",
)
def spread(scene: Scene) -> Iterator[Hit]:
    """Without a constraint the scheduler may put all replicas on one node, and a volume then holds each one there.

    Not asked of development environments, which often have one node.
    """
    if scene.facts.is_development:
        return
    for workload in scene.sets:
        affinity = workload.pod.at("affinity", "podAntiAffinity").body
        if workload.replicas > 1 and not affinity and not any(workload.pod.each("topologySpreadConstraints")):
            yield workload.pod.hit(f"{workload.replicas} replicas may all land on one node")


@rule(
    "sets/spread-selector",
    "Spread constraints count the pods that they spread",
    Severity.ERROR,
    fix="give the constraint the labels of the set's selector",
    structural=True,
)
def spread_selector(scene: Scene) -> Iterator[Hit]:
    """A constraint whose labelSelector does not meet the pod's own labels counts nothing, and so spreads nothing."""
    for workload in scene.workloads:
        for constraint in workload.pod.each("topologySpreadConstraints"):
            own = constraint.at("labelSelector")
            if selects_all(own) or not matches(own, workload.labels):
                yield constraint.hit("the selector does not meet the pods' own labels", "labelSelector")
