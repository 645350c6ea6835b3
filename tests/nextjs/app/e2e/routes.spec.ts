// e2e/routes.spec.ts
import { expect, test } from "@playwright/test";
import { requests } from "./mock-fal";

test("the AI SDK makes a picture", async ({ request }) => {
  const response = await request.post("/api/image", { data: { prompt: "a fox of the AI SDK" } });
  expect(response.headers()["content-type"]).toBe("image/jpeg");
  expect(await requests("a fox of the AI SDK")).toMatchObject([{ operation: "run" }]);
});

test("the AI SDK makes a video", async ({ request }) => {
  const response = await request.post("/api/video", { data: { prompt: "a fox that runs" } });
  expect(response.headers()["content-type"]).toBe("video/mp4");
  expect((await response.body()).toString("latin1", 4, 8)).toBe("ftyp");
  expect(await requests("a fox that runs")).toMatchObject([{ operation: "submit" }]);
});

test("a webhook ends a job", async ({ request }) => {
  const submitted = await request.post("/api/jobs", { data: { prompt: "a fox that waits" } });
  const { id } = await submitted.json();
  const job = () => request.get(`/api/jobs?id=${id}`);
  await expect.poll(async () => (await job()).status()).toBe(200);
  expect(await (await job()).json()).toMatchObject({ status: "OK", payload: { prompt: "a fox that waits" } });
});

test("a forged webhook is refused", async ({ request }) => {
  const headers = {
    "X-Fal-Webhook-Request-Id": "1",
    "X-Fal-Webhook-User-Id": "1",
    "X-Fal-Webhook-Timestamp": String(Math.floor(Date.now() / 1000)),
    "X-Fal-Webhook-Signature": "00".repeat(64),
  };
  const response = await request.post("/api/fal/webhook", { headers, data: { request_id: "1" } });
  expect(response.status()).toBe(401);
});
