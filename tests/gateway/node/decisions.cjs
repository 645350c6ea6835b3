// node decisions.cjs '[["host", 443], …]': prints the preload's decision about each address, like the proxy's events.
'use strict'

const net = require('node:net')

const [mock] = process.env.MOCK_FAL_TLS.split(':').slice(-1)

function decision([host, port]) {
  new net.Socket().connect({ host, port })
  const { connected } = globalThis
  if (connected.port === Number(mock)) return { kind: 'fal', message: '' }
  if (connected.host === host) return { kind: 'forwarded', message: '' }
  let message
  const nextTick = process.nextTick
  process.nextTick = (callback) => callback()
  connected.lookup('blocked.invalid', {}, (error) => { message = error.message })
  process.nextTick = nextTick
  return { kind: 'blocked', message }
}

console.log(JSON.stringify(JSON.parse(process.argv[2]).map(decision)))
