// The edge runtime. `middleware.ts` is the older name of `proxy.ts`, which runs in Node.
import { type NextRequest, NextResponse } from "next/server";

export const config = { matcher: "/edge" };

export async function middleware(request: NextRequest) {
  const response = await fetch("https://fal.run/fal-ai/flux/schnell", {
    method: "POST",
    headers: { Authorization: `Key ${process.env.FAL_KEY}`, "Content-Type": "application/json" },
    body: JSON.stringify({ prompt: request.nextUrl.searchParams.get("prompt") }),
  });
  const runtime = "EdgeRuntime" in globalThis ? "edge" : "nodejs";
  return NextResponse.json({ status: response.status, runtime });
}
