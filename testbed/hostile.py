"""A site that makes life hard: csh as login shell, noisy rc files, no SFTP, two sessions per connection."""

from __future__ import annotations

from collections.abc import Mapping

from testbed.accounts import Account
from testbed.processes import require
from testbed.sshd import Login, SshSite

BANNER = "*** Welcome to the hostile site: 3 new messages, quota at 97 % ***"
COMPLAINT = "stty: standard input: Inappropriate ioctl for device (hostile site)"

_CSH = f"""\
echo '{BANNER}'
sh -c 'echo "{COMPLAINT}" >&2'
set noclobber
umask 077
alias cat 'echo aliased cat'
alias cd 'cd \\!*; pwd'
alias ls 'ls -F --color=always'
alias mkdir 'mkdir -v'
alias printf 'echo aliased printf'
alias rm 'rm -i'
setenv BASH_ENV @HOME@/.bash_env
setenv CDPATH .:@HOME@
setenv GREP_OPTIONS --color=always
setenv LC_ALL xx_XX.UTF-8
"""

_BASH = f"""\
echo '{BANNER}'
echo "{COMPLAINT}" >&2
alias cat='echo aliased cat' ls='ls -F --color=always' rm='rm -i'
module() {{ echo "module: $*"; }}
export -f module
"""


def rc_files(account: Account) -> Mapping[str, str]:
    """Return the start-up files of an account, as years of copying from colleagues leave them.

    ``BASH_ENV`` makes even a bash without rc files print something first; ``CDPATH`` makes its `cd` print.
    """
    names = (".bashrc", ".bash_profile", ".bash_env", ".profile")
    return {".cshrc": _CSH.replace("@HOME@", str(account.home)), **dict.fromkeys(names, _BASH)}


def hostile_login() -> Login:
    """Return what greets people at a hostile site (for `SshSite`, or for a whole `Cluster`).

    Raises
    ------
    MissingPart
        There is no csh.
    """
    shell = require("csh", "apt-get install tcsh")
    return Login(shell=shell, files=rc_files, options={"Subsystem": None, "MaxSessions": "2"})


def hostile_site() -> SshSite:
    """Return a hostile machine without a batch system, not started."""
    return SshSite(login=hostile_login())
