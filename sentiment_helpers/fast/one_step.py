"""`BiRNN` on reviews of one word: both directions at once, gradients by hand.

On a sequence of length 1, a recurrent layer is three dozen operations on tiny tensors, and PyTorch
spends its time between them. Here both directions share each operation, states are columns,
(2, H, B), so that the values of a gate are neighbours in memory, and the gradients of all layers'
weights are computed together. The plain twin is `networks.Stack`; test_one_step.py compares them.

The state before the only step is zero: `weight_hh` plays no part, `bias_hh` does.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_sigmoid_backward = torch.ops.aten.sigmoid_backward  # (gradient, sigmoid's output)
_tanh_backward = torch.ops.aten.tanh_backward  # (gradient, tanh's output)


class _RNN:
    """h = tanh(a). In the three cells, `a` (2, G, B) are the gates before their nonlinearity; it is
    overwritten. `b` (2, H, 1) is what a GRU's reset gate multiplies."""

    @staticmethod
    def forward(a: Tensor, b: Tensor) -> tuple[Tensor, tuple]:
        h = a.tanh_()
        return h, (h,)

    @staticmethod
    def backward(dh: Tensor, b: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        return (_tanh_backward(dh, h),)


class _LSTM:
    """h = o tanh(i g): without an earlier state, the forget gate has nothing to forget."""

    @staticmethod
    def forward(a: Tensor, b: Tensor) -> tuple[Tensor, tuple]:
        i, _, g, o = a.chunk(4, dim=1)
        i.sigmoid_(), g.tanh_(), o.sigmoid_()
        c = (i * g).tanh_()
        return o * c, (i, g, o, c)

    @staticmethod
    def backward(dh: Tensor, b: Tensor, i, g, o, c) -> tuple[Tensor, ...]:
        dc = _tanh_backward(dh * o, c)
        di, dg = _sigmoid_backward(dc * g, i), _tanh_backward(dc * i, g)
        return di, torch.zeros_like(di), dg, _sigmoid_backward(dh * c, o)


class _GRU:
    """h = (1 - z) n, n = tanh(a_n + r b)."""

    @staticmethod
    def forward(a: Tensor, b: Tensor) -> tuple[Tensor, tuple]:
        r, z, n = a.chunk(3, dim=1)
        r.sigmoid_(), z.sigmoid_()
        n.addcmul_(r, b).tanh_()
        return torch.addcmul(n, z, n, value=-1), (r, z, n)

    @staticmethod
    def backward(dh: Tensor, b: Tensor, r, z, n) -> tuple[Tensor, ...]:
        dn = _tanh_backward(torch.addcmul(dh, dh, z, value=-1), n)
        return _sigmoid_backward(dn * b, r), _sigmoid_backward(dh * -n, z), dn


_CELLS = {nn.RNN: _RNN, nn.LSTM: _LSTM, nn.GRU: _GRU}


class _OneStep(torch.autograd.Function):
    """From x (B, D) and the weights of L layers to the last outputs of both directions (B, 2H).

    The weights are first all `weight_ih`, then all `bias_ih`, then all `bias_hh`, of the layers in
    order, each layer's forward before its backward one.
    """

    @staticmethod
    def forward(ctx, x: Tensor, cell: type, skip_connections: bool, *weights: Tensor) -> Tensor:
        n = len(weights) // 3  # 2L
        inputs, biases, hidden_biases = weights[:n], weights[n : 2 * n], weights[2 * n :]
        w = [torch.stack(inputs[:2])]  # (2, G, D)
        w += [torch.stack(pair) for pair in zip(inputs[2::2], inputs[3::2], strict=True)]
        size = w[0].shape[1]  # G
        b = torch.stack(biases).view(n // 2, 2, size, 1)
        b_hidden = torch.stack(hidden_biases).view_as(b)
        # A GRU's third gate adds its hidden bias later, once the reset gate has multiplied it.
        at_once = size // 3 * 2 if cell is _GRU else size
        b[:, :, :at_once] += b_hidden[:, :, :at_once]
        b_hidden = b_hidden[:, :, at_once:].unbind()
        h = x.t().expand(2, *x.t().shape)  # (2, D, B)
        read, kept = [], []
        for layer, (weight, bias, b_n) in enumerate(zip(w, b.unbind(), b_hidden, strict=True)):
            read.append(h)
            h, gates = cell.forward(torch.baddbmm(bias, weight, h), b_n)  # (2, H, B)
            kept.append((b_n, *gates))
            if layer == 0:
                first = h
            elif skip_connections:
                h = h + first
        ctx.cell, ctx.skip_connections = cell, skip_connections
        ctx.w, ctx.read, ctx.kept = w, read, kept
        return h.view(-1, len(x)).t()

    @staticmethod
    @once_differentiable
    def backward(ctx, d: Tensor):
        w, layers, cell = ctx.w, len(ctx.w), ctx.cell
        dh = d.t().view(2, -1, len(d))  # (2, H, B)
        da = d.new_empty(layers, 2, w[0].shape[1], len(d))  # (L, 2, G, B)
        to_first = torch.zeros_like(dh)
        for layer in reversed(range(layers)):
            if ctx.skip_connections:
                to_first = to_first + dh
            if layer == 0 and ctx.skip_connections:
                dh = to_first
            torch.cat(cell.backward(dh, *ctx.kept[layer]), dim=1, out=da[layer])
            if layer or ctx.needs_input_grad[0]:
                dh = torch.bmm(w[layer].transpose(1, 2), da[layer])
        dx = dh.sum(0).t() if ctx.needs_input_grad[0] else None
        d_bias = da.sum(3)  # (L, 2, G)
        d_hidden = d_bias
        if cell is _GRU:
            r = torch.stack([kept[1] for kept in ctx.kept])  # (L, 2, H, B)
            d_n = (da[:, :, -r.shape[2] :] * r).sum(3)
            d_hidden = torch.cat((d_bias[:, :, : -r.shape[2]], d_n), dim=2)
        d_w = [*torch.bmm(da[0], ctx.read[0].transpose(1, 2))]
        if layers > 1:
            read = torch.cat(ctx.read[1:])  # (2(L-1), H, B)
            d_w += torch.bmm(da[1:].flatten(0, 1), read.transpose(1, 2)).unbind()
        return dx, None, None, *d_w, *d_bias.flatten(0, 1), *d_hidden.flatten(0, 1)


def one_step(
    x: Tensor,
    forward_layers: Sequence[nn.RNNBase],
    backward_layers: Sequence[nn.RNNBase],
    skip_connections: bool,
) -> Tensor:
    """Last outputs (B, 2H) of both stacks for words `x` (B, D), a review being one word."""
    layers = [layer for pair in zip(forward_layers, backward_layers, strict=True) for layer in pair]
    names = ("weight_ih_l0", "bias_ih_l0", "bias_hh_l0")
    weights = [getattr(layer, name) for name in names for layer in layers]
    return _OneStep.apply(x, _CELLS[type(layers[0])], skip_connections, *weights)
