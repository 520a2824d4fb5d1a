"""Settings every test shares."""

import signal

import matplotlib
import pytest
import torch

matplotlib.use('Agg')

# What a shell starts in the background ignores Ctrl-C, and so would every process a test starts from there.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _one_thread():
    """One thread: results and times do not depend on how many workers run beside."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
