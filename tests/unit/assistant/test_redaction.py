"""What leaves for a model has no secret in it; what a terminal shows cannot act on it."""

import pytest

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
    ],
)
def test_secrets_are_hidden(text):
    hidden = without_secrets(f"Before. {text} After.")

    assert "hunter2" not in hidden
    assert "db.internal" not in hidden
    assert hidden.startswith("Before. ")


@pytest.mark.parametrize(
    "text",
    ["copy sales.customers every hour, only RJ", "the user's host is kept", "token_count > 5", "a => b"],
)
def test_plain_words_stay(text):
    assert without_secrets(text) == text


def test_control_characters_become_escapes():
    assert printable("a\x1b[2Jb\u202ec\nd") == "a\\u001b[2Jb\\u202ec\nd"
    assert printable("São Paulo — ok") == "São Paulo — ok"
