"""Tensors: named arrays, which requests and responses hold as JSON, as typed lists or as bytes."""

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hearth.errors import ErrorKind, HearthError

BYTES = "BYTES"
INTEGERS = ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")
FLOATS = ("FP16", "FP32", "FP64")
DATATYPES = (*FLOATS, *INTEGERS, BYTES)

_LENGTH = struct.Struct("<I")  # before each text of a BYTES tensor
_DTYPES = {
    datatype: np.dtype(f"<{letter}{bits // 8}")
    for prefix, letter, widths in (("FP", "f", (16, 32, 64)), ("INT", "i", (8, 16, 32, 64)), ("UINT", "u", (8, 16, 32, 64)))
    for bits in widths
    for datatype in (f"{prefix}{bits}",)
}


class InvalidInference(HearthError):
    """A request is not what the Open Inference Protocol says, whatever the contract says."""

    code = "invalid_request"
    kind = ErrorKind.CALLER


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor without its values; -1 in a shape stands for any number of records."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor with its values in row-major order: numbers, or texts where the datatype is BYTES."""

    spec: TensorSpec
    values: Sequence[object]
    parameters: Mapping[str, str] = field(default_factory=dict)


def require_readable(spec: TensorSpec) -> None:
    """Raise InvalidInference unless the datatype is one that is read, and the shape is one."""
    if spec.datatype not in DATATYPES:
        raise InvalidInference(f"The input {spec.name!r} has the datatype {spec.datatype!r}; expected one of: {', '.join(DATATYPES)}.")
    if not spec.shape or min(spec.shape) < 0:
        raise InvalidInference(f"The input {spec.name!r} has the shape {list(spec.shape)}; expected a list of whole numbers of at least 0.")


def from_bytes(spec: TensorSpec, content: bytes) -> Sequence[object]:
    """Return the values of a tensor whose content is little-endian and row-major, each text behind its length in four bytes.

    Raises:
        InvalidInference: the content is not one of this shape and datatype.
    """
    if spec.datatype == BYTES:
        return _texts(spec, content)
    dtype = _DTYPES[spec.datatype]
    if len(content) != (expected := spec.size * dtype.itemsize):
        raise InvalidInference(
            f"The input {spec.name!r} has {len(content)} bytes; {spec.datatype} of shape {list(spec.shape)} takes {expected}."
        )
    values: list[object] = np.frombuffer(content, dtype).tolist()
    return values


def to_bytes(tensor: Tensor) -> bytes:
    """Return the values as `from_bytes` reads them."""
    if tensor.spec.datatype != BYTES:
        return np.asarray(tensor.values, _DTYPES[tensor.spec.datatype]).tobytes()
    encoded = [str(value).encode() for value in tensor.values]
    return b"".join(part for text in encoded for part in (_LENGTH.pack(len(text)), text))


def text_of(spec: TensorSpec, content: bytes) -> str:
    """Return an element of a BYTES tensor.

    Raises:
        InvalidInference: it is not UTF-8.
    """
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise InvalidInference(f"The input {spec.name!r} holds bytes that are not UTF-8.") from None


def require_parameters(where: str, parameters: Mapping[str, object], options: Mapping[str, Iterable[object]]) -> None:
    """Refuse parameters that are not read, by name; `options` has the values that each may take.

    Raises:
        InvalidInference: one is not read, or has another value.
    """
    for name, value in parameters.items():
        if name not in options:
            hint = f"expected only: {', '.join(options)}" if options else "none is read"
            raise InvalidInference(f"{where} has the parameter {name!r}, which is not read; {hint}.")
        if not any(value == option and type(value) is type(option) for option in options[name]):
            raise InvalidInference(
                f"{where} has {value!r} as the parameter {name!r}; expected one of: {', '.join(map(repr, options[name]))}."
            )


def _texts(spec: TensorSpec, content: bytes) -> list[object]:
    texts: list[object] = []
    at = 0
    while at < len(content) and len(texts) < spec.size:
        start = at + _LENGTH.size
        length = _LENGTH.unpack_from(content, at)[0] if start <= len(content) else len(content)
        at = start + length
        if at > len(content):
            raise InvalidInference(f"The input {spec.name!r} ends within a text: write the length of each in four bytes before it.")
        texts.append(text_of(spec, content[start:at]))
    if len(texts) != spec.size or at != len(content):
        raise InvalidInference(
            f"The input {spec.name!r} has {len(content)} bytes, which do not hold the {spec.size} texts of its shape {list(spec.shape)}."
        )
    return texts
