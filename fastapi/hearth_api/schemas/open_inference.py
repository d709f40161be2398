"""The Open Inference Protocol's answers, for the documentation."""

from pydantic import BaseModel, ConfigDict, Field


class ServerLive(BaseModel):
    """Whether the process answers."""

    live: bool


class ServerReady(BaseModel):
    """Whether at least one alias of any data set serves."""

    ready: bool


class ServerMetadata(BaseModel):
    """The server."""

    name: str
    version: str
    extensions: list[str]


class ModelReady(BaseModel):
    """Whether a version serves."""

    name: str = Field(description="the data set")
    ready: bool


class TensorMetadata(BaseModel):
    """A tensor without its values."""

    name: str
    datatype: str
    shape: list[int] = Field(description="-1 stands for the number of records")


class ModelMetadata(BaseModel):
    """What a model takes and gives."""

    model_config = ConfigDict(protected_namespaces=())

    name: str = Field(description="the data set")
    versions: list[str] = Field(description="the aliases that serve, and the numbers of their versions")
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class OutputTensor(BaseModel):
    """A tensor of an answer. Its values are in `data`, or as bytes behind the JSON object."""

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, str | int] = Field(
        {}, description="`classes`: a JSON list of class names; `binary_data_size`: bytes of the values"
    )
    data: list[str | int | float] = Field([], description="in row-major order")


class InferenceAnswer(BaseModel):
    """Predictions in the order of the records."""

    model_config = ConfigDict(protected_namespaces=())

    model_name: str = Field(description="the data set")
    model_version: str = Field(description="the number of the version that answered")
    id: str | None = Field(None, description="the request's own, if it has one")
    parameters: dict[str, str] = Field(description="alias, family, and the id of the stored predictions")
    outputs: list[OutputTensor]


class InferenceError(BaseModel):
    """Every answer that is not a success."""

    error: str = Field(description="a sentence")
