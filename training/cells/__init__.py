"""Recurrent layers behind one interface: `build_layer` makes one, whatever the cell.

A layer reads a whole sequence at once. Its state is a tuple whose first entry is what attention
and output read: `(h,)` for most cells, `(h, c)` for an LSTM, `(h, h before, ...)` for skips.
W are weights of the inputs, U of the state, b and c their biases; sigmoid, tanh and * by unit.

    elman          h' = tanh(W x + b + U h + c)                                           [1]
    elman-relu     the same with max(0, .) for tanh                                       [2]
    lstm           i, f, o = sigmoid(W x + b + U h + c), each with its own weights        [3]
                   g  = tanh(W_g x + b_g + U_g h + c_g)
                   c' = f * c + i * g
                   h' = o * tanh(c')
    lstm-coupled   an LSTM with f = 1 - i                                                 [4]
    lstm-peephole  an LSTM with + p_i * c within i, + p_f * c within f, + p_o * c' within o   [5]
    gru            r, z = sigmoid(W x + b + U h + c), each with its own weights           [6]
                   n  = tanh(W_n x + b_n + r * (U_n h + c_n))
                   h' = (1 - z) * n + z * h
    gru-z-new      the same with h' = z * n + (1 - z) * h                                 [7]
    gru-reset-before         as `gru` with n = tanh(W_n x + b_n + U_n (r * h) + c_n)      [6]
    gru-reset-before-z-new   as `gru-z-new` with that n                                   [7]
    mgu            f  = sigmoid(W_f x + b_f + U_f h + c_f)                                [8]
                   n  = tanh(W_n x + b_n + U_n (f * h) + c_n)
                   h' = (1 - f) * h + f * n
    leaky          h' = (1 - a) * h + a * tanh(W x + b + U h + c), a of each unit alone   [9]
    skip           h' = tanh(W x + b + U h + c + V h_d), h_d what was said d steps ago    [10]

Which of these share a kernel, and how, stands in `forms.py`. The reset after the product is
the variant of fused kernels.

Source: [1] Elman 1990, "Finding Structure in Time". [2] Le et al. 2015, "A Simple Way to
Initialize Recurrent Networks of Rectified Linear Units". [3] Gers et al. 2000, "Learning to
Forget", section 3. [4] Greff et al. 2017, "LSTM: A Search Space Odyssey", variant CIFG, here
without peepholes. [5] Gers & Schmidhuber 2000, "Recurrent Nets that Time and Count", section 3.
[6] Cho et al. 2014, "Learning Phrase Representations", section 2.3. [7] Chung et al. 2014,
"Empirical Evaluation of Gated Recurrent Neural Networks", section 3.2. [8] Zhou et al. 2016,
"Minimal Gated Unit for Recurrent Neural Networks", section 3. [9] Jaeger et al. 2007,
"Optimization and Applications of Echo State Networks with Leaky-Integrator Neurons"; Mozer 1992,
"Induction of Multiscale Temporal Structure". [10] Lin et al. 1996, "Learning Long-Term
Dependencies in NARX Recurrent Neural Networks"; El Hihi & Bengio 1996.
"""

from training.cells.kernels import State
from training.cells.layer import Layer, build_layer, own_weights

__all__ = ["Layer", "State", "build_layer", "own_weights"]
