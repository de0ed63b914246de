"""How much of the end hangs on what was before, against what is known of it."""

import pytest
import torch

from training.flow import flow_back


class Scalar(torch.nn.Module):
    """h_t = w h_{t-1} + x_t for each unit by itself."""

    def __init__(self, weight):
        super().__init__()
        self.weight = weight

    def forward(self, x_BTD, state=None):
        h_BH = torch.zeros(len(x_BTD), x_BTD.shape[2]) if state is None else state[0]
        outputs = []
        for x_BD in x_BTD.unbind(1):
            h_BH = self.weight * h_BH + x_BD
            outputs.append(h_BH)
        return torch.stack(outputs, 1), (h_BH,)


@pytest.mark.parametrize("weight", [0.9, 1.0, 1.1])
def test_scalar_recurrence_flows_back_by_powers_of_its_weight(weight):
    norms = flow_back(Scalar(weight), torch.randn(6, 3))

    assert norms == pytest.approx([weight**5, weight**4, weight**3, weight**2, weight, 1.0])


class Integrator(torch.nn.Module):
    """An LSTM with open gates: the cell carries on whatever comes, and is said half as loud."""

    def forward(self, x_BTD, state=None):
        c_BH = x_BTD.new_zeros(len(x_BTD), 2) if state is None else state[1]
        outputs = []
        for x_BD in x_BTD.unbind(1):
            c_BH = c_BH + x_BD
            outputs.append(0.5 * c_BH)
        return torch.stack(outputs, 1), (outputs[-1], c_BH)


def test_what_the_cell_carries_on_counts_too():
    norms = flow_back(Integrator(), torch.randn(5, 2))

    assert norms == pytest.approx([0.5, 0.5, 0.5, 0.5, 1.0])


class Delayed(torch.nn.Module):
    """h_t = x_t + h_{t-2}: the state is what was said now and a step ago."""

    def forward(self, x_BTD, state=None):
        zeros_BH = x_BTD.new_zeros(len(x_BTD), x_BTD.shape[2])
        now_BH, before_BH = (zeros_BH, zeros_BH) if state is None else state
        outputs = []
        for x_BD in x_BTD.unbind(1):
            now_BH, before_BH = x_BD + before_BH, now_BH
            outputs.append(now_BH)
        return torch.stack(outputs, 1), (now_BH, before_BH)


def test_what_is_in_two_states_is_counted_in_each_for_what_it_does_from_there_on():
    # every second state hands the end on as what is said now, the others as what was a step ago
    assert flow_back(Delayed(), torch.randn(6, 3)) == pytest.approx([1.0] * 6)


def test_flow_of_a_real_layer_is_its_jacobian():
    torch.manual_seed(1)
    rnn = torch.nn.RNN(3, 4, batch_first=True)

    def layer(x_BTD, state=None):
        out_BTH, h_1BH = rnn(x_BTD, None if state is None else state[0][None])
        return out_BTH, (h_1BH[0],)

    x_TD = torch.randn(3, 3)
    norms = flow_back(layer, x_TD)

    # dh_t+1 / dh_t = diag(1 - h_t+1^2) U, multiplied along the way
    h_TH = rnn(x_TD[None])[0][0].detach()
    steps = [(1 - h_H**2)[:, None] * rnn.weight_hh_l0.detach() for h_H in h_TH[1:]]
    expected = [float((steps[1] @ steps[0]).norm()) / 2, float(steps[1].norm()) / 2, 1.0]
    assert norms == pytest.approx(expected, rel=1e-5)


def test_some_outputs_tell_of_all():
    norms = flow_back(Scalar(0.9), torch.randn(4, 9), outputs=3)

    assert norms == pytest.approx([0.9**3, 0.9**2, 0.9, 1.0])
