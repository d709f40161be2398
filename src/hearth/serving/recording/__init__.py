"""Predictions that interfaces answered, stored and compared with a challenger's behind the answer's back.

    recorder    the one call on a request's way, and the thread that stores what it was given
    challenger  scores in shadow what the champion answered, and compares
    answers     what both are given, and the form in which it goes to another process
    writing     that process as the recorder sees it
    writer      the process: `python -m hearth.serving.recording.writer`
    ids         under which name an answer is stored

A Python thread that made rows of answers would take the interpreter from the requests, so another process does.
"""
