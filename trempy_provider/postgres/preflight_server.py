"""Pre-flight checks of a server: version, settings, the role's rights, free slots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.findings import Finding, error, warning
from trempy_provider.postgres.namespaces import schema_exists
from trempy_provider.postgres.origins import functions_not_allowed
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.slot import read_identity
from trempy_provider.postgres.tables import quote_name

OLDEST_VERSION = 150000
FAILOVER_VERSION = 170000
_GIBIBYTE = 1024**3


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server is and what the role may do in its database."""

    version: int
    role: str
    database: str
    is_superuser: bool
    may_replicate: bool
    may_create: bool
    may_create_temporary: bool
    may_set_replica_role: bool
    is_standby: bool
    wal_level: str
    max_slots: int
    slot_count: int
    max_walsenders: int
    walsender_count: int
    slot_wal_keep_bytes: int
    encoding: str
    collation: str
    collation_version: str | None


@dataclass(frozen=True, slots=True)
class SlotNeeds:
    """How many slots and walsenders a task takes beyond those it has now."""

    slots: int
    walsenders: int


def read_server_facts(session: Session) -> ServerFacts:
    """Read what a server is and what the role may do."""
    row = session.fetch_one(static_sql("server_facts"))
    assert row is not None
    return ServerFacts(*row)


def check_version(facts: ServerFacts, where: str) -> Iterator[Finding]:
    """Find a server that is too old."""
    if facts.version < OLDEST_VERSION:
        seen = f"PostgreSQL {facts.version // 10000}"
        yield error(where, f"the server is {seen}; 15 is the oldest supported", "Upgrade the server.")


def check_replication(facts: ServerFacts, where: str, needs: SlotNeeds) -> Iterator[Finding]:
    """Find what keeps a task from capturing changes on the source."""
    if facts.wal_level != "logical":
        yield error(
            where,
            f"wal_level is {facts.wal_level}; capturing changes needs logical",
            "alter system set wal_level = logical; then restart the server "
            "(managed services have a parameter for it, such as rds.logical_replication = 1).",
        )
    if not facts.may_replicate:
        role = quote_name(facts.role)
        yield error(
            where,
            f"the role {role} may not replicate",
            f"As a superuser: alter role {role} replication; (Amazon RDS: grant rds_replication to {role};)",
        )
    if facts.is_standby:
        yield error(where, "the server is a standby; a publication cannot be made there", "Use the primary.")
    yield from _check_room(facts, where, needs)
    if 0 <= facts.slot_wal_keep_bytes < _GIBIBYTE:
        yield warning(
            where,
            f"max_slot_wal_keep_size is {facts.slot_wal_keep_bytes} bytes: while capture stands still, "
            "little WAL is enough to invalidate the slot, and the task must then be reloaded",
            "alter system set max_slot_wal_keep_size = '50GB'; select pg_reload_conf();",
        )


def check_failover(facts: ServerFacts, where: str) -> Iterator[Finding]:
    """Find a source that cannot synchronize the slot to its standbys."""
    if facts.version < FAILOVER_VERSION:
        yield error(
            where,
            f"failover_slot is set, but PostgreSQL {facts.version // 10000} cannot synchronize logical slots",
            "Set failover_slot to false, or upgrade the source to PostgreSQL 17 or newer.",
        )


def check_origins(session: Session, facts: ServerFacts, where: str) -> Iterator[Finding]:
    """Find what keeps the role from marking what it writes, so that the other direction would echo it."""
    lacking = functions_not_allowed(session)
    if lacking:
        role = quote_name(facts.role)
        yield error(
            where,
            f"origin is none, but the role {role} may not mark what it writes",
            f"As a superuser in this database: grant execute on function {', '.join(lacking)} to {role};",
        )


def check_metadata_rights(session: Session, facts: ServerFacts, where: str) -> Iterator[Finding]:
    """Find what keeps the role from keeping the metadata schema."""
    role = quote_name(facts.role)
    ((_, exists, may_use, may_create),) = session.fetch_all(
        static_sql("schema_rights"), {"names": ["trempy"]}
    )
    if not exists and not facts.may_create:
        database = quote_name(facts.database)
        yield error(
            where,
            f"the role {role} may not create the metadata schema trempy",
            f"grant create on database {database} to {role}; (or create schema trempy authorization {role};)",
        )
    if exists and not (may_use and may_create):
        yield error(
            where,
            f"the metadata schema trempy belongs to somebody else than {role}",
            f"alter schema trempy owner to {role}; and its tables, "
            "or use one role for all tasks of a target database.",
        )


def check_pair(source: Session, target: Session) -> Iterator[Finding]:
    """Find what is wrong with source and target as a pair."""
    if read_identity(source) == read_identity(target):
        yield error(
            "source and target",
            "they are the same database: tables would be copied onto themselves",
            "Correct one of the two connections.",
        )
    left, right = read_server_facts(source), read_server_facts(target)
    if left.encoding != right.encoding:
        yield warning(
            "source and target",
            f"the source's encoding is {left.encoding}, the target's {right.encoding}: characters that the "
            "target's encoding lacks will fail",
            "Create the target database with encoding UTF8, or the source's.",
        )
    if (left.collation, left.collation_version) != (right.collation, right.collation_version):
        yield warning(
            "source and target",
            f"their default collations differ (source {_collation(left)}, target {_collation(right)}): "
            "values are the same, but sorting and comparing text may not be",
            "Create the target database with the source's locale if the order matters to its readers.",
        )


def needed_slots(task: ReplicationTask, *, slot_exists: bool, slot_is_active: bool) -> SlotNeeds:
    """Return what a task needs at most: its own slot, and one more for as long as a load begins."""
    for_load = int(task.loads_fully)
    return SlotNeeds(int(not slot_exists) + for_load, int(not slot_is_active) + for_load)


def has_metadata(session: Session) -> bool:
    """Tell whether the metadata schema exists."""
    return schema_exists(session, "trempy")


def _check_room(facts: ServerFacts, where: str, needs: SlotNeeds) -> Iterator[Finding]:
    free_slots = facts.max_slots - facts.slot_count
    if free_slots < needs.slots:
        yield error(
            where,
            f"{max(free_slots, 0)} of {facts.max_slots} replication slots are free; "
            f"{needs.slots} are needed (one for the task, one while a load begins)",
            f"alter system set max_replication_slots = {facts.slot_count + needs.slots}; then restart the "
            "server, or drop slots nobody needs: select pg_drop_replication_slot('…');",
        )
    free_walsenders = facts.max_walsenders - facts.walsender_count
    if free_walsenders < needs.walsenders:
        yield error(
            where,
            f"{max(free_walsenders, 0)} of {facts.max_walsenders} walsenders are free; "
            f"{needs.walsenders} are needed",
            f"alter system set max_wal_senders = {facts.walsender_count + needs.walsenders}; "
            "then restart the server.",
        )


def _collation(facts: ServerFacts) -> str:
    version = f", version {facts.collation_version}" if facts.collation_version else ""
    return f"{facts.collation}{version}"
