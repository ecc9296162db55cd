"""Rule 7: the denominator, counted again from the text and not from a table of bytes."""

import math

import numpy as np

from mulligan.audit.examinee import Claim, Examinee
from mulligan.audit.finding import Finding, finding, not_checked
from mulligan.values.byte_table import IntArray
from mulligan.values.corpus import Corpus

DOCUMENTS_AT_ONCE = 256


def recount(examinee: Examinee) -> tuple[Finding, ...]:
    """Decode every document of the stored reading, and compare its UTF-8 bytes with those that were counted."""
    rule, claim = "7 bytes", examinee.claim
    if claim is None:
        return not_checked(rule, "there is no stored reading")
    kind = str(claim.summary["bytes_kind"])
    if kind == "raw" and claim.corpus.manifest["tokenizer"]["kind"] != "bytes":
        return not_checked(rule, "raw bytes are those of the text before normalisation, which the corpus does not hold")
    counted = claim.documents[f"{kind}_bytes"]
    found = text_bytes(claim.corpus, len(counted))
    total, stated = int(found.sum()), int(str(claim.summary["total_bytes"]))
    off = np.flatnonzero(found != counted)
    if len(off) or stated != total:
        first = f"; document {off[0]} has {found[off[0]]}, not {counted[off[0]]}" if len(off) else ""
        return finding(rule, f"{stated} bytes are counted, and the text has {total} (x {stated / total:.4f}){first}", "")
    return finding(rule, _ratio(claim, total), f"{total} bytes in the text of {len(found)} documents, all as counted")


def _ratio(claim: Claim, total: int) -> str | None:
    """Return what is wrong with the ratio of the stored sums, if anything is."""
    stated = float(str(claim.summary["bits_per_byte"]))
    found = float(claim.documents["nats"].sum()) / math.log(2) / total
    return (
        None if math.isclose(found, stated, rel_tol=1e-9) else f"{stated} bits per byte; the sums of its documents say {found}"
    )


def text_bytes(corpus: Corpus, num_documents: int) -> IntArray:
    """Return the UTF-8 bytes of the text of the first validation documents, without the space that follows a BOS."""
    stream, documents = corpus.tokens("validation"), corpus.documents("validation")
    spans = list(zip(documents.starts.tolist(), documents.num_tokens.tolist(), strict=True))[:num_documents]
    if corpus.manifest["tokenizer"]["kind"] == "bytes":
        first = corpus.vocab_size - 256
        return np.array([int((stream.read(start + 1, start + length) >= first).sum()) for start, length in spans])
    import sentencepiece

    pieces = sentencepiece.SentencePieceProcessor(model_file=str(corpus.folder / "tokenizer.model"))
    found: list[int] = []
    for begin in range(0, len(spans), DOCUMENTS_AT_ONCE):
        ids = [stream.read(start + 1, start + length).tolist() for start, length in spans[begin : begin + DOCUMENTS_AT_ONCE]]
        texts = pieces.decode(ids)
        kept = [bool(own) and pieces.decode(own[:1]).startswith(" ") for own in ids]  # some models drop that space themselves
        found += [len(text.encode("utf-8")) - space for text, space in zip(texts, kept, strict=True)]
    return np.array(found)
