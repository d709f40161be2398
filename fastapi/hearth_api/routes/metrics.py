from fastapi import APIRouter, Request, Response

from hearth.serving.metrics import metrics_text

router = APIRouter(tags=["service"])


@router.get("/metrics", summary="Get metrics for Prometheus", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def get_metrics(request: Request) -> Response:
    """Requests, latencies, records scored and stored, versions that serve, and the process itself; docs/metrics.md lists them."""
    content, media_type = metrics_text(request.app.state.metrics, request.headers.get("accept", ""))
    return Response(content, media_type=media_type)
