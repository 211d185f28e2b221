"""Each rule finds what it is for, and nothing else speaks."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from berth.core.errors import LintError, Position
from berth.core.lint import RULES, STRUCTURAL, Facts, Severity, check, look, require_sound
from berth.core.lint.catalogue import BY_ID
from berth.core.lint.handbook import handbook
from berth.core.lint.run import merge
from berth.core.objects import Json, Manifest, Origin
from tests.unit.lint.cases import CASES, Case
from tests.unit.lint.samples import FACTS, MAIN, SET, clean, found, manifests, put

pytestmark = pytest.mark.unit

#: Rules that the run itself reports; test_lint_run has their cases.
OF_THE_RUN = {
    "render/fails",
    "names/second-release",
    "schema/valid",
    "schema/api-version",
    "schema/unknown-kind",
    "schema/unavailable",
    "waivers/unknown-rule",
    "waivers/reason",
    "waivers/unused",
}


def test_clean() -> None:
    assert found() == ()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_rule(case: Case) -> None:
    findings = found(*case.changes, facts=case.facts)
    assert {finding.rule for finding in findings} == case.rules
    if case.path:
        wanted = case.name.split()[0]
        assert case.path in [finding.path for finding in findings if finding.rule == wanted]
    for finding in findings:
        assert finding.message and finding.fix and finding.position.file


def test_every_rule_has_a_case() -> None:
    spoken = {rule for case in CASES for rule in case.rules}
    assert {rule.id for rule in RULES} - spoken == OF_THE_RUN


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_rules_are_documented(rule: Any) -> None:
    assert rule.id.count("/") == 1 and rule.id == rule.id.lower()
    assert rule.title and not rule.title.endswith(".")
    assert rule.doc.strip().endswith((".", ")"))
    assert rule.fix and not rule.fix.endswith(".")


def test_ids_are_unique() -> None:
    assert len(BY_ID) == len(RULES)


def test_structural_rules_are_errors() -> None:
    assert {rule.severity for rule in STRUCTURAL} == {Severity.ERROR}


def test_handbook_is_current() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "lint-rules.md"
    assert page.read_text(encoding="utf-8") == handbook(), (
        "write it anew: python -c \"from berth.core.lint.handbook import handbook; print(handbook(), end='')\" "
        "> docs/reference/lint-rules.md"
    )


def test_finding_names_template_and_value() -> None:
    origin = Origin(Position("templates/engine/set.yaml", 41, 7), ("image.tag",))
    path = "spec.template.spec.containers[0].image"
    bodies = manifests(put(SET, f"{MAIN} image", "engine:latest"))
    marked = [replace(bodies[0], origins={path: origin}), *bodies[1:]]
    (finding,) = look(marked, FACTS)
    assert (finding.position, finding.values) == (origin.template, origin.values)


def test_name_that_is_a_value_is_assumed_to_exist() -> None:
    path = "spec.template.spec.containers[0].env[1].valueFrom.secretKeyRef.name"
    origin = Origin(Position("templates/engine/set.yaml", 9), ("auth.existingSecret",))
    bodies = manifests(put(SET, f"{MAIN} env 1 valueFrom secretKeyRef name", "mine"))
    marked = [replace(bodies[0], origins={path: origin}), *bodies[1:]]
    other = replace(FACTS, values={"auth": {"existingSecret": "another"}})
    assert {finding.rule for finding in look(marked, other)} == {"references/config"}
    assert {finding.rule for finding in look(marked, FACTS)} == {"references/assumed"}, "the values are not known"
    facts = replace(FACTS, values={"auth": {"existingSecret": "mine"}})
    assert {finding.rule for finding in look(marked, facts)} == {"references/assumed"}


def test_reference_to_a_required_release_resolves() -> None:
    change = put(SET, f"{MAIN} env 1 valueFrom secretKeyRef name", "theirs")
    other = Manifest({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "theirs"}}, Position("x"))
    assert found(change, facts=replace(FACTS, others=(other,))) == ()


def test_messages_hold_no_secret() -> None:
    findings = found(put(SET, f"{MAIN} env 1", {"name": "POSTGRES_PASSWORD", "value": "hunter2"}))
    assert findings and "hunter2" not in str(findings)


def test_same_findings_of_environments_are_one() -> None:
    change = put(SET, f"{MAIN} image", "engine:latest")
    facts = [replace(FACTS, environment=name) for name in (None, "dev", "staging")]
    (finding,) = merge(finding for each in facts for finding in found(change, facts=each))
    assert finding.environments == (None, "dev", "staging")


def test_check_finds_only_what_is_structural() -> None:
    spoiled = manifests(put(SET, f"{MAIN} image", "engine:latest"), put(SET, "spec serviceName", "nobody"))
    assert [finding.rule for finding in check(spoiled, FACTS)] == ["sets/service-name"]


def test_require_sound() -> None:
    require_sound(manifests())
    with pytest.raises(LintError) as caught:
        require_sound(manifests(put(SET, "spec serviceName", "nobody")))
    (problem,) = caught.value.problems
    assert "sets/service-name" in problem.what
    assert "StatefulSet/web" in problem.where
    assert problem.hint


WRONG: tuple[Any, ...] = (None, "99%", -1, [[], None, "x"], {"x": {"y": []}})


def places(body: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of everything in an object, but of what identifies it."""
    steps = list(body.items()) if isinstance(body, dict) else list(enumerate(body)) if isinstance(body, list) else []
    found = [path] if path and path not in IDENTITY else []
    return found + [place for step, part in steps for place in places(part, (*path, step))]


IDENTITY = {("apiVersion",), ("kind",), ("metadata",), ("metadata", "name"), ("metadata", "namespace")}


@pytest.mark.parametrize("index", range(len(clean())), ids=[body["kind"] for body in clean()])
def test_no_shape_of_a_manifest_breaks_a_rule(index: int) -> None:
    bodies = clean()
    for path in places(bodies[index]):
        for wrong in WRONG:
            spoiled = deepcopy(bodies[index])
            _set(spoiled, path, wrong)
            given = [Manifest(body, Position("x")) for body in (*bodies[:index], spoiled, *bodies[index + 1 :])]
            look(given, FACTS)


def _set(body: Json, path: tuple[str | int, ...], value: Any) -> None:
    place: Any = body
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value


def test_nothing_to_look_at() -> None:
    assert look((), Facts("web", "shop")) == ()
