"""Small folders of submissions for the rules of evidence, written anew; everything in them may be bent."""

import json

from mulligan.review.review import review
from mulligan.review.subject import Subject

FACTOR = 1.7
SCORES = {1: 1.22, 2: 1.2204, 3: 1.2199}


def log_text(seed, score, *, payload=15_900_000, code=30, trained=600.02, evaluated=80.0, after="", settings="", processes=8):
    return (
        f"Hyperparameters:\n  matrix_lr: 0.02\n  run_id: {seed}{settings}\nworld_size:{processes}\nseed:{seed}\n"
        f"step:500/20000 train_loss:2.5 train_time:{500 * trained / 9:.0f}ms step_avg:90.00ms\n"
        f"step:6600/20000 val_loss:2.0 val_bpb:1.21 train_time:{1000 * trained:.0f}ms step_avg:90.00ms\n"
        f"stopping_early: wallclock_cap train_time:{1000 * trained:.0f}ms step:6600/20000\n{after}"
        f"Serialized model int6+zstd: {payload} bytes\nCode size: {code} bytes\n"
        f"Total submission size int6+zstd: {payload + code} bytes\n"
        f"final_sliding val_loss:{score * FACTOR:.4f} val_bpb:{score:.4f} eval_time:{1000 * evaluated:.0f}ms\n"
        f"final_sliding_exact val_loss:{score * FACTOR:.8f} val_bpb:{score:.8f}\n"
    )


def write_folder(folder, scores=SCORES, about=None, readme="# A record\n", script="x = 1\n", logs=None, **changes):
    """Write README, submission.json, script and a log a seed into a folder of the ranked track; None leaves a file out."""
    folder = folder / "track_10min_16mb" / "2026-04-01_Mine"
    folder.mkdir(parents=True)
    mean = round(sum(scores.values()) / len(scores), 8)
    stated = {"author": "A", "github_id": "a", "name": "Mine", "date": "2026-04-01", "val_bpb": mean, **(about or {})}
    files = {
        "README.md": readme,
        "train_gpt.py": script,
        "submission.json": json.dumps({name: value for name, value in stated.items() if value is not None}, indent=1),
    }
    files |= {f"train_seed{seed}.log": log_text(seed, score, **changes) for seed, score in scores.items()}
    for name, text in {**files, **(logs or {})}.items():
        if text is not None:
            (folder / name).write_text(text)
    return folder


def found(folder, code):
    """Return (severity, file, line, message) of every finding of a rule."""
    seen = review(Subject.read(folder), codes=(code,))
    assert not seen.crashes
    return [(one.severity, one.file, one.line, one.message) for one in seen.findings]


def reasons(folder, code):
    return [one.reason for one in review(Subject.read(folder), codes=(code,)).not_checked]
