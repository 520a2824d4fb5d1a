"""Packaging of the example plugin; the entry point is what lets mmreg find it once it is installed."""

from setuptools import setup

setup(
    name='mmreg-example-plugin',
    version='0.1.0',
    description='An example of parts for mmreg that live in a package of their own',
    packages=['mmreg_example'],
    python_requires='>=3.10',
    install_requires=['mmreg'],
    entry_points={'mmreg.plugins': ['example = mmreg_example']},
)
