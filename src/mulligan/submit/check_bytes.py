"""Checks of sizes: artifact and code as they lie there against the cap, and what submission.json says of them."""

from mulligan.audit.finding import Finding, finding, not_checked
from mulligan.core.units import format_bytes
from mulligan.pack.budget import BUDGET_BYTES
from mulligan.submit.check_code import used_helpers
from mulligan.submit.seed_log import SeedLog
from mulligan.submit.submitted import Submitted, listed


def code_bytes(folder: Submitted) -> int | None:
    """Return the bytes of train_gpt.py and of the code that it reads, on disk; None where there is no script."""
    if folder.script is None:
        return None
    return folder.script.num_bytes + sum(path.stat().st_size for path in used_helpers(folder))


def totals(folder: Submitted) -> dict[SeedLog, int]:
    """Return artifact and code of each log that states an artifact; without a script the code is what the log states."""
    code = code_bytes(folder)
    counted = [(log, log.code_bytes if code is None else code) for log in folder.logs]
    return {log: log.artifact_bytes + size for log, size in counted if log.artifact_bytes is not None and size is not None}


def total_bytes(folder: Submitted) -> tuple[Finding, ...]:
    """Artifact and code of every seed are at most 16,000,000 bytes."""
    found, about = totals(folder), folder.submission
    if not found:
        stated = about.bytes_total if about else None
        if stated is not None and stated > BUDGET_BYTES:
            return finding("bytes", f"submission.json states {format_bytes(stated)}, {_over(stated)}", "")
        return not_checked("bytes", "no log states the artifact's bytes, or there is no code to count")
    over = [f"{log.path.name}: {_sum(log, total)}, {_over(total)}" for log, total in found.items() if total > BUDGET_BYTES]
    largest = max(found, key=found.__getitem__)
    left = BUDGET_BYTES - found[largest]
    return finding("bytes", listed(over, 3) or None, f"largest: {_sum(largest, found[largest])}, {left:,} left")


def _sum(log: SeedLog, total: int) -> str:
    assert log.artifact_bytes is not None
    code = total - log.artifact_bytes
    otherwise = f" (its log: {log.code_bytes:,})" if log.code_bytes not in (None, code) else ""
    return f"artifact {log.artifact_bytes:,} + code {code:,}{otherwise} = {total:,} bytes"


def _over(total: int) -> str:
    return f"{total - BUDGET_BYTES:,} over {BUDGET_BYTES:,}"


def stated_bytes(folder: Submitted) -> tuple[Finding, ...]:
    """bytes_total and bytes_code of submission.json are what the files add up to; more than that does no harm."""
    about, found = folder.submission, {log: total for log, total in totals(folder).items() if log in folder.claimed_logs}
    if about is None or about.bytes_total is None or not found:
        return not_checked("stated bytes", "submission.json states no bytes_total, or no log an artifact")
    code, largest = code_bytes(folder), max(found.values())
    among = {*found.values(), round(sum(found.values()) / len(found))}
    wrong = []
    if about.bytes_total not in among and about.bytes_total < largest:
        alone = " (that is an artifact without its code)" if about.bytes_total in {log.artifact_bytes for log in found} else ""
        wrong.append(f"bytes_total = {about.bytes_total:,}{alone}, and the files add up to {largest:,}")
    if about.bytes_code is not None and code is not None and about.bytes_code < code:
        wrong.append(f"bytes_code = {about.bytes_code:,}, and the code on disk has {code:,}")
    return finding("stated bytes", "; ".join(wrong) or None, f"bytes_total = {about.bytes_total:,}; the files: {largest:,}")
