"""What MkDocs asks of us while it builds `docs/`: pages written from the code, and a look at the result.

Pages written here are never committed: they say what the code says at that moment.
A warning fails the build (`mkdocs build --strict`).
"""

from __future__ import annotations

import argparse
import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import trempy_provider
from trempy_provider.cli.arguments import argument_parser
from trempy_provider.config.reference import settings_reference_markdown
from trempy_provider.config.schema import task_json_schema
from trempy_provider.provider_info import PROVIDER_INFO
from trempy_provider.replication import wire_json

log = logging.getLogger("mkdocs.hooks.trempy")

ROOT = Path(__file__).parents[1]
FIGURES_MARK = "<!-- figures of README.md -->"
SCHEMA_FILE = "reference/trempy-settings.schema.json"
MESSAGE_SCHEMA_FILE = "reference/trempy-message.schema.json"
PACKAGE = Path(trempy_provider.__file__).parent
AIRFLOW_MODULES = {"operators": "Operators", "sensors": "Sensors", "triggers": "Triggers", "hooks": "Hooks"}
API_MODULES = ("assets", "dag_factory", "errors", "config.loader")
_FETCHED = re.compile(
    r"""<(?:link|script|img|iframe|source|object|embed)\b[^>]*?\s(?:src|href|data)=["']?(?:https?:)?//[^\s"'>]+"""
    r"""|(?:@import\s+|url\()["']?(?:https?:)?//[^\s"')]+""",
    re.IGNORECASE,
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and the schema that are written from the code."""
    for name, content in generated_files().items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put the README's figures where a page asks for them."""
    return with_figures(markdown, (ROOT / "README.md").read_text(encoding="utf-8"))


def on_post_build(config: MkDocsConfig) -> None:
    """Warn of everything that a reader's browser would fetch from another host."""
    for path, address in find_fetched(Path(config.site_dir)):
        log.warning("%s lets a browser fetch from another host: %s", path, address)


def generated_files() -> Mapping[str, str]:
    """Return the text of each file that the code writes, by its name below `docs/`."""
    return {
        "reference/settings.md": _settings_page(),
        "reference/commands.md": _commands_page(),
        "reference/airflow.md": _airflow_page(),
        "reference/api.md": _api_page(),
        SCHEMA_FILE: json.dumps(task_json_schema(), indent=2, ensure_ascii=False) + "\n",
        MESSAGE_SCHEMA_FILE: json.dumps(wire_json.json_schema(), indent=2, ensure_ascii=False) + "\n",
    }


def with_figures(markdown: str, readme: str) -> str:
    """Return the page with the README's section "Speed" in place of the mark; measured once, told once."""
    _, heading, rest = readme.partition("\n## Speed\n")
    section, _, _ = rest.partition("\n## ")
    if FIGURES_MARK in markdown and not heading:
        log.warning("README.md has no section Speed, which a page asks for")
    return markdown.replace(FIGURES_MARK, section.strip().replace("](docs/", "]("))


def find_fetched(site: Path) -> Iterator[tuple[Path, str]]:
    """Yield page or style sheet, and tag or rule, of everything fetched from another host."""
    for path in sorted(site.rglob("*")):
        if path.suffix in {".html", ".css"}:
            for match in _FETCHED.finditer(path.read_text(encoding="utf-8")):
                yield path.relative_to(site), match[0]


def _settings_page() -> str:
    reference = re.sub("^#### ", "## ", settings_reference_markdown(), flags=re.MULTILINE)
    return (
        "# Settings\n\n"
        "Unknown keys, wrong types and contradictions are refused, all at once, each with its path, what was "
        "seen and what is allowed.\n"
        f"The [JSON Schema]({Path(SCHEMA_FILE).name}) lets an editor complete and check settings while you "
        "type; `trempy schema` prints the same.\n"
        f"[Another]({Path(MESSAGE_SCHEMA_FILE).name}) describes messages with `message_format: json`, as "
        "`trempy schema --messages` does.\n\n"
        f"{reference}\n"
    )


def _commands_page() -> str:
    sections = [
        f"## trempy {name}\n\n```text\n{parser.format_help().strip()}\n```\n"
        for name, parser in commands(argument_parser())
    ]
    return "# Commands\n\nWhat `trempy COMMAND --help` prints.\n\n" + "\n".join(sections)


def commands(
    parser: argparse.ArgumentParser, prefix: str = ""
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield the commands that do something, with the words that call them."""
    for action in parser._actions:  # noqa: SLF001  # argparse has no other list of its commands
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for name, command in action.choices.items():
                inner = list(commands(command, f"{prefix}{name} "))
                yield from inner or [(f"{prefix}{name}", command)]


def _airflow_page() -> str:
    sections = [
        f"## {title}\n\n{_members(name for entry in PROVIDER_INFO[key] for name in entry['python-modules'])}"
        for key, title in AIRFLOW_MODULES.items()
    ]
    return (
        "# Operators, sensors, triggers and hooks\n\n"
        "## What all operators take\n\n"
        + _members(f"trempy_provider.operators.{name}" for name in ("base", "lease"))
        + "\n".join(sections)
    )


def _api_page() -> str:
    jobs = [
        path.stem for path in (PACKAGE / "operators").glob("*.py") if (PACKAGE / "jobs" / path.name).exists()
    ]
    return (
        "# Python API\n\n## For DAG files and tools\n\n"
        + _members(f"trempy_provider.{name}" for name in API_MODULES)
        + "\n## Jobs\n\nWhat operators and commands run, without Airflow.\n\n"
        + _members(f"trempy_provider.jobs.{name}" for name in sorted(jobs) if name != "__init__")
    )


def _members(modules: Iterable[str]) -> str:
    return "\n".join(f"::: {name}\n    options:\n      heading_level: 3\n" for name in modules)
