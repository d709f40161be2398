"""Asks a server through MLflow's scoring client: `python mlflow_scoring.py HOST:PORT`, with records as JSON on standard input.

It runs in the environment of MLflow's server and prints what it heard as JSON.
"""

import json
import sys

import pandas as pd
from mlflow.pyfunc.scoring_server.client import ScoringServerClient


def main(address: str) -> None:
    frame = pd.DataFrame(json.load(sys.stdin))
    host, port = address.split(":")
    client = ScoringServerClient(host, port)
    client.wait_server_ready()
    heard = {
        "version": client.get_version(),
        "predictions": client.invoke(frame)["predictions"],
        "probabilities": client.invoke(frame, {"method": "predict_proba", "model": "knn"}).get_predictions().to_numpy().tolist(),
    }
    try:
        client.invoke(frame.assign(Designation=9))
    except Exception as error:  # noqa: BLE001 - that is what the client raises
        heard["refusal"] = str(error)
    print(json.dumps(heard))


if __name__ == "__main__":
    main(*sys.argv[1:])
