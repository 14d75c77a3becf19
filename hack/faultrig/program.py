"""What runs in the pod: lines that are numbered, and an answer to each line typed."""

EXIT_CODE = 3  # of a program that was asked to stop
STOP = b"stop\n"
PACE = 0.05  # seconds between its lines


def argv(mark: str) -> tuple[str, ...]:
    """For any sh. Without input it stays, so that whatever forgets it leaves it behind to be found."""
    script = (
        f"m={mark}; stty -echo 2>/dev/null; "
        f'(i=0; while [ ! -e /tmp/$m ]; do echo "$m out $i" || exit; i=$((i+1)); sleep {PACE}; done; '
        'echo "$m end $i") & '
        'while :; do read -r x || { sleep 1000; continue; }; [ "$x" = stop ] && break; echo "$m in $x"; done; '
        f": >/tmp/$m; wait; rm -f /tmp/$m; exit {EXIT_CODE}"
    )
    return ("sh", "-c", script)


def line(number: int) -> bytes:
    """What is typed."""
    return b"%d\n" % number
