"""The network: gpt.py assembles parts that levers replace one at a time."""
