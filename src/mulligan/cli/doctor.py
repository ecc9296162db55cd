"""`mulligan doctor`: does this machine have what a run needs, and how fast is it."""

from importlib import metadata

from mulligan.cli.setting import DEFAULT_STORE, AsJson, StoreFolder


def doctor(*, store: StoreFolder = DEFAULT_STORE, json: AsJson = False) -> int:
    """Check torch, packages, the embedded corpus's sources and the store; say what to do where something is amiss."""
    from mulligan.cli.terminal import out, print_json, print_table

    checks = [_torch(), *_packages(), _documentation(), _store(store)]
    if json:
        print_json({"checks": [{"name": name, "ok": ok, "found": found} for name, ok, found in checks]})
    else:
        print_table(
            "mulligan doctor",
            ["what", "", "found"],
            [[name, "ok" if ok else "NO", found] for name, ok, found in checks],
        )
    if not all(ok for _, ok, _ in checks):
        raise ValueError("Something is amiss; see the lines marked NO.")
    if not json:
        out.print("next       mulligan run tiny")
    return 0


def _torch() -> tuple[str, bool, str]:
    import torch

    from mulligan.engine.plan import matrix_flops

    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU only"
    speed = f"{matrix_flops() / 1e9:.0f} GFLOP/s in float32 matrix products (numpy)"
    return "torch", version >= (2, 9), f"{torch.__version__}, {device}, {torch.get_num_threads()} threads, {speed}"


def _packages() -> list[tuple[str, bool, str]]:
    names = (
        "sentencepiece",
        "safetensors",
        "pyarrow",
        "brotli",
        "constriction",
        "zstandard",
        "pydantic",
        "filelock",
        "huggingface_hub",
    )
    found = []
    for name in names:
        try:
            found.append((name, True, metadata.version(name)))
        except metadata.PackageNotFoundError:
            optional = name == "huggingface_hub"
            hint = (
                "absent; only `mulligan data fetch` needs it: pip install 'mulligan[fetch]'"
                if optional
                else f"pip install {name}"
            )
            found.append((name, optional, hint))
    return found


def _documentation() -> tuple[str, bool, str]:
    from mulligan.data.embedded import source_digest

    try:
        return "embedded corpus", True, f"this Python's documentation, sources sha256 {source_digest()[:12]}"
    except ValueError as error:
        return "embedded corpus", False, str(error)


def _store(folder: StoreFolder) -> tuple[str, bool, str]:
    from mulligan.store.store import Store

    store = Store(folder)
    if not store.root.exists():
        return "store", True, f"{store.root} (made on first use)"
    damaged = store.verify()
    return "store", not damaged, f"{store.root}: {len(store.keys())} values" if not damaged else "; ".join(damaged)
