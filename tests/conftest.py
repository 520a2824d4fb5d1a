"""Settings every test shares."""

import gc
import signal

import matplotlib
import pytest
import torch

matplotlib.use('Agg')

# What a shell starts in the background ignores Ctrl-C, and so would every process a test starts from there.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


#: The file of the test before.
_file = pytest.StashKey[str]()


def pytest_runtest_setup(item):
    """What lies there before the first test of a file is no garbage.

    The engine collects garbage for every data set that it makes; without this it would walk through all tests and
    libraries each time, for longer than most trainings here take.
    """
    if item.config.stash.get(_file, None) != item.location[0]:
        item.config.stash[_file] = item.location[0]
        gc.collect()
        gc.freeze()


@pytest.fixture(autouse=True)
def _one_thread():
    """One thread: results and times do not depend on how many workers run beside."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
