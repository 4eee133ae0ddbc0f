"""The targets in the panel's own Python: `micropython -m tests.fuzz.panel_side MODULE TARGET INPUTS SEED CORPUS`.

CORPUS holds inputs to begin from, a hex line each. Prints "AT n" as it goes, "FOUND kind hex" with the reason behind it
for what must not happen, "DONE n" at the end. Who started it notices when it falls silent.
"""

import random
import sys

from tests.fuzz.mutate import mutate
from tests.fuzz.targets import Leak, WrongOpen

_EVERY = 50


def main(module: str, name: str, inputs: int, seed: int, corpus_file: str) -> None:
    wanted = __import__(module)
    for part in module.split(".")[1:]:
        wanted = getattr(wanted, part)
    _, most, seeds, run = next(target for target in wanted.targets() if target[0] == name)
    with open(corpus_file) as file:
        corpus = [bytes.fromhex(line.strip()) for line in file] or list(seeds)
    random.seed(seed)
    for n in range(inputs):
        data = corpus[n] if n < len(corpus) else mutate(corpus[random.randrange(len(corpus))], corpus, most)
        if n % _EVERY == 0:
            print("AT %d" % n)
        try:
            run(data)
        except WrongOpen as error:
            _found("wrong_opens", data, error)
        except Leak as error:
            _found("leaks", data, error)
        except Exception as error:
            _found("crashes", data, error)
    print("DONE %d" % inputs)


def _found(kind: str, data: bytes, error) -> None:
    print("FOUND %s %s" % (kind, data.hex()))
    sys.print_exception(error)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
