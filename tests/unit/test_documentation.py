"""The documentation names what the code has, and leads nowhere that is not there."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest
import yaml

import trempy_provider
from sandbox.documentation import (
    FIGURES_MARK,
    MESSAGE_SCHEMA_FILE,
    SCHEMA_FILE,
    commands,
    find_fetched,
    generated_files,
    with_figures,
)
from trempy_provider.cli.arguments import argument_parser
from trempy_provider.config.schema import task_json_schema
from trempy_provider.errors import RetryPolicy, TrempyError
from trempy_provider.provider_info import PROVIDER_INFO
from trempy_provider.replication.wire_json import json_schema

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ENGINE = ("apply_modes", "assistant", "broker", "cli", "config", "jobs", "postgres", "replication")
TEXTS = [*sorted(ROOT.glob("*.md")), ROOT / "tests/README.md", *sorted(DOCS.rglob("*.md"))]
SVG = "{http://www.w3.org/2000/svg}"


def all_errors() -> set[type[TrempyError]]:
    for package in ENGINE:
        for module in pkgutil.walk_packages(
            [str(Path(trempy_provider.__path__[0]) / package)], f"trempy_provider.{package}."
        ):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    found = {TrempyError}
    waiting = [TrempyError]
    while waiting:
        children = waiting.pop().__subclasses__()
        found.update(children)
        waiting += children
    return {error for error in found if error.__module__.startswith("trempy_provider.")}


def runbooks() -> dict[str, str]:
    text = (DOCS / "runbooks.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^### (\w+)\n\n(.+?)(?=^#|\Z)", text, re.DOTALL | re.MULTILINE))


def prose(path: Path) -> str:
    """Return the text without its code."""
    return re.sub(
        r"^ *```.*?^ *```|`[^`\n]*`", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )


def code_of(path: Path) -> str:
    """Return blocks and words of code, a line each."""
    text = path.read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    return "\n".join([*blocks, *re.findall(r"`([^`\n]+)`", text)])


def anchors(path: Path) -> set[str]:
    """Return the anchors of a text's headings, as GitHub makes them."""
    text = re.sub(r"^ *```.*?^ *```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(path: Path) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if not re.match(r"[a-z]+:", target):
            yield target


def test_every_error_has_one_runbook_under_its_name() -> None:
    assert {error.__name__ for error in all_errors()} == runbooks().keys()


def test_runbook_says_of_an_error_whether_it_mends_by_itself() -> None:
    sections = runbooks()

    for error in all_errors():
        says_so = sections[error.__name__].startswith("Retried by itself.")

        assert says_so is (error.policy is RetryPolicy.BY_ITSELF), error.__name__


def test_error_tells_the_name_of_its_runbook() -> None:
    for error in all_errors() - {TrempyError}:
        if error.__init__ is TrempyError.__init__:
            assert error("seen").explanation.endswith(f"[{error.__name__}]")


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_to_files_and_headings(path: Path) -> None:
    generated = {DOCS / name for name in generated_files()}

    for target in links(path):
        name, _, anchor = unquote(target).partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.exists() or file in generated, target
        if anchor and file.exists():
            assert anchor in anchors(file), target


def test_every_page_is_in_the_navigation() -> None:
    listed = re.findall(r": ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    written = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}

    assert sorted(listed) == sorted(written | {name for name in generated_files() if name.endswith(".md")})


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_can_be_read(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    for language, example in re.findall(r"^ *```(\w+)\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE):
        if language == "python":
            compile(dedent(example), str(path), "exec")
        elif language == "json":
            json.loads(example)
        elif language == "yaml":
            assert yaml.safe_load(example)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_is_named_exists_with_its_options(path: Path) -> None:
    options = {
        name: {word for action in parser._actions for word in action.option_strings}
        for name, parser in commands(argument_parser())
    }

    for said in re.findall(r"^trempy ([a-z-]+\b[^|\n;(]*)", code_of(path), re.MULTILINE):
        name = next((name for name in options if re.match(rf"{name}(?![\w-])", said)), None)
        assert name or said.startswith("dead-letters"), said
        if name:
            assert set(re.findall(r"(?<!\S)--[a-z-]+", said)) <= options[name], said


def test_every_setting_command_and_class_has_its_place_in_the_reference() -> None:
    pages = generated_files()
    definitions = task_json_schema()["$defs"].values()
    keys = {key for definition in definitions for key in definition.get("properties", ())}

    assert keys <= set(re.findall(r"\w+", pages["reference/settings.md"]))
    assert "## trempy dead-letters replay\n" in pages["reference/commands.md"]
    assert "--until-caught-up" in pages["reference/commands.md"]
    for kind in ("operators", "sensors", "triggers", "hooks"):
        for module in PROVIDER_INFO[kind][0]["python-modules"]:
            assert f"::: {module}\n" in pages["reference/airflow.md"]
    assert json.loads(pages[SCHEMA_FILE]) == task_json_schema()
    assert json.loads(pages[MESSAGE_SCHEMA_FILE]) == json_schema()


def test_figures_are_those_of_the_readme_wherever_they_are_told() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = next(line for line in readme.partition("\n## Speed\n")[2].splitlines() if line.startswith("|"))

    for name in ("capacity.md", "comparison.md"):
        page = with_figures((DOCS / name).read_text(encoding="utf-8"), readme)
        assert table in page
        assert FIGURES_MARK not in page


def test_what_a_browser_would_fetch_from_another_host_is_found(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(
        '<a href="https://www.postgresql.org/">a link is not fetched</a><img src="images/flow.svg">'
        '<script defer src="https://cdn.example.org/a.js"></script><link rel=stylesheet href=//b.example.org/b.css>'
    )
    (tmp_path / "style.css").write_text(
        "@import 'https://c.example.org/c.css'; a { b: url(data:x) url(d.png) }"
    )

    found = [(str(path), address) for path, address in find_fetched(tmp_path)]

    assert [path for path, _ in found] == ["page.html", "page.html", "style.css"]


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.svg")), ids=lambda path: path.name)
def test_picture_is_told_to_those_who_do_not_see_it_and_readable_in_the_dark(path: Path) -> None:
    root = ET.parse(path).getroot()
    texts = {
        child.attrib.get("id"): child.text for child in root if child.tag in {f"{SVG}title", f"{SVG}desc"}
    }

    assert root.attrib["role"] == "img"
    assert all(texts[name] for name in root.attrib["aria-labelledby"].split())
    assert "prefers-color-scheme: dark" in path.read_text(encoding="utf-8")
    assert not re.search(r"(href|src)=|url\(h", path.read_text(encoding="utf-8"))
