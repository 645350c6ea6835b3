// lib/webhook.ts
import { createHash, createPublicKey, verify } from "node:crypto";

const LEEWAY_S = 300;

/** Whether fal signed this webhook, not more than five minutes ago. */
export async function isFromFal(headers: Headers, body: Buffer): Promise<boolean> {
  const [id, user, timestamp, signature] = ["request-id", "user-id", "timestamp", "signature"].map(
    (name) => headers.get(`x-fal-webhook-${name}`) ?? "",
  );
  if (!(Math.abs(Date.now() / 1000 - Number(timestamp)) <= LEEWAY_S)) return false;
  const digest = createHash("sha256").update(body).digest("hex");
  const message = Buffer.from([id, user, timestamp, digest].join("\n"));
  const response = await fetch("https://rest.fal.ai/.well-known/jwks.json");
  const { keys } = (await response.json()) as { keys: { x: string }[] };
  return keys.some(({ x }) => {
    const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: x.replace(/=+$/, "") }, format: "jwk" });
    return verify(null, message, key, Buffer.from(signature, "hex"));
  });
}
