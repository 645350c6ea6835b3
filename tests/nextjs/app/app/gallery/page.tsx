// app/gallery/page.tsx
import { fal } from "@fal-ai/client";
import Image from "next/image";

export default async function Gallery() {
  "use cache"; // `next build` renders this page, and so calls fal
  const { data } = await fal.run("fal-ai/flux/schnell", { input: { prompt: "a fox of the gallery" } });
  const [{ url, width, height }] = data.images as { url: string; width: number; height: number }[];
  return <Image src={url} width={width} height={height} alt="the picture" loading="eager" />;
}
