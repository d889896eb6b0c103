"""Measurements and proofs too heavy for the suite; `python -m bench` lists them."""
