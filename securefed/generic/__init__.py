"""Adapters without a closed form: any torch module, followed by Opacus and tried out before it is trusted."""
