// node esm.mjs HOST: connects from a module that imports `connect` by name.
import { connect } from 'node:tls'

const socket = connect({ host: process.argv[2], port: 443, servername: process.argv[2] }, () => {
  console.log(JSON.stringify({ authorized: socket.authorized }))
  socket.destroy()
})
