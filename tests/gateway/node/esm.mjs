// node esm.mjs HOST: what a module that imported `connect` by name sees.
import { connect } from 'node:tls'

const socket = connect({ host: process.argv[2], port: 443, servername: process.argv[2] }, () => {
  console.log(JSON.stringify({ authorized: socket.authorized }))
  socket.destroy()
})
