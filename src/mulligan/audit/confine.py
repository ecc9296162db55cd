"""Taking a process's own network and files away, for good: namespaces and Landlock, where the kernel has them (Linux).

Each returns why it could not, or an empty string. Nothing heavy is imported, since what came before is not confined: threads
that run already would keep their rights.
"""

import ctypes
import errno
import os
import socket
from collections.abc import Iterable
from pathlib import Path

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PR_SET_NO_NEW_PRIVS = 38
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE = 1, 2, 4, 8, 1 << 14
RIGHTS = ((1, (1 << 13) - 1), (2, 1 << 13), (3, TRUNCATE))
"""The rights over files that each version of Landlock added: 2 to link across folders, 3 to cut a file short by its name."""


def leave_network() -> str:
    """Move this process into a network namespace of its own, which has no way out; it must have one thread."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
            return f"the kernel refuses a network namespace ({os.strerror(ctypes.get_errno())})"
    except (AttributeError, OSError, TypeError) as error:
        return f"this system has no network namespaces ({error})"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError as error:
            return "" if error.errno == errno.ENETUNREACH else f"a connection was not refused as it should be: {error}"
    return "a connection was not refused"


def keep_files(readable: Iterable[Path], scratch: Path, forbidden: Path) -> str:
    """Refuse this thread, and those that it starts, every file but those at or below `readable`, `scratch` and /dev.

    Only what is below the last two may be written. `forbidden`: a file that is there and must not be readable afterwards.
    """
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        version = libc.syscall(CREATE_RULESET, None, 0, 1)
        all_rights = sum(rights for since, rights in RIGHTS if since <= version)
        handled = ctypes.c_uint64(all_rights)
        rules = libc.syscall(CREATE_RULESET, ctypes.byref(handled), ctypes.sizeof(handled), 0)
    except (AttributeError, OSError, TypeError) as error:
        return f"this system has no Landlock ({error})"
    if rules < 0:
        return f"this kernel has no Landlock ({os.strerror(ctypes.get_errno())})"
    for path in readable:
        _allow(libc, rules, path, EXECUTE | READ_FILE | READ_DIR)
    _allow(libc, rules, scratch, all_rights)
    _allow(libc, rules, Path("/dev"), (READ_FILE | READ_DIR | WRITE_FILE | TRUNCATE) & all_rights)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.syscall(RESTRICT_SELF, rules, 0):
        return f"Landlock was refused ({os.strerror(ctypes.get_errno())})"
    os.close(rules)
    try:
        forbidden.read_bytes()[:0]
    except PermissionError:
        return ""
    return f"{forbidden.name} could be read all the same"


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32)]


def _allow(libc: ctypes.CDLL, rules: int, path: Path, rights: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # not there, so nothing to allow
    rule = _PathRule(rights if path.is_dir() else rights & ~READ_DIR, opened)
    libc.syscall(ADD_RULE, rules, 1, ctypes.byref(rule), 0)
    os.close(opened)
