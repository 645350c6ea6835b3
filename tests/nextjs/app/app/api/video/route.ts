// app/api/video/route.ts
import { fal } from "@ai-sdk/fal";
import { experimental_generateVideo as generateVideo } from "ai";

export async function POST(request: Request) {
  const { prompt } = await request.json();
  const { video } = await generateVideo({
    model: fal.video("luma-dream-machine"),
    prompt,
    duration: 5,
    poll: { intervalMs: 500 }, // 5000 by default
  });
  return new Response(Buffer.from(video.uint8Array), { headers: { "Content-Type": video.mediaType } });
}
