"""Reads the log of a challenge script: named readings, validation curve, steps, milliseconds a step, bytes.

The starter script's lines and the forms that its descendants use; whatever else is in the log is passed over.
"""

import math
import re
from typing import Any

NUMBER = r"(-?\d+(?:\.\d+)?(?:e[-+]?\d+)?|nan|inf)"
READING = re.compile(rf"^(.*?)\s*val_loss:\s*{NUMBER}\s+val_bpb:\s*{NUMBER}")
STEP = re.compile(r"(?:^|\s)(?:step:\s*)?(\d+)/(\d+)\b")
STEP_TIME = re.compile(rf"step_avg:\s*{NUMBER}\s*ms")
TRAIN_TIME = re.compile(rf"train_time:\s*{NUMBER}\s*ms")
PACKED = re.compile(r"^Serialized model \S+: (\d+) bytes")
CODE = re.compile(r"^Code size: (\d+) bytes")
TOTAL = re.compile(r"^Total submission size \S+: (\d+) bytes")


def read_log(text: str) -> dict[str, Any]:
    """Return what a log says; a later line replaces an earlier one of the same name. None: not finite.

    `readings`: {name: {"nats_per_token", "bits_per_byte"}}; `curve`: (step, nats per token, bits per byte) of validations.
    """
    found: dict[str, Any] = {"readings": {}, "curve": [], "steps": None, "milliseconds_per_step": None}
    sizes: dict[str, int] = {}
    for line in text.splitlines():
        step = STEP.search(line)
        reading = READING.match(line)
        if step:
            found["steps"] = max(found["steps"] or 0, int(step[1]))
        if step and reading:
            found["curve"].append([int(step[1]), _finite(reading[2]), _finite(reading[3])])
        elif reading and reading[1].strip():
            nats, bits = _finite(reading[2]), _finite(reading[3])
            found["readings"][reading[1].strip()] = {"nats_per_token": nats, "bits_per_byte": bits}
        if timed := STEP_TIME.search(line):
            found["milliseconds_per_step"] = float(timed[1])
        elif step and (clock := TRAIN_TIME.search(line)) and int(step[1]):
            found["milliseconds_per_step"] = float(clock[1]) / int(step[1])
        for name, pattern in (("payload_bytes", PACKED), ("code_bytes", CODE), ("total_bytes", TOTAL)):
            if size := pattern.match(line):
                sizes[name] = int(size[1])
    if "payload_bytes" in sizes and "code_bytes" in sizes:
        sizes["total_bytes"] = sizes["payload_bytes"] + sizes["code_bytes"]
    return {**found, **sizes}


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None
