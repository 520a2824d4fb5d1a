"""Two networks on one machine: namespaces of Linux that see each other through one pair of interfaces only."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

#: The interface in both of them, and the addresses at its ends.
INTERFACE = 'mmreg0'
ADDRESSES = ('10.203.71.1', '10.203.71.2')


@dataclass(frozen=True)
class Network:
    """What a command begins with that is to run in a network, and the address there."""

    words: tuple[str, ...]
    address: str


#: Of a test that needs no networks of its own.
HERE = (Network((), '127.0.0.1'), Network((), '127.0.0.1'))


@contextmanager
def two_networks() -> Iterator[tuple[Network, Network]]:
    """Two namespaces joined by a pair of interfaces; skips the test where they are not permitted."""
    if shutil.which('ip') is None:
        pytest.skip('network namespaces: there is no command ip')
    names = [f'mmreg-{os.getpid()}-{end}' for end in 'ab']
    try:
        for name in names:
            _ip('netns', 'add', name)
        _ip('link', 'add', INTERFACE, 'netns', names[0], 'type', 'veth', 'peer', 'name', INTERFACE, 'netns', names[1])
        for name, address in zip(names, ADDRESSES):
            _ip('-n', name, 'address', 'add', f'{address}/24', 'dev', INTERFACE)
            for interface in ('lo', INTERFACE):
                _ip('-n', name, 'link', 'set', interface, 'up')
        first, second = (Network(('ip', 'netns', 'exec', n), address) for n, address in zip(names, ADDRESSES))
        yield first, second
    finally:
        for name in names:
            subprocess.run(['ip', 'netns', 'delete', name], capture_output=True, check=False)


def _ip(*words: str) -> None:
    found = subprocess.run(['ip', *words], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(f'network namespaces are not permitted here: {found.stderr.strip()}')
