"""What has changed in a source table, from the stream's description and the catalog's facts."""

from dataclasses import replace

import pytest

from trempy_provider.config.value_types import INTEGER, TEXT
from trempy_provider.postgres.known_tables import known_from_facts
from trempy_provider.postgres.source_facts import (
    SourceColumn,
    SourceFacts,
    facts_payload,
    read_facts_payload,
)
from trempy_provider.postgres.table_evolution import Description, find_evolution, settle
from trempy_provider.postgres.tables import Column, QualifiedName
from trempy_provider.postgres.types import UserType
from trempy_provider.replication.lsn import Lsn
from trempy_provider.replication.messages import Relation, RelationColumn, ReplicaIdentity

OID, FILE = 16384, 16384
TYPES = {"int": (23, INTEGER), "text": (25, TEXT)}


def column(attnum: int, name: str, type_name: str = "int", **traits) -> SourceColumn:
    oid, value_type = TYPES[type_name]
    of_column = {key: traits.pop(key) for key in ("not_null", "generated") if key in traits}
    described = Column(name, attnum, oid, value_type.name, oid, "pg_catalog", **of_column)
    return SourceColumn(described, -1, **traits)


def facts(*columns: SourceColumn, dropped=(), lsn=100, file=FILE, **traits) -> SourceFacts:
    count = max([entry.attnum for entry in columns] + list(dropped))
    return SourceFacts(
        OID,
        Lsn(lsn),
        QualifiedName("public", "t"),
        columns,
        dropped=frozenset(dropped),
        attribute_count=count,
        storage={OID: file},
        **traits,
    )


def evolution(before: SourceFacts, described: str, after: SourceFacts, *, at=50, renames=True):
    """Compare; `described` is `id a b=text`, `at` where the transaction of the changes commits and ends."""
    words = [word.partition("=") for word in described.split()]
    types = [TYPES[type_name or "int"] for _, _, type_name in words]
    relation = Relation(
        OID,
        "public",
        "t",
        ReplicaIdentity.DEFAULT,
        tuple(
            RelationColumn(name, oid, -1, name == "id")
            for (name, _, _), (oid, _) in zip(words, types, strict=True)
        ),
    )
    description = Description(relation, [value_type for _, value_type in types], after, Lsn(at), Lsn(at))
    return find_evolution(known_from_facts(before), description, renames=renames, trusts_catalog=False)


ID, A = column(1, "id"), column(2, "a")
BEFORE = facts(ID, A)


def test_added_column_has_the_value_the_catalog_keeps_for_old_rows():
    found = evolution(BEFORE, "id a b", facts(ID, A, column(3, "b", missing="7")))

    assert (found.values, found.problems) == ({3: "7"}, ())
    assert [entry.alias for entry in found.table.columns] == ["id", "a", "b"]


@pytest.mark.parametrize(
    ("described", "after", "words"),
    [
        ("id a b", facts(ID, A, column(3, "b"), file=9), "b was added with values"),
        (
            "id a b",
            facts(ID, A, column(3, "b", missing="7", missing_differs=True)),
            "b was added with values",
        ),
        ("id a=text", facts(ID, column(2, "a", "text"), file=9), "a was changed from integer to text"),
        ("id a b", facts(ID, A, column(3, "b"), published=frozenset({1, 2, 3})), "changes came without it"),
        ("id a", facts(ID, A, column(3, "b"), published=frozenset({1, 2})), "changes came without it"),
        ("id a", facts(ID, column(3, "a"), dropped=[2]), "which is which"),
        ("id a b c", facts(ID, A), "which is which"),
        ("id a", replace(BEFORE, includes_transaction=False), "which is which"),
    ],
    ids=["made", "differs", "retyped", "published", "unpublished", "uncertain", "contradiction", "unseen"],
)
def test_rows_that_are_there_are_not_known_any_more(described, after, words):
    (problem,) = evolution(BEFORE, described, after).problems

    assert words in problem.text


@pytest.mark.parametrize(
    ("described", "after"),
    [
        ("id a", replace(BEFORE, storage={OID: 9})),
        ("id a=text", facts(ID, column(2, "a", "text"))),
        ("id b", facts(ID, column(2, "b"), file=9)),
        ("id a gone", facts(ID, A, dropped=[3], file=9)),
    ],
    ids=["rewritten", "retyped_in_place", "renamed", "dropped_since"],
)
def test_rows_that_are_there_stay_known(described, after):
    assert evolution(BEFORE, described, after).problems == ()


@pytest.mark.parametrize(
    ("at", "is_older", "order"), [(100, True, (1, 3)), (100, False, (1, 3)), (99, True, ()), (99, False, ())]
)
def test_catalog_decides_once_the_stream_has_come_to_where_it_was_read(at, is_older, order):
    after = facts(ID, column(3, "a"), dropped=[2], is_older=is_older)

    assert evolution(BEFORE, "id a", after, at=at).order == order


def test_not_null_counts_from_where_the_catalog_was_read_and_null_at_once():
    allowed = evolution(facts(ID, column(2, "a", not_null=True)), "id a", BEFORE).table
    refused = evolution(BEFORE, "id a", facts(ID, column(2, "a", not_null=True))).table

    assert allowed.not_null == refused.not_null == frozenset()
    assert settle(refused, Lsn(99)) == refused
    assert settle(refused, Lsn(100)).not_null == {2}


def test_what_is_not_to_be_followed_keeps_its_first_name():
    after = facts(ID, column(2, "b"), column(3, "c"))

    found = evolution(BEFORE, "id b c", after, renames=False)

    assert [entry.alias for entry in found.table.columns] == ["id", "a", None]
    assert found.problems == ()


def test_facts_come_through_a_payload_as_they_were():
    mood = UserType(QualifiedName("s", "mood"), "e", labels=("low", "high"))
    whole = facts(
        ID, column(3, "b", "text", missing="é\n"), dropped=[2], types=(mood,), hidden=frozenset({4})
    )

    assert read_facts_payload(facts_payload(whole)) == whole
