// app/api/fal/webhook/route.ts
import { jobs } from "@/lib/jobs";
import { isFromFal } from "@/lib/webhook";

export async function POST(request: Request) {
  const body = Buffer.from(await request.arrayBuffer());
  if (!(await isFromFal(request.headers, body))) return new Response("invalid signature", { status: 401 });
  const webhook = JSON.parse(body.toString());
  jobs.set(webhook.request_id, webhook);
  return new Response(null, { status: 204 });
}
