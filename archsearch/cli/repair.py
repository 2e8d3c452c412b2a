"""`archsearch repair`: copies what can be read of a damaged journal into a new one."""

from pathlib import Path

from archsearch.cli.composition import compose_settings
from archsearch.cli.exits import DONE
from archsearch.cli.running import resume_command
from archsearch.cli.section import Section
from archsearch.cli.words import parse_words
from archsearch.run.folder import RunFolder
from archsearch.run.repair import Repair, repair_journal


def run(words: list[str]) -> int:
    """Repairs a run's journal if it needs it, says what was kept and what was lost; returns the exit code."""
    root = Section(compose_settings("repair", parse_words("repair", words)).values)
    folder = RunFolder.open(Path(root.text("run")))
    print("\n".join(account(repair_journal(folder), folder)))
    return DONE


def account(repair: Repair, folder: RunFolder) -> list[str]:
    """Returns what became of a journal, line by line."""
    held = f"{repair.num_trials:,} trials and {repair.num_steps:,} steps"
    if repair.kept_as is None:
        lines = [f"{folder.journal_path}: the journal is whole, with {held}. Nothing was changed."]
        if repair.facts_lost:
            missing = ", ".join(repair.facts_lost)
            lines.append(f"Missing, and written by 'archsearch resume': {missing}.\n  {resume_command(folder)}")
        return lines
    lines = [f"{folder.journal_path}: rebuilt with {held}. The damaged file is kept as {repair.kept_as.name}."]
    if repair.num_trials_lost:
        lines.append(f"Lost: {repair.num_trials_lost:,} trials at least; of the very last there may be no trace.")
    if repair.num_steps_dropped:
        lines.append(f"Left out: {repair.num_steps_dropped:,} whole steps that stand after something lost.")
    if repair.facts_lost:
        lines.append(f"Lost, and written again by 'archsearch resume': {', '.join(repair.facts_lost)}.")
    lines.append(f"Go on; what is lost is computed again, with the same end:\n  {resume_command(folder)}")
    return lines
