// app/api/image/route.ts
import { fal } from "@ai-sdk/fal";
import { generateImage } from "ai";

export async function POST(request: Request) {
  const { prompt } = await request.json();
  const { image } = await generateImage({ model: fal.image("fal-ai/flux/schnell"), prompt });
  return new Response(Buffer.from(image.uint8Array), { headers: { "Content-Type": image.mediaType } });
}
