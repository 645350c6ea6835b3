"""A good twin with fal_client's AsyncClient: several at a time, and each error is its own."""

import asyncio

import fal_client
import httpx

SCHNELL = "fal-ai/flux/schnell"


async def main():
    client = fal_client.AsyncClient()
    steps = [
        subscribe(client),
        *(poll(client, number) for number in range(4)),
        upload(client),
        stream(client),
        cancel(client),
    ]
    for each in await asyncio.gather(*steps, return_exceptions=True):
        print(each if isinstance(each, Exception) else "done")
        if isinstance(each, Exception) and not isinstance(each, fal_client.FalClientError | httpx.HTTPError):
            raise each


async def subscribe(client):
    await client.subscribe(SCHNELL, {"prompt": "a cat"}, client_timeout=20)


async def poll(client, number):
    """The same input four times, side by side: that is asked for, and nothing is paid for twice."""
    handle = await client.submit(SCHNELL, {"prompt": "a dog"})
    async for _ in handle.iter_events(with_logs=True, interval=0.1 + number / 100):
        pass
    await handle.get()


async def upload(client):
    url = await client.upload(b"a cat", "text/plain", "cat.txt")
    try:
        await client.subscribe("fal-ai/flux/dev/image-to-image", {"prompt": "no picture", "image_url": url})
    except fal_client.FalClientHTTPError as error:
        if error.status_code != 422:
            raise


async def stream(client):
    async for _ in client.stream("fal-ai/flux/dev", {"prompt": "a horse"}):
        pass


async def cancel(client):
    handle = await client.submit(SCHNELL, {"prompt": "a cow [mock: queue=60]"})
    await handle.cancel()


asyncio.run(main())
