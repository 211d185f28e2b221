"""Quantities as the API server reads and writes them: what it takes, and the form that it answers with.

Source: k8s.io/apimachinery/pkg/api/resource. A form that already looks canonical is kept as it was written ("+1Gi"
too), everything else is rewritten: 1024Mi becomes 1Gi, 0.5 becomes 500m, 1000 becomes 1k.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, ROUND_UP, Decimal, localcontext
from functools import lru_cache
from typing import Any

#: What the server says about everything that is no quantity.
REFUSAL = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"

_PARTS = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?([eEinumkKMGTP]*[-+]?\d*)")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_NAMES = {power: name for name, power in _DECIMAL.items()}
_BINARY_NAMES = {power: name for name, power in _BINARY.items()}
_NANO = Decimal("1e-9")
_MILLI = Decimal("1e-3")
#: Digits that fit an int64 for certain; a longer number takes the slow path, which rewrites it.
_FAST_DIGITS = 18


class NotAQuantity(ValueError):
    """The text is no quantity; `REFUSAL` is what the server says."""


def text_of(value: Any) -> str:
    """A quantity as JSON has it, a text or a number, in the words that the server would parse."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NotAQuantity(REFUSAL)
    return repr(value)


@lru_cache(maxsize=4096)
def parse(text: str) -> Decimal:
    """The number that a quantity stands for, rounded up to billionths; `NotAQuantity` if it is none."""
    return _read(text)[0]


@lru_cache(maxsize=4096)
def canonical(text: str, *, milli: bool = False) -> str:
    """The quantity as the server writes it; ``milli`` rounds it up to thousandths, as in lists of resources."""
    number, form, kept = _read(text)
    if milli:
        rounded = _round(number, _MILLI)
        if rounded != number:
            number, kept = rounded, False
    return text if kept else _written(number, form)


def _read(text: str) -> tuple[Decimal, str, bool]:
    """The number, its form (SI, exponent or binary), and whether it is written back as it stands."""
    if text == "0":
        return Decimal(0), "SI", True
    found = _PARTS.fullmatch(text)
    if not found or not (found[2] or found[3]):
        raise NotAQuantity(REFUSAL)
    sign, digits, fraction, suffix = found[1], found[2].lstrip("0"), found[3] or "", found[4]
    with localcontext() as context:
        context.prec = 100
        number = Decimal(f"{sign}{found[2] or '0'}.{fraction or '0'}")
        if suffix in _BINARY:
            exponent, form, power = _BINARY[suffix], "binary", 0
            number *= Decimal(2) ** exponent
        elif suffix in _DECIMAL:
            exponent, form = _DECIMAL[suffix], "SI"
            power = exponent
            number = number.scaleb(exponent)
        elif re.fullmatch(r"[eE][-+]?\d+", suffix):
            exponent, form = int(suffix[1:]), "exponent"
            power = exponent
            number = number.scaleb(exponent)
        else:
            raise NotAQuantity(REFUSAL)
        shifted, power = (digits or "0") + fraction, power - len(fraction)
        number = _round(number, _NANO)
    if form == "binary":
        small = 15 - len(digits or "0") - exponent * 3 // 10 - 1 >= 0
        kept = small and not fraction and int(shifted) & 0x07 != 0
        if 0 < number < 1:
            form = "SI"
    else:
        fast = len(shifted) <= _FAST_DIGITS and power >= -9
        kept = fast and power % 3 == 0 and not shifted.endswith("000") and shifted[0] != "0"
    return number, form, kept


def _round(number: Decimal, to: Decimal) -> Decimal:
    """Away from zero to a multiple of ``to``."""
    with localcontext() as context:
        context.prec = 100
        return (number / to).to_integral_value(ROUND_UP) * to


def _written(number: Decimal, form: str) -> str:
    if number == 0:
        return "0"
    if form == "binary" and (abs(number) < 1024 or number != number.to_integral_value()):
        form = "SI"
    if form == "binary":
        whole, power = int(number), 0
        while whole % 1024 == 0 and power < 60:
            whole, power = whole // 1024, power + 10
        return f"{whole}{_BINARY_NAMES.get(power, '')}"
    power = -9
    with localcontext() as context:
        context.prec = 100
        whole = int(number.scaleb(9))
    while whole % 1000 == 0 and (form == "exponent" or power < 18):
        whole, power = whole // 1000, power + 3
    if form == "exponent":
        return f"{whole}e{power}" if power else str(whole)
    return f"{whole}{_DECIMAL_NAMES[power]}"


def value(number: Decimal) -> int:
    """The number in whole units, rounded up, as the server compares and prints it."""
    return int(number.to_integral_value(ROUND_CEILING if number > 0 else ROUND_UP))
