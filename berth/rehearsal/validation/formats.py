"""The forms of names, labels, ports, addresses and amounts: what is wrong with a text, in the API server's words.

Every function returns the messages; none if the text is right.
Source: k8s.io/apimachinery/pkg/util/validation and pkg/api/validate/content.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from berth.rehearsal.validation.errors import MAX_INT32, between

Messages = tuple[str, ...]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_UNDERSCORED = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_UNDERSCORED_SUBDOMAIN = rf"{_UNDERSCORED}(\.{_UNDERSCORED})*"
_DNS_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_KEY = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = f"({_KEY})?"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_PERCENT = "[0-9]+%"
_HEADER = "[-A-Za-z0-9]+"

_LABEL_WORDS = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character"
)
_SUBDOMAIN_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character"
)
_UNDERSCORED_WORDS = _SUBDOMAIN_WORDS.replace("'-' or '.'", "'_', '-' or '.'")
_DNS_1035_WORDS = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character"
)
_KEY_WORDS = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)
_VALUE_WORDS = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character"
)
_CONFIG_KEY_WORDS = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
_PERCENT_WORDS = "a valid percent string must be a numeric string followed by an ending '%'"
_HEADER_WORDS = "a valid HTTP header must consist of alphanumeric characters or '-'"
_ENV_WORDS = "a valid environment variable name must consist only of printable ASCII characters other than '='"
_KEY_EXAMPLES = ("MyName", "my.name", "123-abc")


def _regex(words: str, pattern: str, *examples: str) -> str:
    given = "".join(f"'{each}', " if index == 0 else f" or '{each}', " for index, each in enumerate(examples))
    start = f"{words} (e.g. {given}" if examples else f"{words} ("
    return f"{start}regex used for validation is '{pattern}')"


def _most(length: int, what: str = "characters") -> str:
    """The server counts bytes, and says so of labels only."""
    return f"must be no more than {length} {what}"


@lru_cache(maxsize=4096)
def label(text: str) -> Messages:
    """A DNS label, as RFC 1123 has it."""
    found: Messages = (_most(63),) if len(text.encode()) > 63 else ()
    if not re.fullmatch(_LABEL, text):
        if re.fullmatch(_SUBDOMAIN, text):
            return (*found, "must not contain dots")
        return (*found, _regex(_LABEL_WORDS, _LABEL, "my-name", "123-abc"))
    return found


@lru_cache(maxsize=4096)
def subdomain(text: str) -> Messages:
    """A DNS name, as RFC 1123 has it."""
    found: Messages = (_most(253),) if len(text.encode()) > 253 else ()
    return found if re.fullmatch(_SUBDOMAIN, text) else (*found, _regex(_SUBDOMAIN_WORDS, _SUBDOMAIN, "example.com"))


def underscored_subdomain(text: str) -> Messages:
    """A DNS name whose labels may hold underscores."""
    found: Messages = (_most(253),) if len(text.encode()) > 253 else ()
    if re.fullmatch(_UNDERSCORED_SUBDOMAIN, text):
        return found
    return (*found, _regex(_UNDERSCORED_WORDS, _UNDERSCORED_SUBDOMAIN, "example.com"))


def dns_1035(text: str) -> Messages:
    """A DNS label, as RFC 1035 has it: it begins with a letter."""
    found: Messages = (_most(63),) if len(text.encode()) > 63 else ()
    return (
        found if re.fullmatch(_DNS_1035, text) else (*found, _regex(_DNS_1035_WORDS, _DNS_1035, "my-name", "abc-123"))
    )


@lru_cache(maxsize=4096)
def label_key(text: str) -> Messages:
    """The key of a label or an annotation, a condition, a resource: a name with an optional DNS prefix."""
    words = _regex(_KEY_WORDS, _KEY, *_KEY_EXAMPLES)
    found: Messages = ()
    parts = text.split("/")
    if len(parts) > 2:
        example = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return (f"a valid label key {words} {example}",)
    if len(parts) == 2:
        prefix = ("must be non-empty",) if not parts[0] else subdomain(parts[0])
        prefix = tuple(message.replace("253 characters", "253 bytes") for message in prefix)
        found = tuple(f"prefix part {message}" for message in prefix)
    name = parts[-1]
    if not name:
        found = (*found, "name part must be non-empty")
    elif len(name.encode()) > 63:
        found = (*found, f"name part {_most(63, 'bytes')}")
    return found if re.fullmatch(_KEY, name) else (*found, f"name part {words}")


@lru_cache(maxsize=4096)
def label_value(text: str) -> Messages:
    """The value of a label."""
    found: Messages = (_most(63, "bytes"),) if len(text.encode()) > 63 else ()
    if re.fullmatch(_VALUE, text):
        return found
    return (*found, _regex(_VALUE_WORDS, _VALUE, "MyValue", "my_value", "12345"))


def config_key(text: str) -> Messages:
    """A key of a ConfigMap or a Secret."""
    found: Messages = (_most(253),) if len(text.encode()) > 253 else ()
    if not re.fullmatch(_CONFIG_KEY, text):
        found = (*found, _regex(_CONFIG_KEY_WORDS, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name"))
    if text == ".":
        return (*found, "must not be '.'")
    if text == "..":
        return (*found, "must not be '..'")
    return (*found, "must not start with '..'") if text.startswith("..") else found


def environment_name(text: str) -> Messages:
    """The name of an environment variable: anything printable but an equals sign."""
    found: Messages = () if text else ("environment variable name must be non-empty",)
    return (*found, _ENV_WORDS) if any(not " " <= sign <= "~" or sign == "=" for sign in text) else found


def port_number(number: int) -> Messages:
    """A port."""
    return () if 1 <= number <= 65535 else (between(1, 65535),)


def port_name(text: str) -> Messages:
    """The name of a port, as IANA has them."""
    rules = (
        (len(text) > 15, _most(15)),
        (
            not re.fullmatch("[-a-z0-9]+", text),
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
        ),
        (not re.search("[a-z]", text), "must contain at least one letter (a-z)"),
        ("--" in text, "must not contain consecutive hyphens"),
        (text.startswith("-") or text.endswith("-"), "must not begin or end with a hyphen"),
    )
    return tuple(words for wrong, words in rules if wrong)


def percent(text: str) -> Messages:
    """A percentage."""
    return () if re.fullmatch(_PERCENT, text) else (_regex(_PERCENT_WORDS, _PERCENT, "1%", "93%"),)


def header(text: str) -> Messages:
    """The name of an HTTP header."""
    return () if re.fullmatch(_HEADER, text) else (_regex(_HEADER_WORDS, _HEADER, "X-Header-Name"),)


def identity(number: int) -> Messages:
    """The number of a user or a group."""
    return () if 0 <= number <= MAX_INT32 else (between(0, MAX_INT32),)


def path_segment(text: str) -> Messages:
    """A name that can be a step of a URL's path."""
    if text in (".", ".."):
        return (f"may not be '{text}'",)
    return tuple(f"may not contain '{sign}'" for sign in ("/", "%") if sign in text)


def prefix_of(text: str) -> str:
    """A generateName as the server judges it: as if something stood in place of the dash at its end."""
    return text[:-2] + "a" if len(text) > 1 and text.endswith("-") else text


def address(text: str) -> Address | None:
    """The address; None where it is none. Leading zeros are borne here; `ip` refuses them."""
    try:
        return ipaddress.ip_address(_without_zeros(text))
    except ValueError:
        return None


def network(text: str) -> Network | None:
    """The network; None where it is none."""
    if "/" not in text:
        return None
    try:
        return ipaddress.ip_network(_without_zeros(text), strict=False)
    except ValueError:
        return None


def ip(text: str) -> Messages:
    """An IP address."""
    found = address(text)
    if found is None or "%" in text:
        return ("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",)
    if ":" not in text and _without_zeros(text) != text:
        return ("must not have leading 0s",)
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        return ("must not be an IPv4-mapped IPv6 address",)
    return ()


def cidr(text: str) -> Messages:
    """A network."""
    found = network(text)
    if found is None:
        return ("must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",)
    if ":" not in text and _without_zeros(text) != text:
        return ("must not have leading 0s in IP or prefix length",)
    if address(text.partition("/")[0]) != found.network_address:
        return ("must not have bits set beyond the prefix length",)
    return ()


def _without_zeros(text: str) -> str:
    return text if ":" in text else re.sub(r"(?<!\d)0+(?=\d)", "", text)
