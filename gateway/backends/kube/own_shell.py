"""Holds the POSIX sh text that becomes the shell of a session without a command.

The kubelet gives a terminal TERM=xterm and no locale, so that programs have eight colours, and a shell that counts bytes
leaves half of an `é` behind on Backspace. The text changes what the image does not say itself, as far as the image can.
"""

_KNOWN = (
    "${TERMINFO:-/-} ${HOME:-}/.terminfo /etc/terminfo /lib/terminfo /usr/lib/terminfo /usr/share/terminfo"
    " /usr/local/share/terminfo"
)
# A database of terminals may lack this one; a busybox draws for every terminal alike, and needs none
_TERM = f"""case ${{TERM:-}} in ''|dumb|xterm) dap_t=
for dap_d in {_KNOWN}; do if [ -e "$dap_d/x/xterm-256color" ] || [ -e "$dap_d/78/xterm-256color" ]; then dap_t=1; break
elif [ -d "$dap_d" ]; then dap_t=0; fi; done
case $dap_t$(readlink /proc/$$/exe 2>/dev/null) in 1*|/*busybox*) TERM=xterm-256color; export TERM;; esac;; esac
"""
# perl and others complain of a locale that the C library lacks; without `locale` it is musl, or a very small glibc
_LANG = """if [ -z "${LC_ALL:-}${LC_CTYPE:-}${LANG:-}" ]; then
case $(locale -a 2>/dev/null) in ''|*C.[Uu][Tt][Ff]*) LANG=C.UTF-8; export LANG;; esac; fi
"""
# Backspace in the kernel's own line editing takes a whole character then
_STTY = "case ${LC_ALL:-${LC_CTYPE:-${LANG:-}}} in *[Uu][Tt][Ff]*) stty iutf8 2>/dev/null;; esac\n"
# With `exec a || exec b`, busybox sh would end at `exec a`
_EXEC = "if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi"

SCRIPT = _TERM + _LANG + _STTY + _EXEC
