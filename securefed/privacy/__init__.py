"""Clipping, integer noise, accounting and the ledger: readable and auditable without the rest."""
