"""Crates: recordings kept, sealed, checked, and one taken back."""
