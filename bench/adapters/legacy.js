'use strict'

const net = require('node:net')
const { lineReader } = require('../lines')

exports.title = 'smokesignal 0.2.2'
exports.requires = 'smokesignal-legacy'

const MIB = 2 ** 20

// Default options, as for ours. Its API carries bytes, so an event is a line in a chunk of its own.
async function start(options) {
  const smoke = require('smokesignal-legacy')
  const node = smoke.createNode({ address: '127.0.0.1', ...options })
  node.on('error', (error) => {
    throw error
  })
  node.start()
  await new Promise((resolve) => node.server.once('listening', resolve))
  return node
}

function freePort() {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

exports.publisher = async ({ port, receivers }) => {
  const node = await start({ port })
  // write() always says yes and buffers without bound: look at the sockets, or it would measure
  // the garbage collector.
  const queued = () =>
    Math.max(...node.peers.list.map((peer) => peer.socket.socket?.writableLength ?? 0))
  return {
    isReady: () => node.peers.list.length >= receivers,
    send(message) {
      node.broadcast.write(`${JSON.stringify(message)}\n`)
      return queued() < MIB
    },
    async room() {
      while (queued() > MIB / 4) await new Promise(setImmediate)
    },
  }
}

exports.receiver = async ({ port, hear }) => {
  const node = await start({ port: await freePort(), seeds: [{ address: '127.0.0.1', port }] })
  node.broadcast.on('data', lineReader(hear))
  if (!node.connected) await new Promise((resolve) => node.once('connect', resolve))
}
