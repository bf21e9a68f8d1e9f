"""What Airflow is told about this provider, as data.

Airflow reads `connection-types`, `queues`, `extra-links` and `cli` at run time; the lists of modules are for
people.
The plugin is announced by its entry point alone: a second announcement here would clash with it.
"""

from __future__ import annotations

from typing import Any

INTEGRATION = "TREMpy"


def _text(label: str, description: str = "") -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"]}}


def _seconds(label: str, description: str, default: int) -> dict[str, Any]:
    schema = {"type": ["integer", "null"], "default": default, "minimum": 0}
    return {"label": label, "description": description, "schema": schema}


POSTGRES_FIELDS: dict[str, Any] = {
    "sslmode": {
        "label": "TLS mode",
        "description": "As libpq understands it; verify-full checks the server's name too.",
        "schema": {
            "type": ["string", "null"],
            "enum": ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"],
        },
    },
    "sslrootcert": _text("CA file", "Path on the machines that run tasks."),
    "sslcert": _text("Client certificate file"),
    "sslkey": _text("Client key file"),
    "connect_timeout": _seconds("Connection timeout", "Seconds.", 10),
}

RABBITMQ_FIELDS: dict[str, Any] = {
    "tls": {
        "label": "TLS",
        "description": "The server's certificate and name are always verified.",
        "schema": {"type": ["boolean", "null"], "default": False},
    },
    "ca_file": _text(
        "CA file", "Path on the machines that run tasks; empty trusts the system's authorities."
    ),
    "certificate_file": _text("Client certificate file"),
    "key_file": _text("Client key file"),
    "server_name": _text("Server name", "Name the certificate must have, where it is not the host."),
    "heartbeat_seconds": _seconds("Heartbeat", "Seconds; 0 turns heartbeats off.", 60),
    "connection_timeout_seconds": _seconds("Connection timeout", "Seconds.", 15),
    "management_url": _text("Management URL", "Such as https://rabbitmq.example.org:15671, for links."),
}


def _postgres_type(role: str) -> dict[str, Any]:
    return {
        "connection-type": f"trempy_{role}",
        "hook-class-name": f"trempy_provider.hooks.postgres.Trempy{role.title()}Hook",
        "hook-name": f"PostgreSQL {role} (TREMpy)",
        "conn-fields": POSTGRES_FIELDS,
        "ui-field-behaviour": {
            "hidden-fields": [],
            "relabeling": {"schema": "Database", "login": "Role"},
            "placeholders": {"host": "db.example.org", "port": "5432"},
        },
    }


def _modules(package: str, *names: str) -> list[dict[str, Any]]:
    modules = [f"trempy_provider.{package}.{name}" for name in names]
    return [{"integration-name": INTEGRATION, "python-modules": modules}]


PROVIDER_INFO: dict[str, Any] = {
    "package-name": "airflow-provider-trempy",
    "name": INTEGRATION,
    "description": "Replicate PostgreSQL to PostgreSQL: full load, then changes through RabbitMQ.",
    "integrations": [
        {
            "integration-name": INTEGRATION,
            "external-doc-url": "https://www.postgresql.org/docs/current/logicaldecoding.html",
            "tags": ["software"],
        }
    ],
    "connection-types": [
        {
            "connection-type": "rabbitmq",
            "hook-class-name": "trempy_provider.hooks.rabbitmq.RabbitMQHook",
            "hook-name": "RabbitMQ",
            "conn-fields": RABBITMQ_FIELDS,
            "ui-field-behaviour": {
                "hidden-fields": [],
                "relabeling": {"schema": "Virtual host"},
                "placeholders": {"host": "rabbitmq.example.org", "port": "5672", "schema": "/"},
            },
        },
        _postgres_type("source"),
        _postgres_type("target"),
    ],
    "hooks": _modules("hooks", "postgres", "rabbitmq"),
    "operators": _modules(
        "operators",
        *(
            "announce",
            "apply",
            "capture",
            "check",
            "cutover",
            "dead_letters",
            "full_load",
            "monitor",
            "refresh",
            "reload",
            "setup",
            "skip",
            "status",
            "suggest",
            "summary",
            "sweep",
            "sync_sequences",
            "tables",
            "teardown",
            "validate",
        ),
    ),
    "sensors": _modules("sensors", "caught_up"),
    "triggers": _modules("triggers", "apply", "capture", "caught_up", "rabbitmq", "slot_changes"),
    "queues": ["trempy_provider.queues.rabbitmq.RabbitMQMessageQueueProvider"],
    "extra-links": ["trempy_provider.operators.links.RabbitMQQueueLink"],
    "cli": ["trempy_provider.plugins.commands.get_commands"],
}
