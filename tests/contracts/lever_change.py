"""Every lever that exists, as one change of the toy recipe: what it switches on, and the stage that it touches."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LeverChange:
    """`change` is a `--set` of the toy recipe; `stage` the first stage whose key and value it may move.

    `begins`: for a lever that acts in a part of the 12 toy steps, the step up to which it shares the run without it.
    `given`: for a lever that needs another one, what both runs have.
    """

    lever: str
    stage: str
    change: str
    begins: int | None = None
    given: tuple[str, ...] = ()


TRAIN_TEXT = '{kind = "train-split", num_sequences = 3, seq_len = 8}'
GPTQ = f'quantize={{kind = "gptq", calibration = {TRAIN_TEXT}}}'
SIGMAS = 'grid.families.0.format.scale={kind = "standard-deviations", k = 2.0}'
SLOT = 'evaluate.adaptation={kind = "slot"}'
LORA = 'evaluate.adaptation={kind = "lora", chunk_tokens = 4, lr = 0.01}'
ADAPTATION = 'evaluate.adaptation={kind = "sgd", chunk_tokens = 64}'

CHANGES = [
    LeverChange("positions", "train", 'model.positions={kind = "rope", base = 500.0}'),
    LeverChange("embedding", "train", 'model.embedding={kind = "tied", init_std = 0.02}'),
    LeverChange("feed_forward", "train", 'model.feed_forward={kind = "relu-squared", mult = 3}'),
    LeverChange("num_layers", "train", "model.num_layers=3"),
    LeverChange("hidden_dim", "train", 'model.feed_forward={kind = "relu-squared", hidden_dim = 30}'),
    LeverChange(
        "leaky-relu-squared", "train", 'model.feed_forward={kind = "leaky-relu-squared", mult = 2, negative_slope = 0.5}'
    ),
    LeverChange("swiglu", "train", 'model.feed_forward={kind = "swiglu", mult = 2}'),
    LeverChange("rotated_dims", "train", "model.positions.rotated_dims=2"),
    LeverChange("ntk", "train", 'model.positions.extension={kind = "ntk", from_len = 4}'),
    LeverChange("yarn", "train", 'model.positions.extension={kind = "yarn", from_len = 4, to_len = 8}'),
    LeverChange("no positions", "train", 'model.positions={kind = "none"}'),
    LeverChange("alibi", "train", 'model.positions={kind = "alibi"}'),
    LeverChange("relative-buckets", "train", 'model.positions={kind = "relative-buckets"}'),
    LeverChange("poly-5", "train", 'model.softcap="poly-5"'),
    LeverChange("orthogonal", "train", 'model.initialisation={kind = "orthogonal", min_dim = 8}'),
    LeverChange("xor", "train", 'model.bigram_hash={kind = "xor", num_buckets = 50, dim = 4}'),
    LeverChange("linear", "train", 'model.bigram_hash={kind = "linear", num_buckets = 50, dim = 4}'),
    LeverChange("static", "train", 'model.smear={kind = "static"}'),
    LeverChange("input-gated", "train", 'model.smear={kind = "input-gated", width = 4}'),
    LeverChange("legacy_document_leak", "train", "model.legacy_document_leak=true", given=('model.smear={kind = "static"}',)),
    LeverChange("shared", "train", 'model.value_embedding={kind = "shared", dim = 4, layers = [1]}'),
    LeverChange("value_residual", "train", 'model.value_residual="first-layer"'),
    LeverChange("num_exclusive_layers", "train", "model.num_exclusive_layers=1"),
    LeverChange("biased-sigmoid", "train", 'model.attention_gate={kind = "biased-sigmoid"}'),
    LeverChange("sigmoid", "train", 'model.attention_gate={kind = "sigmoid"}'),
    LeverChange("doubled-sigmoid", "train", 'model.attention_gate={kind = "doubled-sigmoid", width = 4}'),
    LeverChange("sparse-sigmoid", "train", 'model.attention_gate={kind = "sparse-sigmoid", width = 4}'),
    LeverChange("causal", "train", 'model.attention_window={kind = "causal", tokens = 3}'),
    LeverChange("document_attention", "train", 'model.document_attention="isolated"'),
    LeverChange("layer_norm_scale", "train", 'model.layer_norm_scale="inverse-sqrt-depth"'),
    LeverChange("residual_mixing", "train", 'model.residual_mixing="mhc"'),
    LeverChange("parallel_from_layer", "train", "model.parallel_from_layer=1"),
    LeverChange("skip_gates", "train", 'model.skip_gates="sigmoid"'),
    LeverChange("loop", "train", 'model.recurrence={kind = "loop", first = 1, last = 1, num_repeats = 2}'),
    LeverChange(
        "recurrence_start",
        "train",
        'train.recurrence_start={kind = "at-fraction", value = 0.75}',
        begins=6,
        given=(
            'model.recurrence={kind = "loop", first = 1, last = 1, num_repeats = 2}',
            'train.recurrence_start={kind = "at-fraction", value = 0.5}',
        ),
    ),
    LeverChange("logit_softcap", "train", "model.logit_softcap=10.0"),
    LeverChange("qk_gain_init", "train", "model.qk_gain_init=4.0"),
    LeverChange("muon", "train", "train.optimizer.matrix_lr=0.01"),
    LeverChange("adam", "train", 'train.optimizer={kind = "adam", matrix_lr = 0.002}'),
    LeverChange("muon weight decay", "train", "train.optimizer.muon_weight_decay=0.1"),
    LeverChange(
        "weight_decay_taper",
        "train",
        'train.optimizer.muon_weight_decay_taper={kind = "linear", from_fraction = 0.5, to = 0.25}',
        begins=7,
        given=("train.optimizer.muon_weight_decay=0.1",),
    ),
    LeverChange("adam weight decay", "train", "train.optimizer.adam_weight_decay=0.1"),
    LeverChange("token weight decay", "train", "train.optimizer.token_weight_decay=0.1"),
    LeverChange("newton_schulz_steps", "train", "train.optimizer.newton_schulz_steps=3"),
    LeverChange("polar express", "train", "train.optimizer.newton_schulz_coefficients=polar-express"),
    LeverChange("row_normalize", "train", "train.optimizer.row_normalize=true"),
    LeverChange("momentum warm-up", "train", "train.optimizer.momentum_warmup_steps=6"),
    LeverChange("warmdown", "train", 'train.warmdown={kind = "fraction", fraction = 0.9, floor = 0.1}'),
    LeverChange("shorter warmdown", "train", "train.warmdown.steps=3", begins=7),
    LeverChange("longer budget", "train", "train.budget.steps=14", begins=7),
    LeverChange("budget", "train", 'train.budget={kind = "tokens", tokens = 256}'),
    LeverChange("grad_clip_norm", "train", "train.grad_clip_norm=0.05"),
    LeverChange("accumulation_steps", "train", "train.accumulation_steps=2"),
    LeverChange("seq_len", "train", "train.seq_len=4"),
    LeverChange("precision", "train", "train.precision=bf16"),
    LeverChange(
        "parameter_swap",
        "train",
        'train.fake_quantize={kind = "parameter-swap", start = {kind = "at-fraction", value = 0.75}}',
        begins=9,
    ),
    LeverChange(
        "match",
        "train",
        'train.fake_quantize.match=["*.mlp.*"]',
        begins=9,
        given=('train.fake_quantize={kind = "parameter-swap", start = {kind = "at-fraction", value = 0.75}}',),
    ),
    LeverChange("sequential", "train", 'train.loader={kind = "sequential", start = "fixed"}'),
    LeverChange(
        "batch_ramp",
        "train",
        'train.batch_ramp={kind = "linear", start_tokens = 8, num_sizes = 1, until = {kind = "at-step", step = 4}}',
        begins=0,
    ),
    LeverChange(
        "sequence_curriculum",
        "train",
        'train.sequence_curriculum={kind = "shorter-first", seq_len = 4, until = {kind = "at-step", step = 4}}',
        begins=0,
    ),
    LeverChange("shuffled", "train", 'train.loader={kind = "shuffled"}'),
    LeverChange("document_packing", "train", 'train.loader={kind = "document-packing"}'),
    LeverChange("data_seed", "train", "train.data_seed=7"),
    LeverChange("ema", "average", 'average={kind = "ema", decay = 0.7}'),
    LeverChange("swa", "average", 'average={kind = "swa", start = {kind = "at-fraction", value = 0.3}, every_steps = 3}'),
    LeverChange("at-step", "average", 'average={kind = "swa", start = {kind = "at-step", step = 5}, every_steps = 3}'),
    LeverChange("tight_swa", "average", 'average={kind = "tight-swa", lr_scale_below = 0.4, every_steps = 1}'),
    LeverChange(
        "legacy_bf16_swa",
        "average",
        'average={kind = "legacy-bf16-swa", start = {kind = "at-fraction", value = 0.3}, every_steps = 1}',
    ),
    LeverChange("lawa", "average", 'average={kind = "lawa", num_snapshots = 2, every_steps = 3}'),
    LeverChange(
        "blend",
        "average",
        """average={kind = "blend", parts = [{weight = 0.25, average = {kind = "ema", decay = 0.7}}, """
        """{weight = 0.75, average = {kind = "lawa", num_snapshots = 2, every_steps = 3}}]}""",
    ),
    LeverChange("bits", "quantize", "grid.families.0.format.bits=4"),
    LeverChange("percentile", "quantize", 'grid.families.0.format.scale={kind = "percentile", p = 0.9}'),
    LeverChange("standard-deviations", "quantize", SIGMAS),
    LeverChange("clip-search", "quantize", 'grid.families.0.format.scale={kind = "clip-search", percentiles = [0.9, 1.0]}'),
    LeverChange("legacy-row-max-floored", "quantize", 'grid.families.0.format.scale={kind = "legacy-row-max-floored"}'),
    LeverChange(
        "legacy-percentile-floored", "quantize", 'grid.families.0.format.scale={kind = "legacy-percentile-floored", p = 0.99}'
    ),
    LeverChange("fp16", "quantize", 'grid.families.0.format={kind = "fp16"}'),
    LeverChange("fp32", "quantize", 'grid.families.0.format={kind = "fp32"}'),
    LeverChange("min_elements", "quantize", "grid.families.0.min_elements=600"),
    LeverChange("scale_per", "quantize", "grid.families.0.format.scale_per=tensor"),
    LeverChange("hidden_permutation", "quantize", "quantize.hidden_permutation=by-row-norm"),
    LeverChange(
        "magnitude", "quantize", 'quantize.prune={kind = "magnitude", fraction = 0.1, min_elements = 512}', given=(GPTQ,)
    ),
    LeverChange("plus-minus-one", "quantize", 'quantize.prune={kind = "plus-minus-one", fraction = 0.5}', given=(GPTQ,)),
    LeverChange("hadamard", "quantize", 'quantize.rotation={kind = "hadamard"}', given=(GPTQ,)),
    LeverChange("adaptive", "quantize", 'quantize.rotation={kind = "hadamard", adaptive = true}'),
    LeverChange("low-rank", "quantize", 'quantize.correction={kind = "low-rank", rank = 2}', given=(GPTQ,)),
    LeverChange("calibration", "quantize", f"quantize.calibration={TRAIN_TEXT}"),
    LeverChange("self-generated", "quantize", 'quantize.calibration={kind = "self-generated", num_sequences = 2, seq_len = 4}'),
    LeverChange("gptq", "quantize", GPTQ),
    LeverChange("row_importance", "quantize", "quantize.row_importance=0.5", given=(SIGMAS, GPTQ)),
    LeverChange("lzma", "pack", 'pack.codec={kind = "lzma"}'),
    LeverChange("extreme", "pack", "pack.codec.extreme=true", given=('pack.codec={kind = "lzma", preset = 9}',)),
    LeverChange("auto", "pack", 'pack.codec={kind = "auto"}'),
    LeverChange("zstd", "pack", 'pack.codec={kind = "zstd"}'),
    LeverChange("brotli", "pack", 'pack.codec={kind = "brotli"}'),
    LeverChange("context_len", "evaluate", "evaluate.windows.1.context_len=4"),
    LeverChange("stride", "evaluate", "evaluate.windows.1.stride=4"),
    LeverChange(
        "document_isolated", "evaluate", 'evaluate.windows.1={kind = "document-isolated", context_len = 8, stride = 2}'
    ),
    LeverChange("document_overrun", "evaluate", 'evaluate.windows.1={kind = "document-overrun", context_len = 64, stride = 2}'),
    LeverChange("doubled_space", "evaluate", "evaluate.bytes=doubled-space"),
    LeverChange("streaming", "evaluate", 'evaluate.windows.1={kind = "streaming", context_len = 8}'),
    LeverChange(
        "streaming in documents", "evaluate", 'evaluate.windows.1={kind = "streaming", context_len = 8, documents = "isolated"}'
    ),
    LeverChange("raw bytes", "evaluate", "evaluate.bytes=raw"),
    LeverChange("scoring precision", "evaluate", "evaluate.precision=bf16"),
    LeverChange("as-trained", "evaluate", 'evaluate.attention_window={kind = "causal", tokens = 2}'),
    LeverChange("ntk at scoring", "evaluate", 'evaluate.position_extension={kind = "ntk", from_len = 4}'),
    LeverChange("yarn at scoring", "evaluate", 'evaluate.position_extension={kind = "yarn", from_len = 4, to_len = 8}'),
    LeverChange("fixed", "evaluate", 'evaluate.temperature={kind = "fixed", value = 0.9}'),
    LeverChange("fitted", "evaluate", 'evaluate.temperature={kind = "fitted", train_documents = 4}'),
    LeverChange("ngram_mixture", "evaluate", 'evaluate.mixture={kind = "ngram", order = 3, weight = 0.1}'),
    LeverChange(
        "hashed_ngram_mixture",
        "evaluate",
        'evaluate.mixture={kind = "hashed-ngram", order = 3, weight = 0.4, num_buckets = 16}',
    ),
    LeverChange("chunked_adaptation", "evaluate", ADAPTATION),
    LeverChange("muon", "evaluate", 'evaluate.adaptation={kind = "muon", chunk_tokens = 64}'),
    LeverChange("num_frozen_blocks", "evaluate", "evaluate.adaptation.num_frozen_blocks=1", given=(ADAPTATION,)),
    LeverChange(
        "lr_factors",
        "evaluate",
        'evaluate.adaptation.lr_factors=[{match = ["*.proj.weight"], factor = 3.0}]',
        given=(ADAPTATION,),
    ),
    LeverChange("loss", "evaluate", "evaluate.adaptation.loss=per-byte", given=(ADAPTATION,)),
    LeverChange(
        "by-loss",
        "evaluate",
        'evaluate.adaptation.epochs_by_loss={kind = "by-loss", above_nats = 9.0, below_nats = 8.0}',
        given=(ADAPTATION,),
    ),
    LeverChange("polyak", "evaluate", 'evaluate.adaptation.polyak={kind = "ema", decay = 0.9}', given=(ADAPTATION,)),
    LeverChange("adapted rounding", "evaluate", "evaluate.adaptation.fake_quantize=grid", given=(ADAPTATION,)),
    LeverChange("lora", "evaluate", LORA),
    LeverChange("slot", "evaluate", SLOT),
    LeverChange("logit_bias", "evaluate", "evaluate.adaptation.logit_bias=per-window", given=(SLOT,)),
    LeverChange("train_then_score", "evaluate", 'evaluate.adaptation={kind = "train-then-score"}'),
    LeverChange("two_pass", "evaluate", 'evaluate.adaptation={kind = "two-pass", chunk_tokens = 64}'),
    LeverChange("validation_documents", "evaluate", "data.validation_documents=4"),
]
