import type { AddedRule, Delivery, ErrorType, Exchange, RequestFilter, RuleOptions, Settings, StoredFile, Usage } from './control.js'

export type * from './control.js'

export interface StartOptions extends Settings {
  /** The address of a server that runs already. By default that of MOCK_FAL_URL; without one, a server is started. */
  url?: string
  /** Lead this process and its children to the server, by variables and by redirecting connections. Default: true. */
  redirect?: boolean
  /** Milliseconds between two polls of @fal-ai/client. Default: 5 with an emulated clock, else the client's own 500. */
  pollInterval?: number
  /** How long the server may take to start, in milliseconds. Default: 120,000, for the first start may download it. */
  timeoutMs?: number
}

/** Start a server that ends with this process, or join the one at MOCK_FAL_URL. The clock is an auto-advance clock. */
export function startMockFal(options?: StartOptions): Promise<MockFal>

/** The account with this name, empty and in use, on the server of this process, which is started or joined now. */
export function account(name: string): Promise<Account>

/** A server. */
export class MockFal {
  private constructor()
  /** The address of the server; in a browser, it shows all requests and responses. */
  readonly url: string
  readonly version: string
  readonly clock: FalClock
  /** The variables for a child process; process.env has them already unless `redirect` is false. */
  readonly env: Record<string, string>
  /** The account with this name; without one, that of the key which programs get. */
  account(name?: string): Account
  /** The exchanges of all accounts, oldest first. */
  requests(filter?: RequestFilter): Promise<Exchange[]>
  usage(): Promise<Usage>
  /** Add a rule for all accounts. Those of an account take precedence. */
  addRule(rule: Rule): Promise<void>
  rules(): Promise<AddedRule[]>
  clearRules(): Promise<void>
  /** The public keys of webhooks. */
  webhookKeys(): Promise<Jwks>
  /** Delete the requests, files, webhooks and rules of all accounts. */
  reset(): Promise<void>
  /** Restore the variables of this process, and stop the server if this process has started it. */
  stop(): Promise<void>
}

/** The part of a server that belongs to one key. */
export class Account {
  private constructor()
  readonly name: string
  /** For a client of your own: `createFalClient({ credentials: account.key })`. */
  readonly key: string
  readonly url: string
  readonly server: MockFal
  /** The clock of the server, which all accounts share. */
  readonly clock: FalClock
  /** The variables for a child process: `{ env: { ...process.env, ...account.env } }`. */
  readonly env: Record<string, string>

  /** The exchanges of this account, oldest first. */
  requests(filter?: Omit<RequestFilter, 'key'>): Promise<Exchange[]>
  /** The calls of models among them. */
  submissions(filter?: Omit<RequestFilter, 'key'>): Promise<Exchange[]>
  callCount(endpoint?: string): Promise<number>
  /** The estimated cost of the completed requests. */
  usage(): Promise<Usage>
  /** Uploads, and files of results. */
  files(): Promise<StoredFile[]>
  /** A line for each request. */
  summary(): Promise<string>

  /**
   * Throws an AssertionError unless there was one call of a model, with this input. `endpoint` may contain `*`. `input` is
   * the whole input; matchers such as `expect.any(String)` may stand for values.
   */
  assertCalledOnceWith(endpoint?: string, input?: unknown): Promise<void>
  /** The last call matches. */
  assertCalledWith(endpoint?: string, input?: unknown): Promise<void>
  /** Some call matches. */
  assertAnyCall(endpoint?: string, input?: unknown): Promise<void>
  assertNotCalled(endpoint?: string): Promise<void>

  /** The next calls fail with this error. */
  failNext(error: ErrorType, options?: Omit<RuleOptions, 'error' | 'output'>): Promise<void>
  /** An output of your own, as JSON, for an endpoint or for those that match a pattern such as `me/*`. */
  respond(endpoint: string, output: unknown, options?: Omit<RuleOptions, 'endpoint' | 'output' | 'error'>): Promise<void>
  addRule(rule: Rule): Promise<void>
  rules(): Promise<AddedRule[]>
  clearRules(): Promise<void>

  /** A server that receives webhooks: `webhookUrl: receiver.url`. It is closed after the test. */
  webhooks(): Promise<WebhookReceiver>
  deliveries(): Promise<Delivery[]>
  /** Wait until each webhook that is due was tried. */
  waitForDeliveries(options?: { timeoutMs?: number }): Promise<Delivery[]>
  /** Send a signed webhook without a request before it: an output of the model, or yours, or an error. Its request id. */
  sendWebhook(webhook: { url: string; endpoint: string; output?: unknown; error?: ErrorType }): Promise<string>
  /** Send a finished webhook again, or with a body of your own. */
  resendWebhook(requestId: string, body?: unknown): Promise<void>

  /** Let the clients of this process that read FAL_KEY use this account. */
  use(): this
  /** Delete the requests, files, webhooks and rules of this account. */
  reset(): Promise<void>
  /** Close the receivers of webhooks. */
  close(): Promise<void>
}

/** The options of a directive, as text or as an object: `"queue=600"`, `{ queue: 600 }`. */
export type Rule = string | RuleOptions

export interface FalClock {
  /** The emulated time in Unix seconds. */
  now(): Promise<number>
  /** Advance a manual or auto-advance clock. The new time. */
  advance(seconds: number): Promise<number>
}

/** A placeholder for fal's file object: of a kind with options, such as `file("video", { duration_s: 2 })`, or of your bytes. */
export function file(kind: FileKind, options?: FileOptions): { $file: object }
export function file(content: Uint8Array, options?: OwnFileOptions): { $file: object }

/** As `file`, but the URL alone. */
export function fileUrl(kind: FileKind, options?: FileOptions): { $file_url: object }
export function fileUrl(content: Uint8Array, options?: OwnFileOptions): { $file_url: object }

export type FileKind = 'image' | 'video' | 'audio' | 'speech' | 'model' | 'document'

export interface FileOptions {
  text?: string
  width?: number
  height?: number
  duration_s?: number
  fps?: number
  sound?: boolean
  format?: string
}

export interface OwnFileOptions {
  content_type?: string
  file_name?: string
}

export interface Jwks {
  keys: Array<Record<string, string>>
}

export type WebhookHeaders = Record<string, string | string[] | undefined> | Headers | Map<string, string>

/** Throws an Error with the reason unless a webhook of fal, or of a mock-fal, is genuine. `body` is as it was received. */
export function verifyWebhook(headers: WebhookHeaders, body: Uint8Array | string, jwks: Jwks, options?: { now?: number }): void

export interface ReceivedWebhook {
  path: string
  headers: Record<string, string | string[] | undefined>
  body: Uint8Array
  /** The parsed body; undefined if it is not JSON. */
  json: any
  verified: boolean
  /** Why it is not verified, or an empty text. */
  problem: string
  /** The status of the response. */
  status: number
}

export class WebhookReceiver {
  private constructor()
  /** The URL for webhooks; every path below it works too. */
  readonly url: string
  /** The latest webhooks, oldest first. */
  readonly received: ReceivedWebhook[]
  /** Statuses for the next webhooks, one each. */
  respondWith(...statuses: number[]): void
  /** Wait until `number` webhooks were received. Default: 1, within 10,000 ms. */
  waitFor(number?: number, options?: { timeoutMs?: number }): Promise<ReceivedWebhook[]>
  close(): Promise<void>
}

/** The server has refused a request to its control API, or does not answer: status 0. */
export class ControlError extends Error {
  readonly status: number
}
