"""The gRPC service: the same models and the same checks as REST, for callers that need typed messages, streams or low latency.

The interfaces are `v1/prediction.proto`, our own, and `v2/open_inference.proto`, the Open Inference Protocol; `make proto` generates the
rest of `v1/` and `v2/`.

    server     the process: `python -m grpc_service.server`
    servicer   the calls of our own interface
    requests   its messages in: records or packed columns, checked against the contract
    responses  its messages out
    inference  the calls of the Open Inference Protocol
    tensors    its messages in and out
    calls      what surrounds every unary call: errors and metrics
    access     API keys and limits
    errors     our errors as status codes, and how a client reads them
    health     the standard health service
    metrics    calls by method and status code
    encoding   messages of records, for callers
    client     an example of a caller: `python -m grpc_service.client`
"""
