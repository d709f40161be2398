"""The request bodies in the OpenAPI page, derived from the contracts: typed columns with ranges, and an example that works."""

from hearth.contracts import CategoryColumn, Contract, IntegerColumn, NumberColumn
from hearth.contracts.records import record_model

_MIDDLE = 0.5


def request_body(contract: Contract) -> dict[str, object]:
    """Return the OpenAPI description of `{"data": [records]}` for a data set."""
    record = record_model(contract).model_json_schema(by_alias=True)
    schema = {
        "type": "object",
        "required": ["data"],
        "additionalProperties": False,
        "properties": {"data": {"type": "array", "minItems": 1, "items": record}},
    }
    example = {"data": [example_record(contract)]}
    return {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}


def example_record(contract: Contract) -> dict[str, object]:
    """Return a record in the middle of everything, which is valid for this contract."""
    record: dict[str, object] = {}
    for name, column in contract.feature_columns.items():
        if isinstance(column, CategoryColumn):
            record[name] = column.categories[0]
        elif isinstance(column, IntegerColumn):
            record[name] = round(column.minimum + _MIDDLE * (column.maximum - column.minimum))
        elif isinstance(column, NumberColumn):
            record[name] = column.minimum + _MIDDLE * (column.maximum - column.minimum)
    return record
