"""The kernels under random and hostile calls: nothing dies, differs from PyTorch, or reads beyond its memory."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path

import pytest
import torch

import mmreg
from mmreg.errors import InputError
from mmreg.registry import LOSSES
from mmreg.spatial import box_sum, gaussian_filter, warp
from mmreg.spatial.compiled import compiled_available, compiled_in_use, use_compiled

ROOT = Path(__file__).parents[2]
CSRC = Path(mmreg.__file__).parent / 'spatial/compiled/csrc'
STRICT = ['-Wall', '-Wextra', '-Werror', '-Wstrict-prototypes', '-Wmissing-prototypes']
FLAGS = ['-std=gnu11', '-ffp-contract=off', '-fno-math-errno', '-fno-trapping-math', '-pthread', '-fPIC']
COMPILERS = [name for name in ('gcc', 'clang', 'clang-14', 'clang-16', 'clang-19') if shutil.which(name)]
needs_kernels = pytest.mark.skipif(not compiled_available(), reason='the kernels were not built: no C compiler')


def cases(seed, count, environment=None, first=0):
    """Run them in a process of its own: what is wrong, in words."""
    done = subprocess.run(
        [sys.executable, '-m', 'tests.trust.kernel_cases', str(seed), str(first), str(first + count)],
        cwd=ROOT,
        env={**os.environ, 'MMREG_COMPILED': '1', 'OMP_WAIT_POLICY': 'passive', **(environment or {})},
        capture_output=True,
        text=True,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{')]
    wrong = [(begun, ended['problems']) for begun, ended in zip(lines[::2], lines[1::2]) if ended['problems']]
    if done.returncode:
        wrong.append((lines[-1] if lines else 'at the start', f'exit code {done.returncode}: {done.stderr[-2000:]}'))
    return wrong


@needs_kernels
@pytest.mark.parametrize('first', [0, 50, 100])
def test_random_calls(first):
    """In parts, so that no worker is alone with them in the end."""
    assert cases(seed=1, first=first, count=50) == []


@needs_kernels
@pytest.mark.slow
def test_5000_random_calls():
    assert cases(seed=int(os.environ.get('MMREG_SEED', '2')), count=5000) == []


@needs_kernels
@pytest.mark.slow
@pytest.mark.skipif(shutil.which('gcc') is None, reason='no gcc')
def test_under_the_sanitizers(tmp_path):
    """A copy of the package whose kernels are built with the address and undefined-behaviour sanitizers."""
    package = tmp_path / 'mmreg'
    shutil.copytree(Path(mmreg.__file__).parent, package, ignore=shutil.ignore_patterns('__pycache__', '*.so'))
    shutil.copytree(ROOT / 'tests/trust', tmp_path / 'tests/trust')
    (tmp_path / 'tests/__init__.py').touch()
    sources = package / 'spatial/compiled/csrc'
    common = sources / 'common.h'  # clones are resolved before a sanitizer is up
    common.write_text(
        common.read_text(encoding='utf-8').replace('#define MMREG_CLONES __attribute__', '#define MMREG_CLONES //')
    )
    sanitize = [
        '-fsanitize=address,undefined',
        '-fno-sanitize-recover=undefined',
        '-fno-omit-frame-pointer',
        '-g',
        '-O1',
    ]
    library = package / f'spatial/compiled/_kernels{sysconfig.get_config_var("EXT_SUFFIX")}'
    subprocess.run(
        ['gcc', *FLAGS, *sanitize, '-shared', '-o', str(library), *map(str, sources.glob('*.c'))], check=True
    )
    where = [
        subprocess.run(['gcc', f'-print-file-name={name}'], capture_output=True, text=True).stdout.strip()
        for name in ('libasan.so', 'libubsan.so')
    ]
    done = subprocess.run(
        [sys.executable, '-m', 'tests.trust.kernel_cases', os.environ.get('MMREG_SEED', '4'), '0', '1000'],
        cwd=tmp_path,
        env={
            **os.environ,
            'PYTHONPATH': str(tmp_path),
            'LD_PRELOAD': ':'.join(where),
            'ASAN_OPTIONS': 'detect_leaks=0:halt_on_error=1:allocator_may_return_null=1',
            'UBSAN_OPTIONS': 'print_stacktrace=1:halt_on_error=1',
            'PYTHONMALLOC': 'malloc',
            'MMREG_COMPILED': '1',
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and 'runtime error' not in done.stderr, done.stdout[-500:] + done.stderr[-3000:]


@pytest.mark.parametrize('compiler', COMPILERS)
def test_sources_without_a_warning(compiler, tmp_path):
    sources = sorted(map(str, CSRC.glob('*.c')))
    assert sources
    command = [compiler, *FLAGS, *STRICT, '-O1', '-shared', '-o', str(tmp_path / 'kernels.so'), *sources]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_without_a_compiler(tmp_path):
    """The package builds and works all the same."""
    for name in ('mmreg', 'configs'):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns('__pycache__', '*.so'))
    for name in ('setup.py', 'pyproject.toml', 'README.md'):
        shutil.copy(ROOT / name, tmp_path / name)
    environment = {**os.environ, 'CC': 'no-such-compiler', 'PYTHONPATH': str(tmp_path)}
    command = [sys.executable, 'setup.py', '-q', 'build_ext', '--inplace']
    built = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    code = (
        'import torch, mmreg; from mmreg.spatial import warp; from mmreg.spatial.compiled import compiled_available\n'
        'print(mmreg.__file__, compiled_available(), float(warp(torch.ones(1,1,3,3,3), torch.zeros(1,3,3,3,3)).sum()))'
    )
    done = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.split() == [str(tmp_path / 'mmreg/__init__.py'), 'False', '27.0'], done.stderr


@needs_kernels
def test_switched_off_by_the_environment_nothing_changes():
    """A registration step without kernels: same numbers up to rounding."""
    code = (
        'import torch; from mmreg.spatial import scaling_and_squaring, warp; from mmreg.registry import LOSSES\n'
        'import mmreg.models.losses; torch.manual_seed(0); a, b = torch.rand(2, 1, 1, 12, 13, 14)\n'
        'u = torch.randn(1, 3, 12, 13, 14).requires_grad_(); v = scaling_and_squaring(u, 4)\n'
        'l = LOSSES.build(dict(type="LNCC"))(warp(a, v), b); l.backward(); print(float(l), float(u.grad.norm()))'
    )
    results = []
    for value in ('0', '1'):
        environment = {**os.environ, 'MMREG_COMPILED': value}
        done = subprocess.run([sys.executable, '-c', code], env=environment, capture_output=True, text=True)
        results.append([float(word) for word in done.stdout.split()])
    assert results[0] == pytest.approx(results[1], rel=1e-4) and len(results[0]) == 2


@needs_kernels
def test_the_switch_belongs_to_its_thread():
    """Blocks that overlap in time neither see nor undo each other."""
    inside, finish, seen = threading.Event(), threading.Event(), []

    def other():
        with use_compiled(False):
            inside.set()
            finish.wait(10)
            seen.append(compiled_in_use())

    with use_compiled(True):
        thread = threading.Thread(target=other)
        thread.start()
        inside.wait(10)
        assert compiled_in_use()
        with use_compiled(False):
            finish.set()
            thread.join()
        assert compiled_in_use()
    assert seen == [False]


IMAGE = torch.rand(1, 1, 6, 7, 8)


@pytest.mark.parametrize(
    'call',
    [
        lambda: box_sum(IMAGE, float('inf')),
        lambda: box_sum(IMAGE, float('nan')),
        lambda: box_sum(IMAGE, 0),
        lambda: LOSSES.build(dict(type='MIND', radius=40000))(IMAGE, IMAGE),
        lambda: LOSSES.build(dict(type='MIND', radius=10**10))(IMAGE, IMAGE),
        lambda: LOSSES.build(dict(type='MINDSSC', dilation=10**9))(IMAGE, IMAGE),
        lambda: LOSSES.build(dict(type='MIND', radius=0.5)),
        lambda: LOSSES.build(dict(type='LNCC', window=float('inf'))),
        lambda: gaussian_filter(IMAGE, 1e7),
        lambda: gaussian_filter(IMAGE, float('inf')),
        lambda: gaussian_filter(IMAGE, float('nan')),
    ],
)
def test_sizes_beyond_reason_are_refused(call):
    with pytest.raises(InputError, match='expected'):
        call()


@pytest.mark.parametrize('window', [10**9, 10**13, 2**62, 2**63, (1, 1, 10**12)])
def test_a_window_beyond_the_image_counts_the_image(window):
    if isinstance(window, tuple):
        expected = IMAGE.sum(-1, keepdim=True).expand(IMAGE.shape)
    else:
        expected = IMAGE.sum().expand(IMAGE.shape)
    for on in (True, False):
        with use_compiled(on):
            torch.testing.assert_close(box_sum(IMAGE, window), expected)


@pytest.mark.parametrize('padding', ['zeros', 'border'])
def test_a_filter_wider_than_the_image(padding):
    """As if the image had been continued as far as the kernel reaches."""
    options = {'sigma': 4.0, 'truncate': 3.0}
    around = torch.nn.functional.pad(IMAGE.double(), [12] * 6, 'constant' if padding == 'zeros' else 'replicate')
    expected = gaussian_filter(around, **options)[..., 12:-12, 12:-12, 12:-12]
    torch.testing.assert_close(gaussian_filter(IMAGE.double(), padding=padding, **options), expected)


@pytest.mark.parametrize('value', [float('nan'), float('inf'), 1e30])
@pytest.mark.parametrize('loss', [dict(type='LNCC', window=3), dict(type='MINDSSC')])
def test_images_that_no_square_holds_make_everything_nan(loss, value):
    for on in (True, False):
        first, second = torch.rand(2, 1, 1, 6, 7, 8)
        first[0, 0, 0, 0, 0] = value
        images = [first.requires_grad_(), second.requires_grad_()]
        with use_compiled(on):
            found = LOSSES.build(dict(loss))(*images)
            found.backward()
        assert found.isnan() and all(image.grad.isnan().all() for image in images)


@pytest.mark.parametrize('padding', ['zeros', 'border'])
def test_what_is_not_finite_is_not_read_from_afar(padding):
    """Outside the volume nothing is read, not even times zero."""
    image = torch.full((1, 2, 4, 5, 6), float('nan'))
    image[..., 1:-1, 1:-1, 1:-1] = 1.0
    field = torch.full((1, 3, 4, 5, 6), 100.0)
    for on in (True, False):
        for memory in (torch.contiguous_format, torch.channels_last_3d):
            with use_compiled(on):
                out = warp(image.contiguous(memory_format=memory), field, padding=padding)
            assert out.eq(0).all() if padding == 'zeros' else out.isnan().all()
