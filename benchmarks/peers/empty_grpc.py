"""The upper bound of gRPC in Python: the same interface, the same server, and nothing behind it.

python -m benchmarks.peers.empty_grpc PORT
"""

import asyncio
import sys
from typing import Any

import grpc

from grpc_service.v1 import prediction_pb2 as pb
from grpc_service.v1 import prediction_pb2_grpc


class Empty(prediction_pb2_grpc.PredictionServicer):
    """Reads messages and answers empty ones."""

    async def Predict(  # noqa: N802 - the name of the call
        self,
        request: pb.PredictRequest,  # noqa: ARG002 - the interface
        context: "grpc.aio.ServicerContext[Any, Any]",  # noqa: ARG002 - the interface
    ) -> pb.PredictResponse:
        return pb.PredictResponse()


async def serve(port: int) -> None:
    """Serve until the process is ended."""
    server = grpc.aio.server()
    prediction_pb2_grpc.add_PredictionServicer_to_server(Empty(), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
