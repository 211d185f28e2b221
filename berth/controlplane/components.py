"""How each component is started: command lines, ports, and nothing that has an effect.

What differs from a production cluster, and why, stands beside the flag.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from berth.controlplane.paths import Layout
from berth.local import processes

#: In the order of start; stopped in reverse.
COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "provisioner")

#: The module that the last of them is.
PROVISIONER = "berth.controlplane.provisioner"

#: The components that are programs made from Go.
PROGRAMS = COMPONENTS[:-1]

SERVICE_RANGE = "10.96.0.0/16"

#: Requests a second and burst of controllers and scheduler. Their default of 20 (30) protects a shared API server; here
#: it would make 100 StatefulSets take over 40 seconds, and there is nobody else to protect.
CLIENT_RATE = ("--kube-api-qps=2000", "--kube-api-burst=4000")

#: What a user of tutorials meets. Left out: everything about cloud providers, certificates for kubelets, bootstrap
#: tokens, dynamic resources, and attaching disks; each would only cost time at start and memory after it.
CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "endpointslice-mirroring-controller",
    "ephemeral-volume-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "node-lifecycle-controller",
    "persistentvolume-binder-controller",
    "persistentvolume-expander-controller",
    "persistentvolume-protection-controller",
    "persistentvolumeclaim-protection-controller",
    "pod-garbage-collector-controller",
    "replicaset-controller",
    "replicationcontroller-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "statefulset-controller",
    "taint-eviction-controller",
    "ttl-after-finished-controller",
    "validatingadmissionpolicy-status-controller",
)


@dataclass(frozen=True, slots=True)
class Ports:
    """Loopback ports of one control plane."""

    apiserver: int
    etcd: int
    etcd_peer: int
    kwok: int

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return f"https://127.0.0.1:{self.apiserver}"

    def to_json(self) -> dict[str, int]:
        """As written in the settings."""
        return asdict(self)


def command(component: str, layout: Layout, ports: Ports, binaries: Path) -> list[str]:
    """The argument vector of a component."""
    if component == "provisioner":
        return [sys.executable, "-m", PROVISIONER, ports.server, str(layout.pki)]
    flags = {
        "etcd": _etcd,
        "kube-apiserver": _apiserver,
        "kube-controller-manager": _controller_manager,
        "kube-scheduler": _scheduler,
        "kwok": _kwok,
    }[component](layout, ports)
    return [str(binaries / component), *flags]


def environment(component: str) -> dict[str, str]:
    """What the component sees of the caller's environment; see `berth.local.processes.environment`."""
    return processes.environment(python=component == "provisioner")


def running(root: Path) -> list[processes.Record]:
    """Components that run with files of this state directory; none where the system has no /proc.

    What a user does with those files (an editor, a pager) is no component: the program's name decides, too.
    """

    def belongs(arguments: Sequence[str]) -> bool:
        named = Path(arguments[0]).name in COMPONENTS or PROVISIONER in arguments[1:4]
        return named and any(f"{root}/" in argument for argument in arguments)

    return processes.matching(belongs)


def _etcd(layout: Layout, ports: Ports) -> list[str]:
    pki = layout.pki
    client, peer = f"https://127.0.0.1:{ports.etcd}", f"https://127.0.0.1:{ports.etcd_peer}"
    return [
        "--name=berth",
        f"--data-dir={layout.etcd}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=berth={peer}",
        "--client-cert-auth=true",
        f"--trusted-ca-file={pki}/etcd-ca.crt",
        f"--cert-file={pki}/etcd.crt",
        f"--key-file={pki}/etcd.key",
        "--peer-client-cert-auth=true",
        f"--peer-trusted-ca-file={pki}/etcd-ca.crt",
        f"--peer-cert-file={pki}/etcd.crt",
        f"--peer-key-file={pki}/etcd.key",
        # A write returns before the disk has it: killed processes lose nothing, a power cut may. It is a test plane.
        "--unsafe-no-fsync",
        "--auto-compaction-mode=periodic",
        "--auto-compaction-retention=1h",
        "--log-level=warn",
        "--log-outputs=stderr",
    ]


def _apiserver(layout: Layout, ports: Ports) -> list[str]:
    pki = layout.pki
    return [
        f"--etcd-servers=https://127.0.0.1:{ports.etcd}",
        f"--etcd-cafile={pki}/etcd-ca.crt",
        f"--etcd-certfile={pki}/apiserver-etcd.crt",
        f"--etcd-keyfile={pki}/apiserver-etcd.key",
        "--bind-address=127.0.0.1",
        f"--secure-port={ports.apiserver}",
        # Never dialled: nothing runs in the pods. Without it a machine that has no network could not start.
        "--advertise-address=192.0.2.1",
        "--endpoint-reconciler-type=none",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--client-ca-file={pki}/ca.crt",
        "--anonymous-auth=false",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki}/service-account.pub",
        f"--service-account-signing-key-file={pki}/service-account.key",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        f"--kubelet-client-certificate={pki}/apiserver.crt",
        f"--kubelet-client-key={pki}/apiserver.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--allow-privileged=true",
        "--enable-priority-and-fairness=false",
        "--profiling=false",
        "--v=0",
    ]


def _controller_manager(layout: Layout, ports: Ports) -> list[str]:
    pki = layout.pki
    return [
        f"--kubeconfig={layout.config('kube-controller-manager')}",
        f"--controllers={','.join(CONTROLLERS)}",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={pki}/service-account.key",
        f"--root-ca-file={pki}/ca.crt",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        # One replica: electing it would only cost ten seconds after a kill.
        "--leader-elect=false",
        # Nothing scrapes it, and a port less is open.
        "--secure-port=0",
        "--bind-address=127.0.0.1",
        *CLIENT_RATE,
        "--concurrent-statefulset-syncs=10",
        # Claims and volumes are looked at again this often; the default of 15 s is also how long a claim waits whose
        # class appears after it.
        "--pvclaimbinder-sync-period=5s",
        "--profiling=false",
        "--v=0",
    ]


def _scheduler(layout: Layout, ports: Ports) -> list[str]:
    return [
        f"--config={layout.conf}/kube-scheduler.yaml",
        "--secure-port=0",
        "--bind-address=127.0.0.1",
        "--v=0",
    ]


def _kwok(layout: Layout, ports: Ports) -> list[str]:
    return [
        f"--kubeconfig={layout.config('kwok')}",
        f"--config={layout.conf}/kwok.yaml",
        # At its default it writes a line for each change of each pod.
        "--v=WARN",
        "--manage-all-nodes=true",
        # No leases: a kwok that is started again would wait forty seconds for those of the one that was killed. A stage
        # of ours keeps the nodes' heartbeat instead.
        "--node-lease-duration-seconds=0",
        "--node-ip=127.0.0.1",
        f"--node-port={ports.kwok}",
        f"--server-address=127.0.0.1:{ports.kwok}",
        f"--tls-cert-file={layout.pki}/kubelet.crt",
        f"--tls-private-key-file={layout.pki}/kubelet.key",
    ]


def scheduler_config(layout: Layout) -> str:
    """The scheduler's configuration file; its flags for the request rate are ignored beside one, and vice versa."""
    return f"""\
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection:
  leaderElect: false
clientConnection:
  kubeconfig: {json.dumps(str(layout.config("kube-scheduler")))}
  qps: 2000
  burst: 4000
enableProfiling: false
podInitialBackoffSeconds: 1
podMaxBackoffSeconds: 2
"""
