"""A correct program with fal_client: all kinds of calls, handled errors, verified and deduplicated webhooks."""

import base64
import hashlib
import tempfile
import time

import fal
import fal_client
import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SCHNELL = "fal-ai/flux/schnell"
JWKS = "https://rest.fal.ai/.well-known/jwks.json"


def main():
    for step in (subscribe, poll, upload, stream, run, cancel, webhook):
        try:
            step()
        except (fal_client.FalClientError, httpx.HTTPError) as error:
            print(f"{step.__name__}: {error}")


def subscribe():
    result = fal_client.subscribe(SCHNELL, {"prompt": "a cat", "seed": 7}, with_logs=True, client_timeout=2)
    print(len(httpx.get(result["images"][0]["url"]).content), "bytes")


def poll():
    handle = fal_client.submit(SCHNELL, {"prompt": "a dog"}, priority="low", start_timeout=30)
    deadline = time.monotonic() + 2
    while not isinstance(handle.status(), fal_client.Completed):
        if time.monotonic() > deadline:
            return handle.cancel()
        time.sleep(0.2)
    print(handle.get()["seed"])


def upload():
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(httpx.get(fal_client.run(SCHNELL, {"prompt": "a bird"})["images"][0]["url"]).content)
        file.flush()
        url = fal_client.upload_file(file.name)
    edit = {"prompt": "a bird in oil", "image_url": url}
    fal_client.subscribe("fal-ai/flux/dev/image-to-image", edit, client_timeout=2)


def stream():
    print(len(list(fal_client.stream("fal-ai/flux/dev", {"prompt": "a horse"}))), "events")


def run():
    fal_client.run(SCHNELL, {"prompt": "a fish", "image_size": "square"})


def cancel():
    handle = fal_client.submit(SCHNELL, {"prompt": "a cow [mock: queue=60]"})
    handle.cancel()


def webhook():
    seen = set()

    def respond(headers, body):
        request_id = headers["x-fal-webhook-request-id"]
        if not is_genuine(headers, body):
            return 401
        seen.add(request_id)  # a second delivery is not processed again
        return 200

    url, receive = fal.receiver(respond)
    fal_client.submit(SCHNELL, {"prompt": "an owl"}, webhook_url=url)
    receive(2)
    print("delivered:", len(seen))


def is_genuine(headers, body):
    parts = [headers[f"x-fal-webhook-{name}"] for name in ("request-id", "user-id", "timestamp")]
    message = "\n".join([*parts, hashlib.sha256(body).hexdigest()]).encode()
    if abs(time.time() - int(parts[2])) > 300:
        return False
    for key in httpx.get(JWKS).json()["keys"]:
        try:
            public = Ed25519PublicKey.from_public_bytes(decoded(key["x"]))
            public.verify(bytes.fromhex(headers["x-fal-webhook-signature"]), message)
            return True
        except (InvalidSignature, ValueError):
            continue
    return False


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


main()
