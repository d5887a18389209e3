"""The page in a real browser: it loads nothing, complains of nothing, and shows its pictures."""

import json
import shutil
import subprocess
from urllib.parse import urlsplit

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt-get install chromium)")

OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--enable-logging=stderr",
    # Nothing leaves this machine, whatever a page asks for.
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


@pytest.fixture
def opened(tmp_path):
    """Open a page; return the hosts that were asked for, the console's lines and the resulting document."""

    def open_page(page, *options):
        log = tmp_path / "network.json"
        done = subprocess.run(
            [
                CHROMIUM,
                *OPTIONS,
                *options,
                f"--user-data-dir={tmp_path / 'profile'}",
                f"--log-net-log={log}",
                "--dump-dom",
                page.as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        events = (
            event["params"] for event in json.loads(log.read_text())["events"] if "url" in event.get("params", {})
        )
        # A page from disk asks in the name of file://; the browser's own requests have another key.
        asked = (event["url"] for event in events if str(event.get("network_isolation_key")).startswith("file://"))
        hosts = {urlsplit(url).netloc for url in asked}
        return hosts, [line for line in done.stderr.splitlines() if ":CONSOLE" in line], done.stdout

    return open_page


def page(tmp_path, body):
    path = tmp_path / "page.html"
    path.write_text(f'<!DOCTYPE html><html lang="en"><head><title>t</title></head><body>{body}</body></html>')
    return path


def test_a_page_that_asks_and_complains_is_noticed(opened, tmp_path):
    """Else the next test would show nothing."""
    hosts, console, _ = opened(
        page(tmp_path, '<img src="http://elsewhere.invalid/x.png" alt=""><script>console.error("oops")</script>')
    )

    assert hosts == {"elsewhere.invalid"}
    assert any("oops" in line for line in console)


@pytest.mark.parametrize("options", [(), ("--blink-settings=preferredColorScheme=0",)], ids=["light", "dark"])
def test_the_report_asks_for_nothing_and_complains_of_nothing(opened, finished, options):
    hosts, console, document = opened(finished / "report.html", *options)

    assert hosts == set()
    assert console == []
    assert document.count("<figure") == 5
