"""The Open Inference Protocol (V2): what its REST and gRPC forms share.

`tensors` has datatypes, shapes, and tensors as bytes; `records` reads input tensors as records of a data set; `outputs` makes output
tensors of predictions; `models` finds the model that a name and a version mean.
"""
