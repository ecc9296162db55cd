"""What flows where in a script that is never run: an abstract interpretation from its first line.

`value.py`: what is known of a value. `heap.py`: what a script may change, and how two branches join. `machine.py`, `expression.py`:
the interpreter. `library.py`: what calls do that lead out of the script. `trace.py`: what comes out.
"""
