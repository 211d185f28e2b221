"""Options that several tasks have, so that they are named and explained once."""

from __future__ import annotations

from berth.cli.common import Option

PROFILE = Option("profile", "profile to use; may be given several times", many=True)
NAME = Option("name", "release name, for a profile that is installed under another name than its own")
NAMESPACE = Option("namespace", "namespace (default: invoke.yaml's, else the context's, else default)")
ENV = Option("env", "environment of the profile: dev, staging, prod or one of your own")
VALUES = Option("values", "YAML file with values; may be given several times, later ones win", many=True)
SET = Option("set", "one value, typed by its schema: --set storage.size=20Gi; may be given several times", many=True)
#: What makes up a release.
RELEASE = (PROFILE, NAME, NAMESPACE, ENV, VALUES, SET)

CONTEXT = Option(
    "context", "kubeconfig context (default: invoke.yaml's, else the current one), or berth-rehearsal or berth-local"
)
KUBECONFIG = Option("kubeconfig", "kubeconfig file (default: KUBECONFIG, else ~/.kube/config, else a rehearsal)")
#: Which cluster.
TARGET = (CONTEXT, KUBECONFIG)

#: One release that is there, and where.
ONE_RELEASE = (
    Option("profile", "profile of the release, where only one is installed; in its place --name"),
    Option("name", "release name, for a profile that is installed several times or under another name"),
    NAMESPACE,
    *TARGET,
)

TEXT_OR_JSON = Option("output", "text or json", "text")
EVENTS = Option("output", "text, or json: one JSON object per event and line", "text")
TIMEOUT = Option("timeout", "how long to wait for everything, such as 90s or 30m (default: 10m)")
PATIENCE = Option("patience", "how long a state that looks like a failure may last (default: 90s)")
FORCE_CONFLICTS = Option("force-conflicts", "take fields that another field manager owns", False)
RESIZE = Option(
    "resize", "let claims grow, and replace their sets around the running pods, which are not restarted", False
)
YES = Option("yes", "answer yes to every question; what happens to data is not one: see --data", False)
UNSTICK = Option(
    "unstick",
    "delete pods that block their own fix, once it is applied; their claims stay (default: ask on a terminal, else no)",
    False,
)

#: Which site, and what of it.
SITE = (
    Option("site", "site file (default: the project's site.yaml, where neither --profile nor --name is given)"),
    Option(
        "limit", "of a site only this release (NAME or NAMESPACE/NAME), target or group; may be repeated", many=True
    ),
    Option("target", "of a site only this target or group; may be given several times", many=True),
)
PARALLEL = Option("parallel", "of a site, how many releases are worked on at the same time (default: 8)")
DATA = Option("data", "ask, keep or delete the claims and what opens them (default: ask on a terminal, else keep)")
VOLUMES = Option("volumes", "keep or delete volumes that reclaim policy Retain leaves behind (default: keep)", "keep")
