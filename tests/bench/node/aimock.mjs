// aimock with one picture for fal's queue: `node aimock.mjs PORT`. A request is completed at once.
import { LLMock } from "@copilotkit/aimock";

const mock = new LLMock({ port: Number(process.argv[2]), logLevel: "silent" });
mock.onFalImage("fal-ai/flux/schnell", { images: [{ url: "https://v3b.fal.media/files/b/cat.jpg" }] });
await mock.start();
