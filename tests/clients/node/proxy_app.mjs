// A user's application: pages and fal's server proxy, in Express or Hono. The key stays in this process.
import { createHandler } from '@fal-ai/server-proxy/express'
import { createRouteHandler } from '@fal-ai/server-proxy/hono'
import { serve } from '@hono/node-server'
import express from 'express'
import { Hono } from 'hono'
import { once } from 'node:events'

const servers = {
  express(pages) {
    const app = express()
    for (const [path, { type, text }] of Object.entries(pages)) {
      app.get(path, (request, response) => response.type(type).send(text))
    }
    app.use(express.json())
    app.all('/api/fal/proxy', createHandler())
    return app.listen(0, '127.0.0.1')
  },
  hono(pages) {
    const app = new Hono()
    for (const [path, { type, text }] of Object.entries(pages)) {
      app.get(path, (context) => context.body(text, 200, { 'content-type': type }))
    }
    app.all('/api/fal/proxy', createRouteHandler())
    return serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 })
  },
}

// Starts a server at a free port; resolves to its URL and a close function. Pages are { path: { type, text } }.
export async function started(kind, pages = {}) {
  const server = servers[kind](pages)
  if (!server.listening) await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}
