"""Profiles that take their objects from a Helm chart: the chart is found and read, and `helm template` renders it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from berth.actions.helm import RENDER_LIMIT, fetch, helm
from berth.core.draft import Draft
from berth.core.errors import InputError, LocalError, Problem, ProfileError, TemplateError, did_you_mean
from berth.core.helmchart.errors import explain
from berth.core.helmchart.looseyaml import read
from berth.core.helmchart.objects import definitions, derived, drafts, unsteady
from berth.core.helmchart.source import ChartSource
from berth.core.helmchart.standins import stand_ins
from berth.core.helmchart.values import Chart, comments_of, for_helm, with_chart
from berth.core.lint.model import DEFAULT_KUBERNETES, format_version
from berth.core.profile import Profile
from berth.core.values import Values
from berth.core.yamltext import dump
from berth.library import Library, inside, shown
from berth.local.files import cache_home

#: Functions of templates whose result is another one each time; found in a text, they cost a second rendering.
_RESTLESS = re.compile(
    rb"\b(rand[A-Z]\w*|gen(CA|SignedCert|SelfSignedCert|PrivateKey)\w*|uuidv4|htpasswd|bcrypt|encryptAES|shuffle|now)\b"
)
#: Far above what a chart is; etcd takes objects of 1.5 MiB.
_MAX_SIZE, _MAX_FILES = 64 * 1024 * 1024, 10_000


#: The objects that a chart makes of values, for a release in a namespace.
Objects = Callable[[Values, str, str], list[Draft]]


def charted(library: Library, profile: Profile, source: ChartSource) -> tuple[Profile, Objects]:
    """The profile with its chart's values below its own, in schema and layers, and what makes the chart's objects.

    Raises:
        InputError: there is no such chart, or it is none.
        LocalError: it has to be fetched, and there is no helm, or no room.
    """
    chart = chart_of(library, source)
    profile = with_chart(profile, source, chart)

    def objects(values: Values, release: str, namespace: str) -> list[Draft]:
        """Rendered by helm; twice, and compared, where the chart's templates may make something up.

        Raises:
            InputError: the chart does not take the values, does not render, or renders something else each time.
            LocalError: there is no helm.
        """
        _refuse(definitions(source, chart))
        told = for_helm(values.data, source, chart)

        def rendered(turn: int) -> list[Draft]:
            given = stand_ins(told, turn)
            text = _template(source, chart, values, dump(given.data), release, namespace)
            made = drafts(text, source, chart, values, release)
            _refuse([problem for draft in made for problem in given.put_back(draft)])
            return made

        made = rendered(0)
        if chart.restless or _RESTLESS.search(str(told).encode()):
            _refuse(unsteady(made, rendered(0)))
        if stand_ins(told, 0).tokens:
            _refuse(derived(made, rendered(1)))
        return made

    return profile, objects


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise TemplateError(problems)


def chart_of(library: Library, source: ChartSource) -> Chart:
    """The chart that a profile names, read once in a run.

    Raises:
        InputError: there is no such chart, or it is none.
        LocalError: it has to be fetched, and there is no helm, or no room.
    """
    key = (source.root, source.path, source.repository, source.name, source.version, source.digest)
    if key not in library.charts:
        library.charts[key] = _read(source)
    return library.charts[key]


def _template(source: ChartSource, chart: Chart, values: Values, told: str, release: str, namespace: str) -> str:
    version = source.kubernetes or format_version(DEFAULT_KUBERNETES)
    apis = [word for each in source.api_versions for word in ("--api-versions", each)]
    # Hooks are written too: which are left out must be known.
    arguments = ["template", release, chart.place, "--namespace", namespace, "--kube-version", f"{version}.0", *apis]
    code, written, said = helm([*arguments, "--values", "-"], RENDER_LIMIT, told)
    if code:
        raise TemplateError(explain(said, source, chart, values))
    return written


def _read(source: ChartSource) -> Chart:
    if source.repository:
        package = _fetched(source)
        return _chart(source, package, package.name, dict(_packed(package, source)))
    root = Path(source.root or ".")
    path = inside(root / source.path, root, ProfileError)
    where = str(source.at("path"))
    if path.is_dir():
        return _chart(source, path, shown(path), dict(_unpacked(path, root)))
    if not path.is_file():
        there = [shown(each.parent) for each in sorted(root.glob("charts/*/Chart.yaml"))]
        hint = did_you_mean(source.path, there) or "a chart is a directory with a Chart.yaml, or a .tgz of one"
        raise ProfileError(f"there is no chart {shown(path)}", where=where, hint=hint)
    return _chart(source, path, shown(path), dict(_packed(path, source)))


def _unpacked(path: Path, root: Path) -> Iterator[tuple[str, bytes]]:
    """The files of a chart's directory, by their paths in it."""
    count = size = 0
    for directory, inner, names in os.walk(path, followlinks=True):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in (*inner, *names):
            if (Path(directory) / name).is_symlink():
                inside(Path(directory) / name, root, ProfileError)
        for name in sorted(names):
            file = Path(directory) / name
            count, size = count + 1, size + (file.stat().st_size if file.exists() else 0)
            _limit(count, size, shown(path))
            try:
                yield file.relative_to(path).as_posix(), file.read_bytes()
            except OSError as error:
                raise ProfileError(f"this file cannot be read: {error.strerror}", where=shown(file)) from None


def _packed(path: Path, source: ChartSource) -> Iterator[tuple[str, bytes]]:
    """The files of a chart's package, by their paths in the chart."""
    import tarfile

    count = size = 0
    try:
        with tarfile.open(path, "r:gz") as package:
            for member in package:
                count, size = count + 1, size + member.size
                _limit(count, size, shown(path))
                file = package.extractfile(member) if member.isfile() else None
                if file is not None:
                    yield member.name.removeprefix("./").partition("/")[2], file.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        where = str(source.at("path" if source.path else "repository"))
        raise ProfileError(f"{shown(path)} is no package of a chart: {error}", where=where) from None


def _limit(count: int, size: int, name: str) -> None:
    if count > _MAX_FILES or size > _MAX_SIZE:
        raise ProfileError(f"{name} is larger than any chart: over {_MAX_FILES} files or {_MAX_SIZE // 2**20} MiB")


def _chart(source: ChartSource, place: Path, label: str, files: dict[str, bytes]) -> Chart:
    """A chart of its files."""
    about = _mapping(files, "Chart.yaml", label)[0]
    if "Chart.yaml" not in files or not isinstance(about.get("name"), str):
        where = str(source.at("path" if source.path else "repository"))
        raise ProfileError(f"{label} is no chart: it has no Chart.yaml with a name", where=where)
    defaults, positions = _mapping(files, "values.yaml", label)
    comments = comments_of(_text(files.get("values.yaml", b""), label), positions)
    # Until Helm 3, a chart had its dependencies in a file of their own.
    needs = about.get("dependencies") or _mapping(files, "requirements.yaml", label)[0].get("dependencies")
    named = [str(one.get("alias") or one.get("name")) for one in needs or () if isinstance(one, dict)]
    carried = {name.split("/")[1] for name in files if re.fullmatch(r"charts/[^/]+/Chart.yaml", name)}
    packages = any(re.fullmatch(r"charts/[^/]+\.tgz", name) for name in files)
    return Chart(
        place=str(place.absolute()),
        label=label,
        name=about["name"],
        version=str(about.get("version", "")),
        defaults=defaults,
        positions=positions,
        comments=comments,
        schema=_schema(files, label),
        subcharts=tuple(sorted({*named, *carried})),
        restless=packages or any(_RESTLESS.search(text) for text in files.values()),
        definitions=tuple(
            sorted(name for name in files if re.fullmatch(r"(charts/[^/]+/)*crds/.+\.(ya?ml|json)", name))
        ),
    )


def _mapping(files: dict[str, bytes], name: str, label: str) -> tuple[dict[str, Any], dict[Any, Any]]:
    """The only document of a file, and where its parts are; empty where the file is not there."""
    file = f"{label}/{name}"
    documents = read(_text(files.get(name, b""), file), file, ProfileError)
    if not documents or documents[0].data is None:
        return {}, {}
    if len(documents) > 1 or not isinstance(documents[0].data, dict):
        raise ProfileError("this is one mapping in a chart", where=file)
    return documents[0].data, documents[0].positions


def _schema(files: dict[str, bytes], label: str) -> dict[str, Any] | None:
    name = "values.schema.json"
    if name not in files:
        return None
    file = f"{label}/{name}"
    try:
        made = json.loads(_text(files[name], file))
    except (ValueError, RecursionError) as error:
        raise ProfileError(f"this is not valid JSON: {error}", where=file) from None
    return made if isinstance(made, dict) else None


def _text(data: bytes, file: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ProfileError("this file is not UTF-8 text", where=f"{file} (byte {error.start})") from None


def _fetched(source: ChartSource) -> Path:
    """The package of a chart of a repository: fetched once, and kept, for one version is always the same.

    Raises:
        ProfileError: it is not the one whose digest the profile gives.
    """
    import tempfile

    mark = sha256(f"{source.repository}\0{source.name}\0{source.version}".encode()).hexdigest()[:16]
    kept = cache_home("charts") / mark / f"{source.name}-{source.version}.tgz"
    if not kept.is_file():
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=kept.parent) as directory:
                package = fetch(source.repository, source.name, source.version, Path(directory))
                _check(package, source)
                os.replace(package, kept)
        except InputError as error:
            first = error.problems[0]
            where = str(source.at("digest" if source.digest else "repository"))
            raise ProfileError(first.what, where=first.where or where, why=first.why, hint=first.hint) from None
        except OSError as error:
            raise LocalError(f"cannot keep a chart in {kept.parent}: {error.strerror or error}") from None
    _check(kept, source)
    return kept


def _check(package: Path, source: ChartSource) -> None:
    found = f"sha256:{sha256(package.read_bytes()).hexdigest()}"
    if source.digest and found != source.digest:
        raise ProfileError(
            f"the package of {source.name} {source.version} is not the one that the profile means: it is {found}",
            where=str(source.at("digest")),
            why="the repository has changed it, or something on the way has",
            hint="see what has changed, and write the new digest if it is right",
        )
