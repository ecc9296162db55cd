"""What flows where in a script that is never run: an abstract interpretation from its first line.

`value.py`: what is known of a value. `heap.py`: what a script may change, and how two branches join. `machine.py`: the state;
`statement.py`, `expression.py`, `arithmetic.py`, `index.py`, `attribute.py`, `definition.py`: the language. `library.py`: calls
that lead out of the script, by what they are; `known.py`: by their names (`gradient.py`, `table.py`, `container.py`, `text.py`,
`builtin.py`). `score.py`: where predictions meet targets. `trace.py`: what comes out.
"""
