// node clients.cjs CLIENT URL: requests URL with one of Node's clients and prints {"body": …} or {"error": …, "code": …}.
'use strict'

const { execFile } = require('node:child_process')
const https = require('node:https')
const net = require('node:net')
const tls = require('node:tls')
const { Worker } = require('node:worker_threads')

const clients = {
  fetch: async (url) => (await fetch(url)).json(),
  https: (url) => new Promise((resolve, reject) => {
    https.get(url, { agent: new https.Agent({ keepAlive: true, autoSelectFamily: true }) }, async (response) => {
      let text = ''
      for await (const chunk of response) text += chunk
      resolve(JSON.parse(text))
    }).on('error', reject)
  }),
  'tls-options': (url) => request(url, (host, port, listener) => tls.connect({ host, port, lookup: never }, listener)),
  'tls-port-host': (url) => request(url, (host, port, listener) => tls.connect(port, host, {}, listener)),
  'tls-port-options': (url) => request(url, (host, port, listener) => tls.connect(port, { host }, listener)),
  'tls-context': (url) => request(url, (host, port, listener) => {
    return tls.connect({ host, port, secureContext: tls.createSecureContext({ ca: [] }) }, listener)
  }),
  'tls-socket': (url) => request(url, (host, port, listener) => {
    return tls.connect({ socket: net.connect(port, host), servername: host }, listener)
  }),
  net: (url) => new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url)
    const socket = net.connect({ host: hostname, port: Number(port) }, () => resolve({ connected: true }))
    socket.on('error', reject).on('connect', () => socket.destroy())
  }),
  pipe: (url) => new Promise((resolve, reject) => {
    const socket = net.connect(url, () => resolve({ connected: true }))
    socket.on('error', reject).on('connect', () => socket.destroy())
  }),
  worker: (url) => new Promise((resolve, reject) => {
    const source = `fetch(${JSON.stringify(url)}).then((response) => response.json())
      .then((body) => require('node:worker_threads').parentPort.postMessage(body))`
    new Worker(source, { eval: true }).on('message', resolve).on('error', reject)
  }),
  child: (url) => new Promise((resolve, reject) => {
    execFile(process.execPath, [__filename, 'fetch', url], (error, out) => error ? reject(error) : resolve(JSON.parse(out).body))
  }),
}

function never() {
  throw new Error('DNS lookup')
}

function request(url, connect) {
  const { hostname, port, pathname } = new URL(url)
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(hostname, Number(port || 443), () => {
      socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${hostname}\r\nConnection: close\r\n\r\n`)
    })
    socket.on('error', reject).on('data', (chunk) => { text += chunk })
    socket.on('end', () => resolve(JSON.parse(text.split('\r\n\r\n')[1])))
  })
}

const [, , client, url] = process.argv
clients[client](url).then(
  (body) => console.log(JSON.stringify({ body })),
  (error) => console.log(JSON.stringify({ error: (error.cause || error).message, code: (error.cause || error).code })),
)
