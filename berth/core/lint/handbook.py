"""The page docs/reference/lint-rules.md, made from the rules themselves."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from berth.core.lint.catalogue import RULES
from berth.core.lint.model import Rule, Severity
from berth.core.lint.quorum import READINESS_ANNOTATION
from berth.core.lint.references import EXTERNAL_ANNOTATION

_SUBJECTS = {
    "names": "Names",
    "labels": "Labels",
    "sets": "StatefulSets",
    "quorum": "Quorums and peers",
    "claims": "Claims and mounts",
    "storage": "Storage classes",
    "services": "Services",
    "probes": "Probes and hooks",
    "budgets": "Disruption budgets",
    "network": "Network policies",
    "references": "References",
    "security": 'Pod Security "restricted"',
    "pods": "Pods",
    "images": "Images",
    "schema": "Kubernetes' schemas",
    "render": "Rendering",
    "waivers": "Waivers",
}
_WORDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}

_HEAD = f"""\
# The rules of lint

<!-- Made from the rules by berth.core.lint.handbook; a test holds it to them. -->

`invoke lint` renders every profile in each of its environments, and without one, and checks the manifests against
Kubernetes' schemas, against one another, and against policy. It needs no cluster.

    invoke lint [--profile NAME]... [--env NAME] [--kubernetes 1.36]
                [--output text|json|sarif] [--strict] [--no-schemas]

It ends with 0, or with 2 when there are errors; with `--strict` warnings count as well, notes never do. What is found
alike in several environments is shown once, with their names. A rule marked **up** also guards `invoke plan` and
`invoke up`: what it finds the cluster would refuse, or it would deadlock, or lose data.

The schemas come with the extra `lint`: `pip install 'berth[lint]'`. Without it lint says so and fails, unless
`--no-schemas` is given.

## To accept a finding

    lint:
      waive:
        - rule: pods/high-user
          object: StatefulSet/*        # optional; * matches anything
          reason: the files of the image belong to its own user

A waiver without a reason, for a rule that does not exist, or that nothing needs any more, is itself a finding.

## What a template can tell lint

| annotation | on | meaning |
|---|---|---|
| `{READINESS_ANNOTATION}: quorum` | the pod template | the pods become ready only when enough of their peers are up |
| `{READINESS_ANNOTATION}: local` | the pod template | each pod alone decides, whatever its probe looks like |
| `{EXTERNAL_ANNOTATION}: Secret/tls, ConfigMap/ca` | the workload or its pods | these exist in the namespace already |

Without the first one, the commands by which ZooKeeper, etcd, Redis Cluster, Galera, Elasticsearch and Consul are asked
for their quorum are recognized. An object whose whole name is one value (`existingSecret`) counts as existing, too.
"""


def handbook(rules: Iterable[Rule] = RULES) -> str:
    """The page as Markdown: a section a subject, a paragraph a rule."""
    order = list(_SUBJECTS)
    listed = sorted(rules, key=lambda rule: order.index(rule.subject))
    parts = [_HEAD]
    for subject, group in groupby(listed, key=lambda rule: rule.subject):
        parts.append(f"## {_SUBJECTS[subject]}\n")
        parts += [_entry(rule) for rule in group]
    return "\n".join(parts)


def _entry(rule: Rule) -> str:
    marks = _WORDS[rule.severity] + (", **up**" if rule.structural else "")
    return f"### {rule.id}\n\n{rule.title} ({marks}).\n\n{rule.doc}\n\nFix: {rule.fix}.\n"
