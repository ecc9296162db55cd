"""A filter of system calls: no further process, no program, no memory that no limit counts, few ways into the kernel."""

import ctypes
import errno
import os
import platform
import struct

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, FILTER = 38, 22, 2
CLONE_THREAD = 0x10000
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000, 0x80000000
NUMBER_AT, MACHINE_AT, ARGUMENT_AT = 0, 4, 16
OTHER_ABI = 0x40000000
"""Where a second set of call numbers begins on x86-64."""

MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
CLONE = {"x86_64": 56, "aarch64": 220}
CLONE3 = 435
"""Answered "not there", so that libraries fall back to clone, whose flags a filter can read."""
REFUSED = {  # x86-64, aarch64 (None: that machine has no such call)
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
}


def refuse_calls() -> str:
    """Refuse this thread and those that it starts the calls of REFUSED, and clone but for threads; say why it could not."""
    machine = platform.machine()
    if machine not in MACHINES:
        return f"no filter of system calls for {machine}"
    code = b"".join(_program(machine))
    held = ctypes.create_string_buffer(code, len(code))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]

    program = Program(len(code) // 8, ctypes.addressof(held))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, FILTER, ctypes.byref(program), 0, 0):
        return f"the kernel refuses a filter of system calls ({os.strerror(ctypes.get_errno())})"
    try:
        if os.fork() == 0:
            os._exit(0)
    except PermissionError:
        return ""
    return "a process could be started all the same"


def _program(machine: str) -> list[bytes]:
    """Return the instructions: a call in a list is refused, clone by its flags, all others are allowed."""
    column = list(MACHINES).index(machine)
    refused = [numbers[column] for numbers in REFUSED.values()]
    lines = [_op(LOAD, MACHINE_AT), _op(EQUAL, MACHINES[machine], 1, 0), _op(RETURN, KILL), _op(LOAD, NUMBER_AT)]
    lines += [_op(AT_LEAST, OTHER_ABI, 0, 1), _op(RETURN, REFUSE | errno.EPERM)]
    lines += [_op(EQUAL, CLONE3, 0, 1), _op(RETURN, REFUSE | errno.ENOSYS)]
    for number in refused:
        if number is not None:
            lines += [_op(EQUAL, number, 0, 1), _op(RETURN, REFUSE | errno.EPERM)]
    lines += [_op(EQUAL, CLONE[machine], 0, 3), _op(LOAD, ARGUMENT_AT), _op(ANY_BIT, CLONE_THREAD, 1, 0)]
    return [*lines, _op(RETURN, REFUSE | errno.EPERM), _op(RETURN, ALLOW)]


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """Return one instruction; a jump skips so many of the next ones."""
    return struct.pack("=HBBI", code, if_true, if_false, value)
