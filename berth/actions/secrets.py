"""Reads what secret values are taken from: environment variables, files, and files that sops encrypted.

Nothing that was read is in any message, written to a file, or given to another program.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from berth.core.errors import InputError, ValuesError
from berth.core.masking import HIDDEN
from berth.core.objects import Json
from berth.core.secretvalues import Unread
from berth.core.strictyaml import read_one
from berth.core.valuepaths import strings
from berth.library import shown

#: The most that a file with a secret may hold, in bytes: as much as a whole Secret may. Source: MaxSecretSize in
#: kubernetes pkg/apis/core.
MAX_BYTES = 1024 * 1024
#: How long sops may take, in seconds: it may ask a key service, or a person for a passphrase.
PATIENCE = 120.0


class Local:
    """Reads this machine; what was read once is the same for the rest of a run."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}
        self._decrypted: dict[tuple[str, str], Json] = {}

    def variable(self, name: str) -> str:
        """What an environment variable holds.

        Raises:
            InputError: it is not set, empty (as CI systems leave a secret that a run may not have), or no text.
        """
        text = os.environ.get(name)
        if text is None:
            raise InputError(f"the environment variable {name} is not set", hint=f"export {name}=...")
        if not text:
            raise InputError(f"the environment variable {name} is empty", hint="may this run have the secret?")
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise InputError(f"the environment variable {name} is not UTF-8 text")
        return text

    def file(self, path: str) -> str:
        """What a file holds, without the line end that editors and `echo` put last.

        Raises:
            InputError: it cannot be read, is empty, too large, or no text.
        """
        if path not in self._files:
            self._files[path] = _text_of(Path(path).expanduser())
        return self._files[path]

    def decrypted(self, file: str, text: str) -> Json:
        """The data of a file that sops encrypted; the program `sops` decrypts it, from memory to memory.

        Raises:
            ValuesError: sops is not there, or cannot decrypt it.
        """
        if (file, text) not in self._decrypted:
            self._decrypted[file, text] = _by_sops(file, text)
        return self._decrypted[file, text]


class Untold(Unread):
    """For listings, which hide secrets anyway: nothing is read but encrypted files, for what else is in them."""

    def decrypted(self, file: str, text: str) -> Json:
        """The data of a file that sops encrypted.

        Raises:
            ValuesError: sops is not there, or cannot decrypt it.
        """
        return _by_sops(file, text)


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"the file {shown(path)} cannot be read: {error.strerror or error}") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"the file {shown(path)} has more than {MAX_BYTES // 1024} KiB", hint="no Secret holds more")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"the file {shown(path)} is not UTF-8 text (byte {error.start})") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise InputError(f"the file {shown(path)} is empty")
    return text


def _by_sops(file: str, text: str) -> Json:
    program = shutil.which("sops")
    if program is None:
        raise ValuesError(
            "this file is encrypted, and there is no program `sops` to decrypt it",
            where=file,
            hint="install sops (https://getsops.io) and give it the key, or decrypt the file yourself",
        )
    kind = "json" if file.endswith(".json") else "yaml"
    command = [program, "--decrypt", "--input-type", kind, "--output-type", "json", "/dev/stdin"]
    try:
        done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        what = f"sops has not decrypted this file within {PATIENCE:.0f} s"
        raise ValuesError(what, where=file, hint="does it wait for a passphrase, or for a key service?") from None
    except OSError as error:
        raise ValuesError(f"sops cannot be run: {error.strerror or error}", where=file) from None
    if done.returncode:
        said = _words(done.stderr.decode("utf-8", "replace"), file, text)
        raise ValuesError(
            "sops cannot decrypt this file",
            where=file,
            why=f"it says: {said}" if said else f"it ended with exit code {done.returncode}",
            hint="is its key on this machine (SOPS_AGE_KEY_FILE and the like), and the file as sops wrote it?",
        )
    try:
        data = json.loads(done.stdout)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise ValuesError("sops has decrypted this file to something that is no mapping", where=file)
    return {key: value for key, value in data.items() if key != "sops"}


def _words(said: str, file: str, text: str) -> str:
    """What sops says of its reasons, without what is in the file: it quotes values that somebody wrote in clear."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    words = " ".join([*lines[:1], *(line.rpartition("| ")[2] for line in lines[1:] if "| " in line)])
    words = re.sub(r"(Input string ).*( does not match)", rf"\1{HIDDEN}\2", words)
    own = {key: value for key, value in read_one(text, file).data.items() if key != "sops"}
    for value in sorted({value for _, value in strings(own)}, key=len, reverse=True):
        words = words.replace(value, HIDDEN) if len(value) >= 4 else words
    return words if len(words) <= 400 else f"{words[:397]}..."
