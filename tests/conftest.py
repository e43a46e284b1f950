"""The tests' own surroundings."""

import signal

# A shell starts background jobs with Ctrl-C ignored, and children inherit that: the tests that send it could not be heard.
signal.signal(signal.SIGINT, signal.default_int_handler)
