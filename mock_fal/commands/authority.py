"""`mock-fal ca`: make a certificate authority that is kept, or show the one in a folder."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mock_fal.clock import SystemClock


def authority(options: argparse.Namespace) -> int:
    """Make the authority if the folder has none, and print its files, or its certificate with `--pem`."""
    from mock_fal.gateway.kept_authority import keep

    kept = keep(Path(options.folder), now=SystemClock().now())
    if options.pem:
        sys.stdout.write(kept.ca_file.read_text("ascii"))
        return 0
    sys.stdout.write(
        f"certificate: {kept.ca_file}\n"
        f"with the system's roots: {kept.bundle_file}\n"
        f"private key: {kept.key_file}\n"
        f"SHA-256: {kept.fingerprint}\n"
        f"valid until: {kept.expires_at:%Y-%m-%d}\n"
    )
    return 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the command `ca`."""
    parser.add_argument("folder", help="folder of the authority; it is made if it does not exist")
    parser.add_argument("--pem", action="store_true", help="print the certificate in PEM")
    parser.set_defaults(command=authority)
