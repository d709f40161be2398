"""Asks a server through tritonclient: `python triton.py http|grpc ADDRESS`, with records as JSON on standard input.

It runs in an environment of its own, which knows nothing of this project, and prints what it heard as JSON.
"""

import json
import sys
from typing import Any

import numpy as np
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

MODEL = "employees"


def main(protocol: str, address: str) -> None:
    records = json.load(sys.stdin)
    library: Any = {"http": tritonclient.http, "grpc": tritonclient.grpc}[protocol]
    with library.InferenceServerClient(address) as client:
        metadata = client.get_model_metadata(MODEL) if protocol == "http" else client.get_model_metadata(MODEL, as_json=True)
        datatypes = {item["name"]: item["datatype"] for item in metadata["inputs"]}
        print(
            json.dumps(
                {
                    "live": client.is_server_live(),
                    "ready": client.is_server_ready(),
                    "models_ready": [client.is_model_ready(MODEL, version) for version in ("", "champion", "2")],
                    "versions": metadata["versions"],
                    "answers": [
                        answer(client, library, inputs(library, records, datatypes, options), options) for options in variants(protocol)
                    ],
                    "refusals": refusals(client, library, inputs(library, records, datatypes, {})),
                }
            )
        )


def variants(protocol: str) -> list[dict[str, Any]]:
    """Over HTTP values go as bytes or in JSON, in both directions."""
    if protocol == "grpc":
        return [{}]
    return [{"binary_data": sent, "outputs_binary": received} for sent in (True, False) for received in (True, False, None)]


def inputs(library: Any, records: list[dict[str, Any]], datatypes: dict[str, str], options: dict[str, Any]) -> list[Any]:
    made = []
    for name, datatype in datatypes.items():
        values = [record[name] for record in records]
        kind = {"BYTES": np.object_, "INT64": np.int64, "FP64": np.float64}[datatype]
        tensor = library.InferInput(name, [len(values)], datatype)
        extra = {"binary_data": options["binary_data"]} if "binary_data" in options else {}
        tensor.set_data_from_numpy(np.array(values, kind), **extra)
        made.append(tensor)
    return made


def answer(client: Any, library: Any, tensors: list[Any], options: dict[str, Any]) -> dict[str, Any]:
    outputs = None
    if options.get("outputs_binary") is not None:
        outputs = [library.InferRequestedOutput(name, binary_data=options["outputs_binary"]) for name in ("label", "probabilities")]
    result = client.infer(MODEL, tensors, model_version="champion", request_id="mine", outputs=outputs)
    labels = result.as_numpy("label")
    probabilities = result.as_numpy("probabilities")
    response = result.get_response()
    return {
        "id": response["id"] if isinstance(response, dict) else response.id,
        "labels": [label.decode() if isinstance(label, bytes) else label for label in labels],
        "probabilities": probabilities.tolist(),
    }


def refusals(client: Any, library: Any, tensors: list[Any]) -> list[str]:
    reasons = []
    wrong = library.InferInput("Rank", [1], "FP64")
    wrong.set_data_from_numpy(np.array([1.0]))
    for version, sent in (("9", tensors), ("champion", [wrong])):
        try:
            client.infer(MODEL, sent, model_version=version)
        except InferenceServerException as error:
            reasons.append(str(error))
    return reasons


if __name__ == "__main__":
    main(*sys.argv[1:])
