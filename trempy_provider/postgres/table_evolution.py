"""What has changed in a source table between the changes applied last and those that come next.

Pure: from the table as it was known, the stream's description of it and the catalog's facts to the table as
it is from here on, and to what cannot be known of the rows that are there already.

A column added without a rewrite gives old rows the value that the catalog keeps for them (attmissingval), or
NULL; a type changed without one leaves the values as they are.
When the table was rewritten, rows were made anew on the source by what the stream never shows: a volatile
default, an identity column, a USING expression.
Then only a new load is exact.
A type that is widened is the exception: such a change is taken for what it looks like.
See "ALTER TABLE" in PostgreSQL's manual.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from trempy_provider.config.value_types import ValueType
from trempy_provider.postgres.known_tables import Ahead, KnownColumn, KnownTable
from trempy_provider.postgres.source_facts import SourceColumn, SourceFacts
from trempy_provider.postgres.tables import Column, quote_name
from trempy_provider.postgres.widening import is_widened
from trempy_provider.replication.attributes import Attribute, Numbering, find_readings
from trempy_provider.replication.lsn import Lsn
from trempy_provider.replication.messages import Relation, RelationColumn

_UNCERTAIN = "columns were dropped and others added, and the stream does not tell which is which"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why rows are not known from here on.

    `is_of_present`: only those that are there; `retyped`: whoever changes the type knows.
    """

    text: str
    is_of_present: bool = False
    retyped: int | None = None


@dataclass(frozen=True, slots=True)
class Evolution:
    """A table as it is from here on.

    `order` are the numbers of the columns described, in their order; (): it is not certain which they are.
    `values` are those of added columns in the rows that are there; None: NULL.
    """

    table: KnownTable
    order: tuple[int, ...]
    values: Mapping[int, str | None] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Description:
    """A table as the stream describes it before some changes: names, types and facts.

    `commit_lsn` and `end_lsn` are those of the transaction of the last of these changes.
    """

    relation: Relation
    types: Sequence[ValueType]
    facts: SourceFacts
    commit_lsn: Lsn
    end_lsn: Lsn

    @property
    def is_exact(self) -> bool:
        """Tell whether the catalog, when it was read, had the table as it is described.

        So it was when the stream has come there without describing the table anew, or when nothing else
        had happened; unless it was the transaction itself that changed the table, perhaps later.
        """
        facts = self.facts
        return self.commit_lsn >= facts.lsn or (facts.is_older and self.end_lsn >= facts.lsn)


def find_evolution(
    known: KnownTable, described: Description, *, renames: bool, trusts_catalog: bool
) -> Evolution:
    """Compare a table as it is known with what the stream describes.

    With `renames`, columns are replicated under their new names, and added ones too; otherwise under those
    they were first known by.
    With `trusts_catalog`, of several readings the present catalog's is taken; otherwise only one that is
    certain.
    """
    readings = _readings(known, described, trusts_catalog=trusts_catalog or described.is_exact)
    if len(readings) != 1 or not described.facts.includes_transaction:
        return Evolution(known, (), problems=(Problem(_UNCERTAIN),))
    (order,) = readings
    return _Comparison(known, described, order, renames=renames, trusts_catalog=trusts_catalog).evolution()


def settle(known: KnownTable, commit_lsn: Lsn) -> KnownTable:
    """Return a table after the stream has come to where the catalog was read."""
    ahead = known.ahead
    if ahead is None or commit_lsn < ahead.lsn:
        return known
    return _settled(known, ahead)


def _settled(known: KnownTable, ahead: Ahead) -> KnownTable:
    return replace(
        known,
        columns=tuple(
            replace(entry, column=replace(entry.column, not_null=entry.attnum in ahead.not_null))
            for entry in known.columns
        ),
        attribute_count=max(known.attribute_count, ahead.attribute_count),
        storage=ahead.storage,
        ahead=None,
    )


def _readings(known: KnownTable, described: Description, *, trusts_catalog: bool) -> list[tuple[int, ...]]:
    facts = described.facts
    before = {entry.attnum: _attribute(entry) for entry in known.columns if not entry.column.generated}
    present = {entry.attnum: _attribute(entry) for entry in facts.columns if _may_travel(entry, facts)}
    after: dict[int, Attribute | None] = {**dict.fromkeys(facts.dropped), **present}
    columns = [Attribute(c.name, c.type_oid, c.type_modifier) for c in described.relation.columns]
    readings = find_readings(columns, Numbering(before, known.attribute_count, after))
    if trusts_catalog and tuple(sorted(present)) in readings:
        return [tuple(sorted(present))]
    return readings


def _attribute(entry: KnownColumn | SourceColumn) -> Attribute:
    return Attribute(entry.column.name, entry.column.type_oid, entry.type_modifier)


def _may_travel(entry: SourceColumn, facts: SourceFacts) -> bool:
    return not entry.column.generated and (facts.published is None or entry.attnum in facts.published)


class _Comparison:
    """Compare column by column, once they are told apart."""

    def __init__(
        self,
        known: KnownTable,
        described: Description,
        order: tuple[int, ...],
        *,
        renames: bool,
        trusts_catalog: bool,
    ) -> None:
        self._known = known
        self._described = described
        self._facts = described.facts
        self._order = order
        self._renames = renames
        self._trusts_catalog = trusts_catalog
        self._columns = dict(zip(order, described.relation.columns, strict=True))
        self._types = dict(zip(order, described.types, strict=True))
        self._is_rewritten = any(
            known.storage[part] != file for part, file in self._facts.storage.items() if part in known.storage
        )

    def evolution(self) -> Evolution:
        added = [attnum for attnum in self._order if self._known.column(attnum) is None]
        retyped = [attnum for attnum in self._order if self._is_retyped(attnum)]
        problems = [*map(self._added_problem, added), *map(self._retyped_problem, retyped)]
        problems += self._unpublished()
        entries = [entry for attnum in added if (entry := self._facts.column(attnum)) is not None]
        return Evolution(
            table=self._table(),
            order=self._order,
            values=dict.fromkeys(added) | {entry.attnum: entry.missing for entry in entries},
            problems=tuple(problem for problem in problems if problem is not None),
        )

    def _is_retyped(self, attnum: int) -> bool:
        known, column = self._known.column(attnum), self._columns[attnum]
        return known is not None and not _has_type(known, column)

    def _added_problem(self, attnum: int) -> Problem | None:
        entry, name = self._facts.column(attnum), quote_name(self._columns[attnum].name)
        if not self._renames or entry is None:  # dropped since: its values go with it
            return None
        if self._facts.published is not None:
            return Problem(f"column {name} was added, and changes came without it")
        if self._is_rewritten or entry.missing_differs:
            text = f"column {name} was added with values that the source has made row by row"
            return Problem(text, is_of_present=True)
        return None

    def _retyped_problem(self, attnum: int) -> Problem | None:
        known = self._known.column(attnum)
        assert known is not None
        described = self._columns[attnum]
        widened = is_widened(
            (known.column.type_oid, known.type_modifier), (described.type_oid, described.type_modifier)
        )
        if not self._renames or not self._is_rewritten or widened:
            return None
        name = quote_name(described.name)
        before, after = known.column.type_name, self._types[attnum].name
        text = f"column {name} was changed from {before} to {after}, rewriting its values"
        return Problem(text, is_of_present=True, retyped=attnum)

    def _unpublished(self) -> list[Problem]:
        """Find columns that the settings choose and the publication's list does not have yet."""
        published = self._facts.published
        if not self._renames or published is None:
            return []
        return [
            Problem(f"column {quote_name(entry.column.name)} was added, and changes came without it")
            for entry in self._facts.columns
            if entry.attnum not in published and not entry.column.generated
        ]

    def _table(self) -> KnownTable:
        facts = self._facts
        assert facts.name is not None
        columns = [self._column(attnum) for attnum in self._order]
        table = KnownTable(
            name=facts.name,
            columns=(*columns, *self._generated(columns)),
            attribute_count=max(self._known.attribute_count, *self._order, 0),
            storage=self._known.storage or facts.storage,
            target_numbers=self._known.target_numbers,
        )
        not_null = frozenset(entry.attnum for entry in facts.columns if entry.column.not_null)
        ahead = Ahead(facts.lsn, facts.attribute_count, facts.dropped, not_null, facts.storage)
        return _settled(table, ahead) if self._described.is_exact else replace(table, ahead=ahead)

    def _column(self, attnum: int) -> KnownColumn:
        described, known = self._columns[attnum], self._known.column(attnum)
        present = self._facts.column(attnum)
        sources: list[KnownColumn | SourceColumn | None] = [present, known]
        alike = next((entry.column for entry in sources if entry and _has_type(entry, described)), None)
        column = alike or _column_of_type(attnum, self._types[attnum], described)
        former_alias = None if known is None else known.alias
        latest = present or known
        return KnownColumn(
            replace(
                column,
                name=described.name,
                not_null=_refuses_null(known, present, is_certain=self._trusts_catalog),
            ),
            described.type_modifier,
            alias=described.name if self._renames else former_alias,
            changed_by=0 if latest is None else latest.changed_by,
        )

    def _generated(self, columns: Sequence[KnownColumn]) -> list[KnownColumn]:
        """Return the generated columns, which the stream does not describe."""
        generated = []
        for entry in self._facts.columns:
            known = self._known.column(entry.attnum)
            if entry.column.generated and known is not None:
                generated.append(replace(known, column=self._with_present_sources(known.column, columns)))
            elif entry.column.generated and entry.column.default_sql is not None:
                alias = entry.column.name if self._renames else None
                generated.append(KnownColumn(entry.column, entry.type_modifier, alias))
        return generated

    def _with_present_sources(self, column: Column, columns: Sequence[KnownColumn]) -> Column:
        numbers = {entry.column.name: entry.attnum for entry in self._known.columns}
        names = {entry.attnum: entry.column.name for entry in columns}
        present = tuple(names.get(numbers.get(name, 0), name) for name in column.generated_from)
        return replace(column, generated_from=present)


def _refuses_null(known: KnownColumn | None, present: SourceColumn | None, *, is_certain: bool) -> bool:
    """Tell whether a column refuses NULL: it did, and does so where the catalog was read.

    In between it may have allowed NULL; unless somebody `is_certain`, that is so when its definition was
    touched and neither name nor type says why.
    """
    if known is None or not known.column.not_null:
        return False
    if present is None or is_certain or present.changed_by == known.changed_by:
        return present is None or present.column.not_null
    is_explained = _attribute(present) != _attribute(known)
    return is_explained and present.column.not_null


def _has_type(entry: KnownColumn | SourceColumn, described: RelationColumn) -> bool:
    return (entry.column.type_oid, entry.type_modifier) == (described.type_oid, described.type_modifier)


def _column_of_type(attnum: int, value_type: ValueType, described: RelationColumn) -> Column:
    return Column(
        name=described.name,
        position=attnum,
        type_oid=described.type_oid,
        type_name=value_type.name,
        base_type_oid=value_type.base_oid,
        type_schema="pg_catalog",
        base_type_name=value_type.base_name,
    )
