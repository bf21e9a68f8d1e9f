import argparse
import json
from importlib.metadata import entry_points
from importlib.resources import files

import jsonschema
import pytest
from airflow._shared.module_loading import import_string
from airflow.cli.cli_parser import _add_command
from airflow.providers_manager import ProvidersManager
from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

from trempy_provider import get_provider_info
from trempy_provider.cli.arguments import _COMMANDS
from trempy_provider.hooks.rabbitmq import EXTRAS
from trempy_provider.postgres.parameters import ALLOWED_OPTIONS

CONNECTION_TYPES = {entry["connection-type"]: entry for entry in get_provider_info()["connection-types"]}


def _schema(name: str) -> dict:
    return json.loads(files("airflow").joinpath(name).read_text())


def test_provider_info_follows_airflows_schema():
    jsonschema.validate(get_provider_info(), _schema("provider_info.schema.json"))


@pytest.mark.parametrize("name", CONNECTION_TYPES)
def test_connection_form_follows_airflows_schema(name):
    forms = _schema("provider.yaml.schema.json")["properties"]["connection-types"]

    jsonschema.validate([CONNECTION_TYPES[name]], forms)


def test_form_of_rabbitmq_offers_every_extra_that_the_hook_reads():
    assert set(CONNECTION_TYPES["rabbitmq"]["conn-fields"]) == set(EXTRAS)


@pytest.mark.parametrize("name", ["trempy_source", "trempy_target"])
def test_form_of_postgres_offers_only_extras_that_are_read(name):
    assert set(CONNECTION_TYPES[name]["conn-fields"]) <= ALLOWED_OPTIONS


def test_every_class_and_module_named_exists():
    info = get_provider_info()
    modules = [
        m
        for kind in ("hooks", "operators", "sensors", "triggers")
        for e in info[kind]
        for m in e["python-modules"]
    ]

    for name in modules:
        __import__(name)
    for path in (
        *info["extra-links"],
        *info["queues"],
        *info["cli"],
        *(e["hook-class-name"] for e in info["connection-types"]),
    ):
        import_string(path)


def test_airflow_finds_the_connection_types_and_the_form():
    manager = ProvidersManager()

    hooks = {name: ProvidersManagerTaskRuntime().hooks[name] for name in CONNECTION_TYPES}

    assert {name: hook.connection_type for name, hook in hooks.items()} == {n: n for n in CONNECTION_TYPES}
    assert all(hook.connection_testable for hook in hooks.values())
    assert manager.field_behaviours["rabbitmq"]["relabeling"] == {"schema": "Virtual host"}
    assert "extra__rabbitmq__management_url" in manager.connection_form_widgets


def test_airflow_finds_the_plugin_by_its_entry_point_alone():
    (entry_point,) = entry_points(group="airflow.plugins", name="trempy")

    assert entry_point.load().name == "trempy"
    assert "plugins" not in get_provider_info()


def test_airflow_offers_the_command_group():
    (group,) = import_string(get_provider_info()["cli"][0])()

    assert group.name == "trempy"
    assert {command.name for command in group.subcommands} == {
        *_COMMANDS,
        "dead-letters",
        "suggest",
        "schema",
    }
    (letters,) = [command for command in group.subcommands if command.name == "dead-letters"]
    assert [command.name for command in letters.subcommands] == ["list", "show", "replay", "discard"]


def test_airflow_parses_the_commands_of_the_group():
    commands = import_string(get_provider_info()["cli"][0])()
    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers()
    for command in commands:
        _add_command(subparsers, command)

    arguments = parser.parse_args(["trempy", "dead-letters", "discard", "shop", "3-1", "3-2"])

    assert (arguments.task_name, arguments.message_ids) == ("shop", ["3-1", "3-2"])
    assert parser.parse_args(["trempy", "skip", "shop", "--none"]).none
    assert parser.parse_args(["trempy", "run", "shop", "--for", "2.5"]).seconds == 2.5
