"""Asks a server through KServe's client: `python kserve_client.py http|grpc ADDRESS`, with records as JSON on standard input.

It runs in an environment of its own, which knows nothing of this project, and prints what it heard as JSON.
"""

import asyncio
import json
import sys
from typing import Any

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig

MODEL = "employees"


async def main(protocol: str, address: str) -> None:
    records = json.load(sys.stdin)
    answers = []
    if protocol == "http":
        url = f"http://{address}"
        async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
            ready = [await client.is_server_live(url), await client.is_server_ready(url), await client.is_model_ready(url, MODEL)]
            answers = [await client.infer(url, request(records, binary=binary), MODEL) for binary in (True, False)]
    else:
        async with InferenceGRPCClient(address) as client:
            ready = [await client.is_server_live(), await client.is_server_ready(), await client.is_model_ready(MODEL)]
            answers = [await client.infer(request(records, binary=True))]
    print(json.dumps({"ready": ready, "answers": [heard(answer) for answer in answers]}))


def request(records: list[dict[str, Any]], *, binary: bool) -> InferRequest:
    inputs = []
    for name in records[0]:
        values = [record[name] for record in records]
        array = np.array(values, np.object_ if isinstance(values[0], str) else np.float64)
        tensor = InferInput(name, list(array.shape), "BYTES" if array.dtype == np.object_ else "FP64")
        tensor.set_data_from_numpy(array, binary_data=binary)
        inputs.append(tensor)
    return InferRequest(MODEL, inputs, request_id="mine")


def heard(answer: Any) -> dict[str, Any]:
    outputs = {output.name: output.as_numpy() for output in answer.outputs}
    return {
        "id": answer.id,
        "version": answer.model_version,
        "labels": [label.decode() if isinstance(label, bytes) else str(label) for label in outputs["label"]],
        "probabilities": outputs["probabilities"].tolist(),
    }


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
