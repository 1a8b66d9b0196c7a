'use strict'

exports.title = 'ws'
exports.requires = 'ws'

const MIB = 2 ** 20

exports.publisher = async ({ port, receivers }) => {
  const { WebSocketServer } = require('ws')
  const server = new WebSocketServer({ host: '127.0.0.1', port, perMessageDeflate: false })
  await new Promise((resolve) => server.once('listening', resolve))
  const queued = () => Math.max(...Array.from(server.clients, (client) => client.bufferedAmount))
  return {
    isReady: () => server.clients.size >= receivers,
    send(message) {
      const text = JSON.stringify(message)
      for (const client of server.clients) client.send(text)
      return queued() < MIB
    },
    async room() {
      while (queued() > MIB / 4) await new Promise(setImmediate)
    },
  }
}

exports.receiver = async ({ port, hear }) => {
  const WebSocket = require('ws')
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false })
  socket.on('message', (data) => hear(JSON.parse(data.toString())))
  await new Promise((resolve) => socket.once('open', resolve))
}
