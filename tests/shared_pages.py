"""Pages of the documentation, read for what a user would type: `from shared_pages import …`."""

import re
from dataclasses import dataclass
from pathlib import Path

from shared_installs import Install

DOCS = Path(__file__).parents[1] / "docs"
_BLOCK = re.compile(r"^(?:`(?P<file>[\w./]+)`\n\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        file: The file that it is, if the line before says so.
        language: `python`, `yaml`; empty for lines of a shell.
        text: As it stands there.
    """

    file: str
    language: str
    text: str


def blocks(page: str) -> list[Block]:
    """Returns the blocks of a page below docs/, in order."""
    found = _BLOCK.finditer((DOCS / page).read_text("utf-8"))
    return [Block(match["file"] or "", match["language"], match["text"]) for match in found]


def follow_to_the_letter(page: str, install: Install, folder: Path) -> list[tuple[str, str]]:
    """Does what a page says, block after block, in a folder.

    Files are written, Python is run as a script, a shell's lines one after the other until one fails.

    Returns:
        Each Python script, and each line of a shell, with what it printed.
    """
    done = []
    for number, block in enumerate(blocks(page)):
        if block.file:
            (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.file).write_text(block.text)
        elif block.language == "python":
            script = folder / f"block_{number}.py"
            script.write_text(block.text)
            done.append((block.text, install.run([install.python, script.name], folder)))
        else:
            assert not block.language, f"{page}: nobody knows how to run {block.language}"
            done += [(line, install.run(["bash", "-ec", line], folder)) for line in block.text.splitlines()]
    return done
