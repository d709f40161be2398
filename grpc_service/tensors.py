"""Messages of the Open Inference Protocol as tensors, and tensors as messages."""

from collections.abc import Mapping, Sequence

from grpc_service.v2 import open_inference_pb2 as pb
from hearth.serving.include import PARTS, TEXTS
from hearth.serving.open_inference.outputs import OUTPUTS
from hearth.serving.open_inference.records import InputLayout
from hearth.serving.open_inference.tensors import (
    BYTES,
    InvalidInference,
    Tensor,
    TensorSpec,
    from_bytes,
    require_parameters,
    text_of,
    to_bytes,
)

_CONTENT_TYPES = {"content_type": ("np", "pd", "str")}  # what the codecs of MLServer's client write
_MAX_PARTS, _MAX_PARAMETERS, _MAX_DIMENSIONS = 1_000, 20, 8
_FIELDS = {
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}

Parameters = Mapping[str, pb.InferParameter]


def require_few_parts(request: pb.ModelInferRequest, columns: int) -> None:
    """Raise InvalidInference if a request has more parts than a good one can have, before anything goes through them."""
    parts = {
        "inputs": (len(request.inputs), columns),
        "raw_input_contents": (len(request.raw_input_contents), columns),
        "outputs": (len(request.outputs), len(OUTPUTS) + len(PARTS)),
        "parameters": (max(map(len, _all_parameters(request))), _MAX_PARAMETERS),
        "sizes in a shape": (max((len(tensor.shape) for tensor in request.inputs[:columns]), default=0), _MAX_DIMENSIONS),
    }
    for name, (count, limit) in parts.items():
        if count > limit:
            raise InvalidInference(f"The request has {count} {name}; at most {limit} can be right.")


def _all_parameters(request: pb.ModelInferRequest) -> list[Parameters]:
    inputs, outputs = request.inputs[:_MAX_PARTS], request.outputs[:_MAX_PARTS]
    return [request.parameters, *(tensor.parameters for tensor in inputs), *(tensor.parameters for tensor in outputs)]


def require_request_parameters(request: pb.ModelInferRequest) -> None:
    """Raise InvalidInference if a parameter of the request, an input or an output is not read."""
    require_parameters("The request", _plain(request.parameters), {**_CONTENT_TYPES, "include": TEXTS})
    sizes = [len(content) for content in request.raw_input_contents]
    for position, tensor in enumerate(request.inputs):
        options = {**_CONTENT_TYPES, "binary_data_size": sizes[position : position + 1]}  # KServe's client repeats it
        require_parameters(f"The input {tensor.name!r}", _plain(tensor.parameters), options)
    for output in request.outputs:
        require_parameters(f"The output {output.name!r}", _plain(output.parameters), {})


def input_specs(request: pb.ModelInferRequest) -> list[TensorSpec]:
    """Return the inputs of a request without their values."""
    return [TensorSpec(tensor.name, tensor.datatype, tuple(tensor.shape)) for tensor in request.inputs]


def input_values(request: pb.ModelInferRequest, layout: InputLayout) -> list[Sequence[object]]:
    """Return the values of each input, from the raw contents if there are any.

    Raises:
        InvalidInference: they do not fit the shapes and datatypes.
    """
    raw = request.raw_input_contents
    if not raw:
        return [_typed_values(spec, tensor.contents) for spec, tensor in zip(layout.inputs, request.inputs, strict=True)]
    if len(raw) != len(layout.inputs):
        raise InvalidInference(f"The request has {len(layout.inputs)} inputs, but {len(raw)} raw_input_contents.")
    if any(tensor.HasField("contents") for tensor in request.inputs):
        raise InvalidInference("The request has both contents and raw_input_contents: send one or the other.")
    return [from_bytes(spec, content) for spec, content in zip(layout.inputs, raw, strict=True)]


def add_outputs(response: pb.ModelInferResponse, tensors: Sequence[Tensor], *, raw: bool) -> None:
    """Add outputs to a response, their values as raw or as typed contents."""
    for tensor in tensors:
        spec = tensor.spec
        output = response.outputs.add(name=spec.name, datatype=spec.datatype, shape=spec.shape)
        set_parameters(output.parameters, tensor.parameters)
        if raw:
            response.raw_output_contents.append(to_bytes(tensor))
        else:
            values = [str(text).encode() for text in tensor.values] if spec.datatype == BYTES else tensor.values
            getattr(output.contents, _FIELDS[spec.datatype]).extend(values)


def set_parameters(message: Parameters, parameters: Mapping[str, str]) -> None:
    """Set the parameters of a message."""
    for name, value in parameters.items():
        message[name].string_param = value


def _typed_values(spec: TensorSpec, contents: pb.InferTensorContents) -> Sequence[object]:
    if spec.datatype not in _FIELDS:
        raise InvalidInference(f"The input {spec.name!r} has the datatype {spec.datatype!r}, which only raw_input_contents can hold.")
    field = _FIELDS[spec.datatype]
    values = getattr(contents, field)
    if len(values) != spec.size:
        raise InvalidInference(
            f"The input {spec.name!r} has {len(values)} values in {field}; its shape {list(spec.shape)} takes {spec.size}."
        )
    return [text_of(spec, value) for value in values] if spec.datatype == BYTES else list(values)


def _plain(parameters: Parameters) -> dict[str, object]:
    return {name: getattr(value, value.WhichOneof("parameter_choice") or "", None) for name, value in parameters.items()}
