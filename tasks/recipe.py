"""Code is an input: the source files and templates behind a module."""

import marshal
from pathlib import Path
from typing import Any

from tasks import files

HERE = Path(__file__).parent
# These say how bytes are written or processes are started, not which: no artefact's content depends on them.
DOORS = frozenset(
    f"tasks.{name}"
    for name in (
        "actions",
        "assemble",
        "errors",
        "family",
        "files",
        "graph",
        "inventory.model",
        "paths",
        "recipe",
        "record",
        "run",
        "system",
    )
)


KNOWN: dict[str, Any] = {}  # source → how it looked, what it imports


def recipe(module: str) -> set[str]:
    """Return the source files behind a module: itself, what it imports of tasks/ (doors apart), its templates."""
    found: set[str] = set()
    todo = [module]
    while todo:
        source = source_of(todo.pop())
        if source is None or str(source) in found:
            continue
        found.add(str(source))
        if source.name != "__init__.py":
            todo.extend(name for name in imports(source) if name not in DOORS)
    for path in [Path(name) for name in found]:
        found.update(str(template) for template in (path.parent / "templates").glob(f"{path.stem}*.j2"))
    return found


def source_of(module: str) -> Path | None:
    """Return the file of a module of ours, relative to the working directory where it lies below it."""
    path = HERE.joinpath(*module.split(".")[1:]).with_suffix(".py")
    if not module.startswith("tasks.") or not path.is_file():
        return None
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def imports(source: Path) -> tuple[str, ...]:
    """Return the modules that a source file imports, read statically: nothing is executed."""
    key = str(source)
    look = files.look_of(source)
    if key not in KNOWN or KNOWN[key][0] != look:
        KNOWN[key] = (look, read_imports(source))
    return tuple(KNOWN[key][1])


def read_imports(source: Path) -> list[str]:
    """Return the modules that a source file imports."""
    import ast  # 10 ms that a run without anything to declare does not need

    names: list[str] = []
    for node in ast.walk(ast.parse(source.read_bytes())):
        if isinstance(node, ast.Import):
            names.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
            names.extend(f"{node.module}.{alias.name}" for alias in node.names)
    return [name for name in names if name.startswith("tasks.")]


def recall(path: Path) -> None:
    """Take what an earlier run read from the sources; a source that looks different is read again."""
    try:
        KNOWN.update(marshal.loads(path.read_bytes()))
    except (OSError, ValueError, EOFError, TypeError):
        KNOWN.clear()


def remember(path: Path) -> None:
    """Keep what was read from the sources."""
    files.write_quickly(path, marshal.dumps(KNOWN))
