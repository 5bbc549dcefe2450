"""What the operating system refuses to a command, in words: what, where, what to do."""

import errno
import os
import shlex

_FULL = (errno.ENOSPC, errno.EDQUOT)
_ADVICE = {
    errno.EROFS: "the disk can only be read: look with findmnt and dmesg, and name another place, such as by --home",
    errno.EIO: "the disk fails: look with dmesg, and save what is on it",
    errno.EACCES: "it belongs to somebody else, or its mode forbids it",
    errno.EPERM: "it belongs to somebody else, or is made unchangeable (lsattr)",
    errno.EISDIR: "a folder is where a file is expected",
    errno.ENOTDIR: "a file is where a folder is expected",
    errno.ELOOP: "its links lead in a circle",
    errno.ENAMETOOLONG: "its name is longer than the disk takes",
}


def words_of(error: OSError) -> str:
    """Say what is wrong with a file, and what to do; empty where it may be a fault of ours, to be seen whole."""
    if error.errno in _FULL:
        return f"the disk is full ({error}); what was asked for is not written whole"
    advice = _ADVICE.get(error.errno or 0)
    if advice is None or (error.filename is None and error.errno not in (errno.EROFS, errno.EIO)):
        return ""
    if error.filename is None:
        return f"what was asked for cannot be done: {error.strerror}; {advice}"
    path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(error.filename)
    look = f"; look with: ls -ld {shlex.quote(path)}" if error.errno in (errno.EACCES, errno.EPERM) else ""
    return f"{path} cannot be used: {error.strerror}; {advice}{look}"
