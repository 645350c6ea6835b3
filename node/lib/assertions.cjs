// Assertions about calls of models. A failure lists the calls and the fields that differ, as in journal/assertions.py.
'use strict'

const { AssertionError } = require('node:assert')
const { inspect, isDeepStrictEqual } = require('node:util')

// How many characters of a value, and how many calls, a failure shows.
const MAX_VALUE_LENGTH = 100
const MAX_CALLS = 20

/** `calls` have `matches`: whether their endpoint matches. `input` undefined: any. `which`: once, last or any. */
function check(which, calls, endpoint, input) {
  const differences = calls.map((call) => differencesOf(call, endpoint, input))
  const right = differences.map((lines) => lines.length === 0)
  const passed = { once: right.length === 1 && right[0], last: right.at(-1), any: right.includes(true) }[which]
  if (passed) return
  const what = { once: 'one call', last: 'the last call to be', any: 'a call' }[which]
  const lines = [`expected ${what}: ${endpoint}${input === undefined ? '' : fieldsOf(input)}`, ...received(calls)]
  if (which === 'last' && calls.length) lines.push(`call ${calls.length}:`, ...differences.at(-1))
  else if (calls.length && !right.includes(true)) lines.push(`closest is call ${shortest(differences) + 1}:`, ...differences[shortest(differences)])
  fail(lines, check)
}

function checkNone(calls, endpoint) {
  if (!calls.some((call) => call.matches)) return
  fail([`expected no call${endpoint === '*' ? '' : ` to ${endpoint}`}`, ...received(calls)], checkNone)
}

function fail(lines, stackStartFn) {
  throw new AssertionError({ message: lines.join('\n'), stackStartFn })
}

function shortest(differences) {
  return differences.reduce((best, lines, at) => (lines.length < differences[best].length ? at : best), 0)
}

function received(calls) {
  if (!calls.length) return ['received no call of a model']
  const shown = calls.slice(0, MAX_CALLS).map(({ exchange }, at) => {
    const error = exchange.status >= 400 ? ` → ${exchange.status}` : ''
    return `  ${at + 1}. ${exchange.endpoint}${fieldsOf(exchange.input)}${error}`
  })
  return [`received ${calls.length} call${calls.length > 1 ? 's' : ''}:`, ...shown, ...(calls.length > MAX_CALLS ? ['  …'] : [])]
}

function fieldsOf(input) {
  if (!isObject(input)) return ` ${shown(input)}`
  return Object.entries(input).map(([name, value]) => ` ${name}=${shown(value)}`).join('')
}

function differencesOf({ exchange, matches }, endpoint, input) {
  const lines = matches ? [] : difference('endpoint', endpoint, exchange.endpoint)
  if (input === undefined || equal(input, exchange.input)) return lines
  if (!isObject(input) || !isObject(exchange.input) || isMatcher(input)) {
    return [...lines, ...difference('input', shown(input), shown(exchange.input))]
  }
  for (const name of new Set([...Object.keys(input), ...Object.keys(exchange.input)])) {
    const expected = name in input ? shown(input[name]) : 'nothing'
    const sent = name in exchange.input ? shown(exchange.input[name]) : 'nothing'
    if (!(name in input && name in exchange.input && equal(input[name], exchange.input[name]))) lines.push(...difference(name, expected, sent))
  }
  return lines
}

function difference(name, expected, sent) {
  return [`  ${name}: expected ${expected}`, `  ${' '.repeat(name.length)}  sent     ${sent}`]
}

/** Deep equality; a matcher such as expect.any(String), at any depth, decides itself. */
function equal(expected, sent) {
  if (isMatcher(expected)) return expected.asymmetricMatch(sent)
  if (Array.isArray(expected)) {
    return Array.isArray(sent) && expected.length === sent.length && expected.every((value, at) => equal(value, sent[at]))
  }
  if (!isObject(expected)) return isDeepStrictEqual(expected, sent)
  // A field that is undefined is not part of JSON.
  const names = Object.keys(expected).filter((name) => expected[name] !== undefined)
  return isObject(sent) && names.length === Object.keys(sent).length && names.every((name) => name in sent && equal(expected[name], sent[name]))
}

function isMatcher(value) {
  return typeof value?.asymmetricMatch === 'function'
}

function isObject(value) {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

function shown(value) {
  const text = inspect(value, { breakLength: Infinity, depth: 4, maxStringLength: 1000, maxArrayLength: 20 })
  return text.length > MAX_VALUE_LENGTH ? `${text.slice(0, MAX_VALUE_LENGTH)}…` : text
}

module.exports = { check, checkNone }
