"""Inference requests of the Open Inference Protocol: a JSON object, which the values of tensors may follow as bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hearth.contracts import Contract
from hearth.contracts.strict_json import InvalidJson, parse_json
from hearth.serving.include import TEXTS
from hearth.serving.open_inference.outputs import require_outputs
from hearth.serving.open_inference.records import InputLayout, input_layout
from hearth.serving.open_inference.tensors import BYTES, FLOATS, InvalidInference, TensorSpec, from_bytes, require_parameters

_BOOLEANS = (False, True)
_CONTENT_TYPES = ("np", "pd", "str")  # what the codecs of MLServer's client write; each of them is read as the datatype says
_REQUEST_PARAMETERS = {"binary_data_output": _BOOLEANS, "content_type": _CONTENT_TYPES, "include": TEXTS}
_BINARY_SIZE = "binary_data_size"


@dataclass(frozen=True)
class InferenceRequest:
    """A request that was read but not checked against the contract. `binary` has the outputs to be answered as bytes."""

    id: str | None
    layout: InputLayout
    values: Sequence[Sequence[object]]
    outputs: tuple[str, ...]
    binary: frozenset[str]


def parse_inference(content: bytes, json_length: str | None, contract: Contract, max_records: int) -> InferenceRequest:
    """Read a request; `json_length` is the header Inference-Header-Content-Length, absent if all of the body is JSON.

    Raises:
        InvalidInference: it is not what the protocol says, or does not fit the data set.
    """
    length = len(content)
    if json_length is not None:
        is_number = json_length.isascii() and json_length.isdecimal() and len(json_length) <= len(str(length))
        if not is_number or int(json_length) > length:
            raise InvalidInference(f"Inference-Header-Content-Length is {json_length!r}, but the body has {length} bytes.")
        length = int(json_length)
    body = _object("The body", _parse(content[:length]), required={"inputs"}, optional={"model_name", "id", "parameters", "outputs"})
    if body.get("model_name", contract.name) != contract.name:
        raise InvalidInference(f'"model_name" is {_shortened(body["model_name"])}, but the path names {contract.name!r}.')
    request_id = body.get("id")
    if request_id is not None and not isinstance(request_id, str):
        raise InvalidInference('"id" must be a text.')
    parameters = _parameters("The request", body)
    require_parameters("The request", parameters, _REQUEST_PARAMETERS)
    inputs = [
        _object("An input", item, required={"name", "shape", "datatype"}, optional={"parameters", "data"}) for item in _list("inputs", body)
    ]
    layout = input_layout(contract, [_spec(item) for item in inputs], max_records)
    values = _values(layout.inputs, inputs, memoryview(content)[length:])
    include = str(parameters.get("include", ""))
    outputs, binary = _outputs(body, include, everything=parameters.get("binary_data_output") is True)
    return InferenceRequest(request_id, layout, values, outputs, binary)


def _parse(content: bytes) -> object:
    try:
        return parse_json(content)
    except InvalidJson as error:
        raise InvalidInference(f"The body {error}.") from error


def _object(where: str, value: object, required: set[str], optional: set[str]) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise InvalidInference(f"{where} must be a JSON object with the keys: {', '.join(sorted(required))}.")
    if missing := required - value.keys():
        raise InvalidInference(f"{where} lacks: {', '.join(sorted(missing))}.")
    if unknown := value.keys() - required - optional:
        names = ", ".join(sorted(map(repr, unknown)))
        raise InvalidInference(f"{where} has unknown keys: {names}; expected only: {', '.join(sorted(required | optional))}.")
    return value


def _list(key: str, body: Mapping[str, object]) -> Sequence[object]:
    value = body[key]
    if not isinstance(value, list):
        raise InvalidInference(f'"{key}" must be a list of objects.')
    return value


def _parameters(where: str, item: Mapping[str, object]) -> Mapping[str, object]:
    parameters = item.get("parameters", {})
    if not isinstance(parameters, dict):
        raise InvalidInference(f'{where} has "parameters" that are not a JSON object.')
    return parameters


def _spec(item: Mapping[str, object]) -> TensorSpec:
    name, datatype, shape = item["name"], item["datatype"], item["shape"]
    if not isinstance(name, str) or not isinstance(datatype, str):
        raise InvalidInference('"name" and "datatype" of an input must be texts.')
    if not isinstance(shape, list) or not all(type(size) is int for size in shape):
        raise InvalidInference(f'"shape" of the input {name!r} must be a list of whole numbers.')
    return TensorSpec(name, datatype, tuple(shape))


def _values(specs: Sequence[TensorSpec], inputs: Sequence[Mapping[str, object]], binary: memoryview) -> list[Sequence[object]]:
    values: list[Sequence[object]] = []
    start = 0
    for spec, item in zip(specs, inputs, strict=True):
        where = f"The input {spec.name!r}"
        parameters = dict(_parameters(where, item))
        size = parameters.pop(_BINARY_SIZE, None)
        require_parameters(where, parameters, {"content_type": _CONTENT_TYPES})
        if (size is None) is ("data" not in item):
            raise InvalidInference(f'{where} must have either "data" or the parameter {_BINARY_SIZE!r}.')
        if size is None:
            values.append(_from_json(spec, item["data"]))
            continue
        if type(size) is not int or not 0 <= size <= len(binary) - start:
            raise InvalidInference(f"{where} has the {_BINARY_SIZE} {size!r}, but {len(binary) - start} bytes are left of the body.")
        values.append(from_bytes(spec, bytes(binary[start : start + size])))
        start += size
    if start != len(binary):
        raise InvalidInference(f"{len(binary) - start} bytes of the body belong to no input.")
    return values


def _from_json(spec: TensorSpec, data: object) -> Sequence[object]:
    """Return the values of a tensor, which JSON holds as one list or as a list of rows."""
    if not isinstance(data, list):
        raise InvalidInference(f'"data" of the input {spec.name!r} must be a list.')
    values = data
    if data and isinstance(data[0], list):
        if not all(isinstance(row, list) and len(row) == spec.size // spec.shape[0] for row in data):
            raise InvalidInference(f'"data" of the input {spec.name!r} has rows that do not fit its shape {list(spec.shape)}.')
        values = [value for row in data for value in row]
    if len(values) != spec.size:
        raise InvalidInference(f"The input {spec.name!r} has {len(values)} values; its shape {list(spec.shape)} takes {spec.size}.")
    allowed = (str,) if spec.datatype == BYTES else (int, float) if spec.datatype in FLOATS else (int,)
    for value in values:
        if value is not None and type(value) not in allowed:
            raise InvalidInference(f"The input {spec.name!r} holds {_shortened(value)}, which is not of its datatype {spec.datatype}.")
    return values


def _outputs(body: Mapping[str, object], include: str, *, everything: bool) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the names of the requested outputs, and of those to be answered as bytes."""
    names: list[str] = []
    binary: dict[str, bool] = {}
    for item in _list("outputs", body) if "outputs" in body else ():
        output = _object("An output", item, required={"name"}, optional={"parameters"})
        name = output["name"]
        if not isinstance(name, str):
            raise InvalidInference('"name" of an output must be a text.')
        parameters = _parameters(f"The output {name!r}", output)
        require_parameters(f"The output {name!r}", parameters, {"binary_data": _BOOLEANS})
        names.append(name)
        binary[name] = parameters.get("binary_data", everything) is True
    outputs = require_outputs(names, include)
    return outputs, frozenset(name for name in outputs if binary.get(name, everything))


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"  # noqa: PLR2004 - a limit of a message
