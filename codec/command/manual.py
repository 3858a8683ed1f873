"""The manual page, in the language of man(7), made of what commands say of themselves."""

from __future__ import annotations

from collections.abc import Iterator

import click

import caecodec
from caecodec.errors import CaecodecError


def page(root: click.Command) -> str:
    """caecodec(1), all commands in it."""
    context = click.Context(root, info_name="caecodec")
    lines = [
        f'.TH CAECODEC 1 "" "caecodec {caecodec.__version__}" "User Commands"',
        ".SH NAME",
        "caecodec \\- a learned image codec",
        ".SH SYNOPSIS",
        ".B caecodec",
        ".I COMMAND",
        "[OPTIONS] ...",
        ".SH DESCRIPTION",
        *_paragraphs(root.help or ""),
        ".SH COMMANDS",
    ]
    for inner, command in _commands(context):
        lines += _command(inner, command)
    lines += [".SH EXIT STATUS", ".TP", ".B 0", "Done."]
    for error in CaecodecError.__subclasses__():
        lines += [".TP", f".B {error.exit_code}", _text((error.__doc__ or "").strip())]
    lines += [".TP", ".B 1", "A bug.", ".TP", ".B 130", "Interrupted."]
    return "\n".join(lines) + "\n"


def _commands(context: click.Context) -> Iterator[tuple[click.Context, click.Command]]:
    group = context.command
    assert isinstance(group, click.Group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        inner = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from _commands(inner)
        else:
            yield inner, command


def _command(context: click.Context, command: click.Command) -> list[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f".SS {_text(f'{context.command_path} {usage}')}", *_paragraphs(command.help or "")]
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record:
            lines += [".TP", f".B {_text(record[0])}", _text(record[1])]
    return lines


def _paragraphs(text: str) -> list[str]:
    """Paragraphs of a help text; those behind a \\b are set as they stand."""
    lines: list[str] = []
    for part in text.strip().split("\n\n"):
        if lines:
            lines.append(".PP")
        if part.startswith("\b"):
            lines += [".nf", *(_text(line) for line in part.lstrip("\b\n").splitlines()), ".fi"]
        else:
            lines.append(_text(" ".join(part.split())))
    return lines


def _text(text: str) -> str:
    """Text as roff takes it: no line of it is a command."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
