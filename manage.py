#!/usr/bin/env python3
"""The one command of the project: `python3 manage.py up`, `down`, `test`, or any Django command.

It needs nothing but Python: the launcher makes the environment, runs itself again inside it and starts the
private servers. Keep this file readable for old interpreters, so that they can be refused in plain words.
"""

import os
import sys


def main() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036
        print("Python 3.11 or newer is needed; this is " + sys.version.split()[0], file=sys.stderr)
        return 1
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pickup.config.settings")
    from pickup.config.launcher import commands

    return commands.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
