"""Python imports this module at start. It installs the guard, then runs the `sitecustomize` that it stands before.

It must not break a program: a failure of its own is silent, and the import path is left as it would be without it.
The syntax is that of Python 3.0, because a program may start any version.
"""

import os
import sys


def _install():  # type: ignore[no-untyped-def]
    import mock_fal_preload  # type: ignore[import-not-found]

    mock_fal_preload.install_from(os.environ)


def _rest_of_path(folder):  # type: ignore[no-untyped-def]
    """Remove `folder` from the import path and return the entries after it."""
    at = [os.path.abspath(entry) for entry in sys.path].index(folder)
    del sys.path[at]
    return sys.path[at:]


def _run_next(path):  # type: ignore[no-untyped-def]
    """Run the next `sitecustomize` in its own name. Its errors are reported by Python, as without this module."""
    # Python has loaded this one already; `importlib.machinery` costs as much as the rest of this file.
    finder = sys.modules["_frozen_importlib_external"].PathFinder
    spec = finder.find_spec("sitecustomize", path)
    if spec is not None and spec.loader is not None:
        from importlib.util import module_from_spec

        module = module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


if __name__ == "sitecustomize":
    try:
        _install()  # type: ignore[no-untyped-call]
    except Exception:
        pass
    try:
        _rest = _rest_of_path(os.path.dirname(os.path.abspath(__file__)))  # type: ignore[no-untyped-call]
    except Exception:
        _rest = []
    _run_next(_rest)  # type: ignore[no-untyped-call]
