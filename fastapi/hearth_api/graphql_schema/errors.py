"""Errors in GraphQL: those of REST, with the same word, sentence and problems under `extensions`."""

import logging
from collections.abc import Iterator

from graphql import GraphQLError, OperationDefinitionNode
from pydantic_core import from_json
from strawberry.extensions import MaskErrors, SchemaExtension

from hearth.contracts.texts import listed
from hearth.errors import ErrorKind, HearthError
from hearth_api.errors import INTERNAL_DETAIL, error_response

_LOGGER = logging.getLogger(__name__)


class InvalidQuery(HearthError):
    """A query has a value that the types of GraphQL cannot rule out."""

    code = "invalid_query"
    kind = ErrorKind.CALLER


class UnreadVariables(SchemaExtension):
    """Refuses variables that the operation does not declare, which GraphQL ignores."""

    def on_validate(self) -> Iterator[None]:
        """Check the variables before the document is validated."""
        context = self.execution_context
        definitions = context.graphql_document.definitions if context.graphql_document else ()
        operations = [node for node in definitions if isinstance(node, OperationDefinitionNode)]
        named = [node for node in operations if node.name and node.name.value == context.operation_name]
        if context.pre_execution_errors:
            yield
            return
        declared = {variable.variable.name.value for node in named or operations for variable in node.variable_definitions or ()}
        if unread := sorted((context.variables or {}).keys() - declared):
            names = listed(unread)
            error = InvalidQuery(
                f"The operation does not declare the variables {names}; it declares: {', '.join(sorted(declared)) or 'none'}."
            )
            context.pre_execution_errors = [GraphQLError(str(error), original_error=error)]
        yield


class RestErrors(MaskErrors):
    """Replaces the error of a resolver by the one that REST answers. Errors of GraphQL itself stay as they are."""

    def __init__(self) -> None:
        super().__init__(lambda error: error.original_error is not None)

    def anonymise_error(self, error: GraphQLError) -> GraphQLError:
        """Return the error that the caller sees."""
        original = error.original_error
        if isinstance(original, GraphQLError):  # of a scalar that cannot be read
            return error
        if isinstance(original, HearthError):
            response = error_response(original)
            extensions = {**from_json(bytes(response.body)), "status": response.status_code}
        else:
            _LOGGER.error("a resolver failed", exc_info=original)
            extensions = {"error": "internal_error", "detail": INTERNAL_DETAIL, "errors": [], "status": 500}
        return GraphQLError(
            str(extensions["detail"]),
            nodes=error.nodes,
            source=error.source,
            positions=error.positions,
            path=error.path,
            extensions=extensions,
        )
