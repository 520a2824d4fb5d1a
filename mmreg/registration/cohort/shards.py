"""The share of a list that one of several processes takes, and the table they make together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from mmreg.errors import ConfigError

_T = TypeVar('_T')
#: The first process waits so long for the slowest one.
_PATIENCE = timedelta(days=30)


@dataclass(frozen=True)
class Shard:
    """One of ``world`` processes, as torchrun counts them, on one machine or several.

    Attributes:
        rank: 0 to ``world - 1``; the first one writes the tables of all.
        world: Number of processes.
        local_rank: Number of this process on its machine.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @classmethod
    def from_environment(cls) -> Shard:
        """What torchrun says in RANK, WORLD_SIZE and LOCAL_RANK; one process where it says nothing.

        Raises:
            ConfigError: they hold something else than numbers that fit.
        """
        texts = [os.environ.get(name) for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK')]
        if texts[0] is None or texts[1] is None:
            return cls()
        try:
            rank, world, local = (int(text or 0) for text in texts)
        except ValueError as error:
            raise ConfigError(f'RANK, WORLD_SIZE and LOCAL_RANK are {texts}, expected numbers.') from error
        if not 0 <= rank < world:
            raise ConfigError(f'RANK is {rank} and WORLD_SIZE {world}, expected a rank below the number of processes.')
        return cls(rank, world, local)

    @classmethod
    def of(cls, text: str) -> Shard:
        """Share ``I/N`` as people count, from 1; it is by itself and meets no other process.

        Raises:
            ConfigError: no such share.

        Example:
            >>> Shard.of('2/3').rank
            1
        """
        first, slash, second = text.partition('/')
        if not slash or not first.strip().isdecimal() or not second.strip().isdecimal():
            raise ConfigError(f'shard is {text!r}, expected I/N such as 2/8.')
        number, count = int(first), int(second)
        if not 1 <= number <= count:
            raise ConfigError(f'shard is {text!r}, expected a number from 1 to {count} before the stroke.')
        return cls(number - 1, count)

    @property
    def is_first(self) -> bool:
        """Whether this process speaks for all."""
        return self.rank == 0

    @property
    def suffix(self) -> str:
        """Part of the names of this process's own tables; empty for a single process."""
        return '' if self.world == 1 else f'.part{self.rank + 1}of{self.world}'

    def share(self, items: Sequence[_T]) -> list[_T]:
        """Every ``world``-th item, beginning with the one of this rank: each item belongs to one process."""
        return list(items[self.rank :: self.world])

    def device(self, asked: str | None) -> str | None:
        """The device this process uses: its own GPU where several processes share a machine and none was named."""
        import torch

        count = torch.cuda.device_count()
        if asked is not None or self.world == 1 or not count:
            return asked
        return f'cuda:{self.local_rank % count}'

    def join(self) -> None:
        """Meet the other processes; nothing for a single one."""
        import torch.distributed as dist

        if self.world > 1 and not dist.is_initialized():
            dist.init_process_group('gloo', timeout=_PATIENCE)

    def gather(self, items: Sequence[_T]) -> list[list[_T]]:
        """What every process has, by rank; waits for the slowest. Call :meth:`join` first."""
        if self.world == 1:
            return [list(items)]
        import torch.distributed as dist

        found: list[Any] = [None] * self.world
        dist.all_gather_object(found, list(items))
        return found

    def leave(self) -> None:
        """Part from the other processes."""
        import torch.distributed as dist

        if self.world > 1 and dist.is_initialized():
            dist.destroy_process_group()
