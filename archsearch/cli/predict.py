"""`archsearch predict`: a trained model forecasts a CSV or continues a text, beside what is no network."""

from pathlib import Path
from typing import Any

from archsearch.cli.composition import compose_settings
from archsearch.cli.new_files import check_writable, write_new
from archsearch.cli.section import Section
from archsearch.cli.words import parse_words
from archsearch.errors import ConfigError
from archsearch.export.predictor import Predictor, load_predictor
from archsearch.trials.value_texts import value_text


def run(words: list[str]) -> int:
    """Prints, for each model, how well it did beside simple predictors, and what it predicts; returns the exit code."""
    root = Section(compose_settings("predict", parse_words("predict", words)).values)
    predictors = {name: load_predictor(name) for name in root.texts("model")}
    if ("input" in root) == ("prompt" in root):
        raise ConfigError("predict: expected input=FILE.csv for a forecast or prompt='…' for a text, and not both.")
    if "ngram_of" in root and "input" in root:
        raise ConfigError("predict: expected ngram_of=FILE beside prompt='…' only; a forecast has other comparisons.")
    target = Path(root.text("out")) if "out" in root else None
    if target:
        check_writable(target)
    written = []
    for name, predictor in predictors.items():
        print(f"{name}: {_how_well(predictor)}")
        text = _forecast(predictor, root) if "input" in root else _continuation(predictor, root)
        print(text)
        written.append(text)
    if "ngram_of" in root:
        text = _ngram_continuation(next(iter(predictors.values())), root)
        print(f"n-gram of {root.text('ngram_of')}:\n{text}")
        written.append(text)
    if target:
        write_new(target, "\n".join(written) + "\n")
        print(f"Wrote {target}")
    return 0


def _how_well(predictor: Predictor) -> str:
    """Returns the model's values beside those of simple predictors, and a warning where it loses to one of them."""
    simple = predictor.simple
    value = float(predictor.quality["validation_value"])
    return f"{simple.metric} {value_text(value, 4)} on its validation data; {simple}. {simple.warning(value)}".rstrip()


def _forecast(predictor: Predictor, root: Section) -> str:
    forecast = predictor.forecast(root.text("input"))
    for note in forecast.notes:
        print(f"note: {note}")
    return forecast.frame.to_csv(index=False, float_format="%.6g", lineterminator="\n").rstrip()


def _continuation(predictor: Predictor, root: Section) -> str:
    prompt = root.text("prompt")
    unknown = predictor.unknown_in(prompt)
    continued = predictor.continue_text(prompt, **_how(root))
    if unknown:
        print(f"note: of the prompt, this is unknown to the model: {', '.join(map(repr, unknown))}")
    return predictor.joined(prompt, continued)


def _ngram_continuation(predictor: Predictor, root: Section) -> str:
    prompt = root.text("prompt")
    return predictor.joined(prompt, predictor.continue_with_ngram(root.text("ngram_of"), prompt, **_how(root)))


def _how(root: Section) -> dict[str, Any]:
    return {
        "length": root.integer("length", 1),
        "temperature": root.number("temperature", 0),
        "seed": root.integer("seed", 0),
    }
