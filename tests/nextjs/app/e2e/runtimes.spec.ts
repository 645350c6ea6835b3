import { expect, test } from "@playwright/test";
import { requests } from "./mock-fal";

test("a page that the server renders shows a picture", async ({ page }) => {
  await page.goto("/gallery");
  const picture = page.getByAltText("the picture");
  await expect.poll(() => picture.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBeGreaterThan(0);
});

test("the edge runtime reaches mock-fal", async ({ request }) => {
  const response = await request.get("/edge?prompt=a fox of the edge");
  expect(await response.json()).toEqual({ status: 200, runtime: "edge" });
  expect(await requests("a fox of the edge")).toMatchObject([{ operation: "run" }]);
});
