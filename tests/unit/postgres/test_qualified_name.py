"""Names of tables in the words of people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trempy_provider.errors import ConfigurationError
from trempy_provider.postgres.tables import QualifiedName, quote_text

names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(names, names)
def test_any_name_is_read_as_it_was_written(schema: str, table: str) -> None:
    assert QualifiedName.parse(str(QualifiedName(schema, table))) == QualifiedName(schema, table)


def test_unquoted_parts_are_taken_as_they_stand() -> None:
    assert QualifiedName.parse("Shop.Orders") == QualifiedName("Shop", "Orders")


@pytest.mark.parametrize("text", ["", "orders", "a.", ".b", "a.b.c", '"a.b', '"a"b.c', 'a."b', "a.b."])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="not a table name"):
        QualifiedName.parse(text)


def test_text_is_quoted() -> None:
    assert quote_text("o'clock") == "'o''clock'"
