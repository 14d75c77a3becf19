"""Parses arguments as kubectl writes them; argparse would double the time to start."""

_VALUED = {
    "-c": "--container",
    "-n": "--namespace",
    "-o": "--output",
    "-s": "--server",
    "-v": "--v",
    "-l": "--selector",
}
_SWITCHES = {"-i": "--stdin", "-t": "--tty", "-q": "--quiet", "-A": "--all-namespaces"}
_VALUED_LONG = {
    *_VALUED.values(),
    *("--context", "--kubeconfig", "--raw", "--request-timeout", "--cache-dir", "--cluster", "--user"),
    *("--token", "--as", "--pod-running-timeout", "--field-selector", "--certificate-authority"),
    *("--unix-socket", "--accept-paths", "--reject-paths"),
}
_SWITCHES_LONG = {
    *_SWITCHES.values(),
    "--no-headers",
    "--minify",
    "--current",
    "--client",
    "--insecure-skip-tls-verify",
}


class UsageError(Exception):
    """Raised with what kubectl would print on stderr before it exits with 1."""


class Arguments:
    """Holds parsed arguments. `words` are what is no flag; `command` is what stands after `--`, None without
    `--`.
    """

    def __init__(self, arguments: list[str]) -> None:
        self.words: list[str] = []
        self.command: list[str] | None = None
        self._values: dict[str, str] = {}
        rest = list(arguments)
        while rest:
            word = rest.pop(0)
            if word == "--":
                self.command = rest
                break
            if word.startswith("--"):
                self._take_long(word, rest)
            elif word.startswith("-") and word != "-":
                self._take_short(word, rest)
            else:
                self.words.append(word)

    def value(self, flag: str, default: str = "") -> str:
        return self._values.get(flag, default)

    def switch(self, flag: str) -> bool:
        return self._values.get(flag, "false") in ("true", "1", "t", "T", "TRUE", "True")

    def _take_long(self, word: str, rest: list[str]) -> None:
        flag, equals, value = word.partition("=")
        if flag in _SWITCHES_LONG:
            self._values[flag] = value if equals else "true"
        elif flag not in _VALUED_LONG:
            raise self._usage(f"unknown flag: {flag}")
        elif equals:
            self._values[flag] = value
        elif rest:
            self._values[flag] = rest.pop(0)
        else:
            raise self._usage(f"flag needs an argument: {flag}")

    def _take_short(self, word: str, rest: list[str]) -> None:
        """Takes one or several letters, the last of them perhaps with its value: -it, -nteam-a, -n team-a,
        -c=main.
        """
        for position, letter in enumerate(word[1:], start=2):
            flag, tail = f"-{letter}", word[position:]
            if flag in _VALUED:
                self._take_long(_VALUED[flag], [tail.removeprefix("=")] if tail else rest)
                return
            if flag not in _SWITCHES:
                raise self._usage(f"unknown shorthand flag: '{letter}' in {word}")
            if tail.startswith("="):
                self._values[_SWITCHES[flag]] = tail[1:]
                return
            self._values[_SWITCHES[flag]] = "true"

    def _usage(self, problem: str) -> UsageError:
        verb = f" {self.words[0]}" if self.words else ""
        return UsageError(f"Error: {problem}\nSee 'kubectl{verb} --help' for usage.")
