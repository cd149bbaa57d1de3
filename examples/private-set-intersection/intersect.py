"""The names two owners have in common, and nothing else about either list.

Each input is one name a line, UTF-8. A byte-order mark and Windows line ends are tolerated, empty lines and
duplicates are not counted. Names are equal when their code points are: no case folding, no normalization.
"""


def intersect(inputs):
    first, *others = (set(names(data)) for data in inputs)
    common = first.intersection(*others)
    return "".join(f"{name}\n" for name in sorted(common)).encode("utf-8")


def names(data):
    # Not splitlines(): it also splits at characters that may stand inside a name's line.
    lines = (line.removesuffix("\r") for line in data.decode("utf-8-sig").split("\n"))
    return (line for line in lines if line)
