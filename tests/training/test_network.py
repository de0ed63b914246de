"""The network: padding, tying, dropout, and one decoding for all lengths."""

from itertools import product

import pytest
import torch
from torch.nn.functional import cross_entropy

from models.tokenizer import BOS, EOS, PAD
from tests.training.tiny_graphs import own_options
from training.batches import make_batch, pad
from training.forms import CELLS
from training.network import BidirectionalLayer, Network
from training.precision import autocast
from training.recipe import NetworkRecipe

VOCABULARY = 13
SIZES = {
    "embedding_size": 6,
    "encoder_layers": 2,
    "encoder_size": 4,
    "decoder_layers": 2,
    "decoder_size": 8,
}
DROPOUTS = {
    "dropout_embedding": 0.5,
    "dropout_layers": 0.5,
    "dropout_context": 0.5,
    "dropout_readout": 0.5,
    "word_dropout": 0.5,
    "weight_drop": 0.5,
}
DEEP = {
    "encoder_layers": 3,
    "decoder_layers": 4,
    "layer_norm": True,
    "residual": True,
    "context": "first",
}
SOURCES = [[4, 5, 6, 7, EOS], [8, EOS], [9, 10, 4, EOS]]
TARGETS = [[BOS, 5, 6, EOS], [BOS, 7, 8, 9, 10, EOS], [BOS, 11, EOS]]
CPU = torch.device("cpu")
ATTENTIONS = ("dot", "general", "additive")
EVERY_KIND = [
    {"cell": cell, "attention": attention}
    for cell, attention in product(("gru", "lstm"), ATTENTIONS)
] + [{"attention": attention, "attention_heads": 2} for attention in ATTENTIONS]
EVERY_KIND += [{"cell": cell, **own_options(cell)} for cell in CELLS if cell not in {"gru", "lstm"}]
EVERY_KIND.append({"attention": "additive", "attention_heads": 2, "attention_size": 10})
SUMMARIES = [{"attention": "none", "summary": each} for each in ("state", "input", "both")]
EVERY_KIND += SUMMARIES
EVERY_KIND += [
    {"cell": cell, "attention": "additive", "input_feeding": True, **own_options(cell)}
    for cell in CELLS
]
EVERY_DEPTH = [{}, *({name: each} for name, each in DEEP.items()), DEEP]


def describe(**changes):
    kinds = {"cell": "gru", "attention": "general", "tying": "all"}
    return NetworkRecipe.model_validate(SIZES | kinds | changes)


def make_network(**changes):
    torch.manual_seed(7)
    network = Network(describe(**changes), VOCABULARY).double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return network.eval()


def widen(ids_BS, columns):
    return torch.cat([ids_BS, torch.full((len(ids_BS), columns), PAD)], 1)


@pytest.mark.parametrize("depth", EVERY_DEPTH, ids="-".join)
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_sentence_alone_equals_itself_in_a_ragged_batch(kind, depth):
    network = make_network(**kind, **depth)
    source_BS, lengths_B = pad(SOURCES, CPU)
    target_BT, _ = pad(TARGETS, CPU)
    memory, _ = network.encode(widen(source_BS, 3), lengths_B)
    logits_BTV = network.logits(widen(source_BS, 3), lengths_B, widen(target_BT, 2))

    for row, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        alone = pad([source], CPU)
        own, _ = network.encode(*alone)
        own_logits_1TV = network.logits(*alone, torch.tensor([target]))

        torch.testing.assert_close(memory.memory_BSM[row, : len(source)], own.memory_BSM[0])
        torch.testing.assert_close(memory.keys_BSA[row, : len(source)], own.keys_BSA[0])
        torch.testing.assert_close(logits_BTV[row, : len(target)], own_logits_1TV[0])


def test_what_lies_in_the_padding_changes_nothing():
    network = make_network()
    source_BS, lengths_B = pad(SOURCES, CPU)
    target_BT, _ = pad(TARGETS, CPU)
    mask_BS = torch.arange(source_BS.shape[1]) < lengths_B[:, None]
    littered_BS = torch.where(mask_BS, source_BS, 12)

    assert torch.equal(
        network.logits(littered_BS, lengths_B, target_BT),
        network.logits(source_BS, lengths_B, target_BT),
    )


def decode_in_pieces(network, source_BS, lengths_B, target_BT):
    memory, states = network.encode(source_BS, lengths_B)
    readouts = []
    for token_B1 in target_BT.split(1, 1):
        readout_B1E, _, states = network.decode(token_B1, memory, states)
        readouts.append(readout_B1E)
    return network.output(torch.cat(readouts, 1))


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_target_read_token_by_token_is_the_target_read_at_once(kind):
    network = make_network(**kind)
    batch = *pad(SOURCES, CPU), pad(TARGETS, CPU)[0]

    torch.testing.assert_close(decode_in_pieces(network, *batch), network.logits(*batch))


@pytest.mark.parametrize("kind", [*SUMMARIES, {"input_feeding": True}])
def test_whatever_is_known_of_the_source_changes_what_is_said(kind):
    network = make_network(**kind)
    target_BT, _ = pad([TARGETS[1]], CPU)

    one, other = (network.logits(*pad([source], CPU), target_BT) for source in SOURCES[:2])

    # the summary as first state, too, is known at the first position already
    assert not torch.isclose(one[0, 0], other[0, 0]).any()


def test_fed_layer_reads_what_attention_read_at_the_position_before():
    network = make_network(input_feeding=True)
    layer, read = network.decoder.layers[0], []
    run = layer.begin()
    layer.begin = lambda: (
        lambda x, state: (read.append(x[:, 0, SIZES["embedding_size"] :]), run(x, state))[1]
    )
    memory, states = network.encode(*pad(SOURCES[:1], CPU))

    _, weights_BTS, after = network.decode(torch.tensor([TARGETS[1]]), memory, states)

    expected_BTM = weights_BTS @ memory.memory_BSM
    assert not read[0].any()
    torch.testing.assert_close(torch.stack(read[1:], 1), expected_BTM[:, :-1])
    torch.testing.assert_close(after[-1][0], expected_BTM[:, -1])


@pytest.mark.parametrize(
    ("summary", "starts", "reads"), [("state", 1, 0), ("input", 0, 1), ("both", 1, 1)]
)
def test_without_attention_the_summary_goes_where_it_is_told(summary, starts, reads):
    network = make_network(attention="none", summary=summary)
    *_, states = network.encode(*pad(SOURCES, CPU))

    # embedding 6, hidden 8, summary 8
    inputs = [layer.rnn.weight_ih_l0.shape[1] for layer in network.decoder.layers]
    assert inputs == [6 + 8 * reads, 8 + 8 * reads]
    assert network.decoder.readout.in_features == 8 + 6 + 8 * reads
    assert [bool(state[0].any()) for state in states] == [bool(starts)] * 2 + [True] * reads


def test_without_attention_all_tokens_weigh_the_same():
    network = make_network(attention="none")
    source_BS, lengths_B = pad(SOURCES, CPU)

    _, weights_BTS, _ = network.decode(pad(TARGETS, CPU)[0], *network.encode(source_BS, lengths_B))

    for row, source in enumerate(SOURCES):
        length = len(source)
        assert weights_BTS[row, 0].tolist() == pytest.approx(
            [1 / length] * length + [0] * (5 - length)
        )


@pytest.mark.parametrize("kind", [{"input_feeding": True}, {"attention": "none"}])
def test_gradient_that_is_cut_along_time_changes_nothing_that_is_said(kind):
    whole, cut = make_network(**kind), make_network(**kind, gradient_steps=2)
    batch = make_batch(SOURCES, TARGETS, CPU)
    losses = [network.train().loss(batch, 0.0) for network in (whole, cut)]
    for loss in losses:
        loss.backward()

    torch.testing.assert_close(*losses)
    grads = [network.source_embedding.weight.grad for network in (whole, cut)]
    assert not torch.isclose(*grads).all()


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_learns_in_half_precision(cell):
    network = make_network(cell=cell, input_feeding=True, **own_options(cell)).float().train()
    with autocast(CPU, "bf16"):
        loss = network.loss(make_batch(SOURCES, TARGETS, CPU), 0.1)
    loss.backward()

    assert all(bool(each.grad.isfinite().all()) for each in network.parameters())


def guessing(network, teacher):
    """Return what the decoder is told in a pass that learns, and the loss."""
    told = []
    network.target_embedding.register_forward_pre_hook(lambda _, inputs: told.append(inputs[0]))
    loss = network.loss(make_batch(SOURCES, TARGETS, CPU), 0.0, teacher=teacher)
    return told, loss


def test_teacher_who_tells_all_changes_nothing():
    network = make_network().train()
    plain = network.loss(make_batch(SOURCES, TARGETS, CPU), 0.0)

    told, loss = guessing(network, 1.0)

    assert len(told) == 1
    assert torch.equal(loss, plain)


def test_what_the_teacher_does_not_tell_is_the_likeliest_token():
    network = make_network().train()
    target_BT, _ = pad(TARGETS, CPU)
    logits_BTV = network.logits(*pad(SOURCES, CPU), target_BT[:, :-1])

    (before_BT, told_BT), loss = guessing(network, 0.0)

    assert torch.equal(before_BT, target_BT[:, :-1])
    assert torch.equal(told_BT[:, 0], target_BT[:, 0])
    assert torch.equal(told_BT[:, 1:], logits_BTV[:, :-1].argmax(-1))
    loss.backward()
    assert all(bool(each.grad.any()) for each in network.decoder.layers.parameters())


def test_teacher_tells_each_token_by_itself_with_the_share_it_is_given():
    network = make_network().train()
    target_BT = torch.randint(3, VOCABULARY, (40, 26))
    network.output.weight.data.zero_()
    network.output.bias.data[2] = 9.0  # which no target has: what is 2 was guessed
    sources = pad([[4, EOS]] * 40, CPU)
    memory, states = network.encode(*sources)

    told_BT = network._guess(target_BT, memory, states, 0.75)

    is_guessed_BT = told_BT[:, 1:] == 2
    assert torch.equal(told_BT[:, 1:][~is_guessed_BT], target_BT[:, 1:][~is_guessed_BT])
    # 1,000 draws of 0.25: four standard errors
    assert is_guessed_BT.double().mean().item() == pytest.approx(0.25, abs=0.055)


@pytest.mark.parametrize("cell", CELLS)
def test_backward_direction_reads_each_sentence_turned_round(cell):
    torch.manual_seed(1)
    layer = BidirectionalLayer(describe(cell=cell, **own_options(cell)), 6)
    x_BSD = torch.randn(2, 5, 6)

    out_BSM, last_BM = layer(x_BSD, torch.tensor([5, 3]))

    for row, length in enumerate((5, 3)):
        turned_1SD = x_BSD[row : row + 1, :length].flip(1)
        expected = layer.backwards(turned_1SD)[0].flip(1)[0]
        torch.testing.assert_close(out_BSM[row, :length, 4:], expected)
        ends = torch.cat([out_BSM[row, length - 1, :4], expected[0]])
        torch.testing.assert_close(last_BM[row], ends)


@pytest.mark.parametrize(("tying", "tables"), [("all", 1), ("decoder", 2), ("none", 3)])
def test_tied_tables_are_one_and_counted_once(tying, tables):
    network = Network(describe(tying=tying), VOCABULARY)
    weights = [network.source_embedding, network.target_embedding, network.output]
    rest = [network.encoder, network.decoder]

    assert len({each.weight.data_ptr() for each in weights}) == tables
    assert network.num_parameters == tables * VOCABULARY * 6 + VOCABULARY + sum(
        parameter.numel() for part in rest for parameter in part.parameters()
    )


def test_tied_tables_learn_together():
    network = make_network(tying="all")

    network.loss(make_batch(SOURCES, TARGETS, CPU), 0.0).backward()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.sub_(0.1 * parameter.grad)

    assert torch.equal(network.output.weight, network.source_embedding.weight)


@pytest.mark.parametrize("depth", EVERY_DEPTH, ids="-".join)
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_decoding_step_by_step_equals_decoding_the_whole_target(kind, depth):
    network = make_network(**kind, **depth)
    memory, states = network.encode(*pad(SOURCES, CPU))
    target_BT, _ = pad(TARGETS, CPU)
    whole_BTE, weights_BTS, last = network.decode(target_BT, memory, states)

    steps = []
    for token_B in target_BT.T:
        readout_B1E, weights_B1S, states = network.decode(token_B[:, None], memory, states)
        steps.append((readout_B1E, weights_B1S))

    torch.testing.assert_close(torch.cat([step[0] for step in steps], 1), whole_BTE)
    torch.testing.assert_close(torch.cat([step[1] for step in steps], 1), weights_BTS)
    torch.testing.assert_close(states, last)


def test_loss_is_the_cross_entropy_of_the_tokens_after_bos():
    network = make_network().float()
    source_BS, lengths_B = pad(SOURCES, CPU)
    target_BT, _ = pad(TARGETS, CPU)
    logits_BTV = network.logits(source_BS, lengths_B, target_BT[:, :-1])

    loss = network.loss(make_batch(SOURCES, TARGETS, CPU), 0.1)

    expected = sum(
        cross_entropy(
            logits_BTV[row, : len(target) - 1],
            torch.tensor(target[1:]),
            reduction="sum",
            label_smoothing=0.1,
        )
        for row, target in enumerate(TARGETS)
    )
    torch.testing.assert_close(loss, expected)


def test_r_drop_makes_two_passes_of_which_each_draws_its_own_dropout():
    network = make_network(**DROPOUTS).float().train()
    source_BS, lengths_B = pad(SOURCES, CPU)
    target_BT, _ = pad(TARGETS, CPU)
    torch.manual_seed(5)
    logits_BTV = network.logits(
        source_BS.repeat(2, 1), lengths_B.repeat(2), target_BT[:, :-1].repeat(2, 1)
    )
    is_token_BT = target_BT[:, 1:] != PAD
    first, second = (each[is_token_BT].log_softmax(-1) for each in logits_BTV.chunk(2))
    apart = (first.exp() - second.exp()) * (first - second)
    right_2N = [each[range(len(each)), target_BT[:, 1:][is_token_BT]] for each in (first, second)]

    torch.manual_seed(5)
    loss = network.loss(make_batch(SOURCES, TARGETS, CPU), 0.0, r_drop=3.0)

    assert not torch.allclose(first, second)
    torch.testing.assert_close(loss, -sum(right_2N).sum() / 2 + 3 / 4 * apart.sum())


def test_r_drop_without_dropout_loses_what_one_pass_loses():
    network = make_network().float()
    batch = make_batch(SOURCES, TARGETS, CPU)

    torch.testing.assert_close(network.loss(batch, 0.1, r_drop=3.0), network.loss(batch, 0.1))


def test_nothing_is_dropped_when_not_training():
    plain, dropping = make_network(), make_network(**DROPOUTS)
    dropping.load_state_dict(plain.state_dict())
    batch = (*pad(SOURCES, CPU), pad(TARGETS, CPU)[0])

    assert torch.equal(dropping.logits(*batch), plain.logits(*batch))


def test_every_weight_of_every_attention_learns():
    for kind in EVERY_KIND:
        network = make_network(**kind)
        network.loss(make_batch(SOURCES, TARGETS, CPU), 0.0).backward()

        attention = network.decoder.attention
        assert attention is None or all(weight.grad.any() for weight in attention.parameters())


def test_heads_cost_no_weights_and_attention_size_three_matrices_of_its_own():
    def count(**changes):
        return make_network(attention="additive", **changes).num_parameters

    assert count(attention_heads=4) == count(attention_size=8) == count()
    # for each unit of it the query's 8 weights, the key's 8 and its bias, and the score's
    assert count(attention_size=10) - count() == 2 * (8 + 8 + 1 + 1)


@pytest.mark.parametrize("name", DROPOUTS)
def test_each_dropout_has_an_effect_in_training(name):
    network = make_network(**{name: 0.5}).train()
    batch = (*pad(SOURCES, CPU), pad(TARGETS, CPU)[0])

    assert not torch.equal(network.logits(*batch), network.logits(*batch))


class Heard:
    """What some modules of a network were given, by name."""

    def __init__(self, network, *names):
        self.inputs = {name: [] for name in names}
        for name, inputs in self.inputs.items():
            module = network.get_submodule(name)
            module.register_forward_pre_hook(lambda _, given, to=inputs: to.append(given[0]))


@pytest.mark.parametrize("kind", ["locked", "independent"])
def test_dropped_context_is_the_same_for_all_who_read_it(kind):
    network = make_network(decoder_layers=3, dropout_context=0.5, dropout_kind=kind).train()
    readers = ["decoder.layers.1", "decoder.layers.2", "decoder.readout"]
    heard = Heard(network, *readers)

    network.logits(*pad(SOURCES, CPU), pad(TARGETS, CPU)[0])

    contexts = [heard.inputs[name][0][..., 8:16] for name in readers]
    assert all(torch.equal(each, contexts[0]) for each in contexts)
    is_dropped_BTM = contexts[0] == 0
    assert 0.2 < is_dropped_BTM.double().mean() < 0.8
    is_held = torch.equal(is_dropped_BTM, is_dropped_BTM[:, :1].expand_as(is_dropped_BTM))
    assert is_held == (kind == "locked")
    assert not any((heard.inputs[name][0][..., :8] == 0).any() for name in readers)


def test_context_goes_to_the_layers_that_the_recipe_says_and_to_the_readout():
    sizes = {
        context: [
            layer.rnn.input_size
            for layer in make_network(decoder_layers=4, context=context).decoder.layers
        ]
        for context in ("every", "first")
    }

    assert sizes == {"every": [6, 16, 16, 16], "first": [6, 16, 8, 8]}
    network = make_network(decoder_layers=4, context="first")
    assert network.decoder.readout.in_features == 8 + 8 + 6


@pytest.mark.parametrize("option", ["layer_norm", "residual"])
def test_query_and_first_state_are_made_from_outputs_as_they_are(option):
    network = make_network(attention="additive", **{option: True})
    heard = Heard(network, "decoder.attention.query", "decoder.start.0")
    last_out = []
    network.decoder.layers[0].register_forward_hook(lambda _, __, out: last_out.append(out[0]))
    network.encoder.layers[1].register_forward_hook(lambda _, __, out: last_out.append(out[1]))

    network.logits(*pad(SOURCES, CPU), pad(TARGETS, CPU)[0])

    last_BM, out_BTH = last_out
    assert torch.equal(heard.inputs["decoder.start.0"][0], last_BM)
    assert torch.equal(heard.inputs["decoder.attention.query"][0], out_BTH)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_each_half_of_the_encoder_loses_weights_of_its_own(cell):
    network = make_network(cell=cell, weight_drop=0.5).train()
    layer = network.encoder.layers[0]
    layer.backwards.load_state_dict(layer.forwards.state_dict())
    palindromes_BSE = torch.randn(2, 5, 6, dtype=torch.double)
    palindromes_BSE = palindromes_BSE + palindromes_BSE.flip(1)

    out_BSM, _ = layer(palindromes_BSE, torch.tensor([5, 5]))

    assert not torch.allclose(out_BSM[..., :4], out_BSM[..., 4:].flip(1))
    out_BSM, _ = layer.eval()(palindromes_BSE, torch.tensor([5, 5]))
    torch.testing.assert_close(out_BSM[..., :4], out_BSM[..., 4:].flip(1))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_deep_network_with_all_options_learns_in_every_weight(precision):
    network = make_network(**DEEP, **DROPOUTS).float().train()

    with autocast(CPU, precision):
        loss = network.loss(make_batch(SOURCES * 4, TARGETS * 4, CPU), 0.1)
    loss.backward()

    gradients = {name: each.grad for name, each in network.named_parameters()}
    assert all(bool(each.isfinite().all() and each.any()) for each in gradients.values())


def test_word_dropout_never_hides_the_first_token():
    network = make_network(word_dropout=0.9).train()
    seen = []
    for table in (network.source_embedding, network.target_embedding):
        table.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    source_BS, lengths_B = pad([[4, 5, 6, 7, EOS]] * 50, CPU)

    network.logits(source_BS, lengths_B, source_BS)

    for ids_BS in seen:
        assert ids_BS[:, 0].tolist() == [4] * 50
        # 200 draws of 0.9: four standard errors
        assert (ids_BS[:, 1:] == PAD).double().mean().item() == pytest.approx(0.9, abs=0.085)


def test_translation_takes_the_likeliest_token_at_each_step():
    network = make_network()
    with torch.no_grad():
        network.output.bias[EOS] += 1.0  # or hardly any would end

    translations = network.translate(*pad(SOURCES, CPU), 12)

    assert any(len(tokens) < 12 for tokens in translations)
    for source, tokens in zip(SOURCES, translations, strict=True):
        logits_1TV = network.logits(*pad([source], CPU), torch.tensor([[BOS, *tokens]]))
        assert logits_1TV[0].argmax(-1).tolist()[:12] == [*tokens, EOS][:12]


@pytest.mark.parametrize(("token", "expected"), [(EOS, []), (7, [7, 7, 7, 7])])
def test_translation_ends_with_eos_or_at_the_limit(token, expected):
    network = make_network()
    with torch.no_grad():
        network.output.bias[token] = 1000.0

    assert network.translate(*pad(SOURCES, CPU), 4) == [expected] * 3


def test_state_starts_between_minus_one_and_one_and_lstm_cells_at_zero():
    network = make_network(cell="lstm")

    _, states = network.encode(*pad(SOURCES, CPU))

    assert len(states) == 2
    assert all(h_BH.abs().max() < 1 and not c_BH.any() for h_BH, c_BH in states)
