"""What the boot proof tells, to people and to programs.  Pure.

JSON (`doit examine --json`, build/reports/prove-<osimage>.json)::

    {"images": [{"image": "debian12-x86_64-netboot-compute",   # "" for a foreign set
                 "kernel": "6.1.0-56-amd64", "config": true,   # whether its configuration is known
                 "initrd": {"bytes": 1929350, "unpacked": 5300224, "packed_as": ["zstd"]},
                 "root": {"bytes": 38837481, "format": "cpio", "packed_as": "gzip"} | null,
                 "boots": false, "refused": true,              # false and true where one of its machines says so
                 "verdicts": [{"nodes": ["n01"], "boots": false, "refused": true,
                               "message": "Kernel panic - not syncing: ...",
                               "findings": [{"rule": "E04", "grade": "error" | "warning" | "waived", "text": "...",
                                             "cause": "...", "remedy": "...", "predicted": "..." | null}]}],
                 "notes": ["..."]}],
     "boots": false, "refused": true}

`predicted` is where the boot would end by that finding alone; the first of all ends is the verdict's `message`.
"""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tasks.initrd.proof.finding import Finding, Grade
from tasks.initrd.proof.subject import Subject
from tasks.initrd.proof.verdict import BOOTS, Verdict
from tasks.inventory import noderange

WIDTH = 110
COLOURS = {Grade.ERROR: "1;31", Grade.WARNING: "33", Grade.WAIVED: "36"}
Json = dict[str, object]


@dataclass(frozen=True, kw_only=True)
class Paint:
    """Colours, or none; what would speak to the terminal is written out either way."""

    on: bool = False

    def __call__(self, code: str, text: str) -> str:
        """Return a text in a colour."""
        safe = "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)
        return f"\x1b[{code}m{safe}\x1b[0m" if self.on else safe


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Machines with one verdict: nodes of the inventory, or none where a set is judged by itself."""

    nodes: tuple[str, ...]
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that is told of one subject."""

    subject: Subject
    judged: tuple[Judged, ...]
    notes: tuple[str, ...] = ()

    @property
    def boots(self) -> bool:
        """Whether all machines would boot."""
        return all(each.verdict.boots for each in self.judged)

    @property
    def refused(self) -> bool:
        """Whether an error keeps the image from being staged."""
        return any(each.verdict.refused for each in self.judged)


def together(found: Iterable[tuple[tuple[str, ...], Verdict]]) -> tuple[Judged, ...]:
    """Return machines by verdict: those with the same one are told of together."""
    groups: dict[Verdict, list[str]] = {}
    for names, verdict in found:
        groups.setdefault(verdict, []).extend(names)
    return tuple(Judged(nodes=tuple(noderange.natural(names)), verdict=verdict) for verdict, names in groups.items())


# -- for people ------------------------------------------------------------------------------------------------------


def text(report: Report, paint: Paint | None = None) -> str:
    """Return the report for people."""
    return "\n".join(lines(report, paint or Paint())) + "\n"


def lines(report: Report, paint: Paint) -> Iterator[str]:
    """Yield the lines: a head, what was looked at, a verdict for each group of machines, findings, notes."""
    yield paint("1", f"{report.subject.image or 'this set'}: {headline(report)}")
    yield f"  {paint('', what(report.subject))}"
    shared = common([each.verdict.findings for each in report.judged])
    for each in report.judged:
        yield from judged_lines(each, shared, paint)
    if shared:
        yield f"  {paint('1', 'all of them:')}"
    for finding in shared:
        yield from finding_lines(finding, paint)
    for note in report.notes:
        yield f"  {paint('', f'note: {note}')}"


def headline(report: Report) -> str:
    """Return the verdict in a few words."""
    stuck = [name for each in report.judged if not each.verdict.boots for name in each.nodes]
    if not report.boots:
        return f"{noderange.fold(stuck)} would not boot" if stuck else "would not boot"
    if report.refused:
        return "boots as far as can be known, but has errors"
    return "boots as far as can be known"


def what(subject: Subject) -> str:
    """Return what was looked at, in one line."""
    hows = ", ".join(dict.fromkeys(each.compression for each in subject.packed.segments)) or "nothing"
    known = "" if subject.config else " (configuration unknown)"
    parts = [
        f"kernel {subject.kernel.version or 'of unknown version'}{known}",
        f"initrd {subject.packed.size / 1e6:.1f} MB ({hows}), {subject.initrd.pages / 1e6:.1f} MB unpacked",
    ]
    if subject.root:
        kind = " ".join(filter(None, (subject.root.compression, subject.root.format)))
        held = f", {subject.root.archive.pages / 1e6:.1f} MB unpacked" if subject.root.archive else ""
        parts.append(f"root image {subject.root.size / 1e6:.1f} MB ({kind}){held}")
    return "; ".join(parts)


def judged_lines(judged: Judged, shared: Sequence[Finding], paint: Paint) -> Iterator[str]:
    """Yield the verdict on a group of machines and the findings that are theirs alone."""
    verdict = judged.verdict
    names = f"{noderange.fold(judged.nodes)}: " if judged.nodes else ""
    message = BOOTS if verdict.boots else verdict.message
    yield f"  {paint('1', names)}{paint('32' if verdict.boots else '1;31', message)}"
    for finding in verdict.findings:
        if finding not in shared:
            yield from finding_lines(finding, paint)


def finding_lines(finding: Finding, paint: Paint) -> Iterator[str]:
    """Yield a finding: what, why, the remedy."""
    grade = paint(COLOURS[finding.grade], f"{finding.grade} {finding.rule}")
    yield f"    {grade}: {paint('', finding.text)}"
    told = f"{finding.cause} → {finding.end.message}" if finding.end else finding.cause
    for sentence in (told, f"remedy: {finding.remedy}"):
        yield from (f"        {paint('', line)}" for line in textwrap.wrap(sentence, WIDTH, break_long_words=False))


def common(lists: Sequence[tuple[Finding, ...]]) -> tuple[Finding, ...]:
    """Return the findings that all machines share, if there is more than one group."""
    if len(lists) < 2:
        return ()
    rest = [frozenset(each) for each in lists[1:]]
    return tuple(finding for finding in lists[0] if all(finding in each for each in rest))


def errors_text(report: Report) -> str:
    """Return the errors for a failed task, with who would not boot."""
    sentences: dict[str, None] = {}
    for each in report.judged:
        if each.verdict.refused:
            who = f"{noderange.fold(each.nodes)}: " if each.nodes else ""
            sentences[f"{who}{each.verdict.message}"] = None
    for each in report.judged:
        sentences |= dict.fromkeys(str(finding) for finding in each.verdict.findings if finding.grade is Grade.ERROR)
    return "\n".join(Paint()("", line) for sentence in sentences for line in sentence.split("\n"))


# -- for programs ----------------------------------------------------------------------------------------------------


def document(reports: Sequence[Report]) -> Json:
    """Return reports as JSON has them; the schema stands at the top of this file."""
    return {
        "images": [image_document(report) for report in reports],
        "boots": all(report.boots for report in reports),
        "refused": any(report.refused for report in reports),
    }


def image_document(report: Report) -> Json:
    """Return one report as JSON has it."""
    subject, root = report.subject, report.subject.root
    return {
        "image": subject.image,
        "kernel": subject.kernel.version,
        "config": subject.config is not None,
        "initrd": {
            "bytes": subject.packed.size,
            "unpacked": subject.initrd.pages,
            "packed_as": [segment.compression for segment in subject.packed.segments],
        },
        "root": {"bytes": root.size, "format": root.format, "packed_as": root.compression} if root else None,
        "boots": report.boots,
        "refused": report.refused,
        "verdicts": [judged_document(each) for each in report.judged],
        "notes": list(report.notes),
    }


def judged_document(judged: Judged) -> Json:
    """Return a verdict as JSON has it."""
    return {
        "nodes": list(judged.nodes),
        "boots": judged.verdict.boots,
        "refused": judged.verdict.refused,
        "message": judged.verdict.message,
        "findings": [finding_document(finding) for finding in judged.verdict.findings],
    }


def finding_document(finding: Finding) -> Json:
    """Return a finding as JSON has it."""
    return {
        "rule": finding.rule,
        "grade": finding.grade.value,
        "text": finding.text,
        "cause": finding.cause,
        "remedy": finding.remedy,
        "predicted": finding.end.message if finding.end else None,
    }
