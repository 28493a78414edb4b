"""The walls of the house: linters, who imports whom, how big a file may be, and that README tells the truth."""

import ast
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.initrd import discovery, firststage

ROOT = Path(__file__).parent.parent
TASKS = ROOT / "tasks"
MODULES = sorted(TASKS.rglob("*.py"))
STEPS = ("inventory", "configs", "media", "rootimg", "initrd", "stage", "nodes", "lab", "tables", "exports", "deploy")
STEP_MODULES = [path for path in MODULES if path.relative_to(TASKS).parts[0] in STEPS]
LONGEST_FILE = 400
LONGEST_FACE = 60  # lines of a step's __init__.py

# What every module may use; what a step's modules may use besides their own step.
EVERYWHERE = {"tasks", "tasks.errors"}
SHARED = {
    "tasks.assemble",
    "tasks.compression",
    "tasks.listing",
    "tasks.measure",
    "tasks.packing",
    "tasks.parallel",
    "tasks.record",
    "tasks.cpio",
    "tasks.decompression",
    "tasks.family",
    "tasks.files",
    "tasks.hostsfile",
    "tasks.inventory.arithmetic",
    "tasks.inventory.grouping",
    "tasks.inventory.model",
    "tasks.inventory.noderange",
    "tasks.inventory.texts",
    "tasks.newc",
    "tasks.paths",
    "tasks.run",
    "tasks.serials",
    "tasks.template",
}

# Library → the modules that may import it.
DOORS = {
    "doit": {"dodo.py", "tasks/actions.py"},
    "jinja2": {"tasks/template.py"},
    "yaml": {"tasks/inventory/reading.py", "tasks/inventory/emit.py"},
    "cryptography": {"tasks/lab/rmcpplus.py"},
    "libarchive": {"tasks/media/reader.py"},
    "elftools": {"tasks/initrd/loader/elf.py"},
    "lz4": {"tasks/compression.py", "tasks/decompression.py"},
    "zlib_ng": {"tasks/deflate.py", "tasks/decompression.py"},
    "zstandard": {"tasks/compression.py", "tasks/decompression.py"},
    "pyghmi": {"tasks/nodes/bmc.py"},
    "pysnmp": {"tasks/nodes/switch.py"},
    "subprocess": {"tasks/run.py", "tasks/bootstrap.py", "tasks/debs.py"},
    "tempfile": {"tasks/bootstrap.py", "tasks/files.py"},
}

# Pure: no process, no file, no network, no third party; their tests need no disk.
PURE = (
    "configs/zone_records.py",
    "configs/zone_reverse.py",
    "configs/bootpolicy.py",
    "configs/clients.py",
    "configs/kea_classes.py",
    "cpio.py",
    "errors.py",
    "hostsfile.py",
    "initrd/kernel/aliases.py",
    "initrd/loader/closure.py",
    "initrd/kernel/drivers.py",
    "initrd/kernel/loading.py",
    "initrd/kernel/vermagic.py",
    "inventory/arithmetic.py",
    "inventory/check.py",
    "inventory/check_addresses.py",
    "inventory/check_base.py",
    "inventory/check_between.py",
    "inventory/check_networks.py",
    "inventory/check_site.py",
    "inventory/doubts.py",
    "inventory/grouping.py",
    "inventory/kinds.py",
    "inventory/lookup.py",
    "inventory/model.py",
    "inventory/noderange.py",
    "inventory/records.py",
    "inventory/texts.py",
    "newc.py",
    "paths.py",
    "rootimg/exclude.py",
    "rootimg/fstab.py",
    "serials.py",
    "tables/columns.py",
    "tables/parse.py",
    "tables/rows.py",
    "tables/rule.py",
    "tables/sums.py",
)
IMPURE = {"os", "shutil", "socket", "ctypes", "pydantic", "tasks.run", "tasks.files", *DOORS}
# Before the first run there are no packages: these may import the standard library and each other.
BEFORE_PACKAGES = ("__init__", "__main__", "bootstrap", "debs", "doctor", "errors", "run", "system")


def name_of(path: Path) -> str:
    """Return a file's path in the checkout, for messages and test names."""
    return str(path.relative_to(ROOT))


def tree_of(path: Path) -> ast.Module:
    """Return a module's syntax tree."""
    return ast.parse(path.read_text(), str(path))


def imports(path: Path, *, typing: bool = False) -> set[str]:
    """Return the modules that a file imports, anywhere in it, ``from tasks import run`` as ``tasks.run``.

    What is imported for type checkers only counts where `typing` is set.
    """
    return set(imported(tree_of(path), typing=typing))


def imported(node: ast.AST, *, typing: bool) -> Iterator[str]:
    """Yield the modules that a syntax tree imports."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module:
            yield from (resolve(child.module, alias.name) for alias in child.names)
        elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING" and not typing:
            continue
        else:
            yield from imported(child, typing=typing)


def resolve(module: str, name: str) -> str:
    """Return ``module.name`` where that is a module of ours, else ``module``."""
    path = ROOT.joinpath(*module.split("."), name)
    return f"{module}.{name}" if path.with_suffix(".py").is_file() or (path / "__init__.py").is_file() else module


def step_of(module: str) -> str | None:
    """Return the step that a dotted name belongs to."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "tasks" and parts[1] in STEPS else None


def fails(argv: list[str]) -> str:
    """Run a linter in the checkout; return what it complains about, nothing where all is well."""
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr) if done.returncode else ""


# -- linters ---------------------------------------------------------------------------------------------------------


def test_ruff() -> None:
    """Ruff finds nothing."""
    complaint = fails([sys.executable, "-m", "ruff", "check", "--output-format", "concise"])
    assert not complaint, complaint


def test_ruff_format() -> None:
    """Every file is formatted."""
    complaint = fails([sys.executable, "-m", "ruff", "format", "--check"])
    assert not complaint, complaint


def test_mypy() -> None:
    """Everything is typed, strictly, the tests included."""
    complaint = fails([sys.executable, "-m", "mypy"])
    assert not complaint, complaint


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is missing: apt-get install shellcheck")
def test_shellcheck() -> None:
    """The shell scripts are clean."""
    complaint = fails(["shellcheck", "--external-sources", ".ci/run"])
    assert not complaint, complaint


def rendered_scripts() -> Iterator[tuple[str, bytes]]:
    """Yield name and text of every script that our first stages carry."""
    made = {
        "osimage": firststage.own_entries("compute", 1),
        "discovery": discovery.own_entries(),
    }
    for name, entries in made.items():
        for entry in entries:
            if stat.S_ISREG(entry.mode) and entry.read().startswith(b"#!"):
                yield f"{name}-{Path(entry.name).name}", entry.read()


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is missing: apt-get install shellcheck")
def test_shellcheck_of_rendered_scripts(tmp_path: Path) -> None:
    """The scripts of the first stages are clean as they are packed, for dash and so for busybox's ash."""
    scripts = dict(rendered_scripts())
    assert len(scripts) == 4
    for name, text in scripts.items():
        (tmp_path / name).write_bytes(text)
        # SC2012, SC2013: the kernel's names have no blanks.  SC2154: udhcpc(8) sets a lease's variables.
        passed = "SC2012,SC2013,SC2154" if name.endswith("udhcpc.script") else "SC2012,SC2013"
        complaint = fails(["shellcheck", "--shell=dash", f"--exclude={passed}", str(tmp_path / name)])
        assert not complaint, complaint


# -- imports ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", STEP_MODULES, ids=name_of)
def test_steps_meet_in_build(path: Path) -> None:
    """A step's modules import the shared doors and their own step, never another step."""
    own = path.relative_to(TASKS).parts[0]
    allowed = EVERYWHERE | SHARED | ({"tasks.actions"} if path.name in {"__init__.py", "menus.py"} else set())
    ours = {name for name in imports(path, typing=True) if name.split(".")[0] == "tasks"}
    stray = {name for name in ours - allowed if step_of(name) != own}
    assert not stray, f"{name_of(path)} imports {', '.join(sorted(stray))}: steps meet in build/, not in each other"


@pytest.mark.parametrize("path", [path for path in MODULES if path.parent == TASKS], ids=name_of)
def test_core_knows_no_step(path: Path) -> None:
    """What all steps share depends on no step: at most on the model."""
    steps = {name for name in imports(path) if step_of(name)} - {"tasks.inventory.model"}
    assert not steps, f"{name_of(path)} imports {', '.join(sorted(steps))}"


def test_one_library_one_door() -> None:
    """Each library is imported by its door alone, so that replacing one means reading one module."""
    stray = [
        f"{name_of(path)} imports {name}: its door is {', '.join(sorted(DOORS[top]))}"
        for path in [ROOT / "dodo.py", *MODULES]
        for name in sorted(imports(path))
        if (top := name.split(".")[0]) in DOORS and name_of(path) not in DOORS[top]
    ]
    assert not stray, "\n".join(stray)


def test_no_other_third_party() -> None:
    """Nothing is imported that pyproject.toml does not declare: the standard library, us, and the doors' libraries."""
    known = {*sys.stdlib_module_names, *DOORS, "tasks", "ClusterShell", "pydantic"}
    stray = {
        f"{name_of(path)}: {name}" for path in MODULES for name in imports(path) if name.split(".")[0] not in known
    }
    assert not stray, ", ".join(sorted(stray))


@pytest.mark.parametrize("name", PURE)
def test_pure_modules(name: str) -> None:
    """A pure module touches neither disk nor process nor network."""
    stray = {module for module in imports(TASKS / name) if module in IMPURE or module.split(".")[0] in IMPURE}
    assert not stray, f"tasks/{name} imports {', '.join(sorted(stray))}"


@pytest.mark.parametrize("name", BEFORE_PACKAGES)
def test_first_run_needs_no_packages(name: str) -> None:
    """What runs before anything is installed imports the standard library only; doit at most inside a function."""
    top = {module for node in tree_of(TASKS / f"{name}.py").body for module in imported(wrapped(node), typing=False)}
    if name == "doctor":
        top -= {"tasks.actions"}  # where it is a task, doit is there
    own = {f"tasks.{module}" for module in BEFORE_PACKAGES} | {"tasks"}
    stray = {module for module in top if module not in own and module.split(".")[0] not in sys.stdlib_module_names}
    assert not stray, f"tasks/{name}.py imports {', '.join(sorted(stray))}"


def wrapped(node: ast.stmt) -> ast.Module:
    """Return a statement as a tree of its own."""
    return ast.Module(body=[node], type_ignores=[])


# -- shape -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
def test_face_only_declares(step: str) -> None:
    """A step's __init__.py is short and says which files make which file; the work lies beside it."""
    path = TASKS / step / "__init__.py"
    lines = len(path.read_text().splitlines())
    assert lines <= LONGEST_FACE, f"{name_of(path)} has {lines} lines, more than {LONGEST_FACE}"
    allowed = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.Assign, ast.AnnAssign, ast.Expr)
    body = [node for node in tree_of(path).body if not is_for_types(node)]
    strange = [node.lineno for node in body if not isinstance(node, allowed)]
    assert not strange, f"{name_of(path)}: lines {strange} do more than declare"
    working = [node.lineno for node in ast.walk(tree_of(path)) if isinstance(node, ast.Try | ast.With | ast.While)]
    assert not working, f"{name_of(path)}: lines {working} do work: move it into a module beside"


def is_for_types(node: ast.stmt) -> bool:
    """Return whether a statement imports for type checkers only: a face loads nothing that is not called."""
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


@pytest.mark.parametrize("path", [ROOT / "dodo.py", *MODULES], ids=name_of)
def test_file_is_short(path: Path) -> None:
    """No file is longer than a person reads in one go."""
    lines = len(path.read_text().splitlines())
    assert lines <= LONGEST_FILE, f"{name_of(path)} has {lines} lines: split it by subject"


@pytest.mark.parametrize("path", [ROOT / "dodo.py", *MODULES], ids=name_of)
def test_module_says_what_it_is(path: Path) -> None:
    """Every module opens with what it is for."""
    assert ast.get_docstring(tree_of(path)), f"{name_of(path)} has no docstring"


def test_functions_are_short() -> None:
    """Half of all functions have at most 8 lines below their docstring, nine of ten at most 30."""
    functions = [node for path in MODULES for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef)]
    lengths = sorted(map(body_length, functions))
    assert lengths[len(lengths) // 2] <= 8
    assert lengths[len(lengths) * 9 // 10] <= 30


def body_length(function: ast.FunctionDef) -> int:
    """Return the lines of a function below its signature and docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_dodo_has_no_logic() -> None:
    """dodo.py is a table of contents: each task is one statement that names its step."""
    functions = [node for node in tree_of(ROOT / "dodo.py").body if isinstance(node, ast.FunctionDef)]
    long = [node.name for node in functions if len(node.body) != 2 or not ast.get_docstring(node)]
    assert not long, f"dodo.py: {', '.join(long)}: a docstring and one statement, the rest belongs into the step"


def test_tests_mirror_tasks() -> None:
    """Each folder of tests is named after a step, or is one of the kinds that span steps."""
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= {*STEPS, "data", "integration", "boot"}


# -- the manual ------------------------------------------------------------------------------------------------------


def listed(tmp_path: Path) -> dict[str, str]:
    """Return `doit list`: task → what it does, in the order of dodo.py."""
    argv = [sys.executable, "-m", "doit", "list", "--db-file", str(tmp_path / "db"), "--template", "{name}\t{doc}\n"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    rows = [line.split("\t") for line in done.stdout.splitlines() if line]
    return {row[0].strip(): row[1].strip() for row in rows}


def test_readme_lists_the_tasks(tmp_path: Path) -> None:
    """README's table between its two marks is `doit list`: the same tasks, order and words."""
    text = (ROOT / "README.md").read_text()
    found = re.search(r"<!-- tasks -->\n(.*?)<!-- /tasks -->", text, re.DOTALL)
    assert found, "README.md has no table between <!-- tasks --> and <!-- /tasks -->"
    rows = [line.strip().strip("|").split("|") for line in found[1].splitlines() if line.startswith("| `")]
    table = {row[0].strip().strip("`"): row[-1].strip() for row in rows}
    assert list(table.items()) == list(listed(tmp_path).items())


def test_ci_is_what_users_type() -> None:
    """Continuous integration runs the command of the manual, nothing of its own."""
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    commands = [line for line in script.read_text().splitlines() if line.startswith("python3 ")]
    assert commands[0].startswith("python3 -m tasks test ")


def test_lock_names_no_index() -> None:
    """The locks hold versions and digests only, so that any package mirror will do, and the one holds the other."""
    build, test = ((TASKS / name).read_text() for name in ("requirements.lock", "requirements-test.lock"))
    assert "://" not in build + test
    pins = [set(re.findall(r"^(\S+==\S+)", text, re.MULTILINE)) for text in (build, test)]
    assert pins[0] < pins[1]


def test_lock_holds_every_dependency() -> None:
    """Each dependency of pyproject.toml is in the lock."""
    declared = re.findall(r'^    "([A-Za-z0-9-]+)>=', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    lock = (TASKS / "requirements-test.lock").read_text().lower()
    assert declared
    assert not [name for name in declared if f"\n{name.lower()}==" not in lock]
