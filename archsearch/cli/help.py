"""What `--help` says. Loads nothing heavy."""

from dataclasses import dataclass
from importlib.metadata import version
from textwrap import fill

from archsearch.cli.configuration_files import option_names, settings_text


@dataclass(frozen=True)
class Command:
    """One command of the command line.

    Attributes:
        summary: What it does, in one line.
        examples: Command lines that work.
        groups: Groups of files that it lets choose from.
        flags: Words it takes besides settings, with what they do.
    """

    summary: str
    examples: tuple[str, ...]
    groups: tuple[str, ...] = ()
    flags: tuple[tuple[str, str], ...] = ()


COMMANDS = {
    "search": Command(
        "runs a search for cells that beat the GRU, or another first founder",
        (
            "archsearch search",
            "archsearch search name=mine seed=2 budget.candidates=50 workers=4",
            "archsearch search task=xml,words task.xml.num_letters=8 search.max_steps=3000",
            "archsearch search name=other seed=2 budget.candidates=50 recorded=results/mine gate=0.8",
            "archsearch search strategy=halving experiment=jozefowicz2015 task.penn_treebank.path=data/ptb",
            "archsearch search experiment=overnight budget.candidates=4000 ray.address=auto lookahead=64",
        ),
        ("experiment", "strategy", "task", "recipe"),
        (("--cfg", "prints every setting with its value, those of task, recipe, strategy too, and does nothing"),),
    ),
    "resume": Command(
        "continues a run that was stopped, or extends one",
        (
            "archsearch resume run=results/quickstart-1",
            "archsearch resume run=results/quickstart-1 budget.candidates=200 workers=2",
        ),
    ),
    "leaderboard": Command(
        "prints the best cells of a run",
        ("archsearch leaderboard run=results/quickstart-1", "archsearch leaderboard run=results/quickstart-1 top=5"),
    ),
    "confirm": Command(
        "trains the best cells of a run anew: fresh seeds, test data, confidence intervals",
        (
            "archsearch confirm run=results/quickstart-1",
            "archsearch confirm run=results/quickstart-1 top=3 seeds=10 settings=12 workers=4",
            "archsearch confirm run=results/quickstart-1 top=1 seeds=40 'beside=[lstm_torch]'",
        ),
    ),
    "ablate": Command(
        "takes each part of a cell away in turn and says what mattered",
        (
            "archsearch ablate run=results/quickstart-1 rank=2",
            "archsearch ablate run=results/quickstart-1 cell=c_436aa42e9676d4f5 task=xml seeds=10",
            "archsearch ablate cell=mycell.eq task=xml,words steps=1000",
        ),
        ("task",),
    ),
    "compare": Command(
        "compares two runs, or two strategies with several runs each",
        (
            "archsearch compare run=results/quickstart-1 other=results/quickstart-2",
            "archsearch compare 'run=[results/a1,results/a2]' 'other=[results/b1,results/b2]' names=a,b out=ab.png",
        ),
    ),
    "report": Command(
        "writes a run as one web page: leaderboard, drawings, curves, lineage",
        (
            "archsearch report run=results/quickstart-1",
            "archsearch report run=results/quickstart-1 out=quickstart.html",
        ),
    ),
    "watch": Command(
        "follows a search that runs in another terminal",
        (
            "archsearch watch run=results/quickstart-1",
            "archsearch watch run=results/quickstart-1 once=yes",
            "archsearch watch run=results/quickstart-1 tensorboard=curves",
        ),
    ),
    "repair": Command(
        "copies what can be read of a damaged journal into a new one",
        ("archsearch repair run=results/quickstart-1", "archsearch repair run=/backup/results/quickstart-1"),
    ),
    "show": Command(
        "shows one cell: equations, drawing, cost",
        (
            "archsearch show cell=gru hidden_size=256",
            "archsearch show cell=mycell.eq",
            "archsearch show run=results/quickstart-1 rank=2",
        ),
    ),
    "diff": Command(
        "shows what changed from one cell to another",
        (
            "archsearch diff cell=gru other=mut1",
            "archsearch diff cell=gru other=mycell.eq out=changes.svg",
            "archsearch diff run=results/quickstart-1 cell=gru other=c_436aa42e9676d4f5",
            "archsearch diff run=results/quickstart-1 rank=2",
        ),
    ),
    "evaluate": Command(
        "trains one cell on one task",
        (
            "archsearch evaluate cell=mut1 task=xml task.xml.num_letters=4",
            "archsearch evaluate cell=gru task=words steps=3000 setting.learning_rate=0.5 save=gru.safetensors",
            "archsearch evaluate run=results/quickstart-1 rank=2 task=xml",
            "archsearch evaluate cell=lstm task=music recipe=music task.music.path=FOLDER steps=15000",
        ),
        ("task", "recipe"),
    ),
    "task check": Command(
        "shows what a task is, looks for leaks, trains a GRU briefly",
        (
            "archsearch task check task=xml",
            "archsearch task check task=series task.series.path=sensors.csv setting.learning_rate=0.1",
        ),
        ("task",),
    ),
    "replay": Command(
        "compares strategies on recorded results, without training",
        (
            "archsearch replay recorded=synthetic 'strategy=[jozefowicz2015,halving,regularized,random]'",
            "archsearch replay recorded=results/quickstart-1 strategy=halving seeds=50",
            "archsearch replay recorded=results/calibration/curves.csv strategy=halving tasks=words out=traces.csv",
        ),
        ("strategy",),
    ),
    "predict": Command(
        "forecasts a CSV or continues a text with a trained model",
        (
            "archsearch predict model=gru.safetensors input=sensors.csv",
            "archsearch predict model=found.safetensors,gru.safetensors prompt=The ngram_of=book.txt temperature=0.7",
        ),
    ),
    "export": Command(
        "takes a cell away: Python source, weights, ONNX, drawings",
        (
            "archsearch export cell=mut1 out=exported",
            "archsearch export cell=mycell.eq format=python,safetensors,onnx,svg hidden_size=256 out=exported",
            "archsearch export cell=lstm_torch format=all out=exported",
            "archsearch export run=results/quickstart-1 rank=2 trained=yes task=xml out=trained",
        ),
        ("task",),
    ),
}


def overview() -> str:
    """Returns the help of the whole program."""
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items())
    return (
        "archsearch: an evolutionary search for recurrent cells\n\n"
        "Usage: archsearch COMMAND setting=value …\n\n"
        f"Commands:\n{commands}\n\n"
        "Begin with:\n  archsearch search\n\n"
        "'archsearch COMMAND --help' shows examples and settings; 'archsearch --version' the version.\n"
        "A list of names is typed as a,b; any other as '[a,b]', quoted, since some shells read brackets.\n"
        "--config-dir FOLDER adds tasks of your own: FOLDER/task/NAME.yaml, and the Python files in FOLDER.\n"
        "ARCHSEARCH_DEBUG=1 shows where an error came from.\n"
        "Exit codes: 0 done, 2 wrong before the first trial, 1 failed later, 130 stopped and saved."
    )


def command_help(name: str) -> str:
    """Returns the help of one command: examples, choices, settings with their defaults."""
    command = COMMANDS[name]
    parts = [f"archsearch {name}: {command.summary}", f"Usage: archsearch {name} setting=value …"]
    parts.append("Examples:\n" + "\n".join(f"  {example}" for example in command.examples))
    if command.flags:
        parts.append("\n".join(f"{flag} {meaning}." for flag, meaning in command.flags))
    parts += [f"{group}: {', '.join(option_names(group))}" for group in command.groups]
    settings = settings_text(name)
    parts.append(f"Settings with their defaults (an experiment changes some):\n\n{settings}")
    if "docs/" in settings:
        parts.append("docs/… are pages of archsearch's source; an installed archsearch comes without them.")
    if name == "show":
        parts.append(f"The zoo, whose names any cell=… and founders=[…] take:\n{_zoo()}")
    return "\n\n".join(parts)


def _zoo() -> str:
    from archsearch.graph.catalog import zoo_names  # loads networkx, which no other help needs

    return fill(", ".join(zoo_names()), 100, initial_indent="  ", subsequent_indent="  ")


def version_line() -> str:
    """Returns name and version."""
    return f"archsearch {version('archsearch')}"
