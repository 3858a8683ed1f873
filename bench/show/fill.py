"""Write the tables of Markdown files by the commands that make them.

python -m caecodec.bench.show.fill README.md docs/*.md

A table stands between `<!-- $ caecodec bench ... -->`, the command that prints it, and `<!-- end -->`. Commands run in
the current folder.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

_TABLE = re.compile(r"(<!-- \$ caecodec (?P<command>bench [^\n]+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str, printed: Callable[[Sequence[str]], str]) -> str:
    """The text with what each command prints in its place; `printed` runs the arguments of one."""
    return _TABLE.sub(lambda m: f"{m[1]}{printed(shlex.split(m['command'])).strip()}\n{m[3]}", text)


def printed_by_command(arguments: Sequence[str]) -> str:
    """Standard output of `caecodec ARGUMENTS`. Raises CalledProcessError; its errors go to standard error."""
    command = [sys.executable, "-m", "caecodec", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        text = path.read_text(encoding="utf-8")
        path.write_text(filled(text, printed_by_command), encoding="utf-8")
