// e2e/mock-fal.ts
const control = `${process.env.MOCK_FAL_URL}/_mock`;
const account = "studio"; // of FAL_KEY in playwright.config.ts

type Exchange = { endpoint: string; operation: string; input: { prompt?: string } | null; status: number };

/** The submissions and direct calls with this prompt. All tests share the account. */
export async function requests(prompt: string): Promise<Exchange[]> {
  const response = await fetch(`${control}/requests?key=${account}&method=POST`);
  const { requests } = (await response.json()) as { requests: Exchange[] };
  return requests.filter(({ input }) => input?.prompt === prompt);
}

/** Lets the next request with this prompt fail with one of fal's errors. */
export async function failNext(prompt: string, error: string): Promise<void> {
  const rule = JSON.stringify({ prompt, error, times: 1 });
  const response = await fetch(`${control}/scenario?key=${account}`, { method: "POST", body: rule });
  if (!response.ok) throw new Error(await response.text());
}
