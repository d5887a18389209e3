"""Secure sums over clients as sans-I/O roles: bytes in, bytes out."""
