"""The worker's fixed entry point. Contract: images/python/README.md.

Called as: python3 run.py ENTRY INPUT_COUNT. Its exit status says only which step failed; whatever is printed is
discarded by the machine, because it may hold private data.
"""
import os
import sys

CODE_DOES_NOT_LOAD = 80
ENTRY_MISSING = 81
ENTRY_RAISED = 82
RESULT_INVALID = 83
RESULT_NOT_WRITTEN = 84


def load_entry(path, entry):
    with open(path, "rb") as file:
        code = compile(file.read(), "code.py", "exec", dont_inherit=True)
    names = {"__name__": "capsule_code", "__builtins__": __builtins__}
    exec(code, names)
    return names.get(entry)


def read_inputs(count):
    inputs = []
    for index in range(count):
        with open(f"/in/input-{index}", "rb") as file:
            inputs.append(file.read())
    return inputs


def result_list(value):
    """One bytes object is the same result for every receiver; a list or tuple holds one for each, in order."""
    results = [value] if isinstance(value, (bytes, bytearray)) else value
    if not isinstance(results, (list, tuple)) or not results:
        return None
    if not all(isinstance(result, (bytes, bytearray)) for result in results):
        return None
    return results


def write_results(results):
    for index, result in enumerate(results):
        with open(f"/out/result-{index}", "xb") as file:
            file.write(result)


def main(entry, count):
    try:
        function = load_entry("/in/code.py", entry)
    except BaseException:
        return CODE_DOES_NOT_LOAD
    if not callable(function):
        return ENTRY_MISSING
    try:
        value = function(read_inputs(count))
    except BaseException:
        return ENTRY_RAISED
    results = result_list(value)
    if results is None:
        return RESULT_INVALID
    try:
        write_results(results)
    except OSError:
        return RESULT_NOT_WRITTEN
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1], int(sys.argv[2]))
    # Not sys.exit: the result is complete, and no thread or exit handler of the code has a say in it any more.
    os._exit(status)
