"""What a script imports without a way around it, and what provides it."""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from mulligan.script.source import Source
from mulligan.submit.submitted import REQUIREMENTS, Submitted

DISTRIBUTIONS: dict[str, tuple[str, ...]] = {
    "yaml": ("pyyaml",),
    "sklearn": ("scikit_learn",),
    "cv2": ("opencv_python",),
    "PIL": ("pillow",),
    "fla": ("flash_linear_attention", "fla_core"),
    "flash_attn_interface": ("flash_attn", "flash_attn_3"),
}
"""Modules whose distribution has another name."""
KNOWN = frozenset(
    """
    torch torchvision torchaudio torchao numpy scipy pandas matplotlib sklearn sentencepiece tokenizers
    tiktoken transformers datasets huggingface_hub kernels safetensors accelerate peft einops tqdm wandb
    requests psutil pynvml rich regex yaml packaging setuptools pkg_resources typing_extensions zstandard zstd
    brotli lz4 xxhash msgpack orjson numba llvmlite cupy triton flash_attn flash_attn_interface flash_attn_3
    fla mamba_ssm causal_conv1d xformers bitsandbytes deepspeed apex transformer_engine cut_cross_entropy
    liger_kernel cutlass tilelang helion quack jax jaxlib flax optax ml_dtypes pybind11 Cython cffi ninja
    constriction torchac pyppmd tokenmonster modal ray dotenv google sympy networkx IPython PIL cv2 nvtx
    pyarrow polars attr attrs pydantic click joblib nltk hydra omegaconf tensorflow tensordict lightning
    hnswlib faiss
    """.split()  # noqa: SIM905
)
"""Modules of distributions that are in use in the field."""
NEEDS = {"torch.utils.tensorboard": "tensorboard"}
"""Modules that come with one distribution and fail without another one."""
ELSEWHERE = {"mlx": "Apple's processors", "coremltools": "Apple's processors", "torch_xla": "TPUs", "torch_directml": "Windows"}
"""Modules that drive other hardware than the evaluation's eight GPUs."""


@dataclass(frozen=True)
class Needed:
    """One import that must succeed when its text is run. `names`: what it takes from the module, none for a mere `import`."""

    source: Source
    line: int
    module: str
    level: int
    names: tuple[str, ...]

    @property
    def first(self) -> str:
        """The first part of the module's name."""
        return self.module.split(".")[0]


def needed(source: Source) -> Iterator[Needed]:
    """Yield the imports that a text carries out whatever happens: outside of functions, conditions and `try`."""
    for node in _certain(source.tree.body):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Needed(source, node.lineno, alias.name, 0, ())
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            yield Needed(source, node.lineno, node.module or "", node.level, tuple(alias.name for alias in node.names))


def _certain(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in statements:
        yield statement
        goes_on = isinstance(statement, ast.With) and not any("suppress" in ast.unparse(item) for item in statement.items)
        if isinstance(statement, (ast.With, ast.If)) and (
            goes_on or (isinstance(statement, ast.If) and is_main(statement.test))
        ):
            yield from _certain(statement.body)


def is_main(test: ast.expr) -> bool:
    """Say whether a condition is `__name__ == "__main__"`."""
    return isinstance(test, ast.Compare) and any(
        isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(test)
    )


INSTALL = re.compile(r"\b(?:pip3?|uv)\b[^\n]*?\b(?:install|add)\b([^\n]*)")


def required(folder: Submitted) -> frozenset[str]:
    """Return the distributions that requirements.txt and commands name, in lower case with underscores."""
    texts = {name: data.decode("utf-8", errors="replace") for name, data in folder.texts.items()}
    installed = [
        word
        for name, text in texts.items()
        if name.endswith((".md", ".sh"))
        for word in " ".join(INSTALL.findall(text)).split()
    ]
    text = "\n".join([texts.get(REQUIREMENTS, ""), *(word.strip("\"'`") for word in installed)])
    lines = [line.split("#")[0].strip().lower().replace("-", "_") for line in text.splitlines()]
    return frozenset(re.split(r"[\s\[<>=!~;@]", line)[0] for line in lines if line and not line.startswith("_"))


def provided(module: str, folder: Submitted) -> bool:
    """Say whether Python, a distribution that is named or known, or a file of the folder provides a module's first name."""
    names = {module.lower(), *DISTRIBUTIONS.get(module, ())}
    if module in sys.stdlib_module_names or module in KNOWN or names & required(folder):
        return True
    return any(module in (path.name.split(".")[0], *path.relative_to(folder.folder).parts[:-1]) for path in folder.files)
