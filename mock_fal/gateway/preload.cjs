// A preload script for Node: connections to fal's hosts go to mock-fal, whichever HTTP client makes them.
//
// All TLS clients in Node call require('tls').connect (fetch and WebSocket, node:https, http2, and the npm packages
// undici, axios, got, ws), and all TCP connections call net.Socket.prototype.connect. The first is wrapped to connect
// to mock-fal's TLS port and to trust its certificate, the second to block connections that must not leave. The
// functions of node:dns give each of fal's names an address of its own, which leads to mock-fal like the name.
// Workers and child processes inherit the script. With a separate environment they do not, but then they have no key
// either. If its variables are missing or invalid, this file does nothing. It prints nothing and throws nothing.
// The npm package loads it into processes that run already, and calls `redirect` again for another server.
'use strict'

const dns = require('node:dns')
const { readFileSync } = require('node:fs')
const { syncBuiltinESMExports } = require('node:module')
const net = require('node:net')
const { hostname } = require('node:os')
const tls = require('node:tls')

// A property of the wrapped tls.connect, which all realms of a thread share, unlike globalThis: a function that changes
// the settings.
const CHANGE = Symbol.for('mock-fal.preload')
const BLOCKED = Symbol('mock-fal.blocked')
const HTTPS = 443
const MAX_ADDRESSES = 4096
// This machine, as in connect.py: everything else may be, or forward to, another one.
const LOOPBACK = [['127.0.0.0', 8, 'ipv4'], ['0.0.0.0', 32, 'ipv4'], ['::', 128, 'ipv6'], ['::1', 128, 'ipv6']]
const LOOPBACK_NAME = /^localhost$|\.localhost$/
// The addresses of fal's names, as in mock_fal_preload.py: RFC 5737 and the IETF reserve them, no packet reaches anybody.
// Where the family is open, IPv6 comes first: next/image (16.4) takes no address that ipaddr.js knows as reserved.
const ADDRESS = { 4: (number) => `203.0.113.${number}`, 6: (number) => `4fa1::${number.toString(16)}` }

redirect(process.env)
module.exports = { redirect }

// Redirect the connections of this thread to the server that the variables describe.
function redirect(env) {
  const settings = read(env)
  if (!settings) return
  if (tls.connect[CHANGE]) tls.connect[CHANGE](settings)
  else install(settings)
}

function read(env) {
  const address = /^\[?(.+?)\]?:(\d{1,5})$/.exec(env.MOCK_FAL_TLS || '')
  if (!address || address[2] > 65535 || !env.MOCK_FAL_HOSTS) return null
  return {
    host: address[1],
    port: Number(address[2]),
    hosts: new Set(list(env.MOCK_FAL_HOSTS)),
    domains: list(env.MOCK_FAL_DOMAINS),
    allow: new Set(list(env.MOCK_FAL_ALLOW_HOST)),
    offline: env.MOCK_FAL_OFFLINE === '1',
    ca: env.MOCK_FAL_CA,
    proxy: /^http:\/\/(?:(.*)@)?\[?([^\]]+?)\]?:(\d+)\/?$/.exec(env.MOCK_FAL_PROXY || ''),
  }
}

function list(text) {
  return (text || '').split(',').map((name) => normalize(name.trim())).filter(Boolean)
}

function normalize(name) {
  return String(name).toLowerCase().replace(/\.$/, '')
}

function install(settings) {
  let host, port, hosts, domains, allow, offline, ca, proxy, numbers, names, allowed, certificate
  const connectTls = tls.connect
  const connectTcp = net.Socket.prototype.connect
  const local = new net.BlockList()
  for (const network of LOOPBACK) local.addSubnet(...network)
  change(settings)

  tls.connect = function connect(...args) {
    const { options, callback } = parse(args)
    // With a `socket` the connection exists already, for example through a proxy, which redirects fal's hosts itself.
    if (!options || options.socket || !isEmulated(options)) return connectTls.apply(this, args)
    const { secureContext, ...rest } = options // its roots would take precedence over `ca`
    if (onlyHttp2(options.ALPNProtocols)) {
      const reason = `mock-fal speaks HTTP/1.1 and WebSocket on ${names.get(normalize(options.host))}, not HTTP/2. ` +
        'Use fetch, node:https, or a client that also offers http/1.1.'
      return connectTls.call(this, { ...rest, [BLOCKED]: reason }, callback)
    }
    const servername = options.servername || normalize(options.host)
    return connectTls.call(this, { ...redirected(rest), servername, ca: trusted(options.ca) }, callback)
  }

  Object.defineProperty(tls.connect, CHANGE, { value: change })

  net.Socket.prototype.connect = function connect(...args) {
    const { options, callback } = parse(args)
    if (!options || options.path) return connectTcp.apply(this, args)
    if (options[BLOCKED]) return connectTcp.call(this, blocked(options, options[BLOCKED], (name, port, done) => process.nextTick(done)))
    if (isEmulated(options)) return connectTcp.call(this, redirected(options), callback)
    const reason = blockReason(options)
    return reason ? connectTcp.call(this, blocked(options, reason, report)) : connectTcp.apply(this, args)
  }

  for (const owner of [dns, dns.promises]) wrap(owner, 'lookup', owner === dns.promises)
  for (const owner of [dns, dns.Resolver.prototype]) wrapResolver(owner, false)
  for (const owner of [dns.promises, dns.promises.Resolver.prototype]) wrapResolver(owner, true)

  // `import { connect } from 'node:tls'` then returns the wrapper too.
  syncBuiltinESMExports()

  function change(settings) {
    ({ host, port, hosts, domains, allow, offline, ca, proxy } = settings)
    numbers = new Map([...hosts].sort().map((name, index) => [name, index + 1]))
    names = new Map([...hosts].map((name) => [name, name]))
    for (const [name, number] of numbers) for (const family of [4, 6]) names.set(ADDRESS[family](number), name)
    allowed = new Set() // addresses of allowed names, for clients that resolve first and connect later
    certificate = null
  }

  function isEmulated(options) {
    return !options.path && Number(options.port) === HTTPS && names.has(normalize(options.host))
  }

  function redirected(options) {
    const { lookup, path, family, hints, localAddress, localPort, autoSelectFamily, ...rest } = options
    return { ...rest, host, port }
  }

  function trusted(fallback) {
    try {
      certificate = certificate || readFileSync(ca)
    } catch {
      return fallback // the server has stopped, or its files can't be read: the handshake fails, as it should
    }
    return certificate
  }

  // The proxy blocks the same hosts; this request records the connection for the summary.
  function report(name, port, done) {
    if (!proxy) return process.nextTick(done)
    const socket = new net.Socket()
    const end = () => { socket.destroy(); if (done) done(); done = null }
    socket.setTimeout(1000, end).on('error', end).on('close', end).on('data', end)
    connectTcp.call(socket, { host: proxy[2], port: Number(proxy[3]) }, () => {
      const login = proxy[1] && Buffer.from(decodeURIComponent(proxy[1])).toString('base64')
      const authorization = login ? `Proxy-Authorization: Basic ${login}\r\n` : ''
      socket.write(`CONNECT ${net.isIPv6(name) ? `[${name}]` : name}:${port} HTTP/1.1\r\n${authorization}\r\n`)
    })
  }

  function blockReason(options) {
    const name = normalize(options.host || 'localhost')
    if (names.has(name)) {
      return `mock-fal serves ${names.get(name)} over https on port 443 only. Use an https:// or wss:// address without a port.`
    }
    if (allow.has(name) || allowed.has(name)) return null
    if (domains.some((domain) => name === domain || name.endsWith('.' + domain))) {
      return `mock-fal does not emulate ${name}. It is a host of fal, so it is blocked; ` +
        `--allow-host ${name} forwards requests to the live service.`
    }
    if (offline && !isLocal(name)) {
      return `mock-fal is offline and blocks ${name}. Start without --offline, or with --allow-host ${name}, to forward requests to it.`
    }
    return null
  }

  function isLocal(name) {
    const kind = net.isIP(name)
    return kind ? local.check(name.replace(/%.*/, ''), `ipv${kind}`) : LOOPBACK_NAME.test(name)
  }

  // A function of node:dns: an answer of its own for fal's names, an error for blocked ones, else the original.
  function wrap(owner, method, promised) {
    const original = owner[method]
    const wrapper = function (...args) {
      const name = normalize(args[0])
      const callback = promised ? null : args[args.length - 1]
      if (!promised && typeof callback !== 'function') return original.apply(this, args)
      const { error, found } = answer(method, name, args[1])
      if (promised) {
        if (error) return new Promise((resolve, reject) => report(name, HTTPS, () => reject(error)))
        if (found) return Promise.resolve(found)
        return original.apply(this, args).then((result) => { remember(name, [result]); return result })
      }
      if (error) return void report(name, HTTPS, () => callback(error))
      if (found) return void process.nextTick(callback, null, ...(found.address ? [found.address, found.family] : [found]))
      args[args.length - 1] = (failure, ...results) => { remember(name, results); callback(failure, ...results) }
      return original.apply(this, args)
    }
    for (const symbol of Object.getOwnPropertySymbols(original)) wrapper[symbol] = original[symbol] // of util.promisify
    Object.defineProperty(wrapper, 'name', { value: method })
    owner[method] = wrapper
  }

  function wrapResolver(owner, promised) {
    for (const method of Object.getOwnPropertyNames(owner)) {
      if (/^resolve/.test(method) && typeof owner[method] === 'function') wrap(owner, method, promised)
    }
  }

  function answer(method, name, option) {
    if (hosts.has(name)) {
      const address = (family) => ADDRESS[family](numbers.get(name))
      if (method === 'lookup') {
        const family = /4$/.test(option && typeof option === 'object' ? option.family : option) ? 4 : 6
        const record = { address: address(family), family }
        return { found: option && option.all ? [record] : record }
      }
      const type = method === 'resolve' ? (typeof option === 'string' ? option : 'A') : method
      const family = { A: 4, resolve4: 4, AAAA: 6, resolve6: 6 }[type]
      if (family) return { found: [option && option.ttl ? { address: address(family), ttl: 0 } : address(family)] }
      return { error: Object.assign(new Error(`mock-fal has no ${type} records of ${name}`), { code: 'ENODATA', hostname: name }) }
    }
    if (net.isIP(name) || name === normalize(hostname())) return {} // no other machine is asked: connect decides
    const reason = name && blockReason({ host: name })
    return reason ? { error: blockedError(reason, name) } : {}
  }

  function remember(name, results) {
    if (!offline || !allow.has(name)) return
    for (const result of results.flat()) {
      const address = result && typeof result === 'object' ? result.address : result
      if (net.isIP(address)) allowed.add(normalize(address))
    }
    for (const address of allowed) if (allowed.size > MAX_ADDRESSES) allowed.delete(address)
  }
}

// The call signatures of tls.connect and Socket.connect: (options), (port, host, options), ([options, callback]) within
// Node, and (path), for which `options` is null.
function parse(args) {
  const [first, ...others] = args
  if (Array.isArray(first)) return { options: first[0], callback: first[1] }
  const callback = others.find((other) => typeof other === 'function')
  if (first !== null && typeof first === 'object') return { options: first, callback }
  if (!Number.isInteger(Number(first))) return { options: null, callback }
  const host = typeof others[0] === 'string' ? others[0] : undefined
  return { options: { host, ...others.find((other) => other && typeof other === 'object'), port: first }, callback }
}

// The connection fails asynchronously with an 'error' event, like one to an unknown host name.
function blocked(options, reason, report) {
  const error = blockedError(reason, options.host)
  const lookup = (hostname, lookupOptions, callback) => report(options.host || 'localhost', options.port, () => callback(error))
  return { host: 'blocked.invalid', port: options.port, lookup }
}

function blockedError(reason, host) {
  return Object.assign(new Error(reason), { code: 'ERR_MOCK_FAL_BLOCKED', hostname: host })
}

// ALPNProtocols is a list of names, or a buffer in which each name follows its length.
function onlyHttp2(protocols) {
  if (ArrayBuffer.isView(protocols)) return Buffer.from(protocols.buffer, protocols.byteOffset, protocols.byteLength).equals(Buffer.from('\x02h2'))
  return Array.isArray(protocols) && protocols.length > 0 && protocols.every((protocol) => String(protocol) === 'h2')
}
