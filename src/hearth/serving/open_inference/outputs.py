"""Predictions as output tensors."""

import json
from collections.abc import Sequence

from hearth.contracts import Contract
from hearth.serving.answer_parts import sets_of, unusual_dict, unusual_of
from hearth.serving.include import PARTS, SET, UNUSUAL, Include, parse_include, read_include
from hearth.serving.open_inference.tensors import BYTES, InvalidInference, Tensor, TensorSpec
from hearth.serving.predictor import Predictions

LABEL, PREDICTION, PROBABILITIES = "label", "prediction", "probabilities"
OUTPUTS = (LABEL, PREDICTION, PROBABILITIES)  # the usual ones; those of `PARTS` are answered on request


def output_specs(contract: Contract, records: int = -1) -> tuple[TensorSpec, ...]:
    """Return the outputs: class names, classes as the data set's column holds them, and a probability for each class."""
    return (
        TensorSpec(LABEL, BYTES, (records,)),
        TensorSpec(PREDICTION, BYTES if isinstance(contract.class_codes[0], str) else "INT64", (records,)),
        TensorSpec(PROBABILITIES, "FP64", (records, len(contract.target.classes))),
    )


def require_outputs(names: Sequence[str], include: str = "") -> tuple[str, ...]:
    """Return the names of the requested outputs, of the usual ones if none is named, and of those that the parameter `include` names.

    Raises:
        InvalidInference: one is not an output, or is named twice.
        InvalidInclude: `include` names what no answer has.
    """
    for position, name in enumerate(names):
        if name not in (*OUTPUTS, *PARTS):
            raise InvalidInference(f"There is no output {name!r}; there are: {', '.join((*OUTPUTS, *PARTS))}.")
        if name in names[:position]:
            raise InvalidInference(f"The output {name!r} is named twice.")
    wanted = parse_include(include).names
    return (*(names or OUTPUTS), *(name for name in wanted if name not in names))


def included(names: Sequence[str]) -> Include:
    """Return the parts of an answer that are among the outputs."""
    return read_include([name for name in names if name in PARTS])


def output_tensors(predictions: Predictions, contract: Contract, names: Sequence[str]) -> list[Tensor]:
    """Return the named outputs in this order; a parameter of the probabilities holds the names of the classes, as a JSON list.

    The set of a record is a JSON list of classes, and what is unusual in it a JSON object as REST answers it.
    """
    scores = predictions.scores
    columns: dict[str, Sequence[object]] = {}
    if SET in names:
        columns[SET] = [json.dumps(labels, ensure_ascii=False) for labels in sets_of(predictions.model, scores)]
    if UNUSUAL in names:
        records = unusual_of(predictions.model, predictions.columns)
        columns[UNUSUAL] = [json.dumps(unusual_dict(record), ensure_ascii=False) for record in records]
    values: dict[str, Sequence[object]] = {
        **columns,
        LABEL: scores.labels,
        PREDICTION: scores.predictions,
        PROBABILITIES: scores.probabilities.ravel().tolist(),
    }
    specs = {spec.name: spec for spec in output_specs(contract, len(scores.codes))}
    specs |= {name: TensorSpec(name, BYTES, (len(scores.codes),)) for name in columns}
    classes = {"classes": json.dumps(scores.classes, ensure_ascii=False)}
    return [Tensor(specs[name], values[name], classes if name == PROBABILITIES else {}) for name in names]


def response_parameters(predictions: Predictions) -> dict[str, str]:
    """Return which version answered, and the id of the stored predictions."""
    model = predictions.model
    parameters = {"alias": model.alias, "family": model.family, "request_id": predictions.request_id}
    return parameters if model.fallback is None else {**parameters, "canary": "true"}
