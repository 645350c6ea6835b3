"""Fal's own Python client, unmodified, generates a picture. Run by `make demo`, through `mock-fal run`."""

import sys

import fal_client
import httpx


def main(target: str) -> None:
    """Save a picture to `target`, saying what happened."""

    def tell(status: fal_client.Status) -> None:
        match status:
            case fal_client.Queued(position):
                print(f"  queued, {position} in front")
            case fal_client.InProgress(logs):
                print("  running", (logs or [{"message": ""}])[-1]["message"])
            case fal_client.Completed(_, metrics):
                print(f"  completed in {metrics['inference_time']:.2f} s")

    print(f"fal_client {fal_client.client.__version__} asks for fal-ai/flux/schnell:")
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
