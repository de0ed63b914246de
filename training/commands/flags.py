"""The flags of `dragoman-train`: each is described once, whichever commands take it."""

from pathlib import Path
from typing import Annotated

import typer

RecipeFile = Annotated[Path, typer.Argument(help="Recipe, a TOML file.")]
Corpora = Annotated[
    Path,
    typer.Option(help="Folder that the recipe's paths are relative to."),
]
Runs = Annotated[Path, typer.Option(help="Folder of runs; this one's is named by its recipe.")]
Bundles = Annotated[
    Path,
    typer.Option(help="Folder of published bundles."),
]
Teachers = Annotated[
    list[Path],
    typer.Option(
        help="Folder of a bundle, or recipe of a trained run; several that know a direction "
        "translate together."
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(help="Repeat the recipe with another seed, in a run of its own."),
]
WeightsFrom = Annotated[
    Path | None,
    typer.Option(help="Published bundle to take the weights of, instead of a checkpoint."),
]
Members = Annotated[
    list[Path] | None,
    typer.Option(
        help="Folder of a bundle, or recipe of a trained run, whose network translates together "
        "with those of the others named so; instead of a checkpoint."
    ),
]
AnyRecipe = Annotated[Path | None, typer.Argument(help="Recipe, a TOML file.", show_default=False)]
Corpus = Annotated[
    list[Path] | None,
    typer.Option(
        help="A text of your own instead of a recipe: one TMX or TSV; or two files of one "
        "language each, named one after the other.",
        show_default=False,
    ),
]
From = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="LANGUAGE", help="Language of the first file, or the first column."
    ),
]
To = Annotated[
    str | None,
    typer.Option("--to", metavar="LANGUAGE", help="Language of the second, to translate into."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RecipeFiles = Annotated[list[Path], typer.Argument(help="Recipes, TOML files.")]
AblationFile = Annotated[Path, typer.Argument(help="Ablation, a TOML file that names a recipe.")]
Only = Annotated[
    list[str] | None, typer.Option(help="Train this row only; may be given several times.")
]
Jobs = Annotated[int, typer.Option(min=1, help="Trainings at a time, each a process.")]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")]
Save = Annotated[bool, typer.Option("--save", help="Keep the figures in results/ beside the file.")]
Text = Annotated[
    Path,
    typer.Option(help="Sentences in the target language, one on each line."),
]
Source = Annotated[
    str,
    typer.Option("--from", metavar="LANGUAGE", help="Language to translate the text into."),
]
Target = Annotated[str, typer.Option("--to", metavar="LANGUAGE", help="Language of the text.")]
Translating = Annotated[
    Path, typer.Option(help="Folder of the bundle that translates the text, from --to to --from.")
]
PairsFile = Annotated[
    Path | None,
    typer.Option("--output", help="TSV to write; by default beside the text.", show_default=False),
]
Beam = Annotated[
    int | None,
    typer.Option(
        min=1, max=16, help="Beam; 1 is greedy. By default the bundle's.", show_default=False
    ),
]
Both = Annotated[
    bool, typer.Option("--both", help="With --corpus: train both directions in one model.")
]
Name = Annotated[
    str | None,
    typer.Option(
        help="With --corpus: name of run and bundle; by default that of the file.",
        show_default=False,
    ),
]
Version = Annotated[
    int | None,
    typer.Option(
        min=1, help="With --corpus: version of the bundle; by default 1.", show_default=False
    ),
]
Minutes = Annotated[
    float | None,
    typer.Option(
        min=0.1, help="With --corpus: most minutes of training; by default 60.", show_default=False
    ),
]
Laboratory = Annotated[
    str,
    typer.Argument(
        metavar="TASK",
        help="copy, reverse, sort, addition, parity or execute, which are learnt, exported and "
        "asked through the engine; delay or adding, how far back a layer remembers; gradients, "
        "the classical figures.",
    ),
]
Cells = Annotated[
    list[str] | None,
    typer.Option(
        "--cell",
        help="As network.cell; by default gru. delay and adding compare several.",
        show_default=False,
    ),
]
Length = Annotated[
    list[int] | None,
    typer.Option(
        min=1,
        help="Of the longest question; of delay and adding the steps to remember over, several.",
        show_default=False,
    ),
]
Nesting = Annotated[
    int | None,
    typer.Option(
        min=1, max=5, help="Of execute: operations in one another, at most.", show_default=False
    ),
]
CurriculumName = Annotated[
    str | None,
    typer.Option(
        "--curriculum",
        help="Of execute: baseline, naive, mix or combined; by default combined.",
        show_default=False,
    ),
]
Units = Annotated[
    int | None, typer.Option("--size", min=2, help="Units of a layer.", show_default=False)
]
Steps = Annotated[int | None, typer.Option(min=1, help="Of training.", show_default=False)]
Drawn = Annotated[
    int | None,
    typer.Option(
        "--pairs", min=10, help="Questions that are learnt from, at most.", show_default=False
    ),
]
LabSeed = Annotated[int, typer.Option("--seed", help="Of what is drawn and of the weights.")]
NetworkKeys = Annotated[
    list[str] | None,
    typer.Option(
        "--network",
        metavar="KEY=VALUE",
        help="A key of the network, as a recipe writes it; may be given several times.",
        show_default=False,
    ),
]
Clip = Annotated[
    float, typer.Option(min=0, help="Of delay and adding: norm of the gradient; 0 cuts nothing.")
]
SaveRows = Annotated[
    bool,
    typer.Option("--save", help="Of delay, adding and reverse: keep the rows for the documents."),
]
RunOrRecipe = Annotated[
    Path, typer.Argument(help="Recipe, a TOML file; or the folder of a run that holds its own.")
]
Page = Annotated[
    Path | None,
    typer.Option(
        help="File to write; by default report.html in the run's folder.", show_default=False
    ),
]
