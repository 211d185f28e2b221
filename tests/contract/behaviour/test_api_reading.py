"""Lists, selectors, pages, tables and watches."""

from __future__ import annotations

import pytest

from berth.core.objects import Json
from tests.contract.behaviour.space import MAPS, PODS, SETS, Space, expect, stateful_set
from tests.contract.behaviour.wire import TABLE
from tests.waiting import eventually


def make(here: Space, name: str, labels: dict[str, str] | None = None, **data: str) -> Json:
    """Create a ConfigMap."""
    meta: Json = {"name": name, **({"labels": labels} if labels else {})}
    return here.make(MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})


@pytest.fixture
def labelled(here: Space) -> Space:
    """A namespace with four ConfigMaps."""
    make(here, "a", {"tier": "web", "env": "prod"})
    make(here, "b", {"tier": "web", "env": "dev"})
    make(here, "c", {"tier": "db"})
    make(here, "d")
    return here


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("tier=web", "ab"),
        ("tier==web", "ab"),
        ("tier!=web", "cd"),
        ("tier in (web,db)", "abc"),
        ("tier notin (web)", "cd"),
        ("tier", "abc"),
        ("!tier", "d"),
        ("tier=web,env!=dev", "a"),
        ("env in (prod, dev),tier", "ab"),
        ("tier=none", ""),
    ],
)
def test_label_selectors(labelled: Space, selector: str, found: str) -> None:
    names = labelled.names(MAPS, labelSelector=selector)
    assert [name for name in names if name != "kube-root-ca.crt"] == list(found)


def test_a_label_selector_that_is_none(here: Space) -> None:
    answer = here.ask("GET", MAPS, query={"labelSelector": "a=b=c"})
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
    assert answer.message.endswith("found '=', expected: ',' or 'end of string'")


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("metadata.name=a", "a"),
        ("metadata.name!=a,metadata.name!=kube-root-ca.crt", "bcd"),
        ("metadata.name=a,metadata.name=b", ""),
        ("metadata.namespace=nowhere", ""),
    ],
)
def test_field_selectors(labelled: Space, selector: str, found: str) -> None:
    assert labelled.names(MAPS, fieldSelector=selector) == list(found)


def test_the_fields_that_pods_can_be_selected_by(here: Space) -> None:
    here.make(SETS, stateful_set(2))
    here.settled()
    node = here.read(PODS, "web-0")["spec"]["nodeName"]
    assert "web-0" in here.names(PODS, fieldSelector=f"spec.nodeName={node}")
    assert here.names(PODS, fieldSelector="status.phase=Running") == ["web-0", "web-1"]
    assert here.names(PODS, fieldSelector="status.phase!=Running") == []
    assert here.names(PODS, fieldSelector="spec.restartPolicy=Always,metadata.name=web-1") == ["web-1"]


def test_a_field_that_is_no_selector(here: Space) -> None:
    answer = here.ask("GET", MAPS, query={"fieldSelector": "data.x=1"})
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
    assert answer.message == ('"data.x" is not a known field selector: only "metadata.name", "metadata.namespace"')


def test_pages_go_on_where_the_last_one_ended(here: Space) -> None:
    for number in range(7):
        make(here, f"c{number}", {"mine": "yes"})
    query = {"limit": "3", "labelSelector": "mine=yes"}
    pages = []
    while True:
        page = expect(200, here.ask("GET", MAPS, query=query))
        pages.append(page)
        if not page["metadata"].get("continue"):
            break
        query["continue"] = page["metadata"]["continue"]
    assert [len(page["items"]) for page in pages] == [3, 3, 1]
    names = [item["metadata"]["name"] for page in pages for item in page["items"]]
    assert names == [f"c{number}" for number in range(7)]
    assert len({page["metadata"]["resourceVersion"] for page in pages}) == 1


def test_a_page_is_of_the_moment_in_which_the_list_began(here: Space) -> None:
    for number in range(4):
        make(here, f"c{number}", {"mine": "yes"})
    first = expect(200, here.ask("GET", MAPS, query={"limit": "2", "labelSelector": "mine=yes"}))
    here.delete(MAPS, "c3")
    make(here, "c9", {"mine": "yes"})
    query = {"limit": "5", "labelSelector": "mine=yes", "continue": first["metadata"]["continue"]}
    rest = expect(200, here.ask("GET", MAPS, query=query))
    assert [item["metadata"]["name"] for item in rest["items"]] == ["c2", "c3"]


def test_how_many_remain_is_said_without_a_selector(here: Space) -> None:
    for number in range(4):
        make(here, f"c{number}")
    page = expect(200, here.ask("GET", MAPS, query={"limit": "2"}))
    assert page["metadata"]["remainingItemCount"] == len(here.names(MAPS)) - 2


def test_a_continue_token_that_is_none(here: Space) -> None:
    answer = here.ask("GET", MAPS, query={"limit": "2", "continue": "nonsense"})
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
    assert answer.message.startswith("invalid continue token: continue key is not valid: invalid character ")


def test_the_items_of_a_list_have_no_kind(labelled: Space) -> None:
    listed = expect(200, labelled.ask("GET", MAPS))
    assert (listed["apiVersion"], listed["kind"]) == ("v1", "ConfigMapList")
    assert all("kind" not in item and "apiVersion" not in item for item in listed["items"])


def test_lists_are_in_the_order_of_names(here: Space) -> None:
    for name in ("z", "a", "m", "a.b", "a-b"):
        make(here, name)
    assert [name for name in here.names(MAPS) if name != "kube-root-ca.crt"] == ["a", "a-b", "a.b", "m", "z"]


def test_a_list_at_an_exact_old_version_and_at_one_that_is_to_come(here: Space) -> None:
    first = make(here, "a")["metadata"]["resourceVersion"]
    second = make(here, "b")["metadata"]["resourceVersion"]
    query = {"resourceVersion": first, "resourceVersionMatch": "Exact"}
    names = [item["metadata"]["name"] for item in expect(200, here.ask("GET", MAPS, query=query))["items"]]
    assert "a" in names and "b" not in names
    at_least = {"resourceVersion": second, "resourceVersionMatch": "NotOlderThan"}
    assert "b" in [item["metadata"]["name"] for item in expect(200, here.ask("GET", MAPS, query=at_least))["items"]]
    answer = here.ask("GET", MAPS, query={"resourceVersionMatch": "Exact"})
    assert answer.status == 422
    assert answer.causes[0][:2] == ("FieldValueForbidden", "resourceVersionMatch")


def test_an_object_is_read_at_a_version_of_now(here: Space) -> None:
    body = make(here, "a", x="1")
    answer = here.ask("GET", MAPS, "a", query={"resourceVersion": "0"})
    assert answer.status in (200, 404)
    assert here.read(MAPS, "a") == body


# Tables ---------------------------------------------------------------------------------------------------------------


def table(here: Space, resource: str, name: str = "", **query: str) -> Json:
    """A list or an object as kubectl asks for it."""
    return expect(200, here.ask("GET", resource, name, headers={"Accept": TABLE}, query=query))


def test_the_columns_of_sets_and_pods(here: Space) -> None:
    here.make(SETS, stateful_set(2))
    here.settled()
    sets = table(here, SETS)
    assert (sets["apiVersion"], sets["kind"]) == ("meta.k8s.io/v1", "Table")
    columns = [(column["name"], column["type"], column["priority"]) for column in sets["columnDefinitions"]]
    assert columns == [
        ("Name", "string", 0),
        ("Ready", "string", 0),
        ("Age", "string", 0),
        ("Containers", "string", 1),
        ("Images", "string", 1),
    ]
    [row] = sets["rows"]
    assert [cell for index, cell in enumerate(row["cells"]) if index != 2] == ["web", "2/2", "web", "web:1"]
    pods = table(here, PODS)
    names = [column["name"] for column in pods["columnDefinitions"]]
    expected = ["Name", "Ready", "Status", "Restarts", "Age", "IP", "Node", "Nominated Node", "Readiness Gates"]
    assert names == expected
    assert [row["cells"][:3] for row in pods["rows"]] == [["web-0", "1/1", "Running"], ["web-1", "1/1", "Running"]]


def test_what_a_row_carries_of_its_object(here: Space) -> None:
    make(here, "a", x="1")
    default = table(here, MAPS, "a")["rows"][0]["object"]
    assert (default["kind"], default["apiVersion"]) == ("PartialObjectMetadata", "meta.k8s.io/v1")
    assert default["metadata"]["name"] == "a"
    whole = table(here, MAPS, "a", includeObject="Object")["rows"][0]["object"]
    assert whole["data"] == {"x": "1"}
    nothing = table(here, MAPS, "a", includeObject="None")["rows"][0]
    assert "object" not in nothing or nothing["object"] is None


def test_a_pod_that_cannot_pull_its_image_says_so_in_its_status_column(here: Space) -> None:
    here.make(SETS, stateful_set(1, "web:nope"))

    def told() -> Json | None:
        rows = table(here, PODS)["rows"]
        return rows[0] if rows and rows[0]["cells"][2] in ("ErrImagePull", "ImagePullBackOff") else None

    assert eventually(told)["cells"][1] == "0/1"


def test_partial_metadata_alone(here: Space) -> None:
    make(here, "a", x="1")
    accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    body = expect(200, here.ask("GET", MAPS, "a", headers={"Accept": accept}))
    assert (body["kind"], body["apiVersion"]) == ("PartialObjectMetadata", "meta.k8s.io/v1")
    assert "data" not in body
    listed = expect(200, here.ask("GET", MAPS, headers={"Accept": accept.replace("Metadata;", "MetadataList;")}))
    assert listed["kind"] == "PartialObjectMetadataList"


def test_a_format_that_is_not_served(here: Space) -> None:
    answer = here.ask("GET", MAPS, headers={"Accept": "text/turtle"})
    assert (answer.status, answer.body["reason"]) == (406, "NotAcceptable")


# Watches --------------------------------------------------------------------------------------------------------------


def events(here: Space, resource: str = MAPS, **query: str) -> list[tuple[str, str]]:
    """Type and name of all events of a watch of a second."""
    with here.wire.watch(here.path(resource), {"timeoutSeconds": "1", **query}) as found:
        return [(event["type"], event["object"]["metadata"].get("name", "")) for event in found]


def test_a_watch_from_a_version_tells_what_came_after(here: Space) -> None:
    first = make(here, "a")["metadata"]["resourceVersion"]
    make(here, "b")
    here.patch(MAPS, "a", {"data": {"x": "1"}})
    here.delete(MAPS, "b")
    assert events(here, resourceVersion=first) == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]


def test_a_watch_without_a_version_begins_with_what_is_there(here: Space) -> None:
    make(here, "a")
    assert ("ADDED", "a") in events(here)
    assert ("ADDED", "a") in events(here, resourceVersion="0")


def test_the_events_of_a_selection(here: Space) -> None:
    """An object that leaves the selection is deleted for the watcher, one that enters it is added."""
    first = make(here, "a", {"in": "yes"})["metadata"]["resourceVersion"]
    make(here, "b")
    here.patch(MAPS, "a", {"metadata": {"labels": {"in": None}}})
    here.patch(MAPS, "b", {"metadata": {"labels": {"in": "yes"}}})
    found = events(here, resourceVersion=first, labelSelector="in=yes")
    assert found == [("DELETED", "a"), ("ADDED", "b")]


def test_the_last_state_of_what_is_deleted_has_the_version_of_its_deletion(here: Space) -> None:
    made = make(here, "a")
    here.delete(MAPS, "a")
    query = {"resourceVersion": made["metadata"]["resourceVersion"], "timeoutSeconds": "1"}
    with here.wire.watch(here.path(MAPS), query) as found:
        [event] = list(found)
    assert event["type"] == "DELETED"
    assert int(event["object"]["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


def test_a_bookmark_ends_what_was_there_and_is_asked_for(here: Space) -> None:
    make(here, "a")
    query = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
        "timeoutSeconds": "2",
    }
    with here.wire.watch(here.path(MAPS), query) as found:
        seen = []
        for event in found:
            seen.append(event)
            if event["type"] == "BOOKMARK":
                break
    assert seen[-1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert seen[-1]["object"]["kind"] == "ConfigMap"
    assert {event["object"]["metadata"].get("name") for event in seen[:-1]} >= {"a"}


def test_a_watch_of_one_object(here: Space) -> None:
    first = make(here, "a")["metadata"]["resourceVersion"]
    make(here, "b")
    here.patch(MAPS, "a", {"data": {"x": "1"}})
    assert events(here, resourceVersion=first, fieldSelector="metadata.name=a") == [("MODIFIED", "a")]


def test_a_watch_in_rows(here: Space) -> None:
    first = make(here, "a")["metadata"]["resourceVersion"]
    make(here, "b")
    with here.wire.watch(here.path(MAPS), {"resourceVersion": first, "timeoutSeconds": "1"}, table=True) as found:
        [event] = list(found)
    assert (event["type"], event["object"]["kind"]) == ("ADDED", "Table")
    assert event["object"]["rows"][0]["cells"][0] == "b"
    assert event["object"]["columnDefinitions"]


def test_a_version_that_is_too_old_is_gone(here: Space) -> None:
    """As a status, or as an event of a watch that was begun; a server that still knows the version tells all since."""
    answer = here.ask("GET", MAPS, query={"resourceVersion": "1", "resourceVersionMatch": "Exact"})
    if answer.status == 200:
        return
    assert (answer.status, answer.body["reason"]) == (410, "Expired")


def test_a_version_that_is_no_number(here: Space) -> None:
    answer = here.ask("GET", MAPS, query={"watch": "1", "resourceVersion": "new", "timeoutSeconds": "1"})
    assert (answer.status, answer.message) == (
        500,
        'resourceVersion: Invalid value: "new": strconv.ParseUint: parsing "new": invalid syntax',
    )


# Discovery ------------------------------------------------------------------------------------------------------------


def test_what_discovery_says_of_sets(here: Space) -> None:
    found = expect(200, here.wire.call("GET", "/apis/apps/v1"))
    by_name = {entry["name"]: entry for entry in found["resources"]}
    entry = by_name["statefulsets"]
    assert (entry["kind"], entry["singularName"], entry["namespaced"]) == ("StatefulSet", "statefulset", True)
    assert (entry["shortNames"], entry["categories"]) == (["sts"], ["all"])
    assert entry["verbs"] == ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    scale = by_name["statefulsets/scale"]
    assert (scale["group"], scale["version"], scale["kind"]) == ("autoscaling", "v1", "Scale")
    assert by_name["statefulsets/status"]["verbs"] == ["get", "patch", "update"]


def test_health_and_version(here: Space) -> None:
    for path in ("/healthz", "/livez", "/readyz"):
        answer = here.wire.call("GET", path)
        assert (answer.status, answer.body) == (200, "ok")
    version = expect(200, here.wire.call("GET", "/version"))
    assert version["gitVersion"].startswith("v1.")
    assert {"major", "minor", "platform"} <= version.keys()


def test_verbs_that_a_resource_does_not_take(here: Space) -> None:
    answer = here.ask("PUT", MAPS, body={})
    assert answer.status == 405
    assert answer.body["message"] == "the server does not allow this method on the requested resource"
