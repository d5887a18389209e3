"""Threat models as games that anyone can run: with the defence off the attack must succeed, with it on it must fail."""
