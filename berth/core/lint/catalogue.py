"""All rules, in the order in which they are listed and documented."""

from __future__ import annotations

from types import ModuleType

from berth.core.lint import (
    budgets,
    choices,
    claims,
    images,
    names,
    network,
    pods,
    probes,
    quorum,
    references,
    security,
    services,
    sets,
    storage,
)
from berth.core.lint.model import Rule, Severity, declared

RENDER = declared(
    "render/fails",
    "The profile renders in each of its environments",
    Severity.ERROR,
    "What does not render cannot be installed, and nothing else of that environment can be checked.",
    fix="see the message",
)
SECOND = declared(
    "names/second-release",
    "A profile can be installed twice in one namespace",
    Severity.ERROR,
    "Two releases of one profile, under two names, must not fight over an object. Cluster-scoped ones may be shared.",
    fix="""make the name with named("...")""",
)
SCHEMA = declared(
    "schema/valid",
    "Manifests fit the schemas of Kubernetes",
    Severity.ERROR,
    "Unknown fields are findings, too: the API server drops some of them in silence, so that a typo does nothing.",
    fix="write the field as the API has it",
)
API_VERSION = declared(
    "schema/api-version",
    "Kinds are of an API version that the cluster serves",
    Severity.ERROR,
    "An API version that was removed, or is not there yet, makes the API server refuse the object.",
    fix="use an API version of that Kubernetes",
)
NO_SCHEMA = declared(
    "schema/unknown-kind",
    "Each kind has a schema to be checked against",
    Severity.INFO,
    "Kinds of custom resources have none among Kubernetes' own, so only rules about names and labels look at them.",
    fix="nothing, if the cluster has the custom resource's definition",
)
NO_SCHEMAS = declared(
    "schema/unavailable",
    "The schemas of Kubernetes are installed",
    Severity.ERROR,
    "They are large, and so come as an extra. Without them misspelled fields and wrong types go unseen.",
    fix="pip install 'berth[lint]', or pass --no-schemas to do without",
)
WAIVER_RULE = declared(
    "waivers/unknown-rule",
    "Waivers name rules that exist",
    Severity.ERROR,
    "A waiver for a misspelled rule waives nothing.",
    fix="name a rule of this list",
)
WAIVER_REASON = declared(
    "waivers/reason",
    "Waivers give a reason",
    Severity.ERROR,
    "Whoever reads the profile later must be able to tell whether the reason still holds.",
    fix="say in a sentence why the finding is accepted",
)
WAIVER_UNUSED = declared(
    "waivers/unused",
    "Waivers are needed",
    Severity.WARNING,
    "A waiver that no finding needs any more would hide the next one.",
    fix="remove it",
)

_MODULES: tuple[ModuleType, ...] = (
    names,
    sets,
    quorum,
    claims,
    storage,
    services,
    probes,
    budgets,
    network,
    references,
    security,
    pods,
    images,
    choices,
)


def _rules() -> tuple[Rule, ...]:
    # A module's rules are what it defines, so that none can be forgotten in a list.
    found = [value for module in _MODULES for value in vars(module).values() if isinstance(value, Rule)]
    found += [value for value in globals().values() if isinstance(value, Rule)]
    return tuple({rule.id: rule for rule in found}.values())


#: Every rule; ids are unique.
RULES: tuple[Rule, ...] = _rules()
BY_ID: dict[str, Rule] = {rule.id: rule for rule in RULES}
#: What `up` asks before it touches a cluster.
STRUCTURAL: tuple[Rule, ...] = tuple(rule for rule in RULES if rule.structural)
