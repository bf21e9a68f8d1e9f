"""What leaves for a model has no secret in it; what a terminal shows cannot act on it."""

import time

import pytest

from tests.support.catalogues import name, table
from trempy_provider.assistant.prompt import table_facts
from trempy_provider.assistant.redaction import printable, without_secrets


@pytest.mark.parametrize(
    "text",
    [
        "see postgresql://joe:hunter2@db.internal:5432/erp?sslmode=require",
        "amqp://guest:hunter2@mq/vhost",
        "https://joe:hunter2@example.com/x",
        "password=hunter2",
        "PGPASSWORD: 'hunter2 '",
        'api_key = "hunter2"',
        "senha: hunter2",
        "contraseña=hunter2",
        "host=db user=joe password='hunter2 and more' dbname=erp",
        '{"token":"hunter2"}',
        "sk-hunter2hunter2hunter2hunter2",
        "secret_key=hunter2",
        "aws_secret_access_key = hunter2",
        "password_erp=hunter2",
        "db_pass=hunter2",
        "Authorization: Basic hunter2==",
        "use Bearer hunter2hunter2",
        "the password is hunter2",
        "a senha é hunter2",
        "postgresql://joe:hunter2/hunter2@db.internal/erp",
        "https://joe:a/hunter2@db.internal/erp",
        "password = 'hunter2 cut",
    ],
)
def test_secrets_are_hidden(text):
    hidden = without_secrets(f"Before. {text} After.")

    assert "hunter2" not in hidden
    assert "db.internal" not in hidden
    assert hidden.startswith("Before. ")


@pytest.mark.parametrize(
    "text",
    [
        "copy sales.customers every hour, only RJ",
        "the user's host is kept",
        "token_count > 5",
        "a => b",
        "the password is hashed",
    ],
)
def test_plain_words_stay(text):
    assert without_secrets(text) == text


def test_control_characters_become_escapes():
    assert printable("a\x1b[2Jb\u202ec\nd") == "a\\u001b[2Jb\\u202ec\nd"
    assert printable("São Paulo — ok") == "São Paulo — ok"


@pytest.mark.parametrize("part", ["a-", "a", "password", "a://", "sk-", "token_", "host=", "password='"])
def test_long_texts_take_little_time(part):
    began = time.perf_counter()

    without_secrets(part * (20_000 // len(part)))

    assert time.perf_counter() - began < 2


def test_the_part_of_a_comment_that_is_sent_has_no_half_secret():
    secret = "https://joe:hunter2" + "x" * 3000 + "@db"
    facts = table_facts(table("a.b", comment=f"postgres://{'y' * 1900}@db {secret}"))

    assert "hunter2" not in facts["comment"]


def test_keys_and_references_with_a_secret_in_their_names_are_not_sent():
    secret = "password=hunter2"
    facts = table_facts(table("a.b", key=(secret, "id"), references=[f"a.{secret}", "a.c"]))

    assert facts["primary_key"] == ["id"]
    assert facts["references"] == [str(name("a.c"))]
