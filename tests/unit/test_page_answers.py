"""What the page makes of answers: cautions, groups of metrics, and links."""

from collections.abc import Mapping
from typing import ClassVar

import pytest
from streamlit.testing.v1 import AppTest

from hearth.settings import PageSettings
from streamlit_app.links import card_link, other_pages, run_link, version_link, with_links
from streamlit_app.metric_groups import grouped
from streamlit_app.service import Json, ServiceError
from streamlit_app.unusual import INCLUDE, Caution, caution
from streamlit_app.version_charts import waiting_versions
from streamlit_app.views import predict

SETTINGS = PageSettings(
    mlflow_tracking_uri="http://127.0.0.1:1",
    api_url="http://127.0.0.1:1",
    airflow_url="http://127.0.0.1:1",
    page_grpc_metrics_url="http://127.0.0.1:1",
    page_worker_metrics_url="http://127.0.0.1:1",
    batch_api_url="http://127.0.0.1:1",
    page_api_link="http://localhost:8800/",
    page_airflow_link="http://localhost:8080",
    page_mlflow_link="http://localhost:5001/#/models",
    page_store_link="",
)
UNUSUAL = {
    "score": 0.999,
    "unusual": True,
    "columns": [
        {"name": "Sleep Hours", "value": 23.5, "low": 4.0, "high": 9.0, "share": None},
        {"name": "Gender", "value": "x", "low": None, "high": None, "share": 0.001},
        {"name": "Age", "value": None, "low": None, "high": None, "share": None},  # a personal column
    ],
    "combinations": [["Team Size", "Designation"]],
}


class TestCaution:
    def test_of_a_service_that_knows_none_of_it_is_empty(self) -> None:
        assert caution({"label": "Low"}) == Caution()

    @pytest.mark.parametrize("answer", [{"set": ["Low", "High"], "unusual": UNUSUAL}, {"set": [["Low", "High"]], "unusual": [UNUSUAL]}])
    def test_reads_the_answer_for_one_record_in_a_list_or_not(self, answer: Json) -> None:
        found = caution(answer)
        assert (found.labels, found.unusual, found.score) == (("Low", "High"), True, 0.999)
        assert found.columns == (
            "Sleep Hours: 23.5, where the train set has 4 to 9",
            "Gender: x, which 0.10% of the train set has",
            "Age",
            "Team Size and Designation: values that are rare together",
        )

    @pytest.mark.parametrize(("set_", "labels"), [([], ()), ([[]], ()), (["Low"], ("Low",)), ([["Low"]], ("Low",)), (None, None)])
    def test_a_set_may_have_one_class_or_none(self, set_: object, labels: object) -> None:
        assert caution({"set": set_}).labels == labels

    def test_a_usual_record_is_no_warning_and_a_version_without_the_means_neither(self) -> None:
        assert caution({"unusual": {"score": 0.1, "unusual": False, "columns": []}}).unusual is False
        assert caution({"unusual": None, "set": None}) == Caution()

    def test_is_shown_as_sentences_and_only_what_the_service_says(self) -> None:
        def page(answer: dict[str, object]) -> None:
            from streamlit_app.unusual import caution  # noqa: PLC0415 - Streamlit runs the text of this function by itself
            from streamlit_app.views.predict import _warn  # noqa: PLC0415

            _warn(caution(answer))

        def shown(answer: dict[str, object]) -> tuple[list[str], list[str]]:
            app = AppTest.from_function(page, args=(answer,), default_timeout=60).run()
            assert not app.exception
            return [caption.value for caption in app.caption], [warning.value for warning in app.warning]

        assert shown({}) == ([], [])
        captions, [warning] = shown({"set": ["<b>Low</b>", "High"], "unusual": UNUSUAL})
        assert captions == ["With the confidence of the version, it is one of: \\<b\\>Low\\</b\\>, High."]
        assert warning.startswith("This record is unlike the training data")
        assert r"- Sleep Hours\: 23.5, where the train set has 4 to 9" in warning


class TestIncluding:
    @pytest.mark.parametrize(
        ("kept", "included"), [({"set", "unusual"}, "set,unusual"), ({"unusual"}, "unusual"), ({"set"}, "set"), (set(), None)]
    )
    def test_an_answer_has_as_much_beside_it_as_the_version_can_say(
        self, monkeypatch: pytest.MonkeyPatch, kept: set[str], included: str | None
    ) -> None:
        def post(_dataset: str, _alias: str, _record: Json, include: str | None) -> Json:
            if include and not set(include.split(",")) <= kept:
                raise ServiceError("It was not kept.", "not_kept")
            return {"include": include}

        monkeypatch.setattr(predict, "_post", post)

        assert predict._answer("employees", "knn", {}, INCLUDE) == {"include": included}

    def test_another_error_is_not_asked_around(self, monkeypatch: pytest.MonkeyPatch) -> None:
        calls = []

        def post(_dataset: str, _alias: str, _record: Json, include: str | None) -> Json:
            calls.append(include)
            raise ServiceError("It is away.", "registry_unavailable")

        monkeypatch.setattr(predict, "_post", post)

        with pytest.raises(ServiceError, match="away"):
            predict._answer("employees", "knn", {}, INCLUDE)
        assert calls == ["set,unusual"]


class TestWaiting:
    def test_versions_wait_for_a_person_where_the_service_says_so(self) -> None:
        versions: list[Json] = [
            {"version": "1"},
            {"version": "2", "approval": None},
            {"version": "3", "approval": {"state": "waiting"}},
            {"version": "4", "approval": {"state": "approved"}},
        ]
        assert [version["version"] for version in waiting_versions(versions)] == ["3"]


class TestMetrics:
    METRICS: ClassVar[Mapping[str, float]] = {
        "accuracy": 0.9,
        "macro_f1": 0.8,
        "log_loss": 0.3,
        "f1_no_disease": 0.1,
        "precision_no_disease": 0.2,
        "recall_no_disease": 0.3,
        "f1_disease": 0.4,
        "precision_disease": 0.5,
        "recall_disease": 0.6,
        "recall_gap.High": 0.05,
        "cv_macro_f1": 0.7,
        "gap.a": 1.0,
        "gap.b": 2.0,
        "gap.c": 3.0,
    }

    def test_those_of_a_class_become_a_table_in_the_order_of_the_contract(self) -> None:
        found = grouped(self.METRICS, ["No disease", "Disease"])

        assert found.by_class.to_dict("index") == {
            "No disease": {"precision": 0.2, "recall": 0.3, "f1": 0.1},
            "Disease": {"precision": 0.5, "recall": 0.6, "f1": 0.4},
        }

    def test_others_are_grouped_by_their_first_word_and_none_is_lost(self) -> None:
        found = grouped(self.METRICS, ["No disease", "Disease"])

        assert list(found.others) == ["Overall", "Cross-validation", "gap"]
        assert set(found.others["Overall"]) == {"accuracy", "macro_f1", "log_loss", "recall_gap.High"}
        assert sum(map(len, found.others.values())) + found.by_class.size == len(self.METRICS)

    def test_a_version_without_metrics_has_no_tables(self) -> None:
        found = grouped({}, ["Low"])
        assert (len(found.by_class), found.others) == (0, {})


class TestLinks:
    def test_lead_to_run_version_and_card(self) -> None:
        assert run_link(SETTINGS, "abc") == "http://localhost:5001/#/runs/abc"
        assert version_link(SETTINGS, "heart", "3") == "http://localhost:5001/#/models/heart/versions/3"
        assert card_link(SETTINGS, "heart", "3") == "http://localhost:8800/models/heart/3/card?format=html"

    def test_what_an_id_holds_leads_nowhere_else(self) -> None:
        assert run_link(SETTINGS, "../x?y#z") == "http://localhost:5001/#/runs/..%2Fx%3Fy%23z"

    def test_pages_without_an_address_are_left_out(self) -> None:
        assert list(other_pages(SETTINGS)) == ["Airflow", "MLflow", "REST", "GraphQL"]
        assert other_pages(SETTINGS)["MLflow"] == "http://localhost:5001/#/models?workflowType=machine_learning"

    def test_a_version_without_a_run_has_no_link(self) -> None:
        [version] = with_links([{"version": "1", "run_id": ""}], SETTINGS, "heart", cards=False)
        assert (version["run"], "card" in version) == (None, False)
        [version] = with_links([{"version": "1", "run_id": "a"}], SETTINGS, "heart", cards=True)
        assert version["card"].endswith("/models/heart/1/card?format=html")
