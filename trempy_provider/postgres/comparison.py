"""The rows of one table as they are compared: the same text on both servers, whatever their types.

Each server turns a row into a line: the text of the row's values, each as the target's type writes it.
A line is the same on two servers exactly if the rows are, so servers need to exchange hashes only.
Where both databases have one encoding the hash is PostgreSQL's own, else MD5 of the text in UTF-8.

Rows are told apart by their key; rows of a table without one by their line, and are counted.
A row's version (`tableoid`, `ctid`, `xmin`) is another one after every change of it.

`Rows` composes the queries of one side; it executes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2 import sql

RowKey = tuple[str | None, ...]  # the text of each of the key's values


@dataclass(frozen=True, slots=True)
class KeyRange:
    """The keys after `after`, up to and with `until`; None is no bound."""

    after: RowKey | None = None
    until: RowKey | None = None


@dataclass(frozen=True, slots=True)
class Keys:
    """Some keys."""

    keys: Sequence[RowKey]


@dataclass(frozen=True, slots=True)
class Buckets:
    """The keys of which the hash, cut to `mask`, is one of `numbers`."""

    mask: int
    numbers: Sequence[int]


Choice = KeyRange | Keys | Buckets


@dataclass(frozen=True, slots=True)
class Hashing:
    """How a text becomes two 64-bit numbers, the same on both servers."""

    is_same_encoding: bool

    def hash_sql(self, text: sql.Composable, number: int) -> sql.Composed:
        """Compose the first (0) or the second (1) hash."""
        if self.is_same_encoding:
            template = "hashtextextended({text}, {number})"
        else:
            template = "('x' || substr(md5(convert_to({text}, 'UTF8')), {place}, 16))::bit(64)::bigint"
        return sql.SQL(template).format(
            text=text, number=sql.SQL(str(number)), place=sql.SQL(str(1 + 16 * number))
        )


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A value of the key on one side, over the columns of `t`.

    `text` is the same on both sides, in the collation "C"; `value` is what an index may have.
    `bound_type` is the type of bounds, if both sides have the values in one order.
    `literal_type` is the type in which the value is looked for; None: only its text is comparable.
    """

    text: sql.Composable
    value: sql.Composable
    bound_type: str | None = None
    literal_type: str | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one side; without `key` they are told apart by their lines."""

    relation: sql.Composable
    conditions: tuple[sql.Composable, ...]
    key: tuple[KeyValue, ...]
    texts: tuple[sql.Composable, ...]
    hashing: Hashing
    version: sql.Composable

    def digest_sql(self, choice: Choice) -> sql.Composed:
        """Compose the question how many rows there are, and what their hashes add up to."""
        return sql.SQL("select count(*), {sums} from {lines}").format(
            sums=self._sums_sql(), lines=self._lines_sql(choice)
        )

    def count_sql(self, choice: Choice) -> sql.Composed:
        """Compose the question how many rows there are."""
        return sql.SQL("select count(*) from {} where {}").format(*self._chosen_sql(choice))

    def bound_sql(self, within: KeyRange, place: int) -> sql.Composed:
        """Compose the question which key has a place, from 0, in the order of keys."""
        relation, conditions = self._chosen_sql(within)
        values = sql.SQL(", ").join(part.value for part in self.key)
        return sql.SQL(
            "select {texts} from {relation} where {conditions} order by {values} offset {place} limit 1"
        ).format(
            texts=sql.SQL(", ").join(part.text for part in self.key),
            relation=relation,
            conditions=conditions,
            values=values,
            place=sql.Literal(place),
        )

    def buckets_sql(self, mask: int) -> sql.Composed:
        """Compose the question for the digest of each bucket."""
        return sql.SQL("select {bucket}, count(*), {sums} from {lines} group by 1").format(
            bucket=self._bucket_sql(sql.SQL("key_line"), mask),
            sums=self._sums_sql(),
            lines=self._lines_sql(Buckets(mask, ())),
        )

    def look_sql(self, choice: Choice) -> sql.Composed:
        """Compose the question for each key's count, hashes and versions of its rows."""
        names = self._key_names()
        return sql.SQL(
            "select {keys}, count(*), {sums}, string_agg(version, ' ' order by version) "
            "from {lines} group by {numbers}"
        ).format(
            keys=sql.SQL(", ").join(names),
            sums=self._sums_sql(),
            lines=self._lines_sql(choice),
            numbers=sql.SQL(", ".join(str(number + 1) for number in range(len(names)))),
        )

    def _sums_sql(self) -> sql.Composed:
        line = sql.SQL("line")
        return sql.SQL("coalesce(sum({}), 0), coalesce(sum({}), 0)").format(
            self.hashing.hash_sql(line, 0), self.hashing.hash_sql(line, 1)
        )

    def _key_names(self) -> list[sql.Composable]:
        """Compose the key of a row of lines as texts."""
        if self.key:
            return [sql.Identifier(f"key_{number}") for number in range(len(self.key))]
        line = sql.SQL("line")
        return [sql.SQL("{}::text").format(self.hashing.hash_sql(line, number)) for number in (0, 1)]

    def _lines_sql(self, choice: Choice) -> sql.Composed:
        """Compose the rows as lines; OFFSET keeps PostgreSQL from writing each line once for each hash."""
        relation, conditions = self._chosen_sql(choice)
        names = [sql.SQL("key_") + sql.SQL(str(number)) for number in range(len(self.key))]
        keys = [sql.SQL("{} as {}, ").format(p.text, n) for p, n in zip(self.key, names, strict=True)]
        rows = sql.SQL(
            "(select {keys}{line} as line, {key_line} as key_line, {version} as version "
            "from {relation} where {conditions} offset 0) lines"
        )
        return rows.format(
            keys=sql.Composed(keys),
            line=self._line_sql(),
            key_line=self._key_line_sql(),
            version=self.version,
            relation=relation,
            conditions=conditions,
        )

    def _line_sql(self) -> sql.Composed:
        return sql.SQL("row({})::text").format(sql.SQL(", ").join(self.texts))

    def _key_line_sql(self) -> sql.Composed:
        if not self.key:
            return self._line_sql()
        return sql.SQL("row({})::text").format(sql.SQL(", ").join(part.text for part in self.key))

    def _bucket_sql(self, key_line: sql.Composable, mask: int) -> sql.Composed:
        return sql.SQL("({} & {})").format(self.hashing.hash_sql(key_line, 0), sql.Literal(mask))

    def chosen_sql(self, columns: Sequence[sql.Composable], choice: Choice) -> sql.Composed:
        """Compose the query of some values of the rows chosen."""
        relation, conditions = self._chosen_sql(choice)
        return sql.SQL("select {} from {} where {}").format(sql.SQL(", ").join(columns), relation, conditions)

    def _chosen_sql(self, choice: Choice) -> tuple[sql.Composable, sql.Composable]:
        """Compose the relation and the conditions of the rows chosen."""
        relation, conditions = self.relation, list(self.conditions)
        match choice:
            case KeyRange(after, until):
                conditions += [self._beyond_sql(">", after)] if after is not None else []
                conditions += [self._beyond_sql("<=", until)] if until is not None else []
            case Keys(keys):
                relation = sql.SQL("{} cross join {}").format(relation, _wanted_sql(keys))
                conditions += self._match_sql()
            case Buckets(mask, numbers) if numbers:
                bucket = self._bucket_sql(self._key_line_sql(), mask)
                conditions.append(sql.SQL("{} = any({})").format(bucket, sql.Literal(list(numbers))))
        return relation, sql.SQL(" and ").join(conditions) if conditions else sql.SQL("true")

    def _beyond_sql(self, operator: str, bound: RowKey) -> sql.Composed:
        values = sql.SQL(", ").join(part.value for part in self.key)
        bounds = sql.SQL(", ").join(
            sql.SQL("{}::{}").format(sql.Literal(text), sql.SQL(part.bound_type or "text"))
            for part, text in zip(self.key, bound, strict=True)
        )
        return sql.SQL("({}) {} ({})").format(values, sql.SQL(operator), bounds)

    def _match_sql(self) -> list[sql.Composable]:
        if not self.key:
            line = self._line_sql()
            return [
                sql.SQL("{} = w.key_{}::bigint").format(
                    self.hashing.hash_sql(line, number), sql.SQL(str(number))
                )
                for number in (0, 1)
            ]
        return [_equal_sql(part, number) for number, part in enumerate(self.key)]


def _equal_sql(part: KeyValue, number: int) -> sql.Composable:
    """Compose the condition that a row has the key looked for: by the index's type, and by the text."""
    wanted = sql.SQL(f"w.key_{number}")
    by_text = sql.SQL("{} is not distinct from {}").format(part.text, wanted)
    if part.literal_type is None:
        return by_text
    by_value = sql.SQL("{} = {}::{}").format(part.value, wanted, sql.SQL(part.literal_type))
    return by_value if part.bound_type is not None else sql.SQL("{} and {}").format(by_value, by_text)


def _wanted_sql(keys: Sequence[RowKey]) -> sql.Composed:
    """Compose a list of keys as a relation `w`."""
    columns = [list(column) for column in zip(*keys, strict=True)]
    return sql.SQL("unnest({arrays}) w({names})").format(
        arrays=sql.SQL(", ").join(sql.SQL("{}::text[]").format(sql.Literal(column)) for column in columns),
        names=sql.SQL(", ").join(sql.SQL(f"key_{number}") for number in range(len(columns))),
    )
