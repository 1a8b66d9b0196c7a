'use strict'

exports.title = 'ws'
exports.requires = 'ws'

const MIB = 2 ** 20

exports.publisher = async ({ port, receivers }) => {
  const { WebSocketServer } = require('ws')
  const server = new WebSocketServer({ host: '127.0.0.1', port, perMessageDeflate: false })
  await new Promise((resolve) => server.once('listening', resolve))
  const queued = () => Math.max(...Array.from(server.clients, (client) => client.bufferedAmount))
  const sendAll = (data) => {
    for (const client of server.clients) client.send(data)
    return queued() < MIB
  }
  return {
    isReady: () => server.clients.size >= receivers,
    send: (message) => sendAll(JSON.stringify(message)),
    sendBytes: sendAll,
    async room() {
      while (queued() > MIB / 4) await new Promise(setImmediate)
    },
  }
}

exports.receiver = async ({ port, hear, shape }) => {
  const WebSocket = require('ws')
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false })
  socket.on('message', (data) => hear(shape?.raw ? data : JSON.parse(data.toString())))
  await new Promise((resolve) => socket.once('open', resolve))
}
