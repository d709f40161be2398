"""The Open Inference Protocol over REST, against the real application: tensors in, tensors out, and each mistake named."""

import json
import struct
from collections.abc import Iterator, Sequence
from math import nan
from typing import Any

import httpx
import numpy as np
import pytest

from hearth_api.app import create_app
from tests.api.running import AS_PAGE, running, service_settings
from tests.support.models import FakeRegistry, employees, good_record

CONTRACT = employees()
LEVELS = (5, 0, 2, 4)
LABELS = ["High", "Low", "Medium", "High"]
RECORDS = [good_record(CONTRACT, Designation=level) for level in LEVELS]
TEXTS = tuple(CONTRACT.categorical_features)
INFER = "/v2/models/employees/infer"


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """Version 2 carries knn and champion, version 3 svm; no version carries lightgbm."""
    with running(create_app(service_settings(), FakeRegistry(champion="2", knn="2", svm="3"), checks={})) as client:
        yield client


def tensor(name: str) -> dict[str, Any]:
    values = [record[name] for record in RECORDS]
    return {"name": name, "shape": [len(values)], "datatype": "BYTES" if name in TEXTS else "FP64", "data": values}


def tensors(**changes: Any) -> list[dict[str, Any]]:
    """An input for each feature; a change has the name of a column."""
    return [{**tensor(name), **changes.get(name, {})} for name in CONTRACT.feature_names]


def outputs(answer: httpx.Response) -> dict[str, dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return {output["name"]: output for output in answer.json()["outputs"]}


def refused(answer: httpx.Response, status: int = 400) -> str:
    body = answer.json()
    assert answer.status_code == status, body
    assert list(body) == ["error"]
    return str(body["error"])


def encoded(texts: Sequence[str]) -> bytes:
    return b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in texts)


class TestServer:
    def test_it_is_live_ready_and_says_what_it_is(self, client: httpx.Client) -> None:
        assert client.get("/v2/health/live").json() == {"live": True}
        assert client.get("/v2/health/ready").json() == {"ready": True}
        metadata = client.get("/v2").json()
        assert (metadata["name"], metadata["extensions"]) == ("hearth", ["binary_tensor_data"])

    def test_without_any_model_it_is_live_and_not_ready(self) -> None:
        with running(create_app(service_settings(), FakeRegistry(), checks={})) as client:
            assert client.get("/v2/health/live").status_code == 200
            answer = client.get("/v2/health/ready")
            model = client.get("/v2/models/employees/ready")

        assert (answer.status_code, answer.json()) == (503, {"ready": False})
        assert (model.status_code, model.json()) == (503, {"name": "employees", "ready": False})


class TestModel:
    @pytest.mark.parametrize("version", ["", "/versions/svm", "/versions/3", "/versions/2"])
    def test_its_metadata_name_inputs_outputs_and_what_can_be_asked_for(self, client: httpx.Client, version: str) -> None:
        body = client.get(f"/v2/models/employees{version}").json()

        assert (body["name"], body["versions"]) == ("employees", ["knn", "svm", "champion", "2", "3"])
        inputs = {item["name"]: (item["datatype"], item["shape"]) for item in body["inputs"]}
        assert tuple(inputs) == CONTRACT.feature_names
        assert (inputs["Gender"], inputs["Designation"], inputs["Mental Fatigue Score"]) == (
            ("BYTES", [-1]),
            ("INT64", [-1]),
            ("FP64", [-1]),
        )
        assert [(item["name"], item["datatype"], item["shape"]) for item in body["outputs"]] == [
            ("label", "BYTES", [-1]),
            ("prediction", "INT64", [-1]),
            ("probabilities", "FP64", [-1, 3]),
        ]

    @pytest.mark.parametrize("version", ["", "/versions/champion", "/versions/3"])
    def test_a_version_that_serves_is_ready(self, client: httpx.Client, version: str) -> None:
        assert client.get(f"/v2/models/employees{version}/ready").json() == {"name": "employees", "ready": True}

    def test_an_alias_without_a_version_is_not_ready(self, client: httpx.Client) -> None:
        assert client.get("/v2/models/employees/versions/lightgbm/ready").status_code == 503

    @pytest.mark.parametrize(
        ("path", "reason"),
        [
            ("employees/versions/9", "Version 9 of 'employees' serves under no alias; these do: 2 (knn), 3 (svm), 2 (champion)."),
            ("employees/versions/tarot", "'employees' has no alias 'tarot'"),
            ("weather", "There is no data set 'weather'"),
        ],
    )
    @pytest.mark.parametrize("action", ["", "/ready", "/infer"])
    def test_what_is_not_served_is_not_found(self, client: httpx.Client, path: str, reason: str, action: str) -> None:
        method = "POST" if action == "/infer" else "GET"

        assert reason in refused(client.request(method, f"/v2/models/{path}{action}", json={"inputs": tensors()}), 404)


class TestInfer:
    def test_a_tensor_for_each_column_is_answered_with_all_outputs(self, client: httpx.Client) -> None:
        answer = client.post(INFER, json={"inputs": tensors()})

        found = outputs(answer)
        assert list(found) == ["label", "prediction", "probabilities"]
        assert (found["label"]["data"], found["prediction"]["data"]) == (LABELS, [2, 0, 1, 2])
        assert found["probabilities"]["shape"] == [4, 3]
        assert json.loads(found["probabilities"]["parameters"]["classes"]) == list(CONTRACT.target.classes)
        np.testing.assert_allclose(np.reshape(found["probabilities"]["data"], (4, 3))[0], [0.1, 0.1, 0.8])
        body = answer.json()
        assert (body["model_name"], body["model_version"]) == ("employees", "2")
        assert "id" not in body
        assert body["parameters"] == {"alias": "champion", "family": "knn", "request_id": answer.headers["x-request-id"]}

    @pytest.mark.parametrize(("version", "alias"), [("svm", "svm"), ("3", "svm"), ("2", "knn"), ("champion", "champion")])
    def test_a_version_is_an_alias_or_the_number_that_one_carries(self, client: httpx.Client, version: str, alias: str) -> None:
        body = client.post(f"/v2/models/employees/versions/{version}/infer", json={"inputs": tensors()}).json()

        assert (body["parameters"]["alias"], body["model_version"]) == (alias, "3" if alias == "svm" else "2")

    def test_an_alias_without_a_version_is_unavailable(self, client: httpx.Client) -> None:
        answer = client.post("/v2/models/employees/versions/lightgbm/infer", json={"inputs": tensors()})

        assert "no version carries this alias yet" in refused(answer, 503)
        assert answer.headers["retry-after"].isdecimal()

    def test_the_id_comes_back_and_only_the_named_outputs_in_their_order(self, client: httpx.Client) -> None:
        body = {"id": "mine", "inputs": tensors(), "outputs": [{"name": "probabilities"}, {"name": "label"}]}

        answer = client.post(INFER, json=body)

        assert answer.json()["id"] == "mine"
        assert list(outputs(answer)) == ["probabilities", "label"]

    @pytest.mark.parametrize("datatype", ["FP64", "FP32", "FP16", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT64"])
    def test_every_datatype_of_numbers_is_read(self, client: httpx.Client, datatype: str) -> None:
        answer = client.post(INFER, json={"inputs": tensors(Designation={"datatype": datatype})})

        assert outputs(answer)["label"]["data"] == LABELS

    @pytest.mark.parametrize(("shape", "data"), [([4, 1], LEVELS), ([4, 1], [[level] for level in LEVELS]), ([4], LEVELS)])
    def test_a_column_may_have_a_second_dimension_and_its_values_may_be_rows(self, client: httpx.Client, shape: Any, data: Any) -> None:
        assert outputs(client.post(INFER, json={"inputs": tensors(Designation={"shape": shape, "data": data})}))["label"]["data"] == LABELS

    @pytest.mark.parametrize("missing", ["[null, 1, 2, 3]", "[NaN, 1, 2, 3]"])
    def test_a_missing_number_is_null_or_nan(self, client: httpx.Client, missing: str) -> None:
        name = "Mental Fatigue Score"
        text = json.dumps({"inputs": tensors(**{name: {"data": "MISSING"}})}).replace('"MISSING"', missing)

        assert outputs(client.post(INFER, content=text))["label"]["data"] == LABELS

    @pytest.mark.parametrize("value", [None, ""])
    def test_a_missing_text_is_null_or_empty_and_refused_where_none_may_be(self, client: httpx.Client, value: object) -> None:
        answer = client.post(INFER, json={"inputs": tensors(Gender={"data": ["Male", value, "Male", "Male"]})})

        assert refused(answer) == "row 1, 'Gender': got None, expected one of 'Female', 'Male'"

    def test_what_may_be_missing_can_be_left_out_and_columns_that_no_model_sees_may_come_along(self, client: httpx.Client) -> None:
        named = [item for item in tensors() if item["name"] != "Mental Fatigue Score"]
        extra = {"name": "Employee ID", "shape": [4], "datatype": "BYTES", "data": ["a", "b", "c", "d"]}

        assert outputs(client.post(INFER, json={"inputs": [*named, extra]}))["label"]["data"] == LABELS

    def test_one_tensor_has_all_features_in_contract_order_with_numbers_as_texts(self, client: httpx.Client) -> None:
        rows = [["" if value is None else str(value) for value in record.values()] for record in RECORDS]
        body = {"inputs": [{"name": "input-0", "shape": [4, len(rows[0])], "datatype": "BYTES", "data": rows}]}

        assert outputs(client.post(INFER, json=body))["label"]["data"] == LABELS

    def test_what_the_contract_refuses_is_named_with_row_column_value_and_expectation(self, client: httpx.Client) -> None:
        answer = client.post(INFER, json={"inputs": tensors(Designation={"data": [0, 9, 1, 1]})})

        assert refused(answer) == "row 1, 'Designation': got 9, expected a whole number from 0 to 5 (level)"

    @pytest.mark.parametrize("number", [0.5, nan, float("inf")])
    def test_numbers_are_judged_as_rest_judges_them(self, client: httpx.Client, number: float) -> None:
        name = "Designation"
        text = json.dumps({"inputs": tensors(**{name: {"data": [number, 1, 2, 3]}})})

        assert "row 0, 'Designation'" in refused(client.post(INFER, content=text))


class TestBinaryData:
    def body(self, changes: dict[str, bytes] | None = None, **request: object) -> tuple[bytes, dict[str, str]]:
        inputs, parts = [], []
        for item in tensors():
            values = item.pop("data")
            part = encoded(values) if item["datatype"] == "BYTES" else np.array(values, "<f8").tobytes()
            part = (changes or {}).get(item["name"], part)
            parts.append(part)
            inputs.append({**item, "parameters": {"binary_data_size": len(part)}})
        head = json.dumps({"inputs": inputs, **request}).encode()
        return b"".join((head, *parts)), {"Inference-Header-Content-Length": str(len(head))}

    def test_tensors_may_follow_the_json_object_as_bytes_and_come_back_so(self, client: httpx.Client) -> None:
        content, headers = self.body(parameters={"binary_data_output": True})

        answer = client.post(INFER, content=content, headers=headers)

        assert answer.status_code == 200, answer.text
        length = int(answer.headers["inference-header-content-length"])
        head, tail = json.loads(answer.content[:length]), answer.content[length:]
        sizes = [item["parameters"]["binary_data_size"] for item in head["outputs"]]
        assert sum(sizes) == len(tail)
        assert tail[: sizes[0]] == encoded(LABELS)
        assert np.frombuffer(tail[sizes[0] :][: sizes[1]], "<i8").tolist() == [2, 0, 1, 2]
        np.testing.assert_allclose(np.frombuffer(tail[-sizes[2] :], "<f8").reshape(4, 3)[1], [0.8, 0.1, 0.1])

    def test_an_output_says_for_itself_whether_it_is_bytes(self, client: httpx.Client) -> None:
        wanted = [{"name": "label", "parameters": {"binary_data": False}}, {"name": "prediction", "parameters": {"binary_data": True}}]
        content, headers = self.body(outputs=wanted)

        answer = client.post(INFER, content=content, headers=headers)

        length = int(answer.headers["inference-header-content-length"])
        label, prediction = json.loads(answer.content[:length])["outputs"]
        assert label["data"] == LABELS
        assert "data" not in prediction
        assert np.frombuffer(answer.content[length:], "<i8").tolist() == [2, 0, 1, 2]

    @pytest.mark.parametrize("length", ["x", "-1", "9999999", "²", ""])
    def test_a_length_of_the_json_object_that_cannot_be_is_refused(self, client: httpx.Client, length: str) -> None:
        content, _ = self.body()

        answer = client.post(INFER, content=content, headers={b"Inference-Header-Content-Length": length.encode()})

        assert "Inference-Header-Content-Length" in refused(answer)

    @pytest.mark.parametrize(
        ("part", "reason"),
        [
            (b"\1\0\0\0", "does not hold"),
            (struct.pack("<I", 4_000_000_000) + b"Male", "ends within a text"),
            (encoded(["Male"] * 5), "do not hold the 4 texts"),
            (encoded(["Male"] * 3), "do not hold the 4 texts"),
            (struct.pack("<I", 1) + b"\xff", "not UTF-8"),
            (b"", "do not hold the 4 texts"),
        ],
    )
    def test_texts_that_are_not_as_their_shape_says_are_refused(self, client: httpx.Client, part: bytes, reason: str) -> None:
        content, headers = self.body({"Gender": part})

        assert reason.replace("does not hold", "ends within a text") in refused(client.post(INFER, content=content, headers=headers))

    def test_numbers_of_another_size_are_refused(self, client: httpx.Client) -> None:
        content, headers = self.body({"Designation": b"\0" * 31})

        assert "has 31 bytes; FP64 of shape [4] takes 32" in refused(client.post(INFER, content=content, headers=headers))

    def test_bytes_that_belong_to_no_input_are_refused(self, client: httpx.Client) -> None:
        content, headers = self.body()

        assert refused(client.post(INFER, content=content + b"12", headers=headers)) == "2 bytes of the body belong to no input."
        assert "bytes are left of the body" in refused(client.post(INFER, content=content[:-1], headers=headers))


class TestWrongRequests:
    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ([], "The body must be a JSON object"),
            ({}, "The body lacks: inputs."),
            ({"inputs": []}, "The request has no inputs"),
            ({"inputs": {}}, '"inputs" must be a list'),
            ({"inputs": [1]}, "An input must be a JSON object"),
            ({"inputs": tensors(), "model": "knn"}, "The body has unknown keys: 'model'"),
            ({"inputs": tensors(), "model_name": "heart"}, "\"model_name\" is 'heart', but the path names 'employees'."),
            ({"inputs": tensors(), "id": 3}, '"id" must be a text'),
            ({"inputs": tensors(), "parameters": {"priority": 1}}, "the parameter 'priority', which is not read"),
            ({"inputs": tensors(), "parameters": {"binary_data_output": "yes"}}, "has 'yes' as the parameter 'binary_data_output'"),
            ({"inputs": tensors(), "parameters": [1]}, '"parameters" that are not a JSON object'),
            (
                {"inputs": tensors(), "outputs": [{"name": "logits"}]},
                "There is no output 'logits'; there are: label, prediction, probabilities, set, unusual.",
            ),
            ({"inputs": tensors(), "outputs": [{"name": "label"}] * 2}, "The output 'label' is named twice."),
            (
                {"inputs": tensors(), "outputs": [{"name": "label", "parameters": {"classification": 2}}]},
                "'classification', which is not read",
            ),
            ({"inputs": tensors(Designation={"datatype": "BOOL"})}, "has the datatype 'BOOL'; expected one of"),
            ({"inputs": tensors(Designation={"shape": [4, 2]})}, "The input 'Designation' has the shape [4, 2]; expected [n] or [n, 1]."),
            ({"inputs": tensors(Designation={"shape": [3]})}, "The input 'Gender' has 4 records, but 'Designation' has 3."),
            ({"inputs": tensors(Designation={"shape": [-4]})}, "expected a list of whole numbers of at least 0"),
            ({"inputs": tensors(Designation={"data": [1, 2, 3]})}, "The input 'Designation' has 3 values; its shape [4] takes 4."),
            (
                {"inputs": tensors(Designation={"data": [1, 2, 3, "4"]})},
                "The input 'Designation' holds '4', which is not of its datatype FP64.",
            ),
            ({"inputs": tensors(Designation={"data": [1, 2, 3, True]})}, "holds True, which is not of its datatype FP64"),
            ({"inputs": tensors(Gender={"data": [1, 2, 3, 4]})}, "The input 'Gender' holds 1, which is not of its datatype BYTES."),
            ({"inputs": tensors(Designation={"parameters": {"shared_memory_region": "r"}})}, "'shared_memory_region', which is not read"),
            ({"inputs": tensors(Designation={"name": "Gender"})}, "The input 'Gender' is there twice."),
            ({"inputs": tensors(Designation={"name": "Rank"})}, "'employees' has no column 'Rank'"),
            (
                {"inputs": [{"name": "x", "shape": [1, 5], "datatype": "FP64", "data": [1] * 5}]},
                "an input with all features has the shape [n, 13]",
            ),
            ({"inputs": [{**item, "shape": [0], "data": []} for item in tensors()]}, "The request has no records"),
            ({"inputs": [{**item, "shape": [51], "data": []} for item in tensors()]}, "more than the 50 that one request may have"),
            ({"inputs": [{**item, "shape": [10**30]} for item in tensors()]}, "more than the 50 that one request may have"),
        ],
    )
    def test_what_is_wrong_is_named(self, client: httpx.Client, body: object, reason: str) -> None:
        assert reason in refused(client.post(INFER, content=json.dumps(body)))

    def test_what_is_no_json_or_compressed_is_refused(self, client: httpx.Client) -> None:
        assert "The body is not JSON" in refused(client.post(INFER, content=b"{"))
        assert "The body is not JSON" in refused(client.post(INFER, content=b"[" * 5_000))
        assert "not gzip" in refused(client.post(INFER, content=b"{}", headers={"Content-Encoding": "gzip"}))

    def test_a_body_above_the_limit_is_refused_before_it_is_read(self, client: httpx.Client) -> None:
        assert "1000000 bytes" in refused(client.post(INFER, content=b" " * 1_000_001), 413)

    def test_refusals_are_counted_by_code_and_requests_by_route(self, client: httpx.Client) -> None:
        refused(client.post("/v2/models/weather/infer", json={"inputs": []}), 404)
        text = client.get("/metrics").text

        assert 'hearth_http_requests_total{method="POST",route="/v2/models/{dataset}/infer",status="404"}' in text
        assert 'hearth_errors_total{code="unknown_dataset",protocol="http"}' in text


def test_where_predictions_need_a_key_inference_does_and_metadata_do_not() -> None:
    settings = service_settings(api_require_key=True)
    with running(create_app(settings, FakeRegistry(champion="2"), checks={})) as client:
        paths = ("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/employees", "/v2/models/employees/versions/2/ready")
        assert [client.get(path).status_code for path in paths] == [200] * 5
        for path in (INFER, "/v2/models/employees/versions/2/infer"):
            assert client.post(path, json={"inputs": tensors()}).json()["error"] == "invalid_key"
            assert client.post(path, json={"inputs": tensors()}, headers=AS_PAGE).status_code == 200
