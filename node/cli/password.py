"""Where the password of a key file comes from: a file, an environment variable that names a file, or the terminal.

Never an argument or a variable itself: both are shown to other users of the machine and kept in histories.
"""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import Final

from dkg.errors import InputError
from node.keys import PASSWORD_BYTES_MAX

PASSWORD_FILE_VARIABLE: Final = "DKG_PASSWORD_FILE"  # noqa: S105 - a name


def password(option: str | None, what: str, *, twice: bool = False) -> str:
    """The password. `option`: the file that the command line names; `what`: what it is asked for.

    Raises `InputError` if there is none to be had.
    """
    name = option or os.environ.get(PASSWORD_FILE_VARIABLE)
    if name:
        return _from_file(Path(name))
    if not sys.stdin.isatty():
        raise InputError(
            f"the password is asked for on a terminal, and here is none: use --password-file FILE ({what})"
        )
    found = getpass.getpass(f"password for {what}: ", stream=sys.stderr)
    if twice and getpass.getpass("the same again: ", stream=sys.stderr) != found:
        raise InputError("the two passwords differ; nothing was made")
    return found


def _from_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(PASSWORD_BYTES_MAX + 3)
    except OSError as error:
        raise InputError(f"the password file {path} cannot be read: {error.strerror or error}") from error
    line = data.removesuffix(b"\n").removesuffix(b"\r")
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"the password file {path} is not UTF-8") from error
    if not text or "\n" in text or len(line) > PASSWORD_BYTES_MAX:
        raise InputError(f"the password file {path} does not hold one line of 1 to {PASSWORD_BYTES_MAX} bytes")
    return text
