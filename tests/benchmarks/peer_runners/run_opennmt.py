"""OpenNMT-py: model L with general attention, through `Translator.translate_batch`."""

from argparse import Namespace

import onmt
import pyonmttok
import torch
from onmt.decoders.decoder import InputFeedRNNDecoder
from onmt.encoders.rnn_encoder import RNNEncoder
from onmt.models import NMTModel
from onmt.modules import Embeddings
from onmt.translate import GNMTGlobalScorer, Translator
from protocol import SPECIALS, TARGET_TOKENS, VOCABULARY, WIDEST, num_threads, serve

UNK, PAD, BOS, EOS = "<unk>", "<blank>", "<s>", "</s>"
NEVER = -1e4


def build(vocabulary: pyonmttok.Vocab) -> NMTModel:
    def table() -> Embeddings:
        return Embeddings(512, VOCABULARY, vocabulary.lookup_token(PAD))

    encoder = RNNEncoder("GRU", True, 2, 512, embeddings=table())
    decoder = InputFeedRNNDecoder("GRU", True, 1, 512, attn_type="general", embeddings=table())
    model = NMTModel(encoder, decoder)
    model.generator = torch.nn.Linear(512, VOCABULARY)
    for parameter in model.parameters():
        torch.nn.init.uniform_(parameter, -0.1, 0.1)
    model.generator.weight = decoder.embeddings.word_lut.weight
    with torch.no_grad():
        model.generator.bias[vocabulary.lookup_token(EOS)] = NEVER
    return model.eval()


def open_translator(model: NMTModel, vocabulary: pyonmttok.Vocab, width: int) -> Translator:
    vocabularies = {"src": vocabulary, "tgt": vocabulary, "decoder_start_token": BOS}
    scorer = GNMTGlobalScorer.from_opt(
        Namespace(alpha=0.0, beta=0.0, length_penalty="none", coverage_penalty="none")
    )
    return Translator(
        model,
        vocabularies,
        max_length=TARGET_TOKENS,
        max_length_ratio=0,
        beam_size=width,
        # Their greedy search, which is quicker than their beam of width 1.
        random_sampling_topk=1 if width == 1 else 0,
        global_scorer=scorer,
    )


def main() -> None:
    torch.set_num_threads(num_threads())
    torch.manual_seed(1)
    words = [f"w{i}" for i in range(SPECIALS, VOCABULARY)]
    vocabulary = pyonmttok.build_vocab_from_tokens(words, special_tokens=[UNK, PAD, BOS, EOS])
    model = build(vocabulary)
    translators = {width: open_translator(model, vocabulary, width) for width in (1, WIDEST)}
    end = vocabulary.lookup_token(EOS)

    def translate(width: int, sources: list[list[int]]) -> list[int]:
        source = torch.tensor([[*source, end] for source in sources])
        batch = {
            "src": source[:, :, None],
            "srclen": torch.full((len(sources),), source.shape[1]),
            "ind_in_bucket": list(range(len(sources))),
        }
        found = translators[width].translate_batch(batch, attn_debug=False)
        return [len(best[0]) for best in found["predictions"]]

    serve(
        translate,
        versions={"OpenNMT-py": onmt.__version__, "PyTorch": torch.__version__},
        parameters=sum(each.numel() for each in model.parameters()),
    )


if __name__ == "__main__":
    main()
