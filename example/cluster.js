'use strict'
// One node for each worker of node:cluster. A worker that changes something tells all the others.
//
//   node example/cluster.js
//   curl 'localhost:8000/set?colour=red'

const cluster = require('node:cluster')
const { once } = require('node:events')
const http = require('node:http')
const { createNode } = require('smokesignal')

const WORKERS = 3

/** The primary process is the seed, and nothing else. */
async function primary() {
  const node = createNode({ address: '127.0.0.1' })
  await node.start()
  for (let n = 0; n < WORKERS; n++) cluster.fork({ SEED_PORT: node.options.port })
}

async function worker() {
  const seeds = [{ address: '127.0.0.1', port: Number(process.env.SEED_PORT) }]
  const node = createNode({ address: '127.0.0.1', seeds })
  const settings = new Map()
  node.broadcast.on('set', (key, value) => {
    settings.set(key, value)
    console.log(`worker ${process.pid} heard: ${key} is ${value}`)
  })
  await Promise.all([once(node, 'connect'), node.start()])

  const server = http.createServer((request, response) => {
    const { searchParams } = new URL(request.url, 'http://localhost')
    for (const [key, value] of searchParams) {
      settings.set(key, value)
      node.broadcast.emit('set', key, value)
    }
    response.end(`${JSON.stringify(Object.fromEntries(settings))}\n`)
  })
  server.listen(process.env.PORT ?? 8000, '127.0.0.1')
  console.log(`worker ${process.pid} is ready`)
}

if (cluster.isPrimary) primary()
else worker()
