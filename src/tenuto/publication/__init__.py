"""The publication: a static web root that is signed, followed, and taken from one recording at a time."""
