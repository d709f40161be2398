"""Run one program in the environment of the stack: `python -m deploy.embedded.run PROGRAM [ARGUMENT …]`."""

import os
import sys
from typing import NoReturn

from deploy.embedded.environment import ROOT, load_environment
from deploy.embedded.launcher import SettingError
from deploy.embedded.supervision import environment_of_running_stack


def main() -> NoReturn:
    """Become the program, with the settings of the running stack, if one runs."""
    environment = environment_of_running_stack(ROOT, load_environment(ROOT, os.environ))
    os.execvpe(sys.argv[1], sys.argv[1:], environment)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    try:
        main()
    except SettingError as error:
        sys.exit(str(error))
