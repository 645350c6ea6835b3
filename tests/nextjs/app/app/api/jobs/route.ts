// app/api/jobs/route.ts
import { fal } from "@fal-ai/client";
import { jobs } from "@/lib/jobs";

export async function POST(request: Request) {
  const { prompt } = await request.json();
  const webhookUrl = new URL("/api/fal/webhook", process.env.APP_URL ?? request.url).href;
  const { request_id } = await fal.queue.submit("fal-ai/flux/schnell", { input: { prompt }, webhookUrl });
  return Response.json({ id: request_id }, { status: 202 });
}

export async function GET(request: Request) {
  const job = jobs.get(new URL(request.url).searchParams.get("id") ?? "");
  return job ? Response.json(job) : Response.json({ detail: "not ready" }, { status: 404 });
}
