"""Errors in GraphQL: the ones of REST, each with the same word, sentence and problems, under `extensions`."""

import logging

from graphql import GraphQLError
from pydantic_core import from_json
from strawberry.extensions import MaskErrors

from hearth.errors import HearthError
from hearth_api.errors import error_response

_LOGGER = logging.getLogger(__name__)


class ErrorsAsInRest(MaskErrors):
    """Says of an error of a resolver what REST would answer, and nothing else; what GraphQL itself refuses stays as it is."""

    def __init__(self) -> None:
        super().__init__(lambda error: error.original_error is not None)

    def anonymise_error(self, error: GraphQLError) -> GraphQLError:
        """Return what the caller is told."""
        original = error.original_error
        if isinstance(original, GraphQLError):  # of a scalar that could not be read
            return error
        if isinstance(original, HearthError):
            response = error_response(original)
            told = {**from_json(bytes(response.body)), "status": response.status_code}
        else:
            _LOGGER.error("a resolver failed", exc_info=original)
            told = {"error": "internal_error", "detail": "The service failed; its log says why.", "errors": [], "status": 500}
        return GraphQLError(
            str(told["detail"]), nodes=error.nodes, source=error.source, positions=error.positions, path=error.path, extensions=told
        )
