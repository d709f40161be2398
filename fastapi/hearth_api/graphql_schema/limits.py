"""Limits of a query, checked before GraphQL looks at it: parsing recurses with brackets, and validation compares fields with each other."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from graphql import SKIP, DocumentNode, FieldNode, GraphQLError, VariableNode, Visitor, VisitorAction, visit
from strawberry.extensions import SchemaExtension
from strawberry.types.graphql import OperationType

from hearth.settings import ApiSettings
from hearth_api.graphql_schema.errors import InvalidQuery

_MAX_BRACKETS = 50  # open at once in a query; a record in a query has seven
_EMPTY = "{ __typename }"
_SIGN = re.compile(r'"""(?:\\"""|[^"]|"(?!""))*"""|"(?:\\.|[^"\\\n])*"|#[^\n\r]*|[\[{(]|[\]})]')


class QueryLimits(SchemaExtension):
    """Refuses a query that is too long, too deeply nested, or has too many fields or aliases; `settings` name the limits."""

    def __init__(self, settings: ApiSettings) -> None:
        self._settings = settings
        self._refusal: InvalidQuery | None = None

    def on_parse(self) -> Iterator[None]:
        """Check the text; a text that is refused is not parsed."""
        context = self.execution_context
        try:
            self._check_text(context.query or "")
        except InvalidQuery as error:
            self._refusal, context.query = error, _EMPTY
        yield

    def on_validate(self) -> Iterator[None]:
        """Check the document, and refuse it before the rules of GraphQL see it."""
        context = self.execution_context
        if self._refusal is None and context.graphql_document is not None:
            try:
                self._check_document(context.graphql_document)
            except InvalidQuery as error:
                self._refusal = error
        if self._refusal is not None:
            context.pre_execution_errors = [GraphQLError(str(self._refusal), original_error=self._refusal)]
        yield

    def _check_text(self, query: str) -> None:
        longest = self._settings.graphql_max_query_characters
        if len(query) > longest:
            raise InvalidQuery(
                f"The query has {len(query)} characters, more than the {longest} of HEARTH_GRAPHQL_MAX_QUERY_CHARACTERS: "
                "send records as variables."
            )
        nesting = 0
        for sign in _SIGN.finditer(query):
            nesting += {"[": 1, "{": 1, "(": 1, "]": -1, "}": -1, ")": -1}.get(sign[0], 0)
            if nesting > _MAX_BRACKETS:
                raise InvalidQuery(f"The query has more than {_MAX_BRACKETS} brackets inside each other.")

    def _check_document(self, document: DocumentNode) -> None:
        context = self.execution_context
        if context.context.is_stream and context.operation_type is not OperationType.SUBSCRIPTION:
            raise InvalidQuery("A WebSocket or a stream takes subscriptions only: send queries with POST.")
        variables = context.variables or {}
        counter = _Counter({name: _longest_list(value) for name, value in variables.items()})
        visit(document, counter)
        fields, aliases = self._settings.graphql_max_fields, self._settings.graphql_max_aliases
        if counter.aliases > aliases:
            raise InvalidQuery(f"{counter.aliases} aliases found. Allowed: {aliases} (HEARTH_GRAPHQL_MAX_ALIASES).")
        if counter.fields > fields:
            raise InvalidQuery(f"The query has {counter.fields} fields, more than the {fields} of HEARTH_GRAPHQL_MAX_FIELDS.")

        records = self._settings.graphql_max_records
        if counter.records > records:  # GraphQL reads a variable anew for each field that takes it
            raise InvalidQuery(
                f"The query has {counter.records} records in all its fields, more than the {records} of HEARTH_GRAPHQL_MAX_RECORDS: "
                "send several queries."
            )


class _Counter(Visitor):
    """Counts fields, aliases, and the records of variables as often as they are used."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        super().__init__()
        self._sizes = sizes
        self.fields = self.aliases = self.records = 0

    def enter_field(self, node: FieldNode, *_: Any) -> None:  # noqa: ANN401 - the interface of graphql
        self.fields += 1
        self.aliases += node.alias is not None

    def enter_variable_definition(self, *_: Any) -> VisitorAction:  # noqa: ANN401
        return SKIP

    def enter_variable(self, node: VariableNode, *_: Any) -> None:  # noqa: ANN401
        self.records += self._sizes.get(node.name.value, 0)


def _longest_list(value: object) -> int:
    """Return the items of a list, or of the lists in an object."""
    if isinstance(value, list):
        return len(value)
    return sum(len(item) for item in value.values() if isinstance(item, list)) if isinstance(value, dict) else 0
