"""What a GPU does with mmreg, in under eight minutes: checks and times of the kernels, one training step, one pair.

    MMREG_COMPILED=triton python benchmarks/gpu.py [--size 160 192 224] [--small]

Every operation is run by PyTorch and by the kernels in Triton, compared, and timed (median of repeated runs, forward
and backward). Prints one table, with peak memory, and which default it would choose. ``--small`` tries the script
itself, on whatever device there is.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--size', type=int, nargs=3, default=[160, 192, 224])
    parser.add_argument('--repeats', type=int, default=10)
    parser.add_argument('--small', action='store_true')
    options = parser.parse_args()
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    size = [12, 10, 8] if options.small else options.size
    name = torch.cuda.get_device_name() if device.type == 'cuda' else 'processor'
    print(f'{name}, PyTorch {torch.__version__}, volumes of {" x ".join(map(str, size))}\n')
    print(f'{"operation":28}{"PyTorch ms":>12}{"Triton ms":>12}{"ratio":>8}{"difference":>12}{"peak MiB":>10}')
    ratios = [row(title, run, device, options.repeats) for title, run in operations(size, device).items()]
    found = [ratio for ratio in ratios if ratio]
    if found:
        better = all(ratio > 1 for ratio in found)
        print(f'\nfaster in {sum(r > 1 for r in found)} of {len(found)}: the default should be '
              f'{"triton" if better else "PyTorch, or Triton for those that gain"}')  # fmt: skip
    training_step(size, device, options.repeats)


def operations(size: list[int], device: torch.device) -> dict[str, Callable[[], list[Tensor]]]:
    """Title -> an operation with its gradients."""
    from mmreg.models.losses import LNCC, MINDSSC
    from mmreg.spatial import box_sum, compose, jacobian_determinant, scaling_and_squaring, warp

    make = torch.Generator().manual_seed(0)

    def draw(channels: int, scale: float = 1.0) -> Tensor:
        return (scale * torch.randn(1, channels, *size, generator=make)).to(device)

    image, other, field = draw(1), draw(1), draw(3, 2.0)
    lncc = LNCC(window=9).to(device)

    def graded(function: Callable[..., Tensor], *inputs: Tensor) -> Callable[[], list[Tensor]]:
        def run() -> list[Tensor]:
            own = [x.detach().requires_grad_() for x in inputs]
            out = function(*own)
            return [out.detach(), *torch.autograd.grad(out.square().mean(), own)]

        return run

    return {
        'warp, both gradients': graded(warp, image, field),
        'warp of 16 channels': graded(warp, draw(16), field),
        'composition': graded(compose, field, draw(3)),
        'scaling and squaring, 7 steps': graded(lambda v: scaling_and_squaring(v, 7), draw(3, 0.1)),
        'box sum, 9 voxels': graded(lambda x: box_sum(x, 9), image),
        'LNCC, window 9': graded(lambda a, b: lncc(a, b), image, other),
        'MIND-SSC': graded(MINDSSC(), image, other),
        'Jacobian determinant': lambda: [jacobian_determinant(field)],
    }


def row(title: str, run: Callable[[], list[Tensor]], device: torch.device, repeats: int) -> float | None:
    """Print one operation; the ratio of both times, None where Triton is not in use."""
    from mmreg.spatial.compiled.gpu.switch import interpreted, triton_in_use

    wanted = os.environ.pop('MMREG_COMPILED', None)
    plain, seconds, _ = timed(run, device, repeats)
    if wanted is not None:
        os.environ['MMREG_COMPILED'] = wanted
    if not triton_in_use() or (device.type == 'cpu' and not interpreted()):
        print(f'{title:28}{1000 * seconds:12.3f}{"-":>12}{"-":>8}{"-":>12}')
        return None
    own, faster, peak = timed(run, device, repeats)
    difference = max(float((a - b).abs().max() / b.abs().max().clamp(min=1e-12)) for a, b in zip(own, plain))
    memory = f'{peak / 2**20:10.0f}'
    print(f'{title:28}{1000 * seconds:12.3f}{1000 * faster:12.3f}{seconds / faster:8.2f}{difference:12.1e}{memory}')
    return seconds / faster


def timed(run: Callable[[], Any], device: torch.device, repeats: int) -> tuple[Any, float, int]:
    """The result, the median of the seconds, and the peak of the memory."""
    cuda = device.type == 'cuda'
    result = run()
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    seconds = []
    for _ in range(repeats):
        if cuda:
            torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        if cuda:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return result, statistics.median(seconds), torch.cuda.max_memory_allocated() if cuda else 0


def training_step(size: list[int], device: torch.device, repeats: int) -> None:
    """One training step of EOIR with mixed precision, beside the memory that was counted for it."""
    from mmreg.evaluation.analysis.complexity import example_inputs
    from mmreg.evaluation.analysis.training_memory import step_memory
    from mmreg.plugins import register_all_modules
    from mmreg.registry import REGISTRARS
    from mmreg.utils.config import load_config
    from mmreg.utils.shipped import config_folder

    register_all_modules()
    cfg = load_config(config_folder() / 'eoir_lumir.py')
    grid = [max(32, n) for n in size]
    with torch.device('meta'):
        planned = REGISTRARS.build(cfg.model).to('meta')
    counted = step_memory(planned, example_inputs(grid, device='meta'), autocast=torch.bfloat16)
    model = REGISTRARS.build(cfg.model).to(device).train()
    optimiser = torch.optim.Adam(model.parameters(), 1e-4)
    inputs = example_inputs(grid, device=device)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16):
            terms = model(inputs, None, mode='loss')
        optimiser.zero_grad(set_to_none=True)
        sum(value for key, value in terms.items() if key.startswith('loss')).backward()
        optimiser.step()

    _, seconds, peak = timed(step, device, repeats)
    print(f'\nEOIR, one step in bfloat16: {1000 * seconds:.1f} ms, peak {peak / 2**30:.2f} GiB, '
          f'counted {counted.total / 2**30:.2f} GiB')  # fmt: skip


if __name__ == '__main__':
    main()
