"""Packaging of mmreg. Ranges live here; the exact versions that were tested live in constraints.txt."""

import re
import shutil
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
VERSION = re.search(r"__version__ = '([^']+)'", (HERE / 'mmreg/version.py').read_text()).group(1)

EXTRAS = {
    'wandb': ['wandb>=0.17'],
    'tensorboard': ['tensorboard>=2.15'],
    'demo': ['nilearn>=0.10.3'],
    'safetensors': ['safetensors>=0.4'],
    'dev': ['nibabel>=5', 'pytest>=8', 'pytest-xdist>=3.5', 'ruff>=0.6', 'mypy>=1.10'],
}
EXTRAS['all'] = sorted({name for names in EXTRAS.values() for name in names})
# Large, with requirements of their own (torchvision, hubs), and needed by one part each: not in 'all'.
EXTRAS['clip'] = ['open_clip_torch>=2.24']
EXTRAS['hf'] = ['transformers>=4.40']
EXTRAS['elastix'] = ['itk-elastix>=0.19']


class BuildWithConfigs(build_py):
    """The configs lie beside the package in a checkout; an installed package carries them as ``mmreg/configs``."""

    def run(self):
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / 'mmreg' / 'configs'
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(HERE / 'configs', target, ignore=shutil.ignore_patterns('__pycache__', '*.pyc'))


class BuildKernels(build_ext):
    """The kernels are a plain shared library in C, loaded by name; without a compiler the package works as well."""

    FLAGS = ['-std=gnu11', '-O3', '-ffp-contract=off', '-fno-math-errno', '-fno-trapping-math', '-pthread']

    def build_extension(self, ext):
        if self.compiler.compiler_type == 'unix':
            ext.extra_compile_args, ext.extra_link_args = self.FLAGS, ['-pthread']
        super().build_extension(ext)


SOURCES = 'mmreg/spatial/compiled/csrc'
KERNELS = Extension(
    'mmreg.spatial.compiled._kernels',
    sources=sorted(str(path.relative_to(HERE)) for path in (HERE / SOURCES).glob('*.c')),
    depends=sorted(str(path.relative_to(HERE)) for path in (HERE / SOURCES).glob('*.h')),
    optional=True,
)

setup(
    name='mmreg',
    version=VERSION,
    description='Deformable medical image registration in the MMEngine style',
    long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    python_requires='>=3.10,<3.14',
    packages=find_packages(include=['mmreg', 'mmreg.*']),
    package_data={'mmreg': ['py.typed', 'visualization/report_assets/*']},
    install_requires=[
        'torch>=2.6',
        'mmengine>=0.10.7,<1',
        'mmcv-lite>=2.2,<3',
        'monai>=1.4',
        'SimpleITK>=2.4',
        'numpy>=1.26',
        'scipy>=1.11',
        'matplotlib>=3.8',
        'rich>=13',
    ],
    extras_require=EXTRAS,
    ext_modules=[KERNELS],
    cmdclass={'build_py': BuildWithConfigs, 'build_ext': BuildKernels},
    entry_points={'console_scripts': ['mmreg = mmreg.cli:main']},
)
