"""Stores the predictions of REST, GraphQL and gRPC and compares them with a challenger's, without delaying responses.

    recorder          called for each response; counts and queues
    challenger        scores with the challenger what the champion has answered
    agreement         counts how often the two agree; challenge_report reads the same from the store
    store_queue       the queue and the thread that hands batches to the writer process
    answer, messages  an answer in this process, and a batch of answers for the writer process
    writer_process    starts and supervises the writer process
    writer            the process: `python -m hearth.serving.recording.writer`
    request_ids       the ids under which answers are stored

Building rows in a Python thread would slow down requests, so a separate process does it.
"""
