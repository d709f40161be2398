"""Predictions as output tensors."""

import json
from collections.abc import Sequence

from hearth.contracts import Contract
from hearth.serving.open_inference.tensors import BYTES, InvalidInference, Tensor, TensorSpec
from hearth.serving.predictor import Predictions

LABEL, PREDICTION, PROBABILITIES = "label", "prediction", "probabilities"
OUTPUTS = (LABEL, PREDICTION, PROBABILITIES)


def output_specs(contract: Contract, records: int = -1) -> tuple[TensorSpec, ...]:
    """Return the outputs: class names, classes as the data set's column holds them, and a probability for each class."""
    return (
        TensorSpec(LABEL, BYTES, (records,)),
        TensorSpec(PREDICTION, BYTES if isinstance(contract.class_codes[0], str) else "INT64", (records,)),
        TensorSpec(PROBABILITIES, "FP64", (records, len(contract.target.classes))),
    )


def require_outputs(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the requested outputs, of all if none is named.

    Raises:
        InvalidInference: one is not an output, or is named twice.
    """
    for position, name in enumerate(names):
        if name not in OUTPUTS:
            raise InvalidInference(f"There is no output {name!r}; there are: {', '.join(OUTPUTS)}.")
        if name in names[:position]:
            raise InvalidInference(f"The output {name!r} is named twice.")
    return tuple(names) or OUTPUTS


def output_tensors(predictions: Predictions, contract: Contract, names: Sequence[str]) -> list[Tensor]:
    """Return the named outputs in this order; a parameter of the probabilities holds the names of the classes, as a JSON list."""
    scores = predictions.scores
    values: dict[str, Sequence[object]] = {
        LABEL: scores.labels,
        PREDICTION: scores.predictions,
        PROBABILITIES: scores.probabilities.ravel().tolist(),
    }
    specs = {spec.name: spec for spec in output_specs(contract, len(scores.codes))}
    classes = {"classes": json.dumps(scores.classes, ensure_ascii=False)}
    return [Tensor(specs[name], values[name], classes if name == PROBABILITIES else {}) for name in names]


def response_parameters(predictions: Predictions) -> dict[str, str]:
    """Return which version answered, and the id of the stored predictions."""
    model = predictions.model
    return {"alias": model.alias, "family": model.family, "request_id": predictions.request_id}
