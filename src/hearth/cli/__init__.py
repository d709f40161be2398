"""The command `hearth`, also `python -m hearth`.

Each module holds the commands of one subject and adds them to the application by its function `register`; `values` checks all options,
`application` has help and exit codes, `checkout` finds environments. Programs of the checkout use them too.
"""
