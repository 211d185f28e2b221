"""Checks of manifests against one another, against Kubernetes and against policy. Pure: manifests in, findings out.

``model`` says what rules and findings are; ``scene`` is a release as rules look at it; each module of rules is a
subject; ``catalogue`` lists them; ``run`` runs them. To add a rule, write a function with ``@rule`` in the module of
its subject, and a case in the tests.
"""

from berth.core.lint.catalogue import BY_ID, RULES, STRUCTURAL
from berth.core.lint.model import DEFAULT_KUBERNETES, Facts, Finding, Rule, Severity, Waived
from berth.core.lint.run import check, facts_of, look, merge, require_sound, require_sound_release

__all__ = [
    "BY_ID",
    "DEFAULT_KUBERNETES",
    "RULES",
    "STRUCTURAL",
    "Facts",
    "Finding",
    "Rule",
    "Severity",
    "Waived",
    "check",
    "facts_of",
    "look",
    "merge",
    "require_sound",
    "require_sound_release",
]
