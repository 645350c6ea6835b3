// A driver for @fal-ai/client, which is loaded from the folder in which the driver is started.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { ApiError, createFalClient } = createRequire(`${process.cwd()}/`)("@fal-ai/client");
const fal = createFalClient(); // reads FAL_KEY

function signalOf({ abort_after_s }) {
  const controller = new AbortController();
  if (abort_after_s) setTimeout(() => controller.abort(), abort_after_s * 1000);
  return abort_after_s ? controller.signal : undefined;
}

const submitOptions = ({ webhook_url, priority, hint, start_timeout_s, abort_after_s }) => ({
  abortSignal: signalOf({ abort_after_s }),
  webhookUrl: webhook_url,
  priority,
  hint,
  startTimeout: start_timeout_s,
});

const ops = {
  async run({ endpoint, input, options }) {
    const abortSignal = options.timeout_s ? AbortSignal.timeout(options.timeout_s * 1000) : signalOf(options);
    const { data, requestId } = await fal.run(endpoint, { input, abortSignal, startTimeout: options.start_timeout_s });
    return { result: data, request_id: requestId };
  },
  async submit({ endpoint, input, options }) {
    return { request_id: (await fal.queue.submit(endpoint, { input, ...submitOptions(options) })).request_id };
  },
  async status({ endpoint, request_id, options }) {
    return { result: await fal.queue.status(endpoint, { requestId: request_id, logs: options.with_logs }) };
  },
  async result({ endpoint, request_id }) {
    return { result: (await fal.queue.result(endpoint, { requestId: request_id })).data };
  },
  async cancel({ endpoint, request_id }) {
    return { result: (await fal.queue.cancel(endpoint, { requestId: request_id })) ?? null };
  },
  async subscribe({ endpoint, input, options }) {
    const updates = [];
    const { data, requestId } = await fal.subscribe(endpoint, {
      input,
      ...submitOptions(options),
      logs: options.with_logs,
      timeout: options.timeout_s && options.timeout_s * 1000,
      onQueueUpdate: (update) => updates.push(update),
    });
    return { result: data, request_id: requestId, updates };
  },
  async stream({ endpoint, input, options }) {
    const stream = await fal.stream(endpoint, { input, signal: signalOf(options) });
    const events = [];
    stream.on("data", (event) => events.push(event));
    return { result: await stream.done(), events };
  },
  async stream_status({ endpoint, request_id, options }) {
    const stream = await fal.queue.streamStatus(endpoint, { requestId: request_id, logs: options.with_logs });
    const updates = [];
    stream.on("data", (update) => updates.push(update));
    return { result: await stream.done(), updates };
  },
  async realtime({ endpoint, inputs, options }) {
    const events = [];
    await new Promise((resolve, reject) => {
      const connection = fal.realtime.connect(endpoint, {
        throttleInterval: 0, onError: reject,
        onResult(result) {
          if (events.push(result) === inputs.length) connection.close() ?? resolve();
          else setTimeout(() => connection.send(inputs[events.length]), (options.pause_s ?? 0) * 1000);
        },
      });
      connection.send(inputs[0]);
    });
    return { result: events.at(-1), events };
  },
  async upload({ data_base64, content_type, file_name }) {
    const file = new File([Buffer.from(data_base64, "base64")], file_name, { type: content_type });
    return { result: await fal.storage.upload(file) };
  },
};

function errorOf(error) {
  if (error instanceof ApiError) {
    const { status, body, message, fieldErrors: fields } = error;
    return { kind: status === 422 ? "validation" : "http", status, message, error_type: body?.error_type, fields, body };
  }
  if (error.name === "AbortError") return { kind: "aborted", message: `${error}` };
  const kind = /timed out|TimeoutError/.test(`${error}`) ? "timeout" : /fetch failed/.test(`${error}`) ? "network" : "other";
  return { kind, message: `${error}` };
}

for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(line);
  const answer = !ops[job.op]
    ? { unsupported: true, reason: `@fal-ai/client has no ${job.op}` }
    : await ops[job.op](job).then((content) => ({ ok: true, ...content }), (error) => ({ ok: false, error: errorOf(error) }));
  console.log(JSON.stringify({ id: job.id, ...answer }, (_, value) => (value instanceof Uint8Array ? "bytes" : value)));
}
process.exit(); // the client's timer for another token would keep Node alive
