"""A number for each row that hangs on its feature values alone, the same on every machine and for ever. Pure."""

import hashlib

import numpy as np
import pandas as pd

from hearth.contracts import Contract

_BYTES = 8
_PRESENT, _MISSING = b"\x01", b"\x00"


def row_positions(contract: Contract, X: pd.DataFrame, key: int) -> np.ndarray:
    """Return a position in [0, 1) for each row, shape (rows,): as good as random, and another one for another key.

    It is a keyed hash (BLAKE2b) of the values of the contract's features, by name; numbers count as float64, so 3 and 3.0 are equal, and
    so are 0.0 and -0.0.
    """
    rows = [_encoded(X[name], is_number=name in contract.numeric_features) for name in contract.feature_names]
    names = "\x00".join(contract.feature_names).encode()
    secret = key.to_bytes(_BYTES, "big")
    digests = b"".join(
        hashlib.blake2b(b"".join((names, *values)), digest_size=_BYTES, key=secret).digest() for values in zip(*rows, strict=True)
    )
    return np.asarray((np.frombuffer(digests, dtype=">u8") >> 11) / 2.0**53)  # 53 bits are all that a float64 can hold


def _encoded(column: pd.Series, *, is_number: bool) -> list[bytes]:
    missing = column.isna().tolist()
    if is_number:
        content = np.ascontiguousarray(column.to_numpy(dtype=">f8", na_value=np.nan) + 0.0).astype(">f8").tobytes()  # -0.0 becomes 0.0
        values = [content[start : start + _BYTES] for start in range(0, len(content), _BYTES)]
    else:
        texts = [b"" if gone else str(text).encode() for text, gone in zip(column, missing, strict=True)]
        values = [len(text).to_bytes(_BYTES, "big") + text for text in texts]
    return [_MISSING if gone else _PRESENT + value for value, gone in zip(values, missing, strict=True)]
