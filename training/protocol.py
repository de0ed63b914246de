"""Protocols of measuring: what is done to text before BLEU compares it.

    detok    as it stands, cased; sacreBLEU tokenises it (13a for most languages)
    lc-tok   lower-cased, punctuation normalised, tokenised by Moses: then compared as it is
    exact    no BLEU: the share of lines that are the reference's, character for character

The literature on Multi30k reports lc-tok. The same translations have another BLEU by each, so
figures of one say nothing beside figures of the other. Hypotheses and references go through the
same steps.

Source of lc-tok: the tokenised text of task 1 in github.com/multi30k/dataset, made by Moses'
lowercase.perl, normalize-punctuation.perl and tokenizer.perl, in this order.
"""

from collections.abc import Sequence
from dataclasses import replace

from sacremoses import MosesPunctNormalizer, MosesTokenizer

from service.evaluation import Metric, score, score_tokens
from training.kinds import ProtocolName

LC_TOK_BLEU = "lc-tok BLEU"
"""The metric of lc-tok; what is called plain BLEU is always detok."""
EXACT = "exact"
"""The metric of the protocol of this name."""


def score_by(
    protocols: Sequence[ProtocolName],
    hypotheses: Sequence[str],
    references: Sequence[str],
    target: str,
    resamples: int = 0,
) -> list[Metric]:
    """Return BLEU and chrF2 by detok, BLEU by lc-tok, as far as they are asked for.

    Args:
        target: Language of both.
        resamples: Of the bootstrap that finds the intervals; without it there are none.
    """
    metrics: list[Metric] = []
    if "detok" in protocols:
        metrics += score(hypotheses, [references], target, ("bleu", "chrf"), resamples)
    if "lc-tok" in protocols:
        sides = lc_tok(hypotheses, target), [lc_tok(references, target)]
        metric = score_tokens(*sides, resamples)
        metrics.append(replace(metric, name=LC_TOK_BLEU))
    if "exact" in protocols:
        metrics.append(Metric(EXACT, 100 * exact_share(hypotheses, references), "lines:equal"))
    return metrics


def exact_share(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """Return the share of lines that are the reference's, character for character."""
    pairs = zip(hypotheses, references, strict=True)
    return sum(mine == theirs for mine, theirs in pairs) / max(1, len(references))


def lc_tok(lines: Sequence[str], language: str) -> list[str]:
    """Return lines as Moses' scripts would write them, tokens separated by one space."""
    code = language.partition("-")[0].lower()
    normaliser = MosesPunctNormalizer(code, perl_parity=True)
    tokenizer = MosesTokenizer(code)
    # Perl reads a line with its end, and where a quotation ends the line, that decides whether
    # the full stop stays inside
    normalised = [normaliser.normalize(f"{line.lower()}\n") for line in lines]
    return [str(tokenizer.tokenize(line, return_str=True)) for line in normalised]
