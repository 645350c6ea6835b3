// playwright.config.ts
import { defineConfig } from "@playwright/test";

const url = `http://localhost:${process.env.PORT ?? 3000}`;

export default defineConfig({
  testDir: "e2e",
  timeout: 120_000, // `next dev` compiles a route when it is first asked for
  expect: { timeout: 60_000 },
  use: {
    baseURL: url,
    ignoreHTTPSErrors: true, // mock-fal signs the certificate of v3b.fal.media
    launchOptions: { executablePath: process.env.CHROMIUM }, // not set: the browser that Playwright installed
  },
  webServer: {
    url,
    command: process.env.APP ?? "npm run dev",
    env: { FAL_KEY: "studio:test" }, // the requests of the app belong to the account `studio`
    timeout: 120_000,
  },
});
