"""The laboratory: tasks whose answers are known, learnt by the very pipeline that translates.

    task -> text, split by hash -> prepare -> train -> export -> the service's engine -> accuracy

Beside it stand how far back a recurrent layer remembers (`memory.py`), and the figures every
lecture on recurrent networks shows (`classics.py`).
"""
