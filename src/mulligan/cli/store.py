"""`mulligan store`: what is stored, whether it is intact, and what nobody needs."""

from typing import Annotated

from cyclopts import App, Parameter

from mulligan.cli.setting import DEFAULT_STORE, AsJson, StoreFolder

app = App(name="store")


@app.command
def ls(*, store: StoreFolder = DEFAULT_STORE, json: AsJson = False) -> int:
    """List every stored value: stage, key, bytes, when and in how many seconds it was made."""
    from mulligan.cli.terminal import print_json, print_table
    from mulligan.store.store import Store

    kept = Store(store)
    values = [
        {
            "stage": entry.manifest["header"]["stage"],
            "key": entry.folder.name,
            "bytes": entry.num_bytes,
            "digest": entry.digest,
            "published": entry.manifest["provenance"]["published"],
            "seconds": entry.manifest["provenance"].get("seconds"),
        }
        for entry in kept.entries()
    ]
    values.sort(key=lambda value: str(value["published"]))
    if json:
        print_json({"store": str(kept.root), "values": values, "reruns": kept.reruns()})
        return 0
    rows = [
        [v["stage"], v["key"][:16], f"{v['bytes']:,}", v["digest"][:12], v["published"], f"{v['seconds'] or 0:.1f}"]
        for v in values
    ]
    title = f"{kept.root}: {len(values)} values, {sum(v['bytes'] for v in values):,} B"
    print_table(title, ["stage", "key", "bytes", "digest", "published (UTC)", "seconds"], rows, right=(2, 5))
    return 0


@app.command
def verify(*, store: StoreFolder = DEFAULT_STORE, json: AsJson = False) -> int:
    """Hash every stored byte again; exit code 4 names what is damaged."""
    from mulligan.cli.terminal import out, print_json
    from mulligan.core.error import StoreCorruptError
    from mulligan.store.store import Store

    kept = Store(store)
    damaged = kept.verify()
    if json:
        print_json({"store": str(kept.root), "values": len(kept.keys()), "damaged": damaged, "reruns": kept.reruns()})
    elif not damaged:
        out.print(f"{kept.root}: {len(kept.keys())} values, all intact; {len(kept.reruns())} re-runs gave other bytes")
    if damaged:
        raise StoreCorruptError("\n".join(damaged))
    return 0


@app.command
def gc(
    *,
    store: StoreFolder = DEFAULT_STORE,
    dry_run: Annotated[bool, Parameter(negative="", help="Say what would go, delete nothing.")] = False,
    json: AsJson = False,
) -> int:
    """Delete what no recorded run needs: the states of cuts, values of runs whose record was deleted, torn folders."""
    from mulligan.cli.terminal import out, print_json
    from mulligan.store.store import Store

    kept = Store(store)
    num_objects, num_bytes = kept.gc(dry_run=dry_run)
    if json:
        print_json({"store": str(kept.root), "deleted": num_objects, "bytes": num_bytes, "dry_run": dry_run})
    else:
        out.print(f"{kept.root}: {'would delete' if dry_run else 'deleted'} {num_objects} values, {num_bytes:,} B")
    return 0
