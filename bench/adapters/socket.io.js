'use strict'

exports.title = 'socket.io'
exports.requires = 'socket.io'

exports.publisher = async ({ port, receivers }) => {
  const { Server } = require('socket.io')
  const server = new Server(port, { transports: ['websocket'], serveClient: false })
  // emit() has no backpressure: look at what the transports have not yet taken.
  const queued = () => {
    let most = 0
    for (const { conn } of server.sockets.sockets.values()) {
      most = Math.max(most, conn.writeBuffer.length)
    }
    return most
  }
  return {
    isReady: () => server.sockets.sockets.size >= receivers,
    send(message) {
      server.emit('message', message)
      return queued() < 1024
    },
    async room() {
      while (queued() > 256) await new Promise(setImmediate)
    },
  }
}

exports.receiver = async ({ port, hear }) => {
  const { io } = require('socket.io-client')
  const socket = io(`http://127.0.0.1:${port}`, { transports: ['websocket'] })
  socket.on('message', hear)
  await new Promise((resolve) => socket.once('connect', resolve))
}
