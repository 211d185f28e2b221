from __future__ import annotations

import pytest

from berth.rehearsal.amounts import NotAQuantity, canonical, parse, text_of

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("written", "answered"),
    [
        ("1Gi", "1Gi"),
        ("1024Mi", "1Gi"),
        ("1000Ki", "1000Ki"),
        ("1.5Gi", "1536Mi"),
        ("1.25Mi", "1280Ki"),
        ("0.5Ki", "512"),
        ("+1Gi", "+1Gi"),
        ("1000", "1k"),
        ("1000m", "1"),
        ("0.1", "100m"),
        ("0.0001", "1m"),
        ("1e3", "1e3"),
        ("1E2", "100"),
        ("1e-10", "1e-3"),
        ("1000000000000", "1T"),
        ("1073741824", "1073741824"),
        (1.5, "1500m"),
        (2, "2"),
        ("  1", "1"),
        ("0", "0"),
        ("-1", "-1"),
    ],
)
def test_an_amount_in_a_list_of_resources_is_written_as_the_server_writes_it(
    written: str | float, answered: str
) -> None:
    assert canonical(text_of(written), milli=True) == answered


@pytest.mark.parametrize("written", ["", "1x", "1.5.5", "1Zi", "much", "1GB", "."])
def test_what_is_no_amount_is_refused(written: str) -> None:
    with pytest.raises(NotAQuantity, match="quantities must match"):
        parse(written)


@pytest.mark.parametrize("value", [True, [], {}, None])
def test_only_texts_and_numbers_are_amounts(value: object) -> None:
    with pytest.raises(NotAQuantity):
        text_of(value)
