"""Values of every type, the odd ones above all, as PostgreSQL reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

HOSTILE_TEXTS = (
    "",
    " ",
    "tab\tnewline\nreturn\rboth\r\n",
    "vertical\x0btab, form\x0cfeed, bell\x07, escape\x1b, delete\x7f, \x01",
    "back\\slash, \\t \\n \\\\ \\",
    "\\N",
    "\\.",
    "NULL",
    "\\0 \\x00 \\000 \\u0000 \u2400 %00 NUL",
    "quote ' two '' double \" dollar $$ $1 semicolon ; -- comment /* */",
    "%s %% %(x)s {x} {0} {{}} :x ?",
    "😀 👩‍👩‍👧 🏳️‍🌈 \U0010ffff",
    "שלום مرحبا \u202edesrever\u202c \u200f\u200e",
    "e\u0301 é ﬁ ß ſ İ ı \ufeff\u00a0\u200b\ufffd",
    "trailing  ",
    "long " + "x" * 9000,
)
NUMERICS = (
    "NaN",
    "Infinity",
    "-Infinity",
    "0",
    "-0.0",
    "1.00",
    "1e-16383",
    "9" * 131072,
    "-" + "9" * 131072 + "." + "9" * 16383,
    "0." + "0" * 16382 + "1",
)
FLOATS = ("NaN", "Infinity", "-Infinity", "-0", "0.1", "1e15", "123456789.123456789")
TIMESTAMPS = (
    "4713-01-01 00:00:00 BC",
    "0001-12-31 23:59:59.999999 BC",
    "infinity",
    "-infinity",
    "1582-10-15",
)

VALUES: dict[str, Sequence[str]] = {
    "smallint": ["-32768", "32767"],
    "integer": ["-2147483648", "2147483647", "0"],
    "bigint": ["-9223372036854775808", "9223372036854775807", "9007199254740993"],
    "numeric": NUMERICS,
    "numeric(12,3)": ["123456789.125", "NaN"],
    "numeric(3,-2)": ["12300"],
    "real": [*FLOATS, "1e-45", "3.4028235e+38"],
    "double precision": [*FLOATS, "5e-324", "1.7976931348623157e308", "0.30000000000000004"],
    "money": ["-92233720368547758.08", "92233720368547758.07", "0"],
    "text": HOSTILE_TEXTS,
    "varchar(20)": ["trailing  ", "", "éééééééééééééééééééé"],
    "char(6)": ["ab", "      ", "é\t\\"],
    '"char"': ["a", "", "\\", "'"],
    "name": ["a name", "", "é" * 31],
    "bytea": ["\\x", "\\x00ff5c0a09277f80", "\\x" + "00" * 3000],
    "boolean": ["t", "f"],
    "date": ["4713-01-01 BC", "0044-03-15 BC", "infinity", "-infinity", "5874897-12-31"],
    "time": ["24:00:00", "00:00:00.000001"],
    "time(2)": ["23:59:59.99"],
    "timetz": ["24:00:00-15:59", "24:00:00+15:59", "12:34:56.789+05:30"],
    "timestamp": [*TIMESTAMPS, "294276-12-31 23:59:59.999999"],
    "timestamp(0)": ["2024-02-29 23:59:59"],
    "timestamptz": [*TIMESTAMPS, "1900-01-01 00:00:00+00:19:32", "2024-02-29 12:00:00.123456+00"],
    "interval": ["178000000 years", "-1 mons +2 days -03:04:05.678901", "00:00:00", "-178000000 years"],
    "interval day to second(3)": ["3 days 04:05:06.789"],
    "uuid": ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
    "json": [
        '{"b": 1,   "a": 9007199254740993, "a": null}',
        "null",
        '"\\u00e9 \\u0000 \\ud83d\\ude00"',
        "1e999",
    ],
    "jsonb": [
        '{"a": 9007199254740993.000000000000001, "": [1.10, "\\\\u0000"]}',
        "null",
        "[]",
        "1E+100",
        '"é\\n"',
    ],
    "jsonpath": ['$."a"[*]?(@ > 1)', 'strict $.a.**{2 to last}."b c"'],
    "xml": ["<a b='1'>text &amp; more</a>", "plain", '<?xml version="1.0"?><a/>', "<é/>"],
    "bit(5)": ["10101"],
    "bit varying": ["", "1010101010101", "1" * 999],
    "inet": ["10.0.0.1", "10.0.0.1/8", "::ffff:1.2.3.4/100", "::/0"],
    "cidr": ["10.0.0.0/8", "2001:db8::/32", "0.0.0.0/0"],
    "macaddr": ["08:00:2b:01:02:03"],
    "macaddr8": ["08:00:2b:01:02:03:04:05"],
    "point": ["(1e-300,-0)", "(NaN,Infinity)"],
    "line": ["{1,2,3}"],
    "lseg": ["[(0,0),(1,1)]"],
    "box": ["(1,1),(0,0)"],
    "path": ["((0,0),(1,1))", "[(0,0),(1,1)]"],
    "polygon": ["((0,0),(1,1),(2,0))"],
    "circle": ["<(1,2),3>"],
    "tsvector": ["'a':1A 'b c':2", "", "'\\\\' 'it''s'"],
    "tsquery": ["'a' & !'b':*A", "", "'a' <-> ( 'b' | 'c':AB )"],
    "int4range": ["empty", "[1,10)", "(,)"],
    "int8range": ["[-9223372036854775808,9223372036854775807)"],
    "numrange": ["[1.10,2.20]", "(,NaN]", "(-Infinity,Infinity)"],
    "daterange": ["[-infinity,infinity]", "[0044-03-15 BC,)"],
    "tsrange": ['["2020-01-01 00:00:00.000001",infinity)'],
    "tstzrange": ["[2020-01-01 00:00:00+00,infinity]", "(,)"],
    "int4multirange": ["{}", "{[1,3),[5,9)}"],
    "int8multirange": ["{(,5),[9,)}"],
    "nummultirange": ["{[1.10,2.20],(3,4)}"],
    "datemultirange": ["{[2020-01-01,2020-02-01)}"],
    "tsmultirange": ["{[2020-01-01,2020-02-01),[2021-01-01,)}"],
    "tstzmultirange": ["{(,2020-02-01 00:00:00+00)}"],
    "integer[]": ["{}", "{1,NULL,3}", "[0:1][-2:-1]={{1,2},{3,4}}", "[5:5]={NULL}"],
    "text[]": ['{"",NULL,"NULL","a,b","\\"q\\\\","{}"," "}', '{{"tab\t","\n"},{"é","\\\\N"}}'],
    "box[]": ["{(1,1),(0,0);(2,2),(1,1)}"],
    "oid": ["4294967295", "0"],
    "xid": ["4294967295"],
    "xid8": ["18446744073709551615"],
    "cid": ["4294967295"],
    "tid": ["(4294967295,65535)"],
    "oidvector": ["1 2 4294967295", ""],
    "int2vector": ["1 -2", ""],
    "regclass": ["pg_catalog.pg_class", "0", 'public."Odd \'""t"'],
    "regtype": ["integer", 'public."Mood"', "numeric[]"],
    "regproc": ["pg_catalog.now"],
    "regprocedure": ["pg_catalog.abs(integer)"],
    "regoper": ["pg_catalog.||/"],
    "regoperator": ["pg_catalog.+(integer,integer)"],
    "regnamespace": ["public", "pg_catalog"],
    "regrole": ["pg_monitor"],
    "regcollation": ['pg_catalog."C"'],
    "regconfig": ["english"],
    "regdictionary": ["simple"],
    "refcursor": ["a cursor"],
    "aclitem": ["pg_monitor=r/pg_monitor"],
    "pg_lsn": ["16/B374D848", "FFFFFFFF/FFFFFFFF", "0/0"],
    "txid_snapshot": ["10:20:10,14"],
    "pg_snapshot": ["10:20:10,14"],
    'public."Mood"': ["sad", 'o\'k, "fine"', "é\\"],
    "public.small_mood": ["sad"],
    "public.pair": ['(1,"a, \\"b\\"")', "(,)", '(,"")', '(1,"\\\\\t\n")'],
    "public.nested": ['("(1,a)","{""(2,b)"",NULL}",sad,"[1,5)")', "(,,,)"],
    "public.pair[]": ['{"(1,a)","(,)",NULL}'],
    "public.positive": ["7"],
    "public.short": ["ab "],
    "public.required": ["x"],
    "public.floats": ["[1.5,2.5)", "empty"],
    "public.floats_set": ["{[1.5,2.5),[3,)}"],
    "public.small_mood[]": ["{sad,NULL}"],
}
TYPES = """
create type public."Mood" as enum ('sad', 'o''k, "fine"', 'é\\');
create domain public.small_mood as public."Mood" check (value <> 'o''k, "fine"');
create type public.pair as (a int, b text);
create domain public.positive as int check (value > 0);
create domain public.short as varchar(3);
create domain public.required as text not null;
create type public.floats as range (subtype = float8, multirange_type_name = floats_set);
create type public.nested as (p public.pair, ps public.pair[], m public.small_mood, r int4range);
create table public."Odd '""t" ();
"""
EXTENSIONS = ("hstore", "citext", "ltree", "cube", "isn", "seg", "intarray", "lo")
EXTENSION_VALUES: dict[str, Sequence[str]] = {
    "public.hstore": ['"a"=>"1", "b"=>NULL', "", '"q\\"\\\\"=>"=>, \t\n", ""=>""'],
    "public.citext": ["Straße", "", "ABC", "abc"],
    "public.ltree": ["", "Top.Child_1.x"],
    "public.lquery": ["*.a|b@*{1,2}.!c"],
    "public.ltxtquery": ["a & !b@*%"],
    "public.cube": ["(1, 2, 3)", "(0),(1)", "(1e-300, -0)"],
    "public.seg": ["1.50 .. 2", "~5", "<3"],
    "public.isbn13": ["978-0-11-000533-1"],
    "public.query_int": ["1 & ( 2 | !3 )"],
    "public.lo": ["4294967295"],
}
# Types that no column of a user has, or whose values are one server's alone.
NOT_FOR_COLUMNS = frozenset({"gtsvector", "pg_node_tree", "pg_ndistinct", "pg_dependencies", "pg_mcv_list",
                             "pg_brin_bloom_summary", "pg_brin_minmax_multi_summary"})  # fmt: skip


def columns_sql(types: Sequence[str]) -> str:
    """Return a definition for each type's column, `c0` and so on; a domain that is NOT NULL has a default."""
    return ", ".join(
        f"c{i} {name}{' default chr(45)' if name.endswith('required') else ''}"
        for i, name in enumerate(types)
    )


def rows(values: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Yield the column and the text of each value: each makes a row whose other columns are NULL."""
    for i, texts in enumerate(values.values()):
        for text in texts:
            yield f"c{i}", text
