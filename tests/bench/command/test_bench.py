from __future__ import annotations

import subprocess
import sys


def test_help_lists_bench_without_importing_the_harness() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from caecodec.command.main import caecodec;"
        "print(CliRunner().invoke(caecodec, ['--help']).output);"
        "print(sorted({'torch', 'numpy', 'PIL', 'rich'} & set(sys.modules)))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "  bench " in output
    assert output.strip().endswith("[]")
