"""Image losses, forward and backward to the warped image, against named peers in the same run.

Peers: our own PyTorch code without the compiled kernels ('torch only'), MONAI's local correlation and mutual
information, local correlation by dense convolution and by dense pooling, MIND-SSC by dense pooling. The triad is the
cost of reading two volumes and writing one; ``/triad`` is a time in such units, ``peer/ours`` how many times slower the
peer is. Runs are interleaved and the best of each counts; on one thread the processor time of the process is taken, so
that other programs on the machine disturb less.

    python benchmarks/losses_image.py [--size 96 96 96] [--threads 1] [--repeats 5] [--skip-convolution]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from monai.losses import GlobalMutualInformationLoss, LocalNormalizedCrossCorrelationLoss
from torch import Tensor
from torch.nn import functional as F

from mmreg.models.losses import (
    LNCC,
    MIND,
    MINDSSC,
    MSE,
    NCC,
    NGF,
    NMI,
    CorrelationRatio,
    LocalMutualInformation,
    MutualInformation,
)
from mmreg.models.losses.mind import SSC_PAIRS
from mmreg.spatial.compiled import use_compiled

Loss = Callable[[Tensor, Tensor], Tensor]
WINDOW = 9


def local_correlation(first: Tensor, second: Tensor, window_sum: Callable[[Tensor], Tensor]) -> Tensor:
    """The textbook form with automatic differentiation."""
    n = WINDOW**3
    sum_i, sum_j = window_sum(first), window_sum(second)
    cross = window_sum(first * second) - sum_i * sum_j / n
    var_i = window_sum(first * first) - sum_i * sum_i / n
    var_j = window_sum(second * second) - sum_j * sum_j / n
    return 1 - (cross * cross / (var_i * var_j + 1e-5)).mean()


def by_convolution(first: Tensor, second: Tensor) -> Tensor:
    kernel = torch.ones(1, 1, WINDOW, WINDOW, WINDOW)
    return local_correlation(first, second, lambda x: F.conv3d(x, kernel, padding=WINDOW // 2))


def by_pooling(first: Tensor, second: Tensor) -> Tensor:
    return local_correlation(first, second, lambda x: F.avg_pool3d(x, WINDOW, 1, WINDOW // 2) * WINDOW**3)


def dense_descriptor(image: Tensor, radius: int = 2, dilation: int = 2) -> Tensor:
    padded = F.pad(image, [dilation] * 6, mode='replicate')
    size = image.shape[2:]

    def shifted(offset: tuple[int, ...]) -> Tensor:
        start = [dilation * (1 + step) for step in offset]
        return padded[(..., *[slice(s, s + n) for s, n in zip(start, size)])]

    squares = torch.cat([(shifted(p) - shifted(q)).square() for p, q in SSC_PAIRS[3]], dim=1)
    distance = F.avg_pool3d(F.pad(squares, [radius] * 6, mode='replicate'), 2 * radius + 1, 1)
    distance = distance - distance.amin(1, keepdim=True)
    spread = distance.mean(1, keepdim=True)
    return torch.exp(-distance / torch.clamp(spread, 0.001 * spread.mean().item(), 1000 * spread.mean().item()))


def dense_mind(first: Tensor, second: Tensor) -> Tensor:
    return F.mse_loss(dense_descriptor(first), dense_descriptor(second))


def torch_only(loss: Loss) -> Loss:
    """The same loss without the compiled kernels."""

    def value(warped: Tensor, fixed: Tensor) -> Tensor:
        with use_compiled(False):
            return loss(warped, fixed)

    return value


#: Group -> (ours, peers by name). The slowest peer of a group runs once only.
def groups(convolution: bool) -> dict[str, tuple[Loss, dict[str, Loss]]]:
    monai = LocalNormalizedCrossCorrelationLoss(kernel_size=WINDOW)
    correlation: dict[str, Loss] = {'torch only': torch_only(LNCC()), 'MONAI': monai}
    correlation['automatic gradient'] = LNCC(closed_form=False)
    correlation['dense pooling'] = by_pooling
    if convolution:
        correlation['dense convolution'] = by_convolution
    return {
        'LNCC': (LNCC(), correlation),
        'MINDSSC': (MINDSSC(), {'torch only': torch_only(MINDSSC()), 'dense pooling': dense_mind}),
        'MIND': (MIND(), {'torch only': torch_only(MIND())}),
        'MutualInformation': (MutualInformation(), {'MONAI': GlobalMutualInformationLoss()}),
        'MutualInformation b-spline': (
            MutualInformation(kernel='b-spline'),
            {'MONAI': GlobalMutualInformationLoss(kernel_type='b-spline')},
        ),
        'NMI': (NMI(), {}),
        'LocalMutualInformation': (LocalMutualInformation(), {}),
        'CorrelationRatio': (CorrelationRatio(), {}),
        'NGF': (NGF(), {}),
        'NCC': (NCC(), {}),
        'MSE': (MSE(), {}),
    }


def seconds(run: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    run()
    return clock() - start


def best(runs: dict[str, Callable[[], object]], repeats: int, clock: Callable[[], float]) -> dict[str, float]:
    """Best time of each, interleaved; what takes more than three seconds runs once."""
    times = {name: float('inf') for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            if times[name] == float('inf') or times[name] < 3:
                times[name] = min(times[name], seconds(run, clock))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--size', type=int, nargs=3, default=[96, 96, 96])
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--only', nargs='*', help='names of losses')
    parser.add_argument('--skip-convolution', action='store_true')
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = time.process_time if options.threads == 1 else time.perf_counter

    torch.manual_seed(0)
    warped, fixed = torch.rand(2, 1, 1, *options.size)
    warped.requires_grad_()
    out = torch.empty_like(fixed)

    def triad() -> None:
        torch.add(warped.detach(), fixed, alpha=2.0, out=out)

    def step(loss: Loss) -> Callable[[], object]:
        return lambda: torch.autograd.grad(loss(warped, fixed), warped)

    best({'triad': triad}, 20, clock)
    print(f'{"loss":28s} {"peer":20s} {"ms":>9s} {"/triad":>8s} {"peer/ours":>10s}')
    for name, (ours, peers) in groups(not options.skip_convolution).items():
        if options.only and name not in options.only:
            continue
        runs = {'': step(ours), **{peer: step(loss) for peer, loss in peers.items()}, 'triad': triad}
        times = best(runs, options.repeats, clock)
        floor = times.pop('triad')
        for peer, time_ in times.items():
            ratio = f'{time_ / times[""]:10.1f}' if peer else ''
            print(f'{name if not peer else "":28s} {peer:20s} {1e3 * time_:9.1f} {time_ / floor:8.0f} {ratio}')


if __name__ == '__main__':
    main()
