"""Why a message is refused, by name.

::

    ProtocolError (securefed.errors)
      x Malformed         not a frame of this phase: length, version, kind, padding, fields
      x WrongContext      made for another task, round, attempt, plan, model, roster or set of parameters
      x WrongSender       made by, or for, somebody else
      x BadSignature      not signed by the rostered key of its sender
      x BadMembership     a set of clients that cannot be: not a subset, without this client, or with a key twice
      x BadBox            a sealed share that does not open or does not match its commitment
      x BadShare          a revealed share or secret that does not match its commitment
      x Equivocation      too few clients agree on the same survivors
      x PolicyViolation   below the floor that this client's owner set
      x Replay            this client has already contributed to, or unmasked, this model or context
      x InconsistentSum   masks that did not cancel, or a sum beyond its limit
      x Transparent       a ciphertext that hides nothing
"""

from __future__ import annotations

from typing import final

from securefed.errors import ProtocolError


@final
class Malformed(ProtocolError):
    """Not a frame of this phase: length, version, kind, padding or fields."""


@final
class WrongContext(ProtocolError):
    """Made for another task, round, attempt, plan, model, roster or set of parameters."""


@final
class WrongSender(ProtocolError):
    """Made by, or for, somebody else."""


@final
class BadSignature(ProtocolError):
    """Not signed by the rostered key of its sender."""


@final
class BadMembership(ProtocolError):
    """A set of clients that cannot be."""


@final
class BadBox(ProtocolError):
    """A sealed share that does not open or does not match its commitment."""


@final
class BadShare(ProtocolError):
    """A revealed share or secret that does not match its commitment."""


@final
class Equivocation(ProtocolError):
    """Too few clients agree on the same survivors."""


@final
class PolicyViolation(ProtocolError):
    """Below the floor that this client's owner set."""


@final
class Replay(ProtocolError):
    """This client has already contributed to, or unmasked, this model or context."""


@final
class InconsistentSum(ProtocolError):
    """Masks that did not cancel, or a sum beyond its limit."""


@final
class Transparent(ProtocolError):
    """A ciphertext that hides nothing."""
