"""`trempy suggest` says what is wrong with its arguments before anything is asked."""

import pytest

from trempy_provider.assistant.catalogue import Catalogue
from trempy_provider.assistant.suggest import Grounds, suggest
from trempy_provider.cli import main
from trempy_provider.errors import ConfigurationError


@pytest.fixture(autouse=True)
def no_connections(monkeypatch):
    for name in ("TREMPY_SOURCE", "TREMPY_TARGET", "TREMPY_BROKER", "AIRFLOW_CONN_TREMPY_SOURCE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("text", ["{", '{"task": {"task_name": "shop"}}', "[]"])
def test_present_settings_that_do_not_load_are_wrong_settings(tmp_path, capsys, text):
    path = tmp_path / "shop.json"
    path.write_text(text)

    assert main(["suggest", "copy sales.customers", "--settings", str(path)]) == 2

    assert str(path) in capsys.readouterr().err
    assert path.read_text() == text


def test_a_source_is_needed(capsys):
    assert main(["suggest", "copy sales.customers"]) == 2

    assert "no source is given" in capsys.readouterr().err


def test_a_description_has_a_greatest_length():
    with pytest.raises(ConfigurationError, match="20,001 characters"):
        suggest("x" * 20_001, Grounds(Catalogue(())))


def test_a_model_is_either_named_or_done_without(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["suggest", "copy it", "--no-model", "--model-conn-id", "other"])

    assert ended.value.code == 2
    assert "not allowed with" in capsys.readouterr().err
