"""FastAPI that validates records with pydantic and sends them back: what the framework alone allows.

`uvicorn benchmarks.peers.echo:app`
"""

from pathlib import Path

from fastapi import FastAPI
from pydantic import BaseModel

from hearth.contracts import load_contract
from hearth.contracts.records import record_model

_Record: type[BaseModel] = record_model(load_contract("employees", Path("data")))


class Body(BaseModel):
    """A request, and its answer."""

    data: list[_Record]  # type: ignore[valid-type]  # made from the contract


app = FastAPI()


@app.post("/predict")
async def echo(body: Body) -> Body:
    return body
