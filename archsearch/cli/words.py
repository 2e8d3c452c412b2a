"""Words of the command line made safe for Hydra: paths and sentences are quoted, lists and numbers left alone."""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from archsearch.cli.largest import TEXT
from archsearch.errors import ConfigError

# Text, whatever it looks like: a run may be called 007, a folder null-results. `null` alone still means none.
TEXT_KEYS = frozenset(
    {
        *(
            "baselines",
            "cell",
            "checkpoint_cache",
            "csv",
            "input",
            "name",
            "other",
            "out",
            "prompt",
            "recorded",
            "results_dir",
        ),
        *("run", "save", "tensorboard"),
    }
)
# Lists, for which the brackets may be left out.
LIST_KEYS = frozenset({"beside", "format", "founders", "model", "names", "rejections", "task", "tasks"})

MAX_DEPTH = 10

_KEY = re.compile(r"[A-Za-z_][\w.@/-]*")
# The parser gives plain text a meaning where these stand: functions, sweeps.
_MISREAD = re.compile(r"[(),]")
# Between elements of a list; in `lstm:forget=2,input=1` the second bias belongs to the same cell.
_COMMA = re.compile(r",(?!\s*\w+=)")


@dataclass(frozen=True)
class TypedSetting:
    """One `key=value` of the command line.

    Attributes:
        key: As typed, without the signs that Hydra lets stand before it.
        value: As parsed: None, a truth value, a number, a text, a list or a mapping.
        sign: What stood before the key: nothing, `+`, `++` or `~`.
        source: The value as Hydra reads it, quoted where need be.
    """

    key: str
    value: object
    sign: str
    source: str

    @property
    def override(self) -> str:
        """The word for Hydra."""
        return self.sign + self.key + (f"={self.source}" if self.source or self.sign != "~" else "")


def parse_words(command: str, words: list[str]) -> list[TypedSetting]:
    """Reads the words after a command.

    Raises:
        ConfigError: A word is no `key=value`.
    """
    parser = OverridesParser.create()
    return [_parse_word(parser, command, word) for word in words]


def _parse_word(parser: OverridesParser, command: str, word: str) -> TypedSetting:
    if len(word) > TEXT or "\0" in word or not _is_unicode(word):
        raise ConfigError(
            f"archsearch {command}: expected words of at most {TEXT:,} printable characters, got {word[:40]!a}… of "
            f"{len(word):,}. Put long lists into a yaml file."
        )
    if _depth(word) > MAX_DEPTH:
        raise ConfigError(
            f"archsearch {command}: expected brackets at most {MAX_DEPTH} deep, got {word[:40]!a}…. Shorten it."
        )
    typed, equals, text = word.partition("=")
    key = typed.lstrip("+~")
    sign = typed.removesuffix(key)
    if not _KEY.fullmatch(key) or not (equals or sign == "~") or sign not in {"", "+", "++", "~"}:
        raise ConfigError(
            f"archsearch {command}: expected settings as key=value, got {word[:200]!r}. "
            f"'archsearch {command} --help' shows the settings with examples."
        )
    if sign == "~" and not equals:
        return TypedSetting(key, None, sign, "")
    source = _source(parser, key, text)
    override = _parsed(parser, f"{key}={source}")
    if override is None:
        raise ConfigError(
            f"{key}: the value {text[:200]!r} cannot be read. Quote it: {key}='\"…\"', or write a list as [a,b]."
        )
    return TypedSetting(key, override.value(), sign, source)


def _source(parser: OverridesParser, key: str, text: str) -> str:
    """Returns a value as Hydra should read it."""
    if key in LIST_KEYS and text[:1] not in {"[", "'", '"'} and text != "null":
        text = f"[{text}]"
    if text[:1] in {"[", "{"} and not _is_text(key):
        if _parsed(parser, f"{key}={text}") is not None or not (text.startswith("[") and text.endswith("]")):
            return text
        elements = (element.strip() for element in _COMMA.split(text[1:-1]))
        return "[" + ",".join(_scalar(parser, key, element) for element in elements) + "]"
    return _scalar(parser, key, text)


def _scalar(parser: OverridesParser, key: str, text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in {'"', "'"}:
        return text
    if _is_text(key):
        return "null" if text == "null" else _quoted(text)
    if text.startswith("~") or _MISREAD.search(text) or _parsed(parser, f"{key}={text}") is None:
        return _quoted(text)
    return text


def _is_text(key: str) -> bool:
    return key in TEXT_KEYS or key.endswith(".path")


def _parsed(parser: OverridesParser, override: str) -> Override | None:
    try:
        return parser.parse_overrides([override])[0]
    except (HydraException, RecursionError, ValueError):  # nested too deeply; a number of thousands of digits
        return None


def _depth(word: str) -> int:
    """Returns how deep brackets of any kind are open."""
    depths = itertools.accumulate((letter in "[{(") - (letter in "]})") for letter in word)
    return max(depths, default=0)


def _is_unicode(word: str) -> bool:
    """Tells whether a word can be written into a file: bytes of the shell that are no text cannot."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _quoted(text: str) -> str:
    """Returns the text between quotes, a leading `~` expanded to the home folder."""
    if text == "~" or text.startswith("~/"):
        text = str(Path(text).expanduser())
    # a quote inside is escaped, and so are the backslashes before it or before the closing quote
    escaped = re.sub(r"(\\*)(?='|$)", lambda slashes: slashes.group(1) * 2, text).replace("'", "\\'")
    return "'" + escaped.replace("${", "\\${") + "'"
