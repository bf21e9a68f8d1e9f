"""The evaluation set is sound, and its score is that of what was drafted."""

import json
from collections import Counter

import pytest

from benchmarks.assistant.__main__ import main
from benchmarks.assistant.cases import CASES
from benchmarks.assistant.scoring import score, summary
from benchmarks.assistant.shop import shop
from tests.support.model_server import MODEL, model_server, settings_answer
from trempy_provider.assistant.advisor import Grounds, advise
from trempy_provider.assistant.draft import Draft
from trempy_provider.assistant.grounding import find_problems
from trempy_provider.config.loader import load_task

GROUNDS = Grounds(shop())


def drafted(settings):
    return Draft(settings, "test", load_task(settings, origin="test"))


def test_there_are_at_least_sixty_cases_in_three_languages():
    languages = Counter(case.language for case in CASES)

    assert len({case.description for case in CASES}) == len(CASES) >= 60
    assert set(languages) == {"en", "pt", "es"}
    assert min(languages.values()) >= 20


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.description[:40])
def test_what_is_expected_is_valid_and_fits_the_schema(case):
    assert find_problems(case.settings, GROUNDS) == ()


def test_what_is_expected_scores_all_and_no_draft_nothing():
    perfect = summary(score(case, drafted(case.settings), shop()) for case in CASES)
    nothing = summary(score(case, None, shop()) for case in CASES)

    assert (perfect["valid"], perfect["exact"], perfect["in_common"]) == (1, 1, 1)
    assert (nothing["valid"], nothing["exact"], nothing["in_common"]) == (0, 0, 0)


def test_other_words_for_the_same_settings_score_the_same():
    case = next(
        case
        for case in CASES
        if "category libros" in case.description or "categoría libros" in case.description
    )
    same = json.loads(json.dumps(case.settings))
    same["filters"][0]["settings"] = {"filter_type": "in", "column_name": "category", "values": ["libros"]}
    same["tables"][0]["columns"] = [column.name for column in shop().tables[3].columns]
    other = {**same, "filters": []}

    assert score(case, drafted(same), shop()).is_exact
    assert [fact[0] for fact in score(case, drafted(other), shop()).missing] == ["filter"]


def test_the_advisor_alone_is_right_where_no_filter_or_transformation_is_asked_for():
    scores = [score(case, advise(case.description, GROUNDS), shop()) for case in CASES]

    beyond = ("filter", "transformation", "operations")
    wrong = [
        each.case.description
        for each in scores
        if each.superfluous or any(fact[0] not in beyond for fact in each.missing)
    ]
    assert wrong == []
    assert summary(scores)["exact"] > 0.5


def test_advisor_and_model_are_both_scored(monkeypatch, capsys):
    pytest.importorskip("pydantic_ai", reason="the extra `ai` is not installed")
    first, second = CASES[:2]
    with model_server(settings_answer(first.settings), settings_answer(second.settings)) as server:
        monkeypatch.setenv("AIRFLOW_CONN_OTHER_MODEL", server.connection())
        assert main(["--conn-id", "other_model", "--limit", "2", "--verbose"]) == 0

    advisor, model = capsys.readouterr().out.split(f"{MODEL}: 2 cases")
    assert advisor.strip().startswith("advisor: 2 cases")
    assert "- filter sales.customers" in advisor
    assert model.splitlines()[-1].split() == ["all", "2", "100%", "100%", "100%"]


def test_without_a_connection_the_advisor_is_scored_alone(monkeypatch, capsys):
    monkeypatch.delenv("AIRFLOW_CONN_TREMPY_MODEL", raising=False)

    assert main([]) == 0

    assert "no model: AIRFLOW_CONN_TREMPY_MODEL is not set" in capsys.readouterr().out
