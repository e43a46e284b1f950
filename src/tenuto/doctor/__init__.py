"""What is missing, unsafe or slow on this machine, and its remedy: one module a topic, each a plain look at one thing."""
