"""Experiments: which customer gets which variant, and what a variant does."""
