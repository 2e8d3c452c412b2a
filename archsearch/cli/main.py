"""The door: finds the command, turns errors into one paragraph and an exit code."""

import io
import os
import signal
import sys
from importlib import import_module

from archsearch.cli.configuration_files import did_you_mean, take_config_folder
from archsearch.cli.exits import DONE, FAILED, INTERRUPTED, WRONG, LateError
from archsearch.cli.help import COMMANDS, command_help, overview, version_line
from archsearch.errors import ArchSearchError, InvalidGraphError

DEBUG = "ARCHSEARCH_DEBUG"
HELP = {"--help", "-h", "help"}
TASK, TASK_CHECK = "task", "task check"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character shows a question mark
    for number in SIGNALS[1:]:  # as Ctrl-C, from the first moment on
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, signal.default_int_handler)
    code = run_command_line(sys.argv[1:])
    if code == INTERRUPTED:
        for number in SIGNALS:  # one more while Python tidies up would end it with another code
            signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


def run_command_line(words: list[str]) -> int:
    """Runs a command and returns its exit code; errors are printed to standard error."""
    try:
        code = _run(words)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # whoever read our output has seen enough; Python must not complain again when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        _say("stopped.")
        return INTERRUPTED
    except (ArchSearchError, OSError) as error:
        if os.environ.get(DEBUG) == "1":
            raise
        _say(str(error), keeps_lines=isinstance(error, InvalidGraphError))
        late = isinstance(error, LateError) or not isinstance(error, ArchSearchError)
        return FAILED if late else WRONG
    except Exception as error:  # a mistake of ours: said in one paragraph, with a way to see more
        if os.environ.get(DEBUG) == "1":
            raise
        _say(
            f"this is a bug in archsearch: {type(error).__name__}: {error}. With {DEBUG}=1 the same command shows "
            f"where; please report that. What a run has finished is kept."
        )
        return FAILED


def _run(words: list[str]) -> int:
    if not words or words[0] in HELP:
        print(overview())
        return DONE if words else WRONG
    if words[0] == "--version":
        print(version_line())
        return DONE
    words = take_config_folder(words)
    command, rest = words[0], words[1:]
    if command == TASK and rest[:1] == ["check"]:
        command, rest = TASK_CHECK, rest[1:]
    if command not in COMMANDS:
        _say(
            f"there is no command {command!r}.{did_you_mean(command, tuple(COMMANDS))} "
            f"Expected one of: {', '.join(COMMANDS)}. 'archsearch --help' says what they do."
        )
        return WRONG
    if HELP.intersection(rest):
        print(command_help(command))
        return DONE
    # Every trial trains on one thread, as in the workers: other numbers of threads give other bits. Torch reads this
    # when it is loaded, which only a command does.
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
    return int(import_module(f"archsearch.cli.{command.replace(' ', '_')}").run(rest))


def _say(text: str, *, keeps_lines: bool = False) -> None:
    """Prints one paragraph to standard error; lines are kept where they point at places in a text."""
    prefix = "" if text.startswith("archsearch") else "archsearch: "
    print(prefix + (text if keeps_lines else " ".join(text.split())), file=sys.stderr)
