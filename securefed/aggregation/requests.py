"""The requests of one phase: none of them is in memory before it is looked up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import final


@final
@dataclass(frozen=True, slots=True, eq=False)
class Requests(Mapping[str, bytes]):
    """What to send to whom, each request made when it is looked up and kept by nobody.

    A request that is looked up again is the same: no key is drawn for it, and signatures (Ed25519) are not random.

    Attributes:
        names: Who is asked, in order.
        make: Returns the request of one of them.
    """

    names: Collection[str]
    make: Callable[[str], bytes] = field(repr=False)

    def __getitem__(self, name: str) -> bytes:
        """Make one client's request."""
        if name not in self.names:
            raise KeyError(name)
        return self.make(name)

    def __contains__(self, name: object) -> bool:
        """Tell whether a client is asked, without making its request."""
        return name in self.names

    def __iter__(self) -> Iterator[str]:
        """Return the names."""
        return iter(self.names)

    def __len__(self) -> int:
        """Return how many clients are asked."""
        return len(self.names)
