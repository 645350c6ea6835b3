"""Generate a picture with fal's unmodified Python client. `make demo` runs this with `mock-fal run`."""

import sys
from importlib.metadata import version

import fal_client
import httpx


def main(target: str) -> None:
    """Save a picture to `target` and print the progress."""
    last_line = ""

    def print_status(status: fal_client.Status) -> None:
        nonlocal last_line
        match status:
            case fal_client.Queued(position):
                line = f"queued at position {position}"
            case fal_client.InProgress(logs):
                line = f"running {logs[-1]['message']}" if logs else "running"
            case fal_client.Completed(_, metrics):
                line = f"completed in {metrics['inference_time']:.2f} s"
        if line != last_line:
            print(f"  {line}")
        last_line = line

    print(f"fal-client {version('fal-client')} requests fal-ai/flux/schnell:")
    result = fal_client.subscribe(
        "fal-ai/flux/schnell",
        arguments={"prompt": "a lighthouse at dawn, long exposure", "seed": 7},
        with_logs=True,
        on_queue_update=print_status,
    )
    image = result["images"][0]
    picture = httpx.get(image["url"]).raise_for_status()
    with open(target, "wb") as file:
        file.write(picture.content)
    print(f"  {image['url']}")
    print(
        f"Saved {target}: {image['width']}x{image['height']}, {len(picture.content)} bytes. Nothing left this machine."
    )


if __name__ == "__main__":
    main(sys.argv[1])
