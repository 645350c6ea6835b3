"""A correct program with fal_client's AsyncClient: concurrent calls, whose errors are handled separately."""

import asyncio

import fal_client
import httpx

SCHNELL = "fal-ai/flux/schnell"
EXPECTED_ERRORS = (fal_client.FalClientError, httpx.HTTPError)


async def main():
    client = fal_client.AsyncClient()
    steps = [
        subscribe(client),
        *(poll(client, number) for number in range(4)),
        upload(client),
        stream(client),
        cancel(client),
    ]
    for outcome in await asyncio.gather(*steps, return_exceptions=True):
        print(outcome if isinstance(outcome, Exception) else "done")
        if isinstance(outcome, Exception) and not isinstance(outcome, EXPECTED_ERRORS):
            raise outcome


async def subscribe(client):
    await client.subscribe(SCHNELL, {"prompt": "a cat"}, client_timeout=2)


async def poll(client, number):
    """One of four concurrent calls with the same input: four requests on purpose, not a retry."""
    handle = await client.submit(SCHNELL, {"prompt": "a dog"})
    try:
        async with asyncio.timeout(2):
            async for _ in handle.iter_events(with_logs=True, interval=0.1 + number / 100):
                pass
            await handle.get()
    except TimeoutError:
        await handle.cancel()


async def upload(client):
    url = await client.upload(b"a cat", "text/plain", "cat.txt")
    try:
        await client.subscribe(
            "fal-ai/flux/dev/image-to-image", {"prompt": "no picture", "image_url": url}, client_timeout=2
        )
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
