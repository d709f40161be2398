"""The OpenAPI document: request bodies derived from the contracts, with types, ranges and examples that work.

Operation ids are stable: the name of the route's function, and for the routes of one data set its name behind it (`predict_heart`).
"""

from collections.abc import Callable, Mapping

from fastapi import FastAPI
from fastapi.routing import APIRoute

from hearth.contracts import Contract
from hearth.contracts.records import record_model
from hearth.fakes.typical import typical_record

API_KEY, BEARER = "ApiKey", "Bearer"  # names of the security schemes

Json = dict[str, object]


def operation_id(route: APIRoute) -> str:
    """Return the id of a route that does not name one."""
    return route.name


def describe(
    app: FastAPI, contracts: Mapping[str, Contract], limits: Mapping[str, int], is_open: Callable[[str], bool] | None = None
) -> None:
    """Complete the application's OpenAPI document: the bodies that `request_body` refers to, and the need of an API key.

    `limits` holds the most records of a request, by `prefix` of `request_body`. `is_open` tells which paths need no key; None: none does.
    """
    components = {name: schema for contract in contracts.values() for name, schema in _components(contract, limits).items()}
    generate = app.openapi

    def openapi() -> Json:
        if app.openapi_schema is None:
            document = generate()
            document["components"]["schemas"] |= components
            if is_open is not None:
                document["security"] = [{API_KEY: []}, {BEARER: []}]
                for path, operations in document["paths"].items():
                    for operation in operations.values() if is_open(path) else ():
                        operation.setdefault("security", [])
        assert app.openapi_schema is not None  # noqa: S101 - FastAPI keeps the document there
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documentation describes this way


def request_body(contract: Contract, prefix: str = "") -> Json:
    """Return the OpenAPI description of a body with records; `prefix` chooses among the limits that `describe` was given."""
    title = _title(contract)
    names = (f"{title}{prefix}RecordsRequest", f"{title}ValuesRequest", f"{title}{prefix}ColumnsRequest")
    schema = {"oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in names]}
    return {"required": True, "content": {"application/json": {"schema": schema, "examples": _examples(contract)}}}


def _title(contract: Contract) -> str:
    return record_model(contract).__name__.removesuffix("Record")


def _components(contract: Contract, limits: Mapping[str, int]) -> Json:
    title, record = _title(contract), record_model(contract).model_json_schema(by_alias=True)
    schemas: Json = {f"{title}Record": record, f"{title}ValuesRequest": _values_schema(contract, record["properties"])}
    for prefix, max_records in limits.items():
        records = _array({"$ref": f"#/components/schemas/{title}Record"}, max_records)
        schemas[f"{title}{prefix}RecordsRequest"] = _body(f"Records of {contract.name}", {"data": records})
        schemas[f"{title}{prefix}ColumnsRequest"] = _columns_schema(contract, max_records)
    return schemas


def _examples(contract: Contract) -> Json:
    record = typical_record(contract)
    reordered = dict(reversed(record.items()))
    return {
        "records": {"summary": "Records by name", "value": {"data": [record]}},
        "values": {"summary": "The values of one record in contract order", "value": {"features": list(record.values())}},
        "columns": {
            "summary": "Values in an order of your own",
            "value": {"columns": list(reordered), "features": [list(reordered.values()), list(reordered.values())]},
        },
    }


def _values_schema(contract: Contract, columns: Mapping[str, Json]) -> Json:
    values = [{key: value for key, value in columns[name].items() if key != "title"} for name in contract.feature_names]
    features = {
        "type": "array",
        "prefixItems": values,
        "minItems": len(values),
        "maxItems": len(values),
        "description": f"One value per feature, in this order: {', '.join(contract.feature_names)}.",
    }
    return _body(f"Values of one record of {contract.name}", {"features": features})


def _columns_schema(contract: Contract, max_records: int) -> Json:
    """Rows of values under names. A schema cannot say that each row has a value per name: the service checks it."""
    columns = {
        "type": "array",
        "items": {"type": "string", "enum": list(contract.columns)},
        "uniqueItems": True,
        "minItems": 1,
        "description": "Names and orders the values; a nullable column can be left out.",
    }
    value = {"type": ["number", "string", "null"]}
    rows = _array({"type": "array", "items": value, "minItems": 1}, max_records)
    return _body(f"Values of {contract.name} under names", {"columns": columns, "features": rows})


def _array(items: Json, max_items: int) -> Json:
    return {"type": "array", "items": items, "minItems": 1, "maxItems": max_items}


def _body(description: str, properties: Json) -> Json:
    required = list(properties)
    return {"description": description, "type": "object", "required": required, "additionalProperties": False, "properties": properties}
