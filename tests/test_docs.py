"""The documentation says what the program does: settings, commands, options, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from framecast.cli.command import make_app
from framecast.service.config import report, schema
from framecast.service.config.presets import PRESETS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]


def commands(command: Any, name: str = "framecast") -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its full name; the root for its own options."""
    below = getattr(command, "commands", {})
    if not below or name == "framecast":
        yield name, command
    for word, child in below.items():
        yield from commands(child, f"{name} {word}")


COMMANDS = dict(commands(typer.main.get_command(make_app())))


def test_every_setting_is_in_the_reference() -> None:
    text = (DOCS / "configuration.md").read_text()
    match = re.search(r"<!-- settings: [^\n]* -->\n(.*)<!-- end of settings -->", text, re.DOTALL)
    assert match is not None
    assert match[1].strip() == report.reference(), "put in the output of: framecast config reference"


def test_the_reference_leaves_nothing_out() -> None:
    text = report.reference()
    for key, setting in schema.settings_table().items():
        assert f"| `{key.rpartition('.')[2]}` |" in text
        assert setting.meaning, key
        assert setting.accepted, key
        assert all(f"`{name}`" in text for name in setting.env)


def test_presets_are_documented() -> None:
    text = (DOCS / "configuration.md").read_text()
    words = {
        "stream.fps": "{:g} fps",
        "capture.quality": "quality {}",
        "stream.buffer": "buffer {}",
        "stream.stall_timeout_s": "stall timeout {:g} s",
        "stream.heartbeat_interval_s": "heartbeat {:g} s",
        "capture.width": "{}x",
        "capture.height": "x{}",
        "stream.reencode": "",
    }
    for name, values in PRESETS.items():
        (row,) = re.findall(rf"^\| `{name}` \|.*$", text, re.MULTILINE)
        for key, value in values.items():
            assert words[key].format(value) in row


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_documented(name: str) -> None:
    text = (DOCS / "commands.md").read_text()
    match = re.search(rf"^## {re.escape(name)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert match is not None, f"docs/commands.md has no section {name}"
    written = set(re.findall(r"`(-[a-z]|--[a-z0-9-]+)`", match[1]))
    real = {
        option
        for parameter in COMMANDS[name].params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("-")
    } - {"-h", "--help"}
    assert written == real


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_each_option_with_all_its_words(name: str) -> None:
    # [word] is markup to what prints the help, and is swallowed; [8080] is not.
    shown = CliRunner().invoke(make_app(), [*name.split()[1:], "--help"], env={"COLUMNS": "400"}).output
    texts = [text for parameter in COMMANDS[name].params if (text := getattr(parameter, "help", ""))]
    assert not [text for text in texts if text not in shown]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_readme_shows_how_to_start_and_to_test() -> None:
    text = (ROOT / "README.md").read_text()
    assert "make run" in text
    assert "make test" in text
