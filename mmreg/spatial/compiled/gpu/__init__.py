"""The kernels for a GPU, written in Triton: off unless ``MMREG_COMPILED=triton``, since nobody has measured them yet.

They stand behind the same doors as those in C. Triton is imported when the first of them is asked for.
"""
