"""What the API server refuses to take, and in which words: bodies, fields, names, and changes of what cannot change."""

from __future__ import annotations

from berth.core.objects import Json
from tests.contract.behaviour.space import MAPS, PODS, SETS, Space, config, pod_spec, stateful_set
from tests.contract.behaviour.wire import APPLY, MERGE, STRATEGIC


def test_a_version_must_not_be_set_on_create(here: Space) -> None:
    body = config()
    body["metadata"]["resourceVersion"] = "1"
    assert here.ask("POST", MAPS, body=body).refusal == {
        "message": "resourceVersion should not be set on objects to be created",
        "code": 500,
    }


def test_a_generated_name(here: Space) -> None:
    body: Json = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "part-"}}
    names = [here.make(MAPS, body)["metadata"]["name"] for _ in range(3)]
    assert len(set(names)) == 3
    for name in names:
        assert name.startswith("part-") and len(name) == len("part-") + 5
        assert set(name.removeprefix("part-")) <= set("bcdfghjklmnpqrstvwxz2456789")


def test_a_name_goes_before_a_generated_one(here: Space) -> None:
    body = config()
    body["metadata"]["generateName"] = "part-"
    assert here.make(MAPS, body)["metadata"]["name"] == "a"


def test_no_name_at_all(here: Space) -> None:
    body: Json = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}
    answer = here.ask("POST", MAPS, body=body)
    assert answer.refusal == {
        "message": 'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
        "reason": "Invalid",
        "details": {
            "kind": "ConfigMap",
            "causes": [
                {
                    "reason": "FieldValueRequired",
                    "message": "Required value: name or generateName is required",
                    "field": "metadata.name",
                }
            ],
        },
        "code": 422,
    }


def test_a_dry_run_of_something_else_than_all(here: Space) -> None:
    answer = here.ask("POST", MAPS, body=config(), query={"dryRun": "Some"})
    assert answer.status == 422
    assert answer.causes == [
        ("FieldValueNotSupported", "dryRun", 'Unsupported value: ["Some"]: supported values: "All"')
    ]


def test_a_patch_type_that_is_none(here: Space) -> None:
    here.make(MAPS, config())
    answer = here.ask("PATCH", MAPS, "a", {"data": {}}, type="application/json")
    assert answer.refusal == {
        "message": "415: Unsupported Media Type",
        "reason": "UnsupportedMediaType",
        "details": {},
        "code": 415,
    }


def test_a_body_that_is_no_json(here: Space) -> None:
    answer = here.ask("POST", MAPS, body=b"{")
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")


def test_a_body_of_another_kind(here: Space) -> None:
    answer = here.ask("POST", MAPS, body={"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}})
    assert answer.refusal == {
        "message": 'Secret in version "v1" cannot be handled as a ConfigMap: converting (v1.Secret) to '
        "(core.ConfigMap): unknown conversion",
        "reason": "BadRequest",
        "code": 400,
    }


def test_an_unknown_field_is_dropped_warned_of_or_refused(here: Space) -> None:
    body = {**config(), "bad": 1}
    ignored = here.ask("POST", MAPS, body=body, query={"fieldValidation": "Ignore", "dryRun": "All"})
    assert (ignored.status, ignored.warnings) == (201, [])
    warned = here.ask("POST", MAPS, body=body, query={"fieldValidation": "Warn", "dryRun": "All"})
    assert (warned.status, warned.warnings) == (201, ['299 - "unknown field \\"bad\\""'])
    refused = here.ask("POST", MAPS, body=body, query={"fieldValidation": "Strict"})
    assert refused.refusal == {
        "message": 'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field '
        '"bad"',
        "reason": "BadRequest",
        "code": 400,
    }


def test_a_duplicate_field_is_refused_in_strict_mode(here: Space) -> None:
    raw = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"x":"1"},"data":{"x":"2"}}'
    answer = here.ask("POST", MAPS, body=raw, query={"fieldValidation": "Strict"})
    assert answer.status == 400
    assert 'strict decoding error: duplicate field "data"' in answer.message


def test_a_wrong_type_is_a_bad_request(here: Space) -> None:
    answer = here.ask("POST", MAPS, body={**config(), "data": {"x": 1}})
    assert answer.refusal == {
        "message": 'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go '
        "struct field ConfigMap.data of type string",
        "reason": "BadRequest",
        "code": 400,
    }


def test_yaml_is_a_body_too(here: Space) -> None:
    raw = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: '1'}\n"
    answer = here.ask("POST", MAPS, body=raw, type="application/yaml")
    assert answer.status == 201
    assert answer.body["data"] == {"x": "1"}


def test_an_apply_of_json_is_yaml_as_well_and_needs_a_manager(here: Space) -> None:
    answer = here.ask("PATCH", MAPS, "a", config(), type=APPLY)
    assert answer.status == 422
    assert answer.causes == [("FieldValueRequired", "fieldManager", "Required value: is required for apply patch")]


def test_the_immutable_fields_of_a_set_are_named_together(here: Space) -> None:
    here.make(SETS, stateful_set(0))
    for patch in (
        {"spec": {"serviceName": "other"}},
        {"spec": {"podManagementPolicy": "Parallel"}},
        {"spec": {"selector": {"matchLabels": {"app": "web", "more": "x"}}}},
    ):
        answer = here.ask("PATCH", SETS, "web", patch, type=MERGE)
        assert answer.status == 422
        text = (
            "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
            "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' "
            "are forbidden"
        )
        assert ("FieldValueForbidden", "spec", text) in answer.causes
        assert answer.message.startswith('StatefulSet.apps "web" is invalid: ')


def test_the_whole_status_of_an_invalid_set(here: Space) -> None:
    answer = here.ask("POST", SETS, body=stateful_set(-1, podManagementPolicy="Odd"))
    assert answer.refusal == {
        "message": 'StatefulSet.apps "web" is invalid: [spec.podManagementPolicy: Invalid value: "Odd": must be '
        "'OrderedReady' or 'Parallel', spec.replicas: Invalid value: -1: must be greater than or equal to 0]",
        "reason": "Invalid",
        "details": {
            "name": "web",
            "group": "apps",
            "kind": "StatefulSet",
            "causes": [
                {
                    "reason": "FieldValueInvalid",
                    "message": "Invalid value: \"Odd\": must be 'OrderedReady' or 'Parallel'",
                    "field": "spec.podManagementPolicy",
                },
                {
                    "reason": "FieldValueInvalid",
                    "message": "Invalid value: -1: must be greater than or equal to 0",
                    "field": "spec.replicas",
                },
            ],
        },
        "code": 422,
    }


def test_immutable_things_of_other_kinds(here: Space) -> None:
    here.make("secrets", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "type": "Opaque"})
    answer = here.ask("PATCH", "secrets", "s", {"type": "other"}, type=MERGE)
    assert answer.causes == [("FieldValueInvalid", "type", 'Invalid value: "other": field is immutable')]
    here.make(MAPS, {**config(x="1"), "immutable": True})
    answer = here.ask("PATCH", MAPS, "a", {"data": {"x": "2"}}, type=MERGE)
    assert answer.causes == [("FieldValueForbidden", "data", "Forbidden: field is immutable when `immutable` is set")]
    answer = here.ask("PATCH", MAPS, "a", {"metadata": {"name": "b"}}, type=MERGE)
    assert answer.refusal["message"] == "the name of the object (b) does not match the name on the URL (a)"


def test_pods_may_change_little_of_their_spec(here: Space) -> None:
    body: Json = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": pod_spec()}
    here.make(PODS, body)
    here.until(PODS, "p", lambda pod: pod["status"]["phase"] == "Running")
    image = {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}
    assert here.patch(PODS, "p", image, STRATEGIC)["spec"]["containers"][0]["image"] == "web:2"
    answer = here.ask("PATCH", PODS, "p", {"spec": {"hostname": "x"}}, type=MERGE)
    assert answer.status == 422
    assert answer.causes[0][:2] == ("FieldValueForbidden", "spec")
    assert answer.causes[0][2].startswith(
        "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*]"
        ".image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
    )


def test_a_finalizer_without_a_domain_is_refused(here: Space) -> None:
    body = config()
    body["metadata"]["finalizers"] = ["held"]
    answer = here.ask("POST", MAPS, body=body)
    assert answer.status == 422
    assert answer.causes[0][1] == "metadata.finalizers[0]"


def test_labels_and_names_are_validated(here: Space) -> None:
    answer = here.ask("POST", MAPS, body=config("Not_A_Name"))
    assert answer.causes == [
        (
            "FieldValueInvalid",
            "metadata.name",
            'Invalid value: "Not_A_Name": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric '
            "characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex "
            "used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        )
    ]
    body = config()
    body["metadata"]["labels"] = {"bad key": "x"}
    assert here.ask("POST", MAPS, body=body).causes[0][1] == "metadata.labels"
