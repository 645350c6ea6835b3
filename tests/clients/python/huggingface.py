"""Hugging Face's client with the provider fal-ai: a picture, an edit, a video, speech and a transcript.

python huggingface.py FOLDER: reads speech.wav and picture.png there, writes the results, and prints JSON.
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

# What huggingface.co answers for the models below: the task, and the endpoint of fal that runs it.
HUB = {
    "black-forest-labs/FLUX.1-schnell": ("text-to-image", "fal-ai/flux/schnell"),
    "black-forest-labs/FLUX.1-Kontext-dev": ("image-to-image", "fal-ai/flux-kontext/dev"),
    "Lightricks/LTX-Video": ("text-to-video", "fal-ai/ltx-video"),
    "hexgrad/Kokoro-82M": ("text-to-speech", "fal-ai/kokoro/american-english"),
    "ResembleAI/chatterbox": ("text-to-speech", "fal-ai/chatterbox/text-to-speech"),
    "openai/whisper-large-v3": ("automatic-speech-recognition", "fal-ai/whisper"),
}


class Hub(BaseHTTPRequestHandler):
    """huggingface.co, as far as the client asks it: which endpoint of fal runs a model."""

    def do_GET(self) -> None:
        model = urlsplit(self.path).path.removeprefix("/api/models/")
        if model not in HUB:
            self.send_error(404)
            return
        task, endpoint = HUB[model]
        mapping = {"provider": "fal-ai", "providerId": endpoint, "status": "live", "task": task}
        body = json.dumps({"id": model, "inferenceProviderMapping": [mapping]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def main(folder: Path) -> None:
    hub = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=hub.serve_forever, daemon=True).start()
    os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{hub.server_port}"  # read when the client is imported

    from huggingface_hub import InferenceClient

    client = InferenceClient(provider="fal-ai", api_key=os.environ["FAL_KEY"])
    picture = client.text_to_image(
        "a cat", model="black-forest-labs/FLUX.1-schnell", width=512, height=384, seed=7
    )
    picture.save(folder / "image", "PNG")
    edited = client.image_to_image(
        folder / "picture.png", prompt="at night", model="black-forest-labs/FLUX.1-Kontext-dev"
    )
    edited.save(folder / "edited", "PNG")
    video = client.text_to_video("a cat", model="Lightricks/LTX-Video", seed=7)
    (folder / "video").write_bytes(video)
    speech = client.text_to_speech("Hello there, cat.", model="ResembleAI/chatterbox")
    (folder / "speech").write_bytes(speech)
    transcript = client.automatic_speech_recognition(
        str(folder / "speech.wav"), model="openai/whisper-large-v3"
    )
    print(json.dumps({"transcript": {"text": transcript.text}}))
    hub.shutdown()


main(Path(sys.argv[1]))
