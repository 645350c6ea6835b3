// The routes of the control API that the page uses. Each function returns the parsed answer, or throws with the server's words.

/** An answer from 400 up; `column` is where the error is in the text of a rule. */
export class ApiError extends Error {
  constructor(status, { detail = `HTTP ${status}`, column = null }) {
    super(String(detail).replace(/^mock-fal: /, ''))
    this.status = status
    this.column = column
  }
}

async function ask(path, { method = 'GET', json, ...params } = {}) {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(params)) {
    for (const item of [value].flat()) if (item !== undefined && item !== null && item !== '') query.append(name, item)
  }
  const response = await fetch(query.size ? `${path}?${query}` : path, {
    method,
    body: json === undefined ? undefined : JSON.stringify(json),
    headers: json === undefined ? {} : { 'content-type': 'application/json' },
  })
  if (!response.ok) throw new ApiError(response.status, await response.json().catch(() => ({})))
  if (response.status === 204) return null
  return response.headers.get('content-type').startsWith('application/json') ? response.json() : response.text()
}

const call = (id) => `/_mock/calls/${encodeURIComponent(id)}`

export const calls = (filter) => ask('/_mock/calls', filter)
export const readCall = (id) => ask(call(id))
export const replay = (id) => ask(`${call(id)}/replay`, { method: 'POST', json: {} })
export const snippet = (id, as) => ask(`${call(id)}/snippet`, { as })
export const cassettesAddress = (id) => `${call(id)}/cassettes`
export const archiveAddress = (id) => `/_mock/requests.har?${new URLSearchParams({ request_id: id })}`

export const exchange = (number) => ask(`/_mock/requests/${number}`)
export const keys = () => ask('/_mock/keys')
export const files = (page) => ask('/_mock/files', page)
export const deliveries = (page) => ask('/_mock/deliveries', page)
export const connections = () => ask('/_mock/connections')
export const usage = (key) => ask('/_mock/usage', { key })
export const resend = (json) => ask('/_mock/webhooks/resend', { method: 'POST', json })
export const reset = (key) => ask('/_mock/requests', { method: 'DELETE', key })

export const rules = () => ask('/_mock/scenario', { all: 1 })
export const addRule = (json, key) => ask('/_mock/scenario', { method: 'POST', json, key })
export const removeRule = (id) => ask(`/_mock/scenario/${id}`, { method: 'DELETE' })
export const explain = (json) => ask('/_mock/scenario/explain', { method: 'POST', json })
export const options = () => ask('/_mock/scenario/options')

export const clock = () => ask('/_mock/clock')
export const setSpeed = (speed) => ask('/_mock/clock', { method: 'PUT', json: { speed } })
export const advance = (seconds) => ask('/_mock/clock/advance', { method: 'POST', json: { seconds } })
