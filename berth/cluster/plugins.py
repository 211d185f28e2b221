"""Users whose credentials come from a program (``exec``) or a provider: the official loader runs them.

Only this file imports ``kubernetes``, and only such a user imports this file.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kubernetes.client import Configuration
from kubernetes.config import kube_config
from kubernetes.config.config_exception import ConfigException

from berth.cluster.endpoint import Credentials
from berth.cluster.kubeconfig import KubeConfig
from berth.core.errors import DeniedError


@dataclass(frozen=True, slots=True)
class Login:
    """What a plugin gave: a client certificate, or headers that renew themselves, or both."""

    certificate: str = field(repr=False)
    key: str = field(repr=False)
    credentials: Credentials


def log_in(config: KubeConfig, context: str) -> Login:
    """Run the plugin of a context's user.

    Raises:
        DeniedError: the plugin is missing, failed, or gave nothing.
    """
    credentials = _Plugin(config, context)
    loaded = credentials.loaded
    certificate, key = _text(loaded.cert_file), _text(loaded.key_file)
    if not certificate and not credentials.headers():
        raise credentials.failure("it gave neither a token nor a certificate")
    return Login(certificate, key, credentials)


class _Plugin:
    """The official loader's Configuration, kept because its hook renews a token that expires."""

    def __init__(self, config: KubeConfig, context: str) -> None:
        self._files = os.pathsep.join(str(file) for file in config.files)
        self._context = context
        self._lock = threading.Lock()
        self._words: list[str] = []
        self.loaded = self._load()

    def headers(self) -> Mapping[str, str]:
        with self._lock, _captured(self._words):
            token = self.loaded.get_api_key_with_prefix("BearerToken", "authorization")
        return {"Authorization": str(token)} if token else {}

    def renew(self) -> bool:
        with self._lock:
            before = self.loaded.api_key
            self.loaded = self._load()
            return bool(self.loaded.api_key != before)

    def failure(self, why: str) -> DeniedError:
        return DeniedError(
            f"the credentials plugin of context {self._context!r} gave no credentials",
            where=self._files,
            why=(self._words[-1] if self._words else why).strip(),
            hint="run the plugin's own login command, then try again",
        )

    def _load(self) -> Any:
        loaded = Configuration()
        try:
            with _captured(self._words):
                load: Any = kube_config.load_kube_config
                load(self._files, self._context, loaded)
        except (ConfigException, OSError, ValueError, KeyError) as error:
            raise self.failure(str(error)) from error
        return loaded


@contextmanager
def _captured(words: list[str]) -> Iterator[None]:
    """Collect what the loader logs: it logs a plugin's failure and goes on without credentials."""
    handler = _Collector(words)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


class _Collector(logging.Handler):
    def __init__(self, words: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._words = words

    def emit(self, record: logging.LogRecord) -> None:
        self._words.append(record.getMessage())


def _text(path: Any) -> str:
    if not path:
        return ""
    with open(path, encoding="ascii") as file:
        return file.read()
