// A preload script for Node: connections to fal's hosts go to mock-fal, whichever HTTP client makes them.
//
// All TLS clients in Node call require('tls').connect (fetch and WebSocket, node:https, http2, and the npm packages
// undici, axios, got, ws), and all TCP connections call net.Socket.prototype.connect. The first is wrapped to connect
// to mock-fal's TLS port and to trust its certificate, the second to block connections that must not leave.
// Workers and child processes inherit the script. With a separate environment they do not, but then they have no key
// either. If its variables are missing or invalid, this file does nothing. It prints nothing and throws nothing.
'use strict'

const { readFileSync } = require('node:fs')
const { syncBuiltinESMExports } = require('node:module')
const net = require('node:net')
const tls = require('node:tls')

const LOADED = Symbol.for('mock-fal.preload')
const HTTPS = 443
// This machine and private networks, as in connect.py: the live service is not there.
const LOCAL_NETWORKS = [
  ['127.0.0.0', 8, 'ipv4'], ['10.0.0.0', 8, 'ipv4'], ['172.16.0.0', 12, 'ipv4'], ['192.168.0.0', 16, 'ipv4'],
  ['0.0.0.0', 32, 'ipv4'], ['::', 128, 'ipv6'], ['::1', 128, 'ipv6'], ['fc00::', 7, 'ipv6'],
]
const LOCAL_NAME = /^[a-z][^.]*$|\.(localhost|local|internal)$/

const settings = read(process.env)
if (settings && !globalThis[LOADED]) {
  Object.defineProperty(globalThis, LOADED, { value: true })
  install(settings)
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
    proxy: /^http:\/\/(.+):(\d+)$/.exec(env.MOCK_FAL_PROXY || ''),
  }
}

function list(text) {
  return (text || '').split(',').map((name) => normalize(name.trim())).filter(Boolean)
}

function normalize(name) {
  return String(name).toLowerCase().replace(/\.$/, '')
}

function install({ host, port, hosts, domains, allow, offline, ca, proxy }) {
  const connectTls = tls.connect
  const connectTcp = net.Socket.prototype.connect
  const local = new net.BlockList()
  for (const network of LOCAL_NETWORKS) local.addSubnet(...network)
  let certificate

  tls.connect = function connect(...args) {
    const { options, callback } = parse(args)
    // With a `socket` the connection exists already, for example through a proxy, which redirects fal's hosts itself.
    if (!options || options.socket || !isEmulated(options)) return connectTls.apply(this, args)
    const { secureContext, ...rest } = options // its roots would take precedence over `ca`
    const servername = options.servername || normalize(options.host)
    return connectTls.call(this, { ...redirected(rest), servername, ca: trusted(options.ca) }, callback)
  }

  net.Socket.prototype.connect = function connect(...args) {
    const { options, callback } = parse(args)
    if (!options || options.path) return connectTcp.apply(this, args)
    if (isEmulated(options)) return connectTcp.call(this, redirected(options), callback)
    const reason = blockReason(options)
    return reason ? connectTcp.call(this, blocked(options, reason, report)) : connectTcp.apply(this, args)
  }

  // `import { connect } from 'node:tls'` then returns the wrapper too.
  syncBuiltinESMExports()

  function isEmulated(options) {
    return !options.path && Number(options.port) === HTTPS && hosts.has(normalize(options.host))
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
    connectTcp.call(socket, { host: proxy[1], port: Number(proxy[2]) }, () => {
      socket.write(`CONNECT ${net.isIPv6(name) ? `[${name}]` : name}:${port} HTTP/1.1\r\n\r\n`)
    })
  }

  function blockReason(options) {
    const name = normalize(options.host || 'localhost')
    if (hosts.has(name)) {
      return `mock-fal serves ${name} over https on port 443 only. Use an https:// or wss:// address without a port.`
    }
    if (allow.has(name)) return null
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
    return kind ? local.check(name.replace(/%.*/, ''), `ipv${kind}`) : LOCAL_NAME.test(name)
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
  const error = Object.assign(new Error(reason), { code: 'ERR_MOCK_FAL_BLOCKED', hostname: options.host })
  const lookup = (hostname, lookupOptions, callback) => report(options.host || 'localhost', options.port, () => callback(error))
  return { host: 'blocked.invalid', port: options.port, lookup }
}
