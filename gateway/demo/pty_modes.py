"""Puts terminal modes of an SSH pty request (RFC 4254 section 8) on a real terminal."""

import fcntl
import struct
import termios
from collections.abc import Mapping

# RFC 4254 numbers each flag; what a system's termios does not know is left alone, as sshd does.
_INPUT = {
    30: "IGNPAR", 31: "PARMRK", 32: "INPCK", 33: "ISTRIP", 34: "INLCR", 35: "IGNCR", 36: "ICRNL",
    37: "IUCLC", 38: "IXON", 39: "IXANY", 40: "IXOFF", 41: "IMAXBEL", 42: "IUTF8",
}  # fmt: skip
_LOCAL = {
    50: "ISIG", 51: "ICANON", 52: "XCASE", 53: "ECHO", 54: "ECHOE", 55: "ECHOK", 56: "ECHONL",
    57: "NOFLSH", 58: "TOSTOP", 59: "IEXTEN", 60: "ECHOCTL", 61: "ECHOKE", 62: "PENDIN",
}  # fmt: skip
_OUTPUT = {70: "OPOST", 71: "OLCUC", 72: "ONLCR", 73: "OCRNL", 74: "ONOCR", 75: "ONLRET"}
_CONTROL = {92: "PARENB", 93: "PARODD"}
_CHARACTERS = {
    1: "VINTR", 2: "VQUIT", 3: "VERASE", 4: "VKILL", 5: "VEOF", 6: "VEOL", 7: "VEOL2", 8: "VSTART",
    9: "VSTOP", 10: "VSUSP", 12: "VREPRINT", 13: "VWERASE", 14: "VLNEXT", 18: "VDISCARD",
}  # fmt: skip
_FLAGS = ((0, _INPUT), (1, _OUTPUT), (2, _CONTROL), (3, _LOCAL))  # index in tcgetattr's list
_NO_CHARACTER = 255  # RFC 4254: "255 if none"


def apply_modes(fd: int, modes: Mapping[int, int]) -> None:
    attributes = termios.tcgetattr(fd)
    for index, names in _FLAGS:
        for opcode, name in names.items():
            flag = getattr(termios, name, 0)
            if opcode in modes and flag:
                attributes[index] = attributes[index] | flag if modes[opcode] else attributes[index] & ~flag
    for opcode, name in _CHARACTERS.items():
        position = getattr(termios, name, None)
        if opcode in modes and position is not None:
            value = modes[opcode] & 0xFF
            attributes[6][position] = b"\0" if value == _NO_CHARACTER else bytes([value])
    termios.tcsetattr(fd, termios.TCSANOW, attributes)


def set_size(fd: int, columns: int, rows: int, width: int = 0, height: int = 0) -> None:
    """Sets the terminal's size. The kernel sends the foreground process group SIGWINCH when the size is
    another than before.

    columns and rows in characters, width and height in pixels; each is cut to 16 bits.
    """
    size = struct.pack("HHHH", *(value & 0xFFFF for value in (rows, columns, width, height)))
    fcntl.ioctl(fd, termios.TIOCSWINSZ, size)
