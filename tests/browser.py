"""A real Chromium for the tests of pages, driven through its debugging pipe: no port, no driver, no other library."""

import json
import os
import select
import shutil
import subprocess
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

DRAWN = "new Promise(done => setTimeout(done, 400))"
"""Waits until charts in view are drawn."""

_OPTIONS = """--headless --no-sandbox --disable-gpu --disable-quic --disable-dev-shm-usage --no-first-run
--disable-background-networking --disable-component-update --disable-sync --disable-default-apps --disable-extensions
--autoplay-policy=no-user-gesture-required --mute-audio --remote-debugging-pipe"""


class Browser:
    """One Chromium with one tab; `errors` and `requests` are those of the page since `open`."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM
        commands, self._out = os.pipe()
        self._in, replies = os.pipe()
        # Chromium reads commands from file descriptor 3 and writes replies to 4; the shell puts the pipes there.
        script = f'exec "$0" "$@" 3<&{commands} 4>&{replies}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, CHROMIUM, *_OPTIONS.split(), f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(commands, replies),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(replies)
        self._pending = b""
        self._count = 0
        self._session: str | None = None
        self.errors: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the DevTools protocol and its result."""
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (reply := self._read()).get("id") != self._count:
            self._notice(reply)
        assert "error" not in reply, (method, reply)
        return reply["result"]

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._pending:
            assert select.select([self._in], [], [], 60)[0], "Chromium hangs"
            data = os.read(self._in, 1 << 20)
            assert data, "Chromium ended"
            self._pending += data
        message, self._pending = self._pending.split(b"\0", 1)
        return json.loads(message)

    def _notice(self, event: dict[str, Any]) -> None:
        method, parameters = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.errors.append(str(parameters["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.errors.append(str(parameters["args"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.errors.append(str(parameters["entry"]))
        elif method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])

    def open(self, page: Path, width: int = 1200, height: int = 900, dark: bool = False) -> None:
        """Show a page from disk in a window of that size, and wait until it is loaded."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.errors.clear()
        self.requests.clear()
        self.call("Page.navigate", url=page.resolve().as_uri())
        self.wait_for_load()

    def wait_for_load(self) -> None:
        """Wait until a page is loaded, also again."""
        while (event := self._read()).get("method") != "Page.loadEventFired":
            self._notice(event)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression, which may be a promise, as the page's user had tapped it."""
        outcome = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in outcome, outcome
        return outcome["result"].get("value")

    def check_page(self, page: Path, width: int, dark: bool = False) -> None:
        """Assert that a page works in a window of that width: all folded parts are opened and all charts in view.

        It is not wider than the window, requests nothing from a network, draws its charts, decodes its sounds and logs
        no errors.
        """
        self.open(page, width=width, height=10_000, dark=dark)
        self.run("all('details').forEach(one => { one.open = true; })")
        self.run(DRAWN)
        assert self.run("document.documentElement.scrollWidth") <= width
        assert not self.run(
            "charts.filter(one => one.offsetParent && !one.querySelector('.plot').children.length).length"
        )
        play = "for (const one of all('audio')) { await one.play(); one.pause(); durations.push(one.duration); }"
        assert all(self.run(f"(async () => {{ const durations = []; {play} return durations; }})()"))
        assert {address.split(":")[0] for address in self.requests} <= {"file", "data"}
        assert self.errors == []

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._out)
        os.close(self._in)
