"""Words that the API takes from a list. The published schemas do not know these lists, so a typo passes them."""

from __future__ import annotations

from collections.abc import Iterator

from berth.core.errors import did_you_mean
from berth.core.lint.model import Hit, Severity, rule
from berth.core.lint.scene import Part, Scene

_PULL = ("Always", "IfNotPresent", "Never")
_PROTOCOL = ("TCP", "UDP", "SCTP")
_POLICY = ("Retain", "Delete")

#: By the kind of object: a path (``*`` is every element of a list) and the words that the API accepts there.
_OF_POD = (
    ("restartPolicy", ("Always", "OnFailure", "Never")),
    ("dnsPolicy", ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")),
    ("securityContext.fsGroupChangePolicy", ("OnRootMismatch", "Always")),
    ("topologySpreadConstraints.*.whenUnsatisfiable", ("DoNotSchedule", "ScheduleAnyway")),
    ("volumes.*.emptyDir.medium", ("", "Memory", "HugePages", "HugePages-2Mi", "HugePages-1Gi")),
)
_OF_CONTAINER = (
    ("imagePullPolicy", _PULL),
    ("ports.*.protocol", _PROTOCOL),
    ("terminationMessagePolicy", ("File", "FallbackToLogsOnError")),
    ("livenessProbe.httpGet.scheme", ("HTTP", "HTTPS")),
    ("readinessProbe.httpGet.scheme", ("HTTP", "HTTPS")),
    ("startupProbe.httpGet.scheme", ("HTTP", "HTTPS")),
)
_MODES = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")
_OF_KIND: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "StatefulSet": (
        ("spec.podManagementPolicy", ("OrderedReady", "Parallel")),
        ("spec.updateStrategy.type", ("RollingUpdate", "OnDelete")),
        ("spec.persistentVolumeClaimRetentionPolicy.whenDeleted", _POLICY),
        ("spec.persistentVolumeClaimRetentionPolicy.whenScaled", _POLICY),
        ("spec.volumeClaimTemplates.*.spec.accessModes.*", _MODES),
        ("spec.volumeClaimTemplates.*.spec.volumeMode", ("Filesystem", "Block")),
    ),
    "Service": (
        ("spec.type", ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")),
        ("spec.ports.*.protocol", _PROTOCOL),
        ("spec.sessionAffinity", ("None", "ClientIP")),
        ("spec.internalTrafficPolicy", ("Cluster", "Local")),
        ("spec.externalTrafficPolicy", ("Cluster", "Local")),
        ("spec.ipFamilyPolicy", ("SingleStack", "PreferDualStack", "RequireDualStack")),
    ),
    "PodDisruptionBudget": (("spec.unhealthyPodEvictionPolicy", ("IfHealthyBudget", "AlwaysAllow")),),
    "StorageClass": (("reclaimPolicy", _POLICY), ("volumeBindingMode", ("Immediate", "WaitForFirstConsumer"))),
    "NetworkPolicy": (("spec.policyTypes.*", ("Ingress", "Egress")),),
    "PersistentVolumeClaim": (("spec.accessModes.*", _MODES),),
}


@rule(
    "schema/choice",
    "Words that the API takes from a list are in that list",
    Severity.ERROR,
    fix="write the word as the API has it; case matters",
    structural=True,
)
def choice(scene: Scene) -> Iterator[Hit]:
    """The API refuses OrderReady and Orderedready alike, but the published schemas call both a string."""
    for part in scene.objects:
        for path, words in _OF_KIND.get(part.text("kind"), ()):
            yield from _look(part, path.split("."), words)
    for workload in scene.workloads:
        for path, words in _OF_POD:
            yield from _look(workload.pod, path.split("."), words)
        for container in workload.containers:
            for path, words in _OF_CONTAINER:
                yield from _look(container.part, path.split("."), words)


def _look(part: Part, path: list[str], words: tuple[str, ...]) -> Iterator[Hit]:
    head, rest = path[0], path[1:]
    if not rest:
        value = part.get(head)
        if isinstance(value, str) and value not in words:
            yield part.hit(f"{value!r} is not known here", head, fix=did_you_mean(value, words))
    elif rest == ["*"]:
        for index, value in enumerate(part.texts(head)):
            if value not in words:
                yield part.hit(f"{value!r} is not known here", head, index, fix=did_you_mean(value, words))
    elif rest[0] == "*":
        for element in part.each(head):
            yield from _look(element, rest[1:], words)
    else:
        yield from _look(part.at(head), rest, words)
