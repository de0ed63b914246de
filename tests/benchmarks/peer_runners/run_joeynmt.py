"""JoeyNMT: model L with Luong attention, through `joeynmt.search.search`."""

import os
from types import SimpleNamespace

import joeynmt
import torch
from joeynmt.batch import Batch
from joeynmt.model import Model, build_model
from joeynmt.search import search
from joeynmt.vocabulary import Vocabulary
from protocol import SPECIALS, TARGET_TOKENS, VOCABULARY, num_threads, serve

UNK, PAD, BOS, EOS = range(SPECIALS)


def build(input_feeding: bool) -> Model:
    special = SimpleNamespace(
        unk_token="<unk>",
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        sep_token=None,
        lang_tags=[],
        unk_id=UNK,
        pad_id=PAD,
        bos_id=BOS,
        eos_id=EOS,
    )
    vocabulary = Vocabulary([f"w{i}" for i in range(SPECIALS, VOCABULARY)], special)
    both = {"type": "recurrent", "rnn_type": "gru"}
    both["embeddings"] = {"embedding_dim": 512, "scale": False}
    encoder = {**both, "hidden_size": 256, "num_layers": 2, "bidirectional": True}
    decoder = {**both, "hidden_size": 512, "num_layers": 1, "attention": "luong"}
    decoder["input_feeding"] = input_feeding
    config = {"tied_softmax": True, "encoder": encoder, "decoder": decoder}
    return build_model(config, vocabulary, vocabulary).eval()


def main() -> None:
    torch.set_num_threads(num_threads())
    torch.manual_seed(1)
    model = build(os.environ.get("INPUT_FEEDING", "1") == "1")

    def translate(width: int, sources: list[list[int]]) -> list[int]:
        source = torch.tensor([[*source, EOS] for source in sources])
        batch = Batch(
            src=source,
            src_length=torch.full((len(sources),), source.shape[1]),
            src_prompt_mask=None,
            trg=None,
            trg_prompt_mask=None,
            indices=torch.arange(len(sources)),
            device=torch.device("cpu"),
            pad_index=PAD,
            eos_index=EOS,
            is_train=False,
        )
        found, _, _ = search(
            model,
            batch,
            max_output_length=TARGET_TOKENS,
            min_output_length=TARGET_TOKENS,
            beam_size=width,
            beam_alpha=1.0,
        )
        return (found != PAD).sum(axis=1).tolist()

    serve(
        translate,
        versions={"JoeyNMT": joeynmt.__version__, "PyTorch": torch.__version__},
        parameters=sum(each.numel() for each in model.parameters()),
    )


if __name__ == "__main__":
    main()
