"""Fal's own Python client, unmodified, generates a picture. Run by `make demo`, through `mock-fal run`."""

import sys
from importlib.metadata import version

import fal_client
import httpx


def main(target: str) -> None:
    """Save a picture to `target`, saying what happened."""

    told = ""

    def tell(status: fal_client.Status) -> None:
        nonlocal told
        match status:
            case fal_client.Queued(position):
                line = f"queued, {position} in front"
            case fal_client.InProgress(logs):
                line = f"running {logs[-1]['message']}" if logs else "running"
            case fal_client.Completed(_, metrics):
                line = f"completed in {metrics['inference_time']:.2f} s"
        if line != told:
            print(f"  {line}")
        told = line

    print(f"fal-client {version('fal-client')} asks for fal-ai/flux/schnell:")
    result = fal_client.subscribe(
        "fal-ai/flux/schnell",
        arguments={"prompt": "a lighthouse at dawn, long exposure", "seed": 7},
        with_logs=True,
        on_queue_update=tell,
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
