"""The smallest worker function: greets whoever's name is in the capsule."""


def hello(inputs):
    (name,) = inputs
    return b"Hello, " + name.strip() + b"!\n"
