"""What can be known to fail before a training that takes minutes or days: tensors, documents and bytes that do not fit."""

from collections.abc import Sequence

from mulligan.engine.job import Job, folder_of
from mulligan.evaluate.adaptation_config import Chunked, Lora
from mulligan.evaluate.chunked_adaptation import check_adaptation
from mulligan.evaluate.config import EvaluateConfig
from mulligan.evaluate.low_rank import check_lora
from mulligan.evaluate.stage import check_corpus
from mulligan.model.gpt import parameter_shapes
from mulligan.model.network import check_bos
from mulligan.numerics.grid import assign, integer_formats
from mulligan.quantize.check import check_acts, check_hidden_units, check_text
from mulligan.quantize.config import Quantizer, TrainSplit
from mulligan.store.store import Store
from mulligan.train.config import ParameterSwap
from mulligan.train.parameter_swap import swapped_formats
from mulligan.values.corpus import Corpus


def preflight(jobs: Sequence[Job], store: Store) -> None:
    """Raise now the ValueError that a later stage of these jobs would raise. Their corpus must be there."""
    for job in jobs:
        if job.trajectory is not None and "corpus" in job.sources:
            model, corpus = job.trajectory.model, Corpus.load(folder_of(job.sources["corpus"], store))
            if corpus.vocab_size != model.vocab_size:
                raise ValueError(
                    f"The corpus has {corpus.vocab_size} pieces and the network vocab_size = {model.vocab_size}. "
                    f"Give --set model.vocab_size={corpus.vocab_size}, or another corpus."
                )
            check_bos(model, corpus)
            fake = job.trajectory.train.fake_quantize
            if isinstance(fake, ParameterSwap):
                swapped_formats(job.trajectory.grid, parameter_shapes(model), fake.match)
        if job.call.stage == "quantize":
            shapes = parameter_shapes(job.settings["model"])
            formats = assign(job.settings["grid"], shapes)
            if isinstance(job.config, Quantizer):
                check_acts(job.config, formats, shapes)
                check_hidden_units(job.config, job.settings["model"])
        if job.call.stage == "calibrate" and isinstance(text := getattr(job.config, "calibration", None), TrainSplit):
            check_text(text.seq_len, Corpus.load(folder_of(job.sources["corpus"], store)).tokens("train"))
        if isinstance(job.config, EvaluateConfig):
            corpus = Corpus.load(folder_of(job.sources["corpus"], store))
            check_corpus(job.config, job.settings["num_documents"], corpus, job.settings["split"])
            if isinstance(job.config.adaptation, Chunked):
                shapes = parameter_shapes(job.settings["model"])
                check_adaptation(job.config.adaptation, list(shapes), integer_formats(job.settings["grid"], shapes))
            if isinstance(job.config.adaptation, Lora):
                check_lora(job.config.adaptation, job.settings["model"])
