from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from hearth.serving.metrics import metrics_text

router = APIRouter(tags=["service"])


@router.get("/metrics", summary="For Prometheus", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(request: Request, accept: Annotated[str, Header()] = "") -> Response:
    """Requests, latencies, records scored and stored, versions that serve, and the process itself; docs/metrics.md lists all."""
    content, media_type = metrics_text(request.app.state.metrics, accept)
    return Response(content, media_type=media_type)
