"""Settings every test shares."""

import matplotlib
import pytest
import torch

matplotlib.use('Agg')


@pytest.fixture(autouse=True)
def _one_thread():
    """One thread: results and times do not depend on how many workers run beside."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
