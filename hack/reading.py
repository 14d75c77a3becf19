#!/usr/bin/env python3
"""Prints docstrings with their signatures and nothing else, chosen by chance, for a reader who does not know the code.

The reader writes what each of them does; whoever knows the code judges: right, partly, unclear or wrong. The choice
depends on the commit (or on `--seed`) alone, so that two people have the same one.
"""

import argparse
import ast
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

GATEWAY = Path(__file__).resolve().parents[1] / "gateway"
Documented = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def main() -> None:
    """Prints `--count` of them, numbered."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", help="default: the commit that is checked out")
    options = parser.parse_args()
    seed = options.seed or _commit()
    found = [one for file in sorted(GATEWAY.rglob("*.py")) for one in documented(file)]
    print(f"seed {seed}: {options.count} of {len(found)}")
    for number, text in enumerate(random.Random(seed).sample(found, options.count), start=1):
        print(f"\n{number}. {text}")


def documented(file: Path) -> Iterator[str]:
    """Yields signature and docstring of everything in the file that has a docstring which says more than "See …"."""
    module = ".".join(file.relative_to(GATEWAY.parent).with_suffix("").parts)
    for owner, node in _nodes(ast.parse(file.read_text("utf-8"))):
        text = ast.get_docstring(node)
        if text and not text.startswith("See "):
            yield f"{module}: {_signature(owner, node)}\n    " + text.replace("\n", "\n    ")


def _nodes(tree: ast.Module) -> Iterator[tuple[str, Documented]]:
    for node in tree.body:
        if isinstance(node, Documented):
            yield "", node
        if isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.", one) for one in node.body if isinstance(one, Documented))


def _signature(owner: str, node: Documented) -> str:
    if isinstance(node, ast.ClassDef):
        return f"class {owner}{node.name}({', '.join(map(ast.unparse, node.bases))})"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    kind = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    return f"{kind} {owner}{node.name}({ast.unparse(node.args)}){returns}"


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=GATEWAY, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()[:12]


if __name__ == "__main__":
    main()
