"""Each kind of call of fal_client, in any version since 0.4; one that fails does not stop the others."""

import sys

import fal_client

SCHNELL = "fal-ai/flux/schnell"


def subscribe() -> None:
    fal_client.subscribe(SCHNELL, {"prompt": "a cat"}, with_logs=True, on_queue_update=lambda status: None)


def poll() -> None:
    handle = fal_client.submit(SCHNELL, {"prompt": "a dog"})
    for _ in handle.iter_events(with_logs=True):
        pass
    handle.get()


def upload() -> None:
    fal_client.upload(b"a cat", "image/jpeg")


def stream() -> None:
    list(fal_client.stream("fal-ai/flux/dev", {"prompt": "a horse"}))


def run() -> None:
    fal_client.run(SCHNELL, {"prompt": "a fish"})


for step in (subscribe, poll, upload, stream, run):
    try:
        step()
    except Exception as error:
        sys.stderr.write(f"{step.__name__}: {type(error).__name__}\n")
