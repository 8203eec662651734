"""Reading what was added to a file of a job's folder, on its target, without being led out of that folder."""

from __future__ import annotations

import posixpath
import shlex

NO_FILE = 44
"""Exit status where there is no such file (yet), or it is not a plain one."""


def read_command(folder: str, path: str, offset: int, limit: int) -> str:
    """Return bash text that prints a line with start and size of a file, then its bytes.

    The payload owns the folder, so no link in it is followed: the shell enters the file's folder, sees that it is the
    one that was meant, and opens the last name only as a plain file.

    Parameters
    ----------
    folder, path
        The job's folder, absolute, and the file below it.
    """
    below, name = posixpath.split(path)
    return f"""\
cd -P -- {shlex.quote(folder)} 2>/dev/null || exit {NO_FILE}
gw_place=$(pwd -P){shlex.quote("/" + below if below else "")}
cd -P -- {shlex.quote("./" + below)} 2>/dev/null || exit {NO_FILE}
[ "$(pwd -P)" = "$gw_place" ] || exit {NO_FILE}
gw_file=./{shlex.quote(name)}
if [ -L "$gw_file" ] || [ ! -f "$gw_file" ]; then exit {NO_FILE}; fi
gw_size=$(stat -c %s -- "$gw_file" 2>/dev/null) || exit {NO_FILE}
gw_start={int(offset)}
if [ "$gw_start" -gt "$gw_size" ]; then gw_start=$gw_size; fi
printf '%d %d\\n' "$gw_start" "$gw_size"
dd if="$gw_file" iflag=nofollow,nonblock,skip_bytes,count_bytes,fullblock skip="$gw_start" count={int(limit)} \\
  bs=65536 2>/dev/null
exit 0
"""
