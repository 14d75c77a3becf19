"""Programs that stand in for `incus` and `kubectl`.

They import this package on its own, with a bare interpreter, and again for each session: the standard
library only, and of that only what is quick to import (typing, dataclasses and argparse are not).
"""
