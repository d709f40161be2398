"""The request bodies in the OpenAPI page, derived from the contracts: typed columns with ranges, and examples that work."""

from hearth.contracts import Contract
from hearth.contracts.examples import example_record
from hearth.contracts.records import record_model

Json = dict[str, object]


def request_body(contract: Contract, max_records: int | None = None) -> Json:
    """Return the OpenAPI description of a request for predictions: `data` with records, or `features` with values."""
    schema = {"oneOf": [_records_schema(contract, max_records), _values_schema(contract), _columns_schema(contract, max_records)]}
    return {"required": True, "content": {"application/json": {"schema": schema, "examples": _examples(contract)}}}


def record_schema(contract: Contract) -> Json:
    """Return the JSON schema of one record."""
    return record_model(contract).model_json_schema(by_alias=True)


def _examples(contract: Contract) -> Json:
    record = example_record(contract)
    reordered = dict(reversed(record.items()))
    return {
        "records": {"summary": "Records by name", "value": {"data": [record]}},
        "values": {"summary": "The values of one record in contract order", "value": {"features": list(record.values())}},
        "columns": {
            "summary": "Values in an order of one's own",
            "value": {"columns": list(reordered), "features": [list(reordered.values()), list(reordered.values())]},
        },
    }


def _records_schema(contract: Contract, max_records: int | None) -> Json:
    return _body("Records", ["data"], {"data": _several(record_schema(contract), max_records)})


def _values_schema(contract: Contract) -> Json:
    columns = _column_schemas(contract)
    values = [columns[name] for name in contract.feature_names]
    described = f"One value a feature, in this order: {', '.join(contract.feature_names)}."
    return _body(
        "Values of one record",
        ["features"],
        {"features": {"type": "array", "prefixItems": values, "items": False, "minItems": len(values), "description": described}},
    )


def _columns_schema(contract: Contract, max_records: int | None) -> Json:
    """Lists of values under names; that each has a value a name is for the service to check, as a schema cannot say it."""
    value = {"type": ["number", "string", "null"]}
    columns = {
        "type": "array",
        "items": {"enum": list(contract.columns)},
        "uniqueItems": True,
        "minItems": 1,
        "description": "Names and orders the values; a column that may be missing can be left out.",
    }
    rows = _several({"type": "array", "items": value, "minItems": 1}, max_records)
    return _body("Values under names", ["columns", "features"], {"columns": columns, "features": rows})


def _column_schemas(contract: Contract) -> dict[str, Json]:
    properties = record_schema(contract)["properties"]
    assert isinstance(properties, dict)  # noqa: S101 - pydantic makes it so
    return properties


def _several(items: Json, most: int | None) -> Json:
    bounds = {"minItems": 1} if most is None else {"minItems": 1, "maxItems": most}
    return {"type": "array", "items": items, **bounds}


def _body(title: str, required: list[str], properties: Json) -> Json:
    return {"title": title, "type": "object", "required": required, "additionalProperties": False, "properties": properties}
