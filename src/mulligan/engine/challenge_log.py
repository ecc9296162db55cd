"""Reads the log of a challenge script: named readings, validation curve, steps, clocks, bytes, each with its line.

The starter script's lines and the forms that its descendants use; whatever else is in the log (often the whole script) is
passed over. A log may hold several runs one after another (`read_runs`).
"""

import dataclasses
import math
import re
from dataclasses import dataclass, field
from typing import Any

NUMBER = r"(-?\d+(?:\.\d+)?(?:e[-+]?\d+)?|nan|inf)"
CLOCK = re.compile(r"^(?:\d{9,}\.\d+|\[rank\d+\]:)\s+")
READING = re.compile(rf"^(.*?)\s*val_loss\s*[:=]\s*{NUMBER}\s+(?:\w+ )?val_bpb\s*[:=]\s*{NUMBER}")
STEP = re.compile(r"(?:^|\s)step:?\s*(\d+)/(\d+)\b|^(\d+)/(\d+)\s+(?:train|val)_loss")
STEP_TIME = re.compile(rf"step_avg:\s*{NUMBER}\s*ms")
TRAIN_TIME = re.compile(rf"train_time:\s*{NUMBER}\s*ms")
READING_TIME = re.compile(rf"\b(?!train_time)(?:\w*time|elapsed)\s*[:=]\s*{NUMBER}(ms|s)\b")
SEED = re.compile(r"(?:^|\s)seed\s*[:=]\s*(\d+)(?=\s|$)")
NUMBERS = {
    "train_seconds": re.compile(rf"^train_seconds:{NUMBER}"),
    "eval_seconds": re.compile(rf"^total_eval_time:\s*{NUMBER}s"),
    "payload_bytes": re.compile(r"^Serialized model \S+: (\d+) bytes"),
    "code_bytes": re.compile(r"^Code size(?: \(compressed\))?: (\d+) bytes"),
    "total_bytes": re.compile(r"^(?:Total submission size \S+: (?=\d+ bytes)|budget:(?=\d+/))(\d+)"),
}


@dataclass(frozen=True)
class Figure:
    """A number of a log: its value (None: not finite), how it is written there, and its line, counted from 1."""

    value: float | None
    text: str
    line: int


@dataclass(frozen=True)
class Reading:
    """A score: nats per token, bits per byte, and the seconds it took where the line tells them."""

    nats_per_token: Figure
    bits_per_byte: Figure
    seconds: Figure | None = None


@dataclass
class LogRun:
    """What one run of a log says; a later line replaces an earlier one of the same name, the seed is the first.

    `numbers`: seed, steps, milliseconds_per_step, train_seconds, eval_seconds, payload_bytes, code_bytes, total_bytes.
    `readings` in order of their last line; `curve`: (step, reading) of validations during training.
    """

    numbers: dict[str, Figure] = field(default_factory=dict)
    readings: dict[str, Reading] = field(default_factory=dict)
    curve: list[tuple[int, Reading]] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """How many steps were trained, as far as the log tells; 0 where it does not."""
        found = self.numbers.get("steps")
        return int(found.value or 0) if found else 0

    @property
    def is_finished(self) -> bool:
        """Whether something was scored or stored after training."""
        return bool(self.readings or self.numbers.keys() & {"payload_bytes", "total_bytes"})


def read_runs(text: str) -> list[LogRun]:
    """Return the runs of a log, which is cut where the steps begin again; none where nothing was read.

    They begin again where a finished run is followed by a lower step, or any run by one of the first ten steps.
    """
    lines = text.splitlines()
    runs, start, last_said = [LogRun()], 0, 0
    for number, line in enumerate(lines):
        line = CLOCK.sub("", line)
        step = _step(line)
        if step is not None and step < runs[-1].steps and (runs[-1].is_finished or step <= 10):
            runs[-1] = _read(lines, start, last_said)  # what stands between two runs belongs to the second
            start = last_said
            runs.append(_read(lines, start, number))
        if _read_line(runs[-1], line, number + 1):
            last_said = number + 1
    runs[-1] = _read(lines, start, len(lines))
    return [run for run in runs if run.steps or run.readings]


def read_log(text: str) -> dict[str, Any]:
    """Return what a log of one run says, as JSON data; None: not finite, or not there.

    `readings`: {name: {"nats_per_token", "bits_per_byte"}}; `curve`: (step, nats per token, bits per byte) of validations.
    """
    lines = text.splitlines()
    run = _read(lines, 0, len(lines))
    speed = run.numbers.get("milliseconds_per_step")
    return {
        "readings": {
            name: {"nats_per_token": reading.nats_per_token.value, "bits_per_byte": reading.bits_per_byte.value}
            for name, reading in run.readings.items()
        },
        "curve": [[step, reading.nats_per_token.value, reading.bits_per_byte.value] for step, reading in run.curve],
        "steps": run.steps if "steps" in run.numbers else None,
        "milliseconds_per_step": speed.value if speed else None,
        **{
            name: int(run.numbers[name].value or 0)
            for name in ("payload_bytes", "code_bytes", "total_bytes")
            if name in run.numbers
        },
    }


def _read(lines: list[str], start: int, stop: int) -> LogRun:
    run = LogRun()
    for number in range(start, stop):
        _read_line(run, CLOCK.sub("", lines[number]), number + 1)
    payload, code = (run.numbers.get(name) for name in ("payload_bytes", "code_bytes"))
    if payload and code and "total_bytes" not in run.numbers:
        total = (payload.value or 0) + (code.value or 0)
        run.numbers["total_bytes"] = dataclasses.replace(payload, value=total, text=f"{payload.text} + {code.text}")
    return run


def _step(line: str) -> int | None:
    found = STEP.search(line)
    return int(found[1] or found[3]) if found else None


def _read_line(run: LogRun, line: str, number: int) -> bool:
    """Add what a line says; return whether it is a line of training or of a result."""
    step, reading = _step(line), READING.match(line)
    if step is not None and step >= run.steps:
        run.numbers["steps"] = Figure(step, str(step), number)
    if reading:
        took = READING_TIME.search(line, reading.end())
        seconds = _figure(took[1], number, 1000 if took[2] == "ms" else 1) if took else None
        score = Reading(_figure(reading[2], number), _figure(reading[3], number), seconds)
        name = reading[1].strip().rstrip(":")
        if step is not None:
            run.curve.append((step, score))
        elif name:
            run.readings.pop(name, None)
            run.readings[name] = score
    if timed := STEP_TIME.search(line):
        run.numbers["milliseconds_per_step"] = _figure(timed[1], number)
    if step and (clock := TRAIN_TIME.search(line)):
        run.numbers["train_seconds"] = _figure(clock[1], number, 1000)
        speed = run.numbers.get("milliseconds_per_step")
        if speed is None or "/" in speed.text:
            run.numbers["milliseconds_per_step"] = Figure(float(clock[1]) / step, f"{clock[1]} / {step}", number)
    if "seed" not in run.numbers and (seed := SEED.search(line)):
        run.numbers["seed"] = _figure(seed[1], number)
    found = {name: _figure(match[1], number) for name, pattern in NUMBERS.items() if (match := pattern.match(line))}
    run.numbers.update(found)
    return step is not None or bool(reading or found)


def _figure(text: str, line: int, per: int = 1) -> Figure:
    value = float(text) / per
    return Figure(value if math.isfinite(value) else None, text, line)
