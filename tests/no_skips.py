"""A pytest plugin for continuous integration: a skipped test is a failed run, for nobody looks at what is not run."""

import pytest


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Turn success into failure where a test was skipped; `-rs` names them."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why a run without a red test is red."""
    skipped = len(terminalreporter.stats.get("skipped", []))
    if skipped:
        terminalreporter.section("skipped tests are failures here (CI=true)", red=True)
        terminalreporter.line(f"{skipped} skipped: install what they name (python3 -m tasks doctor)")
