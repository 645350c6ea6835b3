"""`--open`: opens the inspector in the user's browser, where there is one."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping


def obstacle(environ: Mapping[str, str], platform: str = sys.platform) -> str:
    """Why no browser is opened; empty if one may be.

    >>> obstacle({"CI": "true"}), obstacle({}, "linux"), obstacle({"DISPLAY": ":0"}, "linux"), obstacle({}, "darwin")
    ('this is CI', 'there is no display', '', '')
    """
    if environ.get("CI", "").lower() not in ("", "0", "false"):
        return "this is CI"
    # Without a display, `webbrowser` would start a browser in this terminal.
    shown_by = ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME", "BROWSER")
    if platform not in ("darwin", "win32") and not any(environ.get(name) for name in shown_by):
        return "there is no display"
    return ""


def open_page(url: str, environ: Mapping[str, str]) -> None:
    """Open a page in the browser. Where that is not possible, say so; it is never an error."""
    reason = obstacle(environ)
    if reason:
        _say(f"{reason}, so no browser was opened")
        return
    # In a thread: some browsers return when they are closed.
    threading.Thread(target=_open, args=(url,), name="browser", daemon=True).start()


def _open(url: str) -> None:
    import webbrowser  # only with --open

    try:
        is_open = webbrowser.open(url)
    except (webbrowser.Error, OSError):
        is_open = False
    if not is_open:
        _say(f"no browser could be started; the page is {url}")


def _say(text: str) -> None:
    sys.stderr.write(f"mock-fal: --open: {text}\n")
    sys.stderr.flush()
