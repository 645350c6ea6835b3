// e2e/app.spec.ts
import { type Locator, type Page, expect, test } from "@playwright/test";
import { failNext, requests } from "./mock-fal";

async function draw(page: Page, prompt: string) {
  await page.goto("/");
  await page.getByLabel("Prompt").fill(prompt);
  await page.getByRole("button", { name: "Draw" }).click();
}

async function expectShown(picture: Locator) {
  await expect(picture).toHaveAttribute("src", /^\/_next\/image\?url=/);
  await expect.poll(() => picture.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBeGreaterThan(0);
}

test("a picture is drawn and shown", async ({ page }) => {
  await draw(page, "a red fox");
  await expectShown(page.getByAltText("the picture"));
  expect(await requests("a red fox")).toMatchObject([{ endpoint: "fal-ai/flux/schnell", status: 200 }]);

  const file = page.waitForResponse(/^https?:\/\/[^?]*fal\.media\/files\//);
  await page.getByRole("link", { name: "Original" }).click();
  expect((await file).status()).toBe(200);
});

test("a refused prompt is told", async ({ page }) => {
  await failNext("a blue fox", "content_policy_violation");
  await draw(page, "a blue fox");
  await expect(page.getByRole("status")).toHaveText("ValidationError: Unprocessable Entity");
});
