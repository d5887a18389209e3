"""The lattice encryption itself: keys, encryption and decryption by Microsoft SEAL, through TenSEAL's ``sealapi``.

SEAL draws the keys and the masks, from its own generator (BLAKE2, seeded by the operating system); nothing else can
seed it here. What it is given to parse was written by this process: residues that
:mod:`securefed.aggregation.residues` has checked, framed here. How numbers pass is in
:mod:`securefed.aggregation.handover`.

A CKKS plaintext is added to an encryption of zero in whole numbers, coefficient by coefficient, and read back in whole
numbers; see :mod:`securefed.aggregation.noise`. Everything runs on the calling thread.
"""

from __future__ import annotations

import math
import struct
from functools import lru_cache
from typing import Any, final

import numpy as np
from tenseal import sealapi

from securefed.aggregation.encryption import SPARE, Encryption
from securefed.aggregation.handover import numbers, put, version
from securefed.aggregation.lanes import Slots
from securefed.aggregation.refusals import InconsistentSum
from securefed.aggregation.residues import Modulus, Residues
from securefed.errors import ConfigError

_HEADER = struct.Struct("<HBBBBHQ")
_MAGIC = 0xA15E


@final
class Ring:
    """SEAL's context of an encryption, and its moduli.

    Attributes:
        encryption: The encryption.
        data: The modulus of ciphertexts.
        keys: The modulus of public keys: with the special prime.
        shape: Of a ciphertext: its body and its opener.
    """

    def __init__(self, encryption: Encryption) -> None:
        self.encryption = encryption
        self.context, primes, self.plain = _context(encryption)
        degree, data = encryption.degree, encryption.data_primes
        self.data = Modulus(primes[:data], bits=encryption.data_bits, degree=degree)
        self.keys = Modulus(primes, bits=max(encryption.data_bits, encryption.special_bits), degree=degree)
        self.shape = (2, *self.data.shape)
        self.prime = primes[0]
        self.evaluator = sealapi.Evaluator(self.context)
        self._version = version()

    @property
    def least_budget(self) -> int:
        """What SEAL calls the noise budget of a BFV sum, at the least: its noise is known to a power of two.

        It is the bits of the modulus ``q``, less those of the largest coefficient of ``t`` times the noise, less one.
        """
        modulus = math.prod(int(prime) for prime in self.data.primes)
        return modulus.bit_length() - (self.plain * self.encryption.noise).bit_length() - 1

    def load(self, kind: Any, residues: Residues, *, key: bool = False, transformed: bool = False) -> Any:
        """Return a ciphertext or public key of SEAL's with these residues."""
        parms = self.context.key_parms_id() if key else self.context.first_parms_id()
        size, primes, degree = residues.shape
        content = self._framed(struct.pack("<Q", residues.size) + residues.astype("<u8").tobytes())
        fields = struct.pack("<4QBQQQdQ", *parms, transformed, size, degree, primes, 1.0, 1)
        return put(kind, self.context, self._framed(fields + content))

    def _framed(self, content: bytes) -> bytes:
        header = _HEADER.pack(_MAGIC, _HEADER.size, *self._version, 0, 0, _HEADER.size + len(content))
        return header + content


@lru_cache(maxsize=8)
def ring(encryption: Encryption) -> Ring:
    """Return the ring of an encryption; making one takes longer than using it."""
    return Ring(encryption)


@final
class PublicKey:
    """Encrypts; whoever has it cannot decrypt.

    Args:
        ring: The ring.
        residues: The key, shape ``(2, primes and special prime, degree)``, as :meth:`SecretKey.public` gives it.
    """

    def __init__(self, ring: Ring, residues: Residues) -> None:
        self._ring = ring
        key = ring.load(sealapi.PublicKey, residues, key=True, transformed=True)
        self._encryptor = sealapi.Encryptor(ring.context, key)
        self._encoder = sealapi.BatchEncoder(ring.context) if ring.encryption.scheme == "bfv" else None

    def encrypt(self, slots: Slots) -> Residues:
        """Return a fresh ciphertext of one plaintext, shape ``ring.shape``: body and opener."""
        ciphertext = sealapi.Ciphertext()
        if self._encoder is not None:
            plain = sealapi.Plaintext()
            self._encoder.encode(slots.tolist(), plain)
            self._encryptor.encrypt(plain, ciphertext)
            return numbers(ciphertext.dyn_array()).reshape(self._ring.shape)
        self._encryptor.encrypt_zero(ciphertext)
        self._ring.evaluator.transform_from_ntt_inplace(ciphertext)
        residues = numbers(ciphertext.dyn_array()).reshape(self._ring.shape)
        message = slots << np.int64(self._ring.encryption.plain_bits)
        message[message < 0] += np.int64(self._ring.prime)
        residues[0, 0] += message.astype(np.uint64)
        residues[0, 0] = np.minimum(residues[0, 0], residues[0, 0] - np.uint64(self._ring.prime))
        return residues


@final
class SecretKey:
    """Decrypts. It is born here, lives in memory, and has no representation as bytes.

    Args:
        ring: The ring.
    """

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        generator = sealapi.KeyGenerator(ring.context)
        public = sealapi.PublicKey()
        generator.create_public_key(public)
        self._public = public
        self._decryptor = sealapi.Decryptor(ring.context, generator.secret_key())
        self._encoder = sealapi.BatchEncoder(ring.context) if ring.encryption.scheme == "bfv" else None
        residues = np.zeros(ring.shape, dtype=np.uint64)
        residues[1] = 1
        self._nothing = ring.load(sealapi.Ciphertext, residues, transformed=True)

    def __reduce__(self) -> str:
        raise TypeError("a secret key is not pickled")

    def public(self) -> Residues:
        """Return the public key."""
        return numbers(self._public.data().dyn_array()).reshape(2, *self._ring.keys.shape)

    def open(self, ciphertext: Residues) -> Slots:
        """Return the slots of a sum of ciphertexts, rounded to whole numbers.

        Raises:
            InconsistentSum: If the noise is above what a planned sum can have.
        """
        loaded, plain = self._ring.load(sealapi.Ciphertext, ciphertext), sealapi.Plaintext()
        if self._encoder is not None:
            if self._decryptor.invariant_noise_budget(loaded) < self._ring.least_budget:
                raise InconsistentSum("the sum holds more noise than its clients can have made")
            self._decryptor.decrypt(loaded, plain)
            return np.array(self._encoder.decode_int64(plain), dtype=np.int64)
        return self._rounded(self._polynomial(loaded))

    def _polynomial(self, loaded: Any) -> Slots:
        """Return ``c0 + c1 s`` modulo the prime, in whole numbers around zero.

        The decrypted polynomial is added to a ciphertext that is nothing, because SEAL transforms only ciphertexts back
        to coefficients.
        """
        self._ring.evaluator.transform_to_ntt_inplace(loaded)
        plain, carrier = sealapi.Plaintext(), sealapi.Ciphertext()
        self._decryptor.decrypt(loaded, plain)
        self._ring.evaluator.add_plain(self._nothing, plain, carrier)
        self._ring.evaluator.transform_from_ntt_inplace(carrier)
        values = numbers(carrier.dyn_array())[: self._ring.encryption.degree].astype(np.int64)
        values[values > self._ring.prime // 2] -= np.int64(self._ring.prime)
        return values

    def _rounded(self, values: Slots) -> Slots:
        shift = np.int64(self._ring.encryption.plain_bits)
        slots = (values + (np.int64(1) << (shift - np.int64(1)))) >> shift
        if int(np.abs(values - (slots << shift)).max()) > self._ring.encryption.noise:
            raise InconsistentSum("the sum holds more noise than its clients can have made")
        return slots


def _context(encryption: Encryption) -> tuple[Any, list[int], int]:
    """Return SEAL's context, its primes with the special one last, and the plaintext modulus."""
    scheme = sealapi.SCHEME_TYPE.CKKS if encryption.scheme == "ckks" else sealapi.SCHEME_TYPE.BFV
    sizes = [encryption.data_bits] * encryption.data_primes + [encryption.special_bits]
    parameters = sealapi.EncryptionParameters(scheme)
    parameters.set_poly_modulus_degree(encryption.degree)
    parameters.set_coeff_modulus(sealapi.CoeffModulus.Create(encryption.degree, sizes))
    plain = 0
    if encryption.scheme == "bfv":
        modulus = sealapi.PlainModulus.Batching(encryption.degree, encryption.plain_bits)
        parameters.set_plain_modulus(modulus)
        plain = modulus.value()
    context = sealapi.SEALContext(parameters, True, sealapi.SEC_LEVEL_TYPE.TC128)
    if not context.parameters_set():
        raise ConfigError(f"SEAL refuses {encryption}: {context.parameters_error_message()}")
    primes = [prime.value() for prime in parameters.coeff_modulus()]
    wanted = zip(
        [*sizes, *([encryption.plain_bits] if plain else [])], [*primes, *([plain] if plain else [])], strict=True
    )
    if any(not (1 - SPARE) * 2.0**size < prime < 2.0**size for size, prime in wanted):
        raise ConfigError(f"SEAL's primes {primes} are smaller than the proof of exactness supposes")
    return context, primes, plain
