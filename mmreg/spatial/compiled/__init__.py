"""Optional kernels in C for volumes in float32 on a CPU: the same results as the PyTorch code, several times faster.

They are built with the package where there is a C compiler. Without them, on other devices, for other types and for
images, everything runs in PyTorch. ``MMREG_COMPILED=0`` in the environment, or :func:`use_compiled`, turns them off.
"""

from .library import compiled_available, compiled_in_use, use_compiled

__all__ = ['compiled_available', 'compiled_in_use', 'use_compiled']
