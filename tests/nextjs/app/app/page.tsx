// app/page.tsx
"use client";

import { fal } from "@fal-ai/client";
import Image from "next/image";
import { useState } from "react";

fal.config({ proxyUrl: "/api/fal/proxy" });

type Picture = { url: string; width: number; height: number };

export default function Page() {
  const [status, setStatus] = useState("");
  const [picture, setPicture] = useState<Picture>();

  async function draw(form: FormData) {
    try {
      const { data } = await fal.subscribe("fal-ai/flux/schnell", {
        input: { prompt: String(form.get("prompt")) },
        onQueueUpdate: (update) => setStatus(update.status),
      });
      setPicture(data.images[0] as Picture);
      setStatus("done");
    } catch (error) {
      setStatus(String(error));
    }
  }

  return (
    <main>
      <form action={draw}>
        <input name="prompt" aria-label="Prompt" defaultValue="a cat" />
        <button>Draw</button>
      </form>
      <p role="status">{status}</p>
      {picture && (
        <figure>
          <Image src={picture.url} width={picture.width} height={picture.height} alt="the picture" />
          <a href={picture.url}>Original</a>
        </figure>
      )}
    </main>
  );
}
