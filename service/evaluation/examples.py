"""Single sentences worth reading: the worst, and those that changed most.

They are chosen by chrF: of short sentences it tells more than BLEU, which sees only whole words
and gives most of them nearly nothing.
"""

from service.evaluation.counting import Counted
from service.evaluation.results import Example
from service.evaluation.task import Task


def find_worst(task: Task, bleu: Counted, chrf: Counted) -> list[Example]:
    """Return the sentences of the lowest chrF, the lowest first, but none that is a reference."""
    scores, bleu_scores = chrf.sentences[0], bleu.sentences[0]
    faulty = [
        index
        for index, line in enumerate(task.hypotheses)
        if all(line != reference[index] for reference in task.references)
    ]
    faulty.sort(key=lambda index: (scores[index], bleu_scores[index], index))
    return [_show(task, index, bleu, chrf) for index in faulty[: task.examples]]


def find_changed(task: Task, bleu: Counted, chrf: Counted) -> list[Example]:
    """Return the sentences whose chrF is farthest from the baseline's, the farthest first."""
    if task.baseline is None:
        return []
    own, other = chrf.sentences
    pairs = zip(task.hypotheses, task.baseline, strict=True)
    changed = [index for index, (hypothesis, known) in enumerate(pairs) if hypothesis != known]
    changed.sort(key=lambda index: (-abs(own[index] - other[index]), index))
    return [_show(task, index, bleu, chrf) for index in changed[: task.examples]]


def _show(task: Task, index: int, bleu: Counted, chrf: Counted) -> Example:
    bleu_score, baseline_bleu = bleu.score_sentence(index)
    chrf_score, baseline_chrf = chrf.score_sentence(index)
    return Example(
        index=index,
        source=None if task.source is None else task.source[index],
        reference=task.references[0][index],
        hypothesis=task.hypotheses[index],
        baseline=None if task.baseline is None else task.baseline[index],
        bleu=bleu_score,
        chrf=chrf_score,
        baseline_bleu=baseline_bleu,
        baseline_chrf=baseline_chrf,
    )
