// Made from openapi/control.yaml and the settings and rules of mock-fal by `make docs`. Do not edit.

export type Clock = 'system' | 'manual' | 'auto-advance'

/** What the HTTP request does. */
export type Operation = 'submit' | 'run' | 'stream' | 'realtime' | 'status' | 'status_stream' | 'result' | 'cancel' | 'upload' | 'download' | 'rest' | 'platform' | 'other'

export type State = 'queued' | 'running' | 'completed' | 'failed' | 'cancelled'

export interface Call {
  /** The id of the request to a model; `exchange-N` for a call that was refused. */
  id: string
  key: string
  /** Null for a call whose path has no endpoint. */
  endpoint: string | null
  /** Null for a direct request that has not been answered yet, for a node of a workflow, and if the exchange was forgotten. */
  operation: 'submit' | 'run' | 'stream' | 'realtime' | null
  /** The kind of model: image, video, audio, speech, 3d, training, transcript, text or json; null for a refused call. */
  kind: string | null
  /** False for a call that made no request to a model here: fal or a rule refused it, or its response is that of a cassette. */
  accepted: boolean
  state: State
  /** The number of requests ahead in the queue; null for one that is not queued. */
  position: number | null
  /** The lines of progress that the runner has logged, and how many it logs in all. */
  steps: { done: number; total: number }
  submitted_at: number
  /** When a runner starts, also in the future; null if none ever does. */
  starts_at: number | null
  /** When it is completed, also in the future; null for one that waits for others. */
  ends_at: number | null
  /** The number of attempts that have started. */
  attempts: number
  /** The HTTP status of the result; null before it is completed. */
  status: number | null
  error_type: string | null
  /** The estimated cost in US dollars; null before it is completed, and if the price is not known. */
  cost: number | null
  /** The first 200 characters of the prompt. */
  prompt: string | null
  /** The first 8 files of the result; none unless the call is completed. */
  files: Array<CallFile>
  file_count: number
  /** The first 200 characters of a text in the result. */
  text: string | null
  webhook: { url: string; state: 'waiting' | 'delivered' | 'failed'; attempts: number; next_at: number | null } | null
  /** What rules and directives changed. */
  directive: string | null
  tags: Record<string, string>
  /** The id of the exchange that made the call. */
  exchange: number | null
  /** The call that this one repeats. */
  replay_of: string | null
  /** What the user should know: an endpoint that is not emulated and what may have been meant, or what is wrong with an output of theirs. */
  warning: string | null
}

export interface CallFile {
  /** The URL that clients get. */
  url: string
  /** Path of the content on this address, below `/_mock/media/`; null for one that is elsewhere. */
  local: string | null
  /** Null if it is not known. */
  content_type: string | null
  kind: 'image' | 'video' | 'audio' | 'text' | 'other'
  /** Whether `local` with `?preview=96` is a picture. */
  preview: boolean
}

export type CallDetail = any

export interface Attempt {
  /** That of the first one is the request's. */
  id: string
  starts_at: number
  ends_at: number | null
  status: number | null
  error_type: string | null
}

export interface ExchangeSummary {
  id: number
  at: number
  duration_s: number | null
  method: string
  url: string
  status: number
  operation: Operation
  directive: string | null
  request_size: number
  response_size: number
}

export interface Exchange {
  id: number
  /** The emulated time. */
  at: number
  /** The real time. */
  received_at: number
  /** Real seconds until the whole response was sent; null before that. */
  duration_s: number | null
  key: string
  /** How the request was addressed: gateway, direct or proxy. */
  way: string
  /** The scheme between the client and mock-fal. */
  scheme: string
  /** Host and port of the client. */
  client: string | null
  method: string
  /** The URL with fal's own host. */
  url: string
  host: string
  path: string
  query: string
  status: number
  operation: Operation
  endpoint: string | null
  request_id: string | null
  state: State | null
  /** The directive that changed the response. */
  directive: string | null
  /** The attempts so far at the request that was submitted; null for other exchanges. */
  attempts: Array<Attempt> | null
  /** What is wrong with an output of the user's own. */
  warning: string | null
  /** The valid tags of `X-Fal-Tags`. */
  tags: Record<string, string>
  /** An endpoint that is not emulated, and what may have been meant. */
  unknown_endpoint: string | null
  /** `recorded FILE`, `replayed FILE` or `no cassette`; null without cassettes. */
  playback: string | null
  request: Message
  response: Message
  /** The request body, parsed if it is JSON, else as text. Over 1 MiB its data URIs are shortened; null if the rest is too long to be parsed. */
  input: any
  /** The response body, read in the same way. */
  output: any
}

export interface Message {
  headers: Array<[string, string]>
  /** Null for contents that were not kept, such as files. */
  body: string | null
  /** `base64` for a body that is not text, or longer than 1 MiB. */
  encoding: 'base64' | null
  /** Size of the body in bytes. */
  size: number
}

export interface Delivery {
  request_id: string
  key: string
  url: string
  state: 'waiting' | 'delivered' | 'failed'
  /** Time of the next attempt. */
  next_at: number | null
  attempts: Array<{ at: number; status: number | null; duration_s: number; error: string | null; signed_at: number | null; signature: 'valid' | 'invalid' | null; reason: string | null }>
  /** What a rule did: `duplicate`, `out_of_order`, `drop` or `bad_signature`. */
  fault: string | null
  /** The webhook body; see webhook.yaml. Null before the first attempt. */
  body: any
}

export interface Usage {
  /** That of the endpoints whose price is known. */
  cost: number
  currency: 'USD'
  /** The number of requests whose price is not known. */
  unpriced: number
  /** The days of the emulated time with a charge, in UTC, oldest first. */
  days: Array<{ day: string; requests: number; cost: number }>
  /** What each account has at its start. */
  credits: number
  /** What is left of it; null without `key`. */
  balance: number | null
  /** The most expensive endpoint first, those without a known price last. */
  items: Array<{ endpoint: string; requests: number; units: number; unit: string | null; unit_price: number | null; cost: number | null }>
}

export interface StoredFile {
  url: string
  /** Path of the content on this address, below `/_mock/media/`. */
  local: string
  content_type: string
  kind: 'image' | 'video' | 'audio' | 'text' | 'other'
  /** Whether `local` with `?preview=96` is a picture. */
  preview: boolean
  created_at: number
  key: string
  /** Size in bytes; null for a picture. */
  size: number | null
  /** Null for a file that does not expire. */
  expires_at: number | null
  /** The request to a model that created the file; null for an upload. */
  request_id: string | null
}

export interface AddedRule {
  /** For `DELETE /_mock/scenario/{id}`. */
  id: number
  /** The key whose rule it is; null for one that applies to all keys. */
  key: string | null
  rule: string
  /** Number of calls that the rule matched. */
  matched: number
  /** Number of calls that the rule changed. */
  used: number
}

export interface RequestFilter {
  /** The id of a key. */
  key?: string
  /** An endpoint id or a pattern, such as `fal-ai/flux/*`. */
  endpoint?: string
  operation?: Operation
  /** The current state of the request to a model that the exchange is about. */
  state?: State
  method?: string
  host?: string
  /** A status code, or a class of codes such as `4xx`. */
  status?: string
  request_id?: string
  /** A tag of the request, `key` or `key=value`. */
  tag?: string
  /** Only exchanges after the one with this id. */
  since?: number
  /** Only exchanges before the one with this id. With `limit` it pages from the latest ones back. */
  before?: number
  /** The number of exchanges; the latest ones are kept. */
  limit?: number
  /** With 0, exchanges come without headers and bodies. */
  bodies?: '0' | '1'
}

/** The errors of fal. */
export type ErrorType =
  | 'internal_server_error'
  | 'generation_timeout'
  | 'downstream_service_error'
  | 'downstream_service_unavailable'
  | 'content_policy_violation'
  | 'no_media_generated'
  | 'image_too_small'
  | 'image_too_large'
  | 'image_load_error'
  | 'file_download_error'
  | 'face_detection_error'
  | 'file_too_large'
  | 'greater_than'
  | 'greater_than_equal'
  | 'less_than'
  | 'less_than_equal'
  | 'multiple_of'
  | 'sequence_too_short'
  | 'sequence_too_long'
  | 'one_of'
  | 'feature_not_supported'
  | 'invalid_archive'
  | 'archive_file_count_below_minimum'
  | 'archive_file_count_exceeds_maximum'
  | 'audio_duration_too_long'
  | 'audio_duration_too_short'
  | 'video_duration_too_long'
  | 'video_duration_too_short'
  | 'unsupported_audio_format'
  | 'unsupported_image_format'
  | 'unsupported_video_format'
  | 'request_timeout'
  | 'startup_timeout'
  | 'runner_scheduling_failure'
  | 'runner_connection_timeout'
  | 'runner_disconnected'
  | 'runner_connection_refused'
  | 'runner_connection_error'
  | 'runner_incomplete_response'
  | 'runner_server_error'
  | 'client_disconnected'
  | 'client_cancelled'
  | 'bad_request'
  | 'internal_error'
  | 'concurrent_requests_limit'

/** The operations that a rule can be limited to. */
export type RuleOperation =
  | 'submit'
  | 'run'
  | 'stream'
  | 'realtime'
  | 'handshake'
  | 'status'
  | 'result'
  | 'cancel'
  | 'upload'
  | 'token'
  | 'download'
  | 'webhook'

/** The options of a rule; see docs/reference/directives.md. */
export interface RuleOptions {
  /** Only for endpoints that match … */
  endpoint?: string
  /** Only if the prompt matches … */
  prompt?: string
  /** Only for the key … */
  key?: string
  /** Only for matching call number … */
  nth?: number
  /** Only after … matching calls. */
  after?: number
  /** At most … times. */
  times?: number
  /** Only for the operation … */
  operation?: RuleOperation
  /** The request waits … s in the queue. */
  queue?: number
  /** The request runs for … s. */
  run?: number
  /** The queue position is higher by … at first; the difference shrinks to 0 during the wait. */
  position?: number
  /** The runner prints … log lines. */
  logs?: number
  /** The safety checker flags the image: has_nsfw_concepts is true, the picture is black. */
  nsfw?: boolean
  /** A cancellation of the running request is … */
  cancel?: 'honoured' | 'ignored'
  /** The output of the model is … */
  output?: unknown
  /** The result is billed as … units, also a model error. */
  billed?: number
  /** The result is the error … */
  error?: ErrorType
  /** The error message is … */
  msg?: string
  /** The error is about the field … */
  loc?: string
  /** The error's ctx contains … */
  ctx?: Record<string, unknown>
  /** X-Fal-Needs-Retry is … */
  retry?: boolean
  /** The fault of the webhook: … */
  webhook?: 'duplicate' | 'out_of_order' | 'drop' | 'bad_signature'
  /** The response is HTTP …, and the operation is not executed. */
  status?: number
  /** Its body is JSON with the detail … */
  detail?: string
  /** Its body is … */
  body?: unknown
  /** The response is the ingress's own HTTP … in HTML, without x-fal-request-id, and the operation is not executed. */
  ingress?: 502 | 503 | 504
  /** The account is …: HTTP 403, or 401 for unknown, and the operation is not executed. */
  account?: 'locked' | 'unknown' | 'forbidden'
  /** The reason of the lock is … */
  reason?: string
  /** While the account is locked, reading status and result is … */
  reads?: 'allowed' | 'refused'
  /** The result is …: after the request has completed, it is not found (HTTP 404). */
  result?: 'expired'
  /** Files are …: a download gets HTTP 404. */
  file?: 'expired' | 'missing'
  /** The token is …: the CDN token of an upload (HTTP 401), and that of a realtime connection (Unauthorized). */
  token?: 'expired'
  /** The response has the header … */
  headers?: Record<string, unknown>
  /** The response has the header Retry-After: … */
  retry_after?: number
  /** The response's JSON is patched (RFC 7396: null removes a member) with … */
  merge?: unknown
  /** In the response's JSON, … is null. */
  set_null?: string
  /** The response's body is … */
  json?: 'malformed' | 'truncated' | 'empty'
  /** The webhook's payload is … */
  payload?: unknown
  /** The webhook is sent … s later. */
  late?: number
  /** The response's body is sent at … bytes per second. */
  throttle?: number
  /** The connection: … (reset and hang: before any response, and the operation is not executed). */
  connection?: 'reset' | 'reset_after_headers' | 'hang'
}

/** The settings of a server; see docs/reference/settings.md. */
export interface Settings {
  /** Address to listen on. */
  host?: string
  /** Port to listen on; 0 selects a free one. */
  port?: number
  /** Seconds that a request waits in the queue. */
  queueDuration?: number
  /** Seconds that a request for a picture runs; a video takes 5 times as long. */
  runDuration?: number
  /** Requests of one app that run at the same time; 0 means no limit. */
  runners?: number
  /** Requests of one key that run at the same time; 0 means no limit. */
  concurrency?: number
  /** System, manual or auto-advance. */
  clock?: Clock
  /** How much faster than real time the system clock runs. */
  speed?: number
  /** Seed of all ids and file names, and of requests without a seed. */
  seed?: number
  /** Accept only this id:secret (may be repeated); default: any well-formed key. */
  key?: readonly string[]
  /** Number of requests, and of exchanges, that are kept. */
  retention?: number
  /** Maximum memory for requests, results and exchanges; the oldest ones are forgotten. */
  maxMemory?: number | `${number}${'k' | 'M' | 'G'}`
  /** Maximum size of a request body. */
  maxBody?: number | `${number}${'k' | 'M' | 'G'}`
  /** Maximum size of an uploaded file. */
  maxUpload?: number | `${number}${'k' | 'M' | 'G'}`
  /** Maximum size of all uploaded files together. */
  maxDisk?: number | `${number}${'k' | 'M' | 'G'}`
  /** Attempts at a queued request whose runner fails; 1 means that it is not tried again. */
  requestAttempts?: number
  /** How webhooks are retried: fast, real or none. */
  webhookRetries?: 'fast' | 'real' | 'none'
  /** Allow webhooks to other machines, and fetch the files that an input names. */
  allowEgress?: boolean
  /** JSON or YAML file with rules for failures and delays. */
  scenario?: string
  /** JSON file with OpenAPI documents of more endpoints, or imported ones (may be repeated). */
  models?: readonly string[]
  /** Answer for unknown endpoints too, by what the words of their ids say. */
  guessModels?: boolean
  /** PEM file with the Ed25519 key that signs webhooks; default: derived from --seed. */
  signingKey?: string
  /** Token that other machines need for the control API and the inspector; default: a random one, if --host lets them connect. */
  controlToken?: string
  /** File URLs that any browser on this machine can open. */
  localMediaUrls?: boolean
  /** Address of this server that programs and browsers reach; the URLs of files begin with it. */
  publicUrl?: string
  /** Address on which the proxy and the TLS port of unmodified programs listen. */
  gatewayHost?: string
  /** Port of the proxy; 0 selects a free one. */
  gatewayPort?: number
  /** TLS port for fal's hosts; 0 selects a free one. */
  gatewayTlsPort?: number
  /** Password of the proxy for other machines and other users; default: a random one. */
  gatewayPassword?: string
  /** Folder that keeps the certificate authority; default: a new one for each run. */
  caDir?: string
  /** Block every host that is not fal's. */
  offline?: boolean
  /** Host to forward in any case: with --offline, or a host of fal (may be repeated). */
  allowHost?: readonly string[]
  /** Forward requests to the live API and record them as cassettes in this folder. */
  record?: string
  /** Key for the live API, with --record; prefer MOCK_FAL_LIVE_KEY, other users can see flags. */
  liveKey?: string
  /** Respond from the cassettes in this folder; requests without one get a placeholder. */
  replay?: string
  /** With --replay: reject requests without a cassette. */
  strict?: boolean
}
