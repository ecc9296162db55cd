"""A small repository of records in the challenge's layout, made anew: two merged records, one head, one broken folder."""

import json
import subprocess

MINE, THEIRS, BROKEN, HEAD = "2026-03-20_Mine", "2026-03-19_Theirs", "2026-03-21_Broken", "2026-03-25_Head"
TRACK = "records/track_10min_16mb"


def log_text(seed, score, *, steps=900, payload=15_000_000, code=50_000, nats=None):
    nats = round(1.7 * score, 8) if nats is None else nats
    return (
        f"seed:{seed}\nstep:0/{steps} val_loss:6.9 val_bpb:4.1 train_time:0ms step_avg:0.02ms\n"
        f"step:{steps}/{steps} val_loss:2.0 val_bpb:1.2 train_time:{600000 + seed}ms step_avg:90.10ms\n"
        "swa:applying averaged 12\n"
        f"Code size: {code} bytes\nSerialized model int6+zstd: {payload} bytes\n"
        f"Total submission size int6+zstd: {payload + code} bytes\n"
        f"final_int6_roundtrip_exact val_loss:{nats} val_bpb:{round(score + 0.02, 8)}\n"
        f"final_int6_sliding_window_exact val_loss:{nats} val_bpb:{score:.8f}\n"
    )


def put(root, path, content):
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content if isinstance(content, bytes) else content.encode())


def put_theirs(root):
    folder = f"{TRACK}/{THEIRS}"
    for seed, score in ((1, 1.2), (2, 1.201), (3, 1.1996)):
        put(root, f"{folder}/train_seed{seed}.log", log_text(seed, score))
    put(root, f"{folder}/submission.json", json.dumps({"author": "them", "date": "2026-03-19", "val_bpb": 1.2002}, indent=1))
    put(root, f"{folder}/README.md", "# Theirs\n\n**val_bpb: 1.2002**\n")


def put_mine(root):
    folder = f"{TRACK}/{MINE}"
    for seed, score in ((1, 1.19), (2, 1.1905), (3, 1.1901)):
        put(root, f"{folder}/train_seed{seed}.log", log_text(seed, score, payload=15_990_000))
    put(root, f"{folder}/train.log", log_text(1, 1.19, payload=15_990_000))
    put(root, f"{folder}/requirements.txt", "numpy\n")
    stated = {"github_id": "me", "date": "2026-03-20T10:00:00Z", "val_bpb": 1.1902, "bytes_total": 15_990_000}
    put(root, f"{folder}/submission.json", json.dumps(stated, indent=1))
    readme = (
        "# Mine: SmearGate + EMA (val_bpb: 1.1902)\n\nBuilt on [PR #11](https://example.org/pull/11); see also PR #7.\n\n"
        "| Seed | Steps | Sliding BPB | Artifact |\n|---|---|---|---|\n"
        "| 1 | 900 | **1.1900** | 16.04 MB |\n| 2 | 901 | 1.1905 | 16,040,000 |\n| 9 | 900 | 1.1 | 1 |\n"
    )
    put(root, f"{folder}/README.md", readme)


def put_broken(root):
    folder = f"{TRACK}/{BROKEN}"
    put(root, f"{folder}/submission.json", '{"val_bpb": 1.1,\n "bytes_total": }')
    put(root, f"{folder}/train.log", bytes(range(256)) * 3)


def git(root, *arguments):
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)
