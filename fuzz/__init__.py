"""Feeds damaged bytes to every parser: ``python -m fuzz --seconds 60``.

A mutation fuzzer of our own, since what matters here is not only that nothing but the declared errors escapes, but
that a parser's answer does not depend on how its bytes were split, that its buffer stays within its bound, and that
its time stays linear. Those are properties of whole runs, stated in ``targets.py``.

    seeds.py     writes the stored corpus, corpus/<target>/, once
    corpus.py    reads it, and the samples of tests/data
    mutate.py    damages inputs
    targets.py   parsers, and what must hold for any input
    worker.py    one process: picks, damages, runs, keeps what behaves in a new way
    __main__.py  processes, counts that add up over runs (counts.json), crashes (out/crashes)
"""
