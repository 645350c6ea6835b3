// node lookups.cjs CASE [ARGUMENT]: looks up or connects with node:dns, http2 or undici, and prints the outcome as JSON.
'use strict'

const dns = require('node:dns')
const http2 = require('node:http2')
const tls = require('node:tls')
const { promisify } = require('node:util')
const ipaddr = require('ipaddr.js')

const cases = {
  lookups: async (name) => ({
    promised: await dns.promises.lookup(name),
    all: await dns.promises.lookup(name, { all: true }),
    four: await dns.promises.lookup(name, 4),
    callback: await promisify(dns.lookup)(name),
    records: await promisify(dns.resolve4)(name),
    resolver: await new dns.promises.Resolver().resolve4(name),
    generic: await promisify(dns.resolve)(name, 'AAAA'),
  }),
  // What next/image asks before it downloads a picture (next 16.4, is-private-ip.js).
  range: async (name) => (await dns.promises.lookup(name, { all: true })).map(({ address }) => ipaddr.parse(address).range()),
  'connect-later': async (name) => {
    const { address } = await dns.promises.lookup(name)
    return new Promise((resolve, reject) => {
      const socket = tls.connect({ host: address, port: 443, servername: name }, () => resolve(socket.authorized))
      socket.on('error', reject).on('secureConnect', () => socket.destroy())
    })
  },
  lookup: (name) => dns.promises.lookup(name).then(({ address }) => address),
  'lookup-callback': (name) => promisify(dns.lookup)(name).then(({ address }) => address),
  resolve4: (name) => dns.promises.resolve4(name),
  resolveTxt: (name) => dns.promises.resolveTxt(name),
  http2: (name) => new Promise((resolve, reject) => {
    const session = http2.connect(`https://${name}`, () => { session.destroy(); resolve('connected') })
    session.on('error', reject)
  }),
  undici: async (name) => {
    const { Agent, request } = require('undici')
    const dispatcher = new Agent({ allowH2: true })
    const { statusCode } = await request(`https://${name}/x`, { dispatcher })
    await dispatcher.destroy()
    return statusCode
  },
}

const [, , name, argument] = process.argv
cases[name](argument).then(
  (result) => console.log(JSON.stringify({ result })),
  ({ code, message }) => console.log(JSON.stringify({ code, message })),
)
