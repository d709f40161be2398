"""The gRPC service: the same models and the same checks as REST, for callers that want typed messages, streams or low latency.

The interface is `v1/prediction.proto`, from which `make proto` generates the rest of `v1/`.

    server     the process: `python -m grpc_service.server`
    servicer   the calls
    records    messages in: records or packed columns, checked against the contract
    answers    messages out
    errors     the table of our errors and gRPC's status codes, and how a client reads them
    readiness  the standard health service
    encoding   what a caller needs to make messages of records
    client     a program that shows it: `python -m grpc_service.client`
"""
