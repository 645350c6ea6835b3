// Loaded into every Node process of a run: connections to fal's hosts go to mock-fal, wherever they are made.
//
// Every TLS client in Node ends in require('tls').connect (fetch and WebSocket, node:https, http2, and the npm
// packages undici, axios, got, ws), and every TCP connection in net.Socket.prototype.connect. The first is wrapped
// to reach mock-fal's TLS port and to trust its certificate; the second to hold back what must not leave.
// Workers and child processes inherit it, unless they are given an environment of their own; then they have no key
// either. Without its variables, or with wrong ones, this file does nothing. It prints nothing and throws nothing.
'use strict'

const { readFileSync } = require('node:fs')
const { syncBuiltinESMExports } = require('node:module')
const net = require('node:net')
const tls = require('node:tls')

const LOADED = Symbol.for('mock-fal.preload')
const HTTPS = 443
// The machine itself and private networks, as in connect.py: nothing there is the live service.
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

function read(given) {
  const address = /^\[?(.+?)\]?:(\d{1,5})$/.exec(given.MOCK_FAL_TLS || '')
  if (!address || address[2] > 65535 || !given.MOCK_FAL_HOSTS) return null
  return {
    host: address[1],
    port: Number(address[2]),
    hosts: new Set(list(given.MOCK_FAL_HOSTS)),
    domains: list(given.MOCK_FAL_DOMAINS),
    allow: new Set(list(given.MOCK_FAL_ALLOW_HOST)),
    offline: given.MOCK_FAL_OFFLINE === '1',
    ca: given.MOCK_FAL_CA,
    proxy: /^http:\/\/(.+):(\d+)$/.exec(given.MOCK_FAL_PROXY || ''),
  }
}

function list(text) {
  return (text || '').split(',').map((name) => plain(name.trim())).filter(Boolean)
}

function plain(name) {
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
    // With a `socket` the connection is made already; through a proxy, say, which knows where fal's hosts are.
    if (!options || options.socket || !ours(options)) return connectTls.apply(this, args)
    const { secureContext, ...rest } = options // it holds roots that would be preferred to `ca`
    const servername = options.servername || plain(options.host)
    return connectTls.call(this, { ...redirected(rest), servername, ca: trusted(options.ca) }, callback)
  }

  net.Socket.prototype.connect = function connect(...args) {
    const { options, callback } = parse(args)
    if (!options || options.path) return connectTcp.apply(this, args)
    if (ours(options)) return connectTcp.call(this, redirected(options), callback)
    const reason = refusal(options)
    return reason ? connectTcp.call(this, refused(options, reason, report)) : connectTcp.apply(this, args)
  }

  // So that `import { connect } from 'node:tls'` gives the new one too.
  syncBuiltinESMExports()

  function ours(options) {
    return !options.path && Number(options.port) === HTTPS && hosts.has(plain(options.host))
  }

  function redirected(options) {
    const { lookup, path, family, hints, localAddress, localPort, autoSelectFamily, ...rest } = options
    return { ...rest, host, port }
  }

  function trusted(otherwise) {
    try {
      certificate = certificate || readFileSync(ca)
    } catch {
      return otherwise // the run is over, or its files can't be read: then no handshake succeeds, and that is right
    }
    return certificate
  }

  // The proxy refuses the same, and remembers it for the summary of the run.
  function report(name, number, done) {
    if (!proxy) return process.nextTick(done)
    const socket = new net.Socket()
    const end = () => { socket.destroy(); if (done) done(); done = null }
    socket.setTimeout(1000, end).on('error', end).on('close', end).on('data', end)
    connectTcp.call(socket, { host: proxy[1], port: Number(proxy[2]) }, () => {
      socket.write(`CONNECT ${net.isIPv6(name) ? `[${name}]` : name}:${number} HTTP/1.1\r\n\r\n`)
    })
  }

  function refusal(options) {
    const name = plain(options.host || 'localhost')
    if (hosts.has(name)) {
      return `mock-fal answers ${name} by https on port 443 only. Use an https:// or wss:// address without a port.`
    }
    if (allow.has(name)) return null
    if (domains.some((domain) => name === domain || name.endsWith('.' + domain))) {
      return `mock-fal does not emulate ${name}. It is one of fal's, so it does not pass either; ` +
        `--allow-host ${name} lets it reach the live service.`
    }
    if (offline && !isLocal(name)) {
      return `mock-fal is offline and refuses ${name}. Start without --offline, or with --allow-host ${name}, to let it through.`
    }
    return null
  }

  function isLocal(name) {
    const kind = net.isIP(name)
    return kind ? local.check(name.replace(/%.*/, ''), `ipv${kind}`) : LOCAL_NAME.test(name)
  }
}

// The forms of tls.connect and Socket.connect: (options), (port, host, options), ([options, callback]) within Node,
// and (path), which gives no options.
function parse(args) {
  const [first, ...others] = args
  if (Array.isArray(first)) return { options: first[0], callback: first[1] }
  const callback = others.find((other) => typeof other === 'function')
  if (first !== null && typeof first === 'object') return { options: first, callback }
  if (!Number.isInteger(Number(first))) return { options: null, callback }
  const host = typeof others[0] === 'string' ? others[0] : undefined
  return { options: { host, ...others.find((other) => other && typeof other === 'object'), port: first }, callback }
}

// The connection fails as one to an unknown name does: later, and as an 'error' event, which every client expects.
function refused(options, reason, report) {
  const error = Object.assign(new Error(reason), { code: 'ERR_MOCK_FAL_REFUSED', hostname: options.host })
  const lookup = (hostname, how, callback) => report(options.host || 'localhost', options.port, () => callback(error))
  return { host: 'refused.invalid', port: options.port, lookup }
}
